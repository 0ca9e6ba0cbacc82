//! AWS: a token that STS gives the workload's role, and where the account has none, a signed proof of who it is.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html>

mod credentials;
mod proof;
mod sts;

pub use proof::Proof;

use std::time::SystemTime;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::Http;
use crate::token::{Audience, Token};

pub(crate) use credentials::answers;

/// What shows that a platform gave this workload a role. Keys of a user, which do not end, are no workload's: they are taken only
/// where AWS was named.
const HINTS: [&str; 4] = [
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

pub(crate) fn look(environment: &Environment) -> Look {
    match HINTS.into_iter().find(|name| environment.has(name)) {
        Some(name) => Look::Serves(format!("`{name}` is set")),
        None => Look::Elsewhere("no variable gives temporary credentials of a role".to_owned()),
    }
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let http = Http::new()?;
    let region = credentials::region(environment, &http).await?;
    let held = credentials::find(environment, &http, &region).await?;
    match sts::web_identity_token(environment, &held, &region, audience).await? {
        Some(text) => given(Token::new(&text, "STS")?, "STS", audience),
        None => proof::sign(&held, &region, audience, SystemTime::now()),
    }
}
