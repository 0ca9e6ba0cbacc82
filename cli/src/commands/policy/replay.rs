//! `writ policy replay`: what other policies would have answered to what was recorded.
//!
//! Each command is judged as a gateway would have judged it, by what the recording says of its session, and compared with what
//! was answered then. What other policies would have changed of the session itself is not made up: a statement that they deny has
//! left its traces all the same, since it ran.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use writ_broker_api::admin::Session;
use writ_core::command::{CommandId, CommandTag};
use writ_core::id::SessionId;
use writ_record::entry::{CommandEntry, Decision, Ending, Entry, OwnedText, Recorded};
use writ_record::known::{self, SessionKnown};

use super::case::Answer;
use super::history::{self, Piece, Which};
use super::judges::{self, Given, Judges};
use super::reopened::{self, Reopened};
use super::replayed::{Change, Report, Show};
use crate::commands::{Connection, explain};
use crate::failure::Failure;

/// How many prepared texts of one session are kept; an execution of one that is gone is not understood.
const MOST_PREPARED: usize = 16_384;

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

/// A session that is being judged again.
struct Open<'a> {
    known: Option<SessionKnown>,
    judged: Option<judges::Session<'a>>,
    /// Why it would not have been opened.
    refused: Option<Given>,
    prepared: HashMap<CommandId, Arc<[u8]>>,
    commands: u64,
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
    let mut open: BTreeMap<SessionId, Open<'_>> = BTreeMap::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Entries(session, entries) => {
                let state = open.entry(session.id).or_insert_with(Open::new);
                for recorded in entries {
                    state.take(&judges, &session, recorded, &mut report).await?;
                }
            }
            Piece::End(session, remarks) => {
                let state = open.remove(&session.id).unwrap_or_else(Open::new);
                report.ended(&session, state.known.is_some(), state.refused.as_ref(), state.commands, remarks)?;
            }
            Piece::Unreadable(session, failure) => {
                open.remove(&session.id);
                report.unreadable(&session, &failure);
            }
        }
    }
    report.finish()
}

impl<'a> Open<'a> {
    fn new() -> Self {
        Self { known: None, judged: None, refused: None, prepared: HashMap::new(), commands: 0 }
    }

    async fn take(
        &mut self,
        judges: &'a Judges,
        session: &Session,
        recorded: Recorded,
        report: &mut Report,
    ) -> Result<(), Failure> {
        match recorded.entry {
            Entry::Event(event) if event.name == known::NAME => self.known = SessionKnown::of_detail(&event.detail),
            Entry::Command(command) => self.command(judges, session, command, report).await?,
            Entry::Outcome(outcome) => {
                if let Some(judged) = &mut self.judged {
                    judged.came_out(outcome.id, outcome.ending == Ending::Completed, outcome.rows);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn command(
        &mut self,
        judges: &'a Judges,
        session: &Session,
        command: CommandEntry,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.commands += 1;
        report.commands += 1;
        let text = self.text(&command);
        if self.judged.is_none() && self.refused.is_none() {
            match reopened::open(judges, session, self.known.as_ref()) {
                Reopened::Begins(judged) => self.judged = Some(*judged),
                Reopened::Refused(given) => self.refused = Some(given),
            }
        }
        // A session that would not have been opened is said once.
        let Some(judged) = &mut self.judged else { return Ok(()) };
        let given = judged.command(command.id, command.tag, text.as_deref(), command.at).await;
        let was = answered(&command);
        if given.verdict == was {
            return Ok(());
        }
        report.change(Change::new(session, &command, text.as_deref(), was, given))
    }

    /// The text, out of the command that prepared it where it has none of its own.
    fn text(&mut self, command: &CommandEntry) -> Option<Arc<[u8]>> {
        match &command.text {
            OwnedText::Inline(text) => {
                let text: Arc<[u8]> = Arc::from(text.as_slice());
                if command.tag == CommandTag::SqlPrepare && self.prepared.len() < MOST_PREPARED {
                    self.prepared.insert(command.id, Arc::clone(&text));
                }
                Some(text)
            }
            OwnedText::Prepared(by) => self.prepared.get(by).cloned(),
            OwnedText::Spilled(_) => None,
        }
    }
}

/// What was answered then. What humans decided on had been held.
fn answered(command: &CommandEntry) -> Answer {
    match command.decision {
        _ if command.approval.is_some() || command.code.starts_with("approval.") => Answer::Hold,
        Decision::Allow => Answer::Allow,
        Decision::Deny => Answer::Deny,
        Decision::Hold => Answer::Hold,
    }
}
