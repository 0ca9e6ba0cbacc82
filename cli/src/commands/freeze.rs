//! `writ freeze` and `writ unfreeze`: the kill switch.

use clap::{Args, Subcommand};
use writ_broker_api::admin::FreezeRequest;
use writ_core::freeze::{Freeze as InForce, FreezeScope};
use writ_core::id::FreezeId;
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};

use super::Connection;
use crate::failure::Failure;
use crate::out;

/// What to freeze.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Freeze {
    #[command(subcommand)]
    list: Option<List>,
    #[command(flatten)]
    scope: Scope,
    /// Why; it goes to the ledger and to the clients.
    #[arg(long, required = true)]
    reason: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum List {
    /// List what is frozen.
    Ls {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// One of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// A workload at every target: its whole subject, or `ISSUER|SUBJECT` to name who vouches for it too.
    #[arg(long, value_name = "ISSUER|SUBJECT")]
    workload: Option<String>,
    /// A target, for every workload.
    #[arg(long, value_name = "NAME", value_parser = target)]
    target: Option<TargetName>,
    /// Every workload at every target.
    #[arg(long)]
    all: bool,
}

/// What to lift.
#[derive(Debug, Args)]
pub(crate) struct Unfreeze {
    /// The freeze, as `writ freeze ls` shows it.
    freeze: FreezeId,
    /// Why; it goes to the ledger.
    #[arg(long)]
    reason: String,
}

/// Freezes, or lists what is frozen.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Freeze, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    if let Some(List::Ls { json }) = command.list {
        let freezes: Vec<InForce> = api.get("/v1/freezes").await?;
        if json {
            return super::print_json(&freezes);
        }
        out::raw(&out::table(&rows(&freezes)));
        return Ok(());
    }
    let request = FreezeRequest { scope: command.scope.scope(), reason: command.reason.unwrap_or_default() };
    let freeze: InForce = api.post("/v1/freezes", &request).await?;
    if command.json {
        return super::print_json(&freeze);
    }
    out::line(&format!("{} is in force: {} is frozen, its sessions end now", freeze.id, covered(&freeze.scope)));
    out::note(&format!("`writ unfreeze {} --reason ...` lifts it", freeze.id));
    Ok(())
}

/// Lifts a freeze.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn lift(command: Unfreeze, connection: &Connection) -> Result<(), Failure> {
    let reason = encoded(&command.reason);
    let freeze: InForce = connection.api()?.delete(&format!("/v1/freezes/{}?reason={reason}", command.freeze)).await?;
    out::line(&format!("{} is lifted: {} may be opened again", freeze.id, covered(&freeze.scope)));
    Ok(())
}

impl Scope {
    fn scope(self) -> FreezeScope {
        match (self.workload, self.target) {
            (Some(workload), _) => named(&workload),
            (None, Some(target)) => FreezeScope::Target { target },
            (None, None) => FreezeScope::All,
        }
    }
}

/// A subject may hold a `|` itself, an issuer is a URL and holds none: only after a scheme is it the mark between the two.
pub(crate) fn named(text: &str) -> FreezeScope {
    let parts = text.split_once('|').filter(|(issuer, _)| issuer.contains("://"));
    match parts {
        Some((issuer, subject)) => {
            FreezeScope::Workload { issuer: Some(Issuer::new(issuer)), subject: Subject::new(subject) }
        }
        None => FreezeScope::Workload { issuer: None, subject: Subject::new(text) },
    }
}

fn target(text: &str) -> Result<TargetName, String> {
    TargetName::new(text).map_err(|error| error.to_string())
}

/// A value of a query (RFC 3986, 2.1).
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn covered(scope: &FreezeScope) -> String {
    match scope {
        FreezeScope::Workload { issuer: None, subject } => {
            format!("workload `{}` of every issuer", out::one_line(subject.as_str()))
        }
        FreezeScope::Workload { issuer: Some(issuer), subject } => {
            format!("workload `{}` of `{}`", out::one_line(subject.as_str()), out::one_line(issuer.as_str()))
        }
        FreezeScope::Target { target } => format!("target `{target}`"),
        FreezeScope::All => "everything".to_owned(),
    }
}

fn rows(freezes: &[InForce]) -> Vec<Vec<String>> {
    let head = ["FREEZE", "COVERS", "SINCE", "BY", "REASON"].map(str::to_owned).to_vec();
    let row = |freeze: &InForce| {
        vec![
            freeze.id.to_string(),
            covered(&freeze.scope),
            freeze.at.to_string(),
            out::one_line(freeze.by.subject.as_str()),
            out::one_line(&freeze.reason),
        ]
    };
    core::iter::once(head).chain(freezes.iter().map(row)).collect()
}

#[cfg(test)]
mod tests;
