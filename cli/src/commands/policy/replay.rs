//! `writ policy replay`: what other policies would have answered to what was recorded.
//!
//! Each command is judged as a gateway would have judged it, by what the recording says of its session, and compared with what
//! was answered then. What other policies would have changed of the session itself is not made up: a statement that they deny has
//! left its traces all the same, since it ran.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use writ_record::entry::{CommandEntry, Decision};

use super::case::Answer;
use super::crew::{self, Found};
use super::history::{self, Which};
use super::replayed::{Report, Show};
use crate::commands::{Connection, explain};
use crate::failure::Failure;

/// Which policies, of which sessions.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The directory of the other `*.cedar` files.
    #[arg(long = "with", value_name = "DIR")]
    policies: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Show each statement once, its literals apart, with how often it would change.
    #[arg(long)]
    by_statement: bool,
    /// Print one JSON object on each line.
    #[arg(long, conflicts_with = "by_statement")]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// If the policies or the list of sessions cannot be read, or a recording cannot: what was not judged is not unchanged.
pub(crate) async fn run(replay: &Replay, connection: &Connection) -> Result<(), Failure> {
    let bundle = Arc::new(explain::bundle(&replay.policies)?);
    let api = Arc::new(connection.api()?);
    let show = match (replay.json, replay.by_statement) {
        (true, _) => Show::Json,
        (false, true) => Show::ByStatement,
        (false, false) => Show::Each,
    };
    let mut report = Report::new(show, bundle.hash().as_str());
    let mut found = crew::judge(&bundle, history::read(api, &replay.which)?)?;
    let mut all = None;
    while let Some(found) = found.recv().await {
        match found {
            Found::Change(change) => report.change(*change)?,
            Found::Ended(session, whole, remarks) => report.ended(&session, &whole, remarks)?,
            Found::Unreadable(session, failure) => report.unreadable(&session, &failure),
            Found::Sessions(sessions) => all = Some(sessions),
            Found::Broken(failure) => return Err(failure),
        }
    }
    // Without the number somebody stopped before the end.
    let all = all.ok_or_else(|| Failure::new("not all sessions were judged: a judge has ended"))?;
    report.finish(all)
}

/// What was answered then. What humans decided on had been held.
pub(super) fn answered(command: &CommandEntry) -> Answer {
    match command.decision {
        _ if command.approval.is_some() || command.code.starts_with("approval.") => Answer::Hold,
        Decision::Allow => Answer::Allow,
        Decision::Deny => Answer::Deny,
        Decision::Hold => Answer::Hold,
    }
}
