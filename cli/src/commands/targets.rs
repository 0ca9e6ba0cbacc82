//! `writ targets`: what may be reached, whether a mint would work, taking back what was minted, and changing passwords.

use clap::Subcommand;
use writ_broker_api::admin::{OlderRevoked, Order, RotationFacts, TargetFacts};
use writ_core::credential::Fingerprint;
use writ_core::rotation::{TurnRecord, TurnState};
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
    /// Show one target, and how its password is changed in turns, if it is.
    Show {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Change a target's password now, in its turn, and say what came of it. The user before keeps its password for one turn: after a
    /// leak, change it twice.
    Rotate {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
        /// Why; it goes to the ledger.
        #[arg(long)]
        reason: String,
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
            let head = ["TARGET", "PROTOCOL", "PROVIDER", "TAKEN BACK", "CHANGED", "LABELS", "STATE"]
                .map(str::to_owned)
                .to_vec();
            let rows = targets.iter().map(row);
            out::raw(&out::table(&core::iter::once(head).chain(rows).collect::<Vec<_>>()));
        }
        Targets::Show { target, json } => {
            let targets: Vec<TargetFacts> = api.get("/v1/targets").await?;
            let found = targets.into_iter().find(|facts| facts.name == target);
            let facts = found
                .ok_or_else(|| Failure::new(format!("there is no target `{target}`")).help("see `writ targets ls`"))?;
            if json {
                return super::print_json(&facts);
            }
            out::raw(&out::table(&shown(&facts)));
        }
        Targets::Rotate { target, reason } => {
            let facts: RotationFacts = api.post(&format!("/v1/targets/{target}/rotate"), &Order { reason }).await?;
            let turn = facts.last.ok_or_else(|| Failure::new("the broker says nothing of the turn"))?;
            let place = turn.fingerprint.as_ref().map(Fingerprint::as_str).unwrap_or_default();
            let user = turn.user.as_deref().unwrap_or_default();
            out::line(&format!("{target}: `{user}` has a new password, in use from now on ({place})"));
            out::line(&format!("the next turn is due at {}", facts.due));
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
    vec![
        target.name.to_string(),
        target.protocol.as_str().to_owned(),
        target.provider.clone(),
        taken_back(target).to_owned(),
        target.rotation.as_ref().map_or_else(|| "-".to_owned(), changed),
        labels(target),
        state(target),
    ]
}

fn taken_back(target: &TargetFacts) -> &'static str {
    match (target.long_lived, target.revocable) {
        (true, _) => "never: it is static",
        (false, true) => "each",
        (false, false) => "with its role, or at its end",
    }
}

fn labels(target: &TargetFacts) -> String {
    let labels: Vec<String> = target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(",")
}

fn state(target: &TargetFacts) -> String {
    target.resting_seconds.map_or_else(|| "good".to_owned(), |rest| format!("silent, asked in {rest} s"))
}

/// When its password was changed last, and whether the turn after that failed.
fn changed(rotation: &RotationFacts) -> String {
    let last = rotation.last.as_ref();
    let turned = last.and_then(|last| last.turned).map_or_else(|| "never".to_owned(), |turned| turned.to_string());
    match last.map_or(0, |last| last.failures) {
        0 => turned,
        failures => format!("{turned}, failed since: {failures}"),
    }
}

/// One target, a line for each fact.
fn shown(target: &TargetFacts) -> Vec<Vec<String>> {
    let mut lines = vec![
        ("target", target.name.to_string()),
        ("protocol", target.protocol.as_str().to_owned()),
        ("provider", target.provider.clone()),
        ("taken back", taken_back(target).to_owned()),
        ("labels", labels(target)),
        ("state", state(target)),
    ];
    if let Some(rotation) = &target.rotation {
        lines.push(("password changed", changed(rotation)));
        lines.push(("next turn due", rotation.due.to_string()));
        lines.extend(rotation.last.iter().map(|last| ("last turn", told(last))));
    }
    lines.into_iter().map(|(fact, value)| vec![fact.to_owned(), value]).collect()
}

fn told(turn: &TurnRecord) -> String {
    let user = turn.user.as_deref().unwrap_or("nobody");
    match (&turn.fault, turn.state) {
        (Some(fault), _) => {
            format!("of `{user}`, stopped while {}: {} ({})", fault.step.doing(), fault.detail, fault.code)
        }
        (None, TurnState::Ended) => {
            let place = turn.fingerprint.as_ref().map(Fingerprint::as_str).unwrap_or_default();
            format!("of `{user}`, begun {}, put into {place}", turn.begun)
        }
        (None, _) => format!("of `{user}`, begun {}, under way", turn.begun),
    }
}

pub(super) fn name(text: &str) -> Result<TargetName, String> {
    TargetName::new(text).map_err(|error| error.to_string())
}
