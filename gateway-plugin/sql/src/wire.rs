//! The frames between a gateway and its parser: bytes in, values out.
//!
//! A frame is a length (4 bytes, big endian, of what follows it), the version (1 byte), the question's number (8 bytes, big
//! endian) and a body: SQL text one way, an [`Answer`] as JSON the other. Each side caps what it takes before it reserves
//! anything. The parser runs foreign code on a stranger's text: what it answers is parsed as defensively as any stranger's word.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use writ_core::statement::{Kind, Statement};

/// The version that both ends speak; they are one program, so that any other is refused.
pub const VERSION: u8 = 1;
/// Bytes before a frame's body.
pub const HEAD: usize = 13;
/// The longest text that is parsed, in bytes.
pub const LONGEST_TEXT: usize = 256 * 1024;
/// The longest answer's body, in bytes.
pub const LONGEST_ANSWER: usize = 1024 * 1024;

/// Version and number: what the length counts besides the body.
const COUNTED: usize = HEAD - 4;

/// What the parser says of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The statements of the text, in order; none for an empty text.
    Statements(Vec<Statement>),
    /// The text was not understood.
    Unknown(Reason),
}

impl Answer {
    /// The statements: one of kind `Unknown` where the text was not understood.
    #[must_use]
    pub fn into_statements(self) -> Vec<Statement> {
        match self {
            Self::Statements(statements) => statements,
            Self::Unknown(_) => vec![Statement::unknown()],
        }
    }
}

/// Why a text was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is not UTF-8 or has a NUL byte.
    #[error("the statement is not UTF-8 text")]
    Encoding,
    /// It is longer than [`LONGEST_TEXT`], or has too many tokens.
    #[error("the statement is too long to be parsed")]
    Long,
    /// PostgreSQL's grammar does not take it.
    #[error("the statement has a syntax error")]
    Syntax,
    /// It nests too deeply.
    #[error("the statement nests too deeply to be parsed")]
    Deep,
    /// It took more work, or does more, than is allowed for one text.
    #[error("the statement does too many things to be judged")]
    Wide,
    /// The parser took longer than it may.
    #[error("the statement took too long to parse")]
    Late,
    /// The parser died of it, or could not be started.
    #[error("the statement could not be parsed")]
    Died,
}

/// A frame that keeps no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is longer than the cap.
    #[error("a frame of {0} bytes is longer than is taken")]
    Long(usize),
    /// The length does not cover version and number.
    #[error("a frame is too short")]
    Short,
    /// Another version.
    #[error("a frame has version {0}, not {VERSION}")]
    Version(u8),
    /// The body is no answer, or one that no parser gives.
    #[error("an answer is malformed")]
    Answer,
}

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The question's number, which its answer repeats.
    pub number: u64,
    /// The body's length in bytes.
    pub body: usize,
}

/// Reads the head of a frame whose body may have `cap` bytes.
///
/// # Errors
/// Another version, or a length outside of what is allowed.
pub fn head(bytes: &[u8; HEAD], cap: usize) -> Result<Head, Malformed> {
    let [a, b, c, d, version, number @ ..] = *bytes;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| Malformed::Long(usize::MAX))?;
    let body = length.checked_sub(COUNTED).ok_or(Malformed::Short)?;
    match version {
        VERSION if body <= cap => Ok(Head { number: u64::from_be_bytes(number), body }),
        VERSION => Err(Malformed::Long(body)),
        other => Err(Malformed::Version(other)),
    }
}

/// Writes a question behind what is there.
///
/// # Errors
/// The text is longer than [`LONGEST_TEXT`]; nothing was written.
pub fn question(number: u64, text: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
    if text.len() > LONGEST_TEXT {
        return Err(Malformed::Long(text.len()));
    }
    frame(number, text, to)
}

/// Writes an answer behind what is there: that the text does too much, where it is longer than [`LONGEST_ANSWER`].
///
/// # Errors
/// None in practice: no answer is longer than a frame can be.
pub fn answer(number: u64, answer: &Answer, to: &mut Vec<u8>) -> Result<(), Malformed> {
    let body = serde_json::to_vec(answer).map_err(|_| Malformed::Answer)?;
    if body.len() <= LONGEST_ANSWER {
        return frame(number, &body, to);
    }
    let wide = serde_json::to_vec(&Answer::Unknown(Reason::Wide)).map_err(|_| Malformed::Answer)?;
    frame(number, &wide, to)
}

fn frame(number: u64, body: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
    let length = u32::try_from(body.len() + COUNTED).map_err(|_| Malformed::Long(body.len()))?;
    to.extend_from_slice(&length.to_be_bytes());
    to.push(VERSION);
    to.extend_from_slice(&number.to_be_bytes());
    to.extend_from_slice(body);
    Ok(())
}

/// Reads an answer's body.
///
/// # Errors
/// It is no answer, or has a statement that breaks what [`Statement`] promises.
pub fn read_answer(body: &[u8]) -> Result<Answer, Malformed> {
    let answer = serde_json::from_slice(body).map_err(|_| Malformed::Answer)?;
    match &answer {
        Answer::Statements(statements) if !statements.iter().all(sound) => Err(Malformed::Answer),
        _ => Ok(answer),
    }
}

/// Whether a statement has an access, and none beside one of kind `Unknown`.
fn sound(statement: &Statement) -> bool {
    let unknown = statement.accesses.iter().any(|access| access.kind == Kind::Unknown);
    !statement.accesses.is_empty() && (!unknown || *statement == Statement::unknown())
}
