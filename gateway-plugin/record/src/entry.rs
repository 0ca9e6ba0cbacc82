//! What is recorded: the entries of a recording.
//!
//! Every entry begins with the command that it belongs to (0 for none) and the time; what follows depends on its kind. The
//! borrowed types here are what a gateway writes, without an allocation; the owned ones in [`Entry`] are what a reader
//! gets. The same bytes stand in the spool and in the segments, so that sealing copies entries and never rewrites them.

use std::time::Duration;

use serde::Serialize;
use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::mask::MaskMark;
use writ_core::time::Timestamp;

use crate::bytes::Malformed;

mod decode;
mod encode;

pub use encode::{
    ROWS_PREFIX_BYTES, TEXT_PREFIX_BYTES, close, command, command_size, event, gap, outcome, rows_prefix, text_prefix,
};

/// The longest payload of one entry in bytes. Longer commands are spilled in parts, rows are split.
pub const MAX_PAYLOAD: usize = 8 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A session begins, or goes on in another file of the spool.
    Open,
    /// A command and its verdict.
    Command,
    /// How a command came out.
    Outcome,
    /// What flowed back, or bulk data that the client sent.
    Rows,
    /// Something else that happened to the session.
    Event,
    /// A part of a command that was too long for memory.
    Text,
    /// The session ended.
    Close,
    /// Records of the spool are missing. Written by recovery.
    Gap,
}

impl Kind {
    /// The kind's number in the format.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Command => 2,
            Self::Outcome => 3,
            Self::Rows => 4,
            Self::Event => 5,
            Self::Text => 6,
            Self::Close => 7,
            Self::Gap => 8,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Open,
            2 => Self::Command,
            3 => Self::Outcome,
            4 => Self::Rows,
            5 => Self::Event,
            6 => Self::Text,
            7 => Self::Close,
            8 => Self::Gap,
            _ => return None,
        })
    }
}

/// How a parameter is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As text.
    Text,
    /// In the type's binary form.
    Binary,
}

/// A parameter of a command, borrowed. `None` is NULL; an empty slice is an empty value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its type as the protocol numbers it; 0 where the client left it open.
    pub type_id: u32,
    /// How it is encoded.
    pub format: Format,
    /// Its bytes.
    pub value: Option<&'a [u8]>,
}

/// A command's text, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// Recorded with the command that prepared it.
    Prepared(CommandId),
    /// In the parts that were recorded before, this many bytes in all.
    Spilled(u64),
}

/// What policy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It may go on.
    Allow,
    /// It may not.
    Deny,
    /// A human decides.
    Hold,
}

/// A command to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct CommandRecord<'a> {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asks.
    pub tag: CommandTag,
    /// When it was decided.
    pub at: Timestamp,
    /// Its text.
    pub text: Text<'a>,
    /// What policy said.
    pub decision: Decision,
    /// The policy set's hash, as text.
    pub policy_hash: &'a str,
    /// The fault's stable code where it was denied, else empty.
    pub code: &'a str,
    /// The approval that let it pass, in the approval's own form; `None` where none was asked for.
    pub approval: Option<&'a [u8]>,
}

/// How a command came out, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It completed.
    Completed,
    /// It stopped at a row limit and may go on.
    Suspended,
    /// It failed.
    Failed,
    /// It was skipped after a failure before it.
    Skipped,
    /// It was empty.
    Empty,
}

/// An outcome to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct OutcomeRecord<'a> {
    /// The command.
    pub id: CommandId,
    /// When it came out.
    pub at: Timestamp,
    /// How, in a word.
    pub ending: Ending,
    /// The protocol's own completion text: `SELECT 5`. Bytes, since a target may send any.
    pub text: &'a [u8],
    /// How many rows the protocol counts, where it counts.
    pub rows: Option<u64>,
    /// The protocol's own error code where it failed (five characters of SQLSTATE), else empty.
    pub code: &'a [u8],
    /// How many bytes flowed back for it.
    pub bytes: u64,
    /// From the verdict to the outcome.
    pub duration: Duration,
    /// What was masked in what flowed back.
    pub masks: &'a [MaskMark],
}

/// What kind of thing flowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// The description of columns.
    Columns,
    /// Rows.
    Rows,
    /// Rows of a bulk copy.
    Copy,
    /// An error.
    Error,
    /// A notice.
    Notice,
    /// A notification of another session.
    Notification,
    /// A parameter's new value.
    Parameter,
    /// Bulk data from the client.
    Upload,
}

