//! A recorded session as it is judged again, entry by entry.

use std::collections::HashMap;
use std::sync::Arc;

use writ_broker_api::admin::Session;
use writ_core::command::{CommandId, CommandTag};
use writ_record::entry::{CommandEntry, Entry, OwnedText, Recorded};
use writ_record::known::{self, SessionKnown};

use super::judges::{self, Given, Judges};
use super::reopened::{self, Reopened};

/// How many prepared texts of one session are kept; an execution of one that is not is not understood.
const MOST_PREPARED: usize = 16_384;

/// The session.
#[derive(Default)]
pub(crate) struct Rerun<'a> {
    known: Option<SessionKnown>,
    judged: Option<judges::Session<'a>>,
    refused: Option<Given>,
    prepared: HashMap<CommandId, Arc<[u8]>>,
    commands: u64,
}

/// What is known of a session that was judged to its end.
pub(crate) struct Whole {
    /// How many commands were recorded.
    pub commands: u64,
    /// Whether the recording says what verdicts depended on.
    pub known: bool,
    /// Why the session would not be opened.
    pub refused: Option<Given>,
}

/// A command that was judged again.
pub(crate) struct Judged {
    /// The command as it was recorded.
    pub command: CommandEntry,
    /// Its text, where the recording has it.
    pub text: Option<Arc<[u8]>>,
    /// What is answered now.
    pub given: Given,
}

impl<'a> Rerun<'a> {
    /// What is known at its end.
    pub(crate) fn whole(self) -> Whole {
        Whole { commands: self.commands, known: self.known.is_some(), refused: self.refused }
    }

    /// Takes the next entry. A command is judged again, unless the session would not be opened at all.
    pub(crate) async fn take(&mut self, judges: &'a Judges, session: &Session, recorded: Recorded) -> Option<Judged> {
        match recorded.entry {
            Entry::Event(event) if event.name == known::NAME => self.known = SessionKnown::of_detail(&event.detail),
            Entry::Command(command) => return self.command(judges, session, command).await,
            Entry::Outcome(outcome) => {
                if let Some(judged) = &mut self.judged {
                    judged.came_out(outcome.id, outcome.ending, outcome.rows);
                }
            }
            _ => {}
        }
        None
    }

    async fn command(&mut self, judges: &'a Judges, session: &Session, command: CommandEntry) -> Option<Judged> {
        self.commands += 1;
        let text = self.text(&command);
        if self.judged.is_none() && self.refused.is_none() {
            match reopened::open(judges, session, self.known.as_ref()) {
                Reopened::Begins(judged) => self.judged = Some(*judged),
                Reopened::Refused(given) => self.refused = Some(given),
            }
        }
        let judged = self.judged.as_mut()?;
        let given = judged.command(command.id, command.tag, text.as_deref(), command.at).await;
        Some(Judged { command, text, given })
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
