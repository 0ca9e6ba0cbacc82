//! CircleCI: a job has a token for its organization in a variable, and gets others from its command.
//!
//! <https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/>

use serde_json::json;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::program;
use crate::token::{Audience, Token};

/// The variables in which CircleCI leaves tokens.
pub(crate) const VARIABLES: [&str; 2] = ["CIRCLE_OIDC_TOKEN_V2", "CIRCLE_OIDC_TOKEN"];

pub(crate) fn look(environment: &Environment) -> Look {
    if environment.says("CIRCLECI") {
        Look::Serves("`CIRCLECI` is set".to_owned())
    } else {
        Look::Elsewhere("no job of CircleCI".to_owned())
    }
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    // For the organization's own audience the job has one already.
    let left = environment.variable(VARIABLES[0]).and_then(|text| Token::new(&text, VARIABLES[0]).ok());
    if let Some(token) = left.filter(|token| token.claims().is_some() && token.fits(audience).is_ok()) {
        return Ok(token);
    }
    let claims = json!({ "aud": audience.as_str() }).to_string();
    let arguments = ["run", "oidc", "get", "--claims", &claims].map(str::to_owned);
    let token = program::token(environment, "circleci", &arguments)
        .await
        .map_err(|fault| Fault::new(fault.what()).help("the job needs a context, and `circleci` in its PATH"))?;
    given(token, "`circleci`", audience)
}
