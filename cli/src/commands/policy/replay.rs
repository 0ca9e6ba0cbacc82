//! `writ policy replay`: what other policies would have answered to what was recorded.
//!
//! Each command is judged as a gateway would have judged it, by what the recording says of its session, and compared with what
//! was answered then. What other policies would have changed of the session itself is not made up: a statement that they deny has
//! left its traces all the same, since it ran.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use writ_core::id::SessionId;
use writ_record::entry::{CommandEntry, Decision};

use super::case::Answer;
use super::history::{self, Piece, Which};
use super::judges::Judges;
use super::replayed::{Change, Report, Show};
use super::rerun::{Judged, Rerun};
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
    let judges = Judges::new(explain::bundle(&replay.policies)?);
    let api = Arc::new(connection.api()?);
    let sessions = replay.which.sessions(&api).await?;
    let show = match (replay.json, replay.by_statement) {
        (true, _) => Show::Json,
        (false, true) => Show::ByStatement,
        (false, false) => Show::Each,
    };
    let mut report = Report::new(show, judges.bundle().hash().as_str());
    let mut pieces = history::read(api, sessions);
    let mut open: BTreeMap<SessionId, Rerun<'_>> = BTreeMap::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Entries(session, entries) => {
                let rerun = open.entry(session.id).or_default();
                for recorded in entries {
                    let Some(Judged { command, text, given }) = rerun.take(&judges, &session, recorded).await else {
                        continue;
                    };
                    let was = answered(&command);
                    if given.verdict != was {
                        report.change(Change::new(&session, &command, text.as_deref(), was, given))?;
                    }
                }
            }
            Piece::End(session, remarks) => {
                let rerun = open.remove(&session.id).unwrap_or_default();
                report.ended(&session, &rerun, remarks)?;
            }
            Piece::Unreadable(session, failure) => {
                open.remove(&session.id);
                report.unreadable(&session, &failure);
            }
        }
    }
    report.finish()
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
