//! What a replay shows: commands with their texts, outcomes and times, each paired by its number and never by its place.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::mask::MaskMark;
use writ_core::time::Timestamp;

use crate::entry::{
    CommandEntry, Decision, Ending, Entry, Format, OutcomeEntry, OwnedParameter, OwnedText, Recorded, TextEntry,
};

/// Bytes as a reader can show them: text where they are UTF-8, else hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// As text.
    Text(String),
    /// In hexadecimal.
    Hex(String),
}

impl Shown {
    /// Shows bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::hex(bytes),
        }
    }

    fn hex(bytes: &[u8]) -> Self {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Self::Hex(digits.filter_map(|digit| DIGITS.get(usize::from(digit))).collect())
    }
}

/// A parameter as it is shown. A value of `null` is NULL; the text `NULL` is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownParameter {
    /// Its type as the protocol numbers it.
    pub type_id: u32,
    /// How it is encoded.
    pub format: Format,
    /// Its value: what is binary is in hexadecimal.
    pub value: Option<Shown>,
}

/// A command and all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asked.
    pub tag: CommandTag,
    /// When.
    pub at: Timestamp,
    /// Its text; `None` where it was prepared by a command that is not in the recording.
    pub text: Option<Shown>,
    /// Whether the text is the protocol's own bytes of a command that was too long for memory.
    pub spilled: bool,
    /// The command that prepared it.
    pub prepared_by: Option<CommandId>,
    /// Its parameters.
    pub parameters: Vec<ShownParameter>,
    /// What policy said.
    pub decision: Decision,
    /// The policy set's hash.
    pub policy_hash: String,
    /// Why it was denied, as a stable code; empty where it was not.
    pub code: String,
    /// The approval, where one let it pass.
    pub approval: Option<Shown>,
    /// How it came out; more than one where it stopped at a row limit and went on; none where the session ended first.
    pub outcomes: Vec<ShownOutcome>,
}

/// How a command came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownOutcome {
    /// When.
    pub at: Timestamp,
    /// In a word.
    pub ending: Ending,
    /// The protocol's completion text.
    pub text: Shown,
    /// Rows, where counted.
    pub rows: Option<u64>,
    /// The protocol's error code; empty where it did not fail.
    pub code: Shown,
    /// Bytes that flowed back.
    pub bytes: u64,
    /// From verdict to outcome, in microseconds.
    pub microseconds: u64,
    /// What was masked.
    pub masks: Vec<MaskMark>,
}

/// One step of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// A command.
    Command(Box<Exchange>),
    /// Something else that happened.
    Event {
        /// When.
        at: Timestamp,
        /// The command, where it belongs to one.
        command: Option<CommandId>,
        /// A stable name.
        name: String,
        /// Whatever belongs to it.
        detail: Shown,
    },
    /// Records are missing.
    Gap {
        /// The first number that is missing.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The session ended.
    Close {
        /// When.
        at: Timestamp,
        /// How.
        end: SessionEnd,
        /// Why, as a stable code.
        code: String,
        /// How many commands it ran.
        commands: u64,
    },
    /// An outcome without its command: the command is missing.
    Orphan {
        /// The command's number.
        command: CommandId,
        /// The outcome.
        outcome: ShownOutcome,
    },
}

impl Step {
    /// When it happened; a gap has no time.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Command(exchange) => Some(exchange.at),
            Self::Event { at, .. } | Self::Close { at, .. } => Some(*at),
            Self::Orphan { outcome, .. } => Some(outcome.at),
            Self::Gap { .. } => None,
        }
    }
}

/// How long a replay at the session's own speed waits before each step.
#[must_use]
pub fn pauses(steps: &[Step]) -> Vec<Duration> {
    let mut before = None;
    let mut pause = |step: &Step| {
        let Some(at) = step.at() else { return Duration::ZERO };
        let since = before.replace(at).map(|before| at.duration_since(before));
        since.and_then(|since| Duration::try_from(since).ok()).unwrap_or_default()
    };
    steps.iter().map(&mut pause).collect()
}

/// Makes steps of the entries of a commands stream, given in their order.
#[derive(Debug, Default)]
pub struct Timeline {
    steps: Vec<Step>,
    /// Where each command stands.
    places: BTreeMap<CommandId, usize>,
    /// Parts of commands that were spilled and not yet asked.
    parts: BTreeMap<CommandId, Vec<u8>>,
}

impl Timeline {
    /// An empty timeline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry. What flowed is no step.
    pub fn push(&mut self, recorded: Recorded) {
        match recorded.entry {
            Entry::Command(entry) => self.command(entry),
            Entry::Outcome(entry) => self.outcome(entry),
            Entry::Text(TextEntry { id, bytes, .. }) => self.parts.entry(id).or_default().extend(bytes),
            Entry::Rows(_) => {}
            Entry::Event(entry) => {
                let detail = Shown::of(&entry.detail);
                self.steps.push(Step::Event { at: entry.at, command: entry.id, name: entry.name, detail });
            }
            Entry::Close(entry) => {
                let (at, end, code, commands) = (entry.at, entry.end, entry.code, entry.commands);
                self.steps.push(Step::Close { at, end, code, commands });
            }
            Entry::Gap(entry) => self.steps.push(Step::Gap { first: entry.first, last: entry.last }),
        }
    }

    /// The steps, in the order of the commands.
    #[must_use]
    pub fn finish(self) -> Vec<Step> {
        self.steps
    }

    fn find(&mut self, id: CommandId) -> Option<&mut Exchange> {
        match self.steps.get_mut(*self.places.get(&id)?)? {
            Step::Command(exchange) => Some(exchange),
            _ => None,
        }
    }

    fn command(&mut self, entry: CommandEntry) {
        let spilled = matches!(entry.text, OwnedText::Spilled(_));
        let (text, prepared_by) = match entry.text {
            OwnedText::Inline(text) => (Some(Shown::of(&text)), None),
            OwnedText::Prepared(by) => (self.find(by).and_then(|exchange| exchange.text.clone()), Some(by)),
            OwnedText::Spilled(_) => (self.parts.remove(&entry.id).map(|bytes| Shown::of(&bytes)), None),
        };
        self.places.insert(entry.id, self.steps.len());
        self.steps.push(Step::Command(Box::new(Exchange {
            id: entry.id,
            tag: entry.tag,
            at: entry.at,
            text,
            spilled,
            prepared_by,
            parameters: entry.parameters.into_iter().map(parameter).collect(),
            decision: entry.decision,
            policy_hash: entry.policy_hash,
            code: entry.code,
            approval: entry.approval.as_deref().map(Shown::of),
            outcomes: Vec::new(),
        })));
    }

    fn outcome(&mut self, entry: OutcomeEntry) {
        let command = entry.id;
        let outcome = ShownOutcome {
            at: entry.at,
            ending: entry.ending,
            text: Shown::of(&entry.text),
            rows: entry.rows,
            code: Shown::of(&entry.code),
            bytes: entry.bytes,
            microseconds: u64::try_from(entry.duration.as_micros()).unwrap_or(u64::MAX),
            masks: entry.masks,
        };
        match self.find(command) {
            Some(exchange) => exchange.outcomes.push(outcome),
            None => self.steps.push(Step::Orphan { command, outcome }),
        }
    }
}

fn parameter(parameter: OwnedParameter) -> ShownParameter {
    let OwnedParameter { type_id, format, value } = parameter;
    let show = |value: Vec<u8>| if format == Format::Binary { Shown::hex(&value) } else { Shown::of(&value) };
    ShownParameter { type_id, format, value: value.map(show) }
}
