//! `writ try`: would this workload get in, and as whom?

use std::path::PathBuf;

use clap::Args;
use writ_broker_api::trial::{TrialReply, TrialRequest};
use writ_core::target::TargetName;
use zeroize::Zeroizing;

use super::Connection;
use super::source::{TokenSource, audience, failure};
use crate::api::{Api, Profile};
use crate::failure::Failure;
use crate::out;

/// What to try.
#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// The target.
    #[arg(value_parser = super::targets::name)]
    target: TargetName,
    /// The role there, where policy leaves a choice.
    #[arg(long)]
    role: Option<String>,
    /// Whom the token is for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", default_value = "writ")]
    audience: String,
    #[command(flatten)]
    source: TokenSource,
    /// The broker's URL, where there is no `client.toml`.
    #[arg(long, requires = "ca_file")]
    broker: Option<String>,
    /// The certificate of the broker's authority, where there is no `client.toml`.
    #[arg(long, requires = "broker")]
    ca_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses, or the target does.
pub(crate) async fn run(trial: &Trial, connection: &Connection) -> Result<(), Failure> {
    let audience = audience(&trial.audience)?;
    let found = trial.source.find(connection, None).await?;
    let token = found.token(&audience).await.map_err(|fault| failure(&fault))?;
    let token = Zeroizing::new(token.expose().to_owned());
    let api = match (&trial.broker, &trial.ca_file) {
        (Some(broker), Some(ca_file)) => Api::of(broker, ca_file, token)?,
        _ => {
            let profile = Profile::load(&connection.state_directory()?)?;
            Api::of(&profile.broker, &profile.ca_file, token)?
        }
    };
    let request = TrialRequest { target: trial.target.to_string(), role: trial.role.clone() };
    let reply: TrialReply = api.post("/v1/trials", &request).await?;
    if trial.json {
        return super::print_json(&reply);
    }
    out::line(&format!("{} lets you in", reply.target));
    let end = reply.expires.map_or_else(|| "never".to_owned(), |expires| expires.to_string());
    for (name, value) in [
        ("writ", reply.writ.to_string()),
        ("minted", super::word(&reply.kind)),
        ("as", reply.principal),
        ("in its audit", reply.audit),
        ("fingerprint", reply.fingerprint.as_str().to_owned()),
        ("would end", end),
    ] {
        out::line(&format!("  {name:<13} {}", out::one_line(&value)));
    }
    out::line(if reply.presented {
        "  the broker presented it, and the target saw it so; its session is closed"
    } else {
        "  this target has no harmless call to present it in; its session is closed"
    });
    Ok(())
}