/// One entry and its place: the number that the spool gave it, which orders the streams of a session among each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The number within the session, from 0. A number that is missing is a record that is missing.
    pub order: u64,
    /// The entry.
    pub entry: Entry,
}

/// What a reader gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A command and its verdict.
    Command(CommandEntry),
    /// How a command came out.
    Outcome(OutcomeEntry),
    /// What flowed.
    Rows(RowsEntry),
    /// Something else that happened.
    Event(EventEntry),
    /// A part of a spilled command.
    Text(TextEntry),
    /// The session ended.
    Close(CloseEntry),
    /// Records are missing.
    Gap(GapEntry),
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// If the bytes are not an entry of this kind. [`Kind::Open`] is no entry of a stream.
    pub fn decode(kind: Kind, payload: &[u8]) -> Result<Self, Malformed> {
        decode::entry(kind, payload)
    }

    /// The command that it belongs to, where it belongs to one.
    #[must_use]
    pub const fn command(&self) -> Option<CommandId> {
        match self {
            Self::Command(entry) => Some(entry.id),
            Self::Outcome(entry) => Some(entry.id),
            Self::Text(entry) => Some(entry.id),
            Self::Rows(entry) => entry.id,
            Self::Event(entry) => entry.id,
            Self::Close(_) | Self::Gap(_) => None,
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Command(entry) => entry.at,
            Self::Outcome(entry) => entry.at,
            Self::Text(entry) => entry.at,
            Self::Rows(entry) => entry.at,
            Self::Event(entry) => entry.at,
            Self::Close(entry) => entry.at,
            Self::Gap(entry) => entry.at,
        }
    }
}

/// A command's text as a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedText {
    /// Here.
    Inline(Vec<u8>),
    /// With the command that prepared it.
    Prepared(CommandId),
    /// In [`Entry::Text`] parts before it, this many bytes in all.
    Spilled(u64),
}

/// A parameter as a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedParameter {
    /// Its type.
    pub type_id: u32,
    /// How it is encoded.
    pub format: Format,
    /// Its bytes; `None` is NULL.
    pub value: Option<Vec<u8>>,
}

/// See [`CommandRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEntry {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asked.
    pub tag: CommandTag,
    /// When.
    pub at: Timestamp,
    /// Its text.
    pub text: OwnedText,
    /// Its parameters.
    pub parameters: Vec<OwnedParameter>,
    /// What policy said.
    pub decision: Decision,
    /// The policy set's hash.
    pub policy_hash: String,
    /// The fault's code where it was denied.
    pub code: String,
    /// The approval.
    pub approval: Option<Vec<u8>>,
}

/// See [`OutcomeRecord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEntry {
    /// The command.
    pub id: CommandId,
    /// When.
    pub at: Timestamp,
    /// How, in a word.
    pub ending: Ending,
    /// The protocol's completion text.
    pub text: Vec<u8>,
    /// Rows, where counted.
    pub rows: Option<u64>,
    /// The protocol's error code.
    pub code: Vec<u8>,
    /// Bytes that flowed back.
    pub bytes: u64,
    /// From verdict to outcome.
    pub duration: Duration,
    /// What was masked.
    pub masks: Vec<MaskMark>,
}

/// What flowed, as the client got it: masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsEntry {
    /// The command that it answers, where it answers one.
    pub id: Option<CommandId>,
    /// When.
    pub at: Timestamp,
    /// What it is.
    pub flow: Flow,
    /// Whether the next entry of the same flow goes on where this one ends, in the middle of a frame.
    pub continues: bool,
    /// The protocol's own frames.
    pub bytes: Vec<u8>,
}

/// Something else that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEntry {
    /// The command, where it belongs to one.
    pub id: Option<CommandId>,
    /// When.
    pub at: Timestamp,
    /// A stable name.
    pub name: String,
    /// Whatever belongs to it.
    pub detail: Vec<u8>,
}

/// A part of a spilled command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEntry {
    /// The command that it will be.
    pub id: CommandId,
    /// When.
    pub at: Timestamp,
    /// Where in the whole it begins.
    pub offset: u64,
    /// The protocol's bytes.
    pub bytes: Vec<u8>,
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseEntry {
    /// When.
    pub at: Timestamp,
    /// How.
    pub end: SessionEnd,
    /// Why, as a stable code.
    pub code: String,
    /// How many commands it ran.
    pub commands: u64,
}

/// Records that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapEntry {
    /// When it was found.
    pub at: Timestamp,
    /// The first number that is missing.
    pub first: u64,
    /// The last.
    pub last: u64,
}
