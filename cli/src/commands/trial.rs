//! `writ try`: would this workload get in, and as whom?

use std::io::Read as _;
use std::path::PathBuf;

use clap::Args;
use writ_broker_api::trial::{TrialReply, TrialRequest};
use writ_core::target::TargetName;
use zeroize::Zeroizing;

use super::Connection;
use crate::api::{Api, Profile};
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

/// What to try.
#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// The target.
    #[arg(value_parser = super::targets::name)]
    target: TargetName,
    /// The role there, where policy leaves a choice.
    #[arg(long)]
    role: Option<String>,
    /// The file with the workload's token, which others cannot read; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
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
    let token = token(&trial.token_file)?;
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

/// The longest token that is read.
const MAX_TOKEN: u64 = 64 * 1024;

fn token(file: &std::path::Path) -> Result<Zeroizing<String>, Failure> {
    if file != std::path::Path::new("-") {
        return private::read_text(file);
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(MAX_TOKEN).read_to_string(&mut text).doing("the token on standard input cannot be read")?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
