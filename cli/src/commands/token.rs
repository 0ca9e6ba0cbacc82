//! `writ token`: a workload's token from the dev issuer, as a CI job would ask for one.

use clap::Args;
use reqwest::Client;
use serde::Deserialize;

use super::Connection;
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

/// What to ask for.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whom the token is for.
    #[arg(long, default_value = "writ")]
    audience: String,
    /// Its life in seconds.
    #[arg(long, default_value_t = crate::dev::issuer::TOKEN_LIFE_SECONDS)]
    expires_in: i64,
}

/// Where the dev issuer is: `issuer.toml` in the state directory of `writ dev`.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerProfile {
    /// Its token endpoint.
    pub url: String,
    /// The file with the request token.
    pub request_token_file: std::path::PathBuf,
}

#[derive(Deserialize)]
struct Answer {
    value: String,
}

/// Prints a token.
///
/// # Errors
/// If no dev issuer runs, or it refuses.
pub(crate) async fn run(token: &Token, connection: &Connection) -> Result<(), Failure> {
    let path = connection.state_directory()?.join("issuer.toml");
    let text = std::fs::read_to_string(&path)
        .doing(format!("`{}` cannot be read", path.display()))
        .map_err(|failure| failure.help("start `writ dev`: it runs the issuer"))?;
    let profile: IssuerProfile = toml::from_str(&text).doing(format!("`{}` is malformed", path.display()))?;
    let request_token = private::read_text(&profile.request_token_file)?;
    let client = Client::builder().no_proxy().build().doing("the client cannot be set up")?;
    let response = client
        .get(&profile.url)
        .query(&[("audience", token.audience.as_str()), ("expires_in", &token.expires_in.to_string())])
        .bearer_auth(request_token.as_str())
        .send()
        .await
        .doing("the dev issuer cannot be reached")?;
    if !response.status().is_success() {
        return Err(Failure::new(format!("the dev issuer refused with status {}", response.status())));
    }
    let answer: Answer = response.json().await.doing("the dev issuer's answer cannot be read")?;
    out::line(&answer.value);
    Ok(())
}
