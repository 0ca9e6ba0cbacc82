//! The command: one thing asked of the target.

use serde::{Deserialize, Serialize};

/// A command's number within its session, from 1. Replies, verdicts and records refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u64);

/// What kind of protocol element asks. A closed list: what is not on it is refused by the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandTag {
    /// A simple query: text that may hold several statements.
    SqlQuery,
    /// A statement to prepare.
    SqlPrepare,
    /// An execution of a prepared statement with parameters.
    SqlExecute,
}

impl CommandTag {
    /// All tags, for tables over them.
    pub const ALL: [Self; 3] = [Self::SqlQuery, Self::SqlPrepare, Self::SqlExecute];

    /// The tag as policies and records write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SqlQuery => "sql_query",
            Self::SqlPrepare => "sql_prepare",
            Self::SqlExecute => "sql_execute",
        }
    }
}

/// What policy is asked about: the command as far as it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asks.
    pub tag: CommandTag,
    /// The statement's text as the target will see it; `None` where it is longer than what memory may hold and stands
    /// in the spool.
    pub text: Option<&'a [u8]>,
}
