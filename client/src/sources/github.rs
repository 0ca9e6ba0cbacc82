//! GitHub Actions: the job asks its runner's token endpoint, as often as it likes.
//!
//! <https://docs.github.com/en/actions/reference/security/oidc>

use reqwest::Url;
use zeroize::Zeroizing;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::{self, Http};
use crate::token::{Audience, Token};

const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

pub(crate) fn look(environment: &Environment) -> Look {
    if environment.has(URL) && environment.has(TOKEN) {
        return Look::Serves(format!("`{URL}` is set"));
    }
    if environment.says("GITHUB_ACTIONS") {
        return Look::Cannot(not_permitted());
    }
    Look::Elsewhere("no job of GitHub Actions".to_owned())
}

fn not_permitted() -> Fault {
    Fault::new("this job may not have ID tokens").help(
        "write `permissions: { id-token: write, contents: read }` at the job or the workflow; jobs of forks get none",
    )
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let (Some(url), Some(request)) = (environment.variable(URL), environment.variable(TOKEN)) else {
        return Err(if environment.says("GITHUB_ACTIONS") {
            not_permitted()
        } else {
            Fault::new(format!("`{URL}` and `{TOKEN}` are not set: this is no job of GitHub Actions"))
        });
    };
    ask(&url, &request, audience, "GitHub's token endpoint").await
}

/// Asks an issuer that speaks as GitHub's does.
pub(crate) async fn ask(
    url: &str,
    request: &Zeroizing<String>,
    audience: &Audience,
    who: &str,
) -> Result<Token, Fault> {
    let mut url: Url = http::safe(url, &format!("the address of {who}"))?;
    url.query_pairs_mut().append_pair("audience", audience.as_str());
    let http = Http::new()?;
    let answer = http
        .ask(who, |client| client.get(url.clone()).bearer_auth(request.as_str()).header("accept", "application/json"));
    let value = answer.await?.member(who, "value")?;
    given(Token::new(&value, who)?, who, audience)
}
