//! `writ targets`: what may be reached, whether a mint would work, and taking back what was minted.

use clap::Subcommand;
use writ_broker_api::admin::{OlderRevoked, Order, TargetFacts};
use writ_core::target::TargetName;

use super::Connection;
use crate::failure::Failure;
use crate::out;

/// What to do with targets.
#[derive(Debug, Subcommand)]
pub(crate) enum Targets {
    /// List targets.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a target's provider whether a mint would work, with the broker's own identity.
    Probe {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
    },
    /// Take back everything that was minted at a target until now: for targets, as AWS roles, that cannot take back one
    /// credential alone. It ends every session of the target's roles, whoever began it.
    RevokeOlder {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
        /// Why; it goes to the ledger.
        #[arg(long)]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Targets, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    match command {
        Targets::Ls { json } => {
            let targets: Vec<TargetFacts> = api.get("/v1/targets").await?;
            if json {
                return super::print_json(&targets);
            }
            let head = ["TARGET", "PROTOCOL", "PROVIDER", "TAKEN BACK", "LABELS", "STATE"].map(str::to_owned).to_vec();
            let rows = targets.iter().map(row);
            out::raw(&out::table(&core::iter::once(head).chain(rows).collect::<Vec<_>>()));
        }
        Targets::Probe { target } => {
            api.post_nothing(&format!("/v1/targets/{target}/probe")).await?;
            out::line(&format!("{target}: a mint would work"));
        }
        Targets::RevokeOlder { target, reason } => {
            let revoked: OlderRevoked =
                api.post(&format!("/v1/targets/{target}/revoke-older"), &Order { reason }).await?;
            out::line(&format!("{}: what was minted before {} is taken back", revoked.target, revoked.before));
        }
    }
    Ok(())
}

fn row(target: &TargetFacts) -> Vec<String> {
    let taken_back = match (target.long_lived, target.revocable) {
        (true, _) => "never: it is static",
        (false, true) => "each",
        (false, false) => "with its role, or at its end",
    };
    let labels: Vec<String> = target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let state = target.resting_seconds.map_or_else(|| "good".to_owned(), |rest| format!("silent, asked in {rest} s"));
    vec![
        target.name.to_string(),
        target.protocol.as_str().to_owned(),
        target.provider.clone(),
        taken_back.to_owned(),
        labels.join(","),
        state,
    ]
}

pub(super) fn name(text: &str) -> Result<TargetName, String> {
    TargetName::new(text).map_err(|error| error.to_string())
}
