//! `writ token`: the token that this workload already has, printed for a client that takes it as its password.

use clap::Args;

use super::Connection;
use super::source::{TokenSource, audience, failure};
use crate::failure::Failure;
use crate::out;

/// What to ask for.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Whom the token is for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", default_value = "writ")]
    audience: String,
    /// Its life in seconds, where the dev issuer gives it.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    expires_in: Option<i64>,
    #[command(flatten)]
    source: TokenSource,
}

/// Prints a token.
///
/// # Errors
/// If there is no source, or it gives none.
pub(crate) async fn run(options: &Token, connection: &Connection) -> Result<(), Failure> {
    let audience = audience(&options.audience)?;
    let found = options.source.find(connection, options.expires_in).await?;
    let token = found.token(&audience).await.map_err(|fault| failure(&fault))?;
    out::line(token.expose());
    Ok(())
}
