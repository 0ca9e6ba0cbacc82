//! Whether a text can give a name to another statement: what has to be known of SQL where no SQL is parsed.
//!
//! SQL makes a prepared statement by a command that begins with `PREPARE`, and a cursor by one that begins with `DECLARE`.
//! A text without either word cannot make one, whatever else it says. The reverse does not hold, and need not: such a text is
//! only waited for, and what it did is read from the server's completion messages.

use memchr::memchr2_iter;

const PREPARE: &[u8] = b"prepare";
const DECLARE: &[u8] = b"declare";

/// Whether `text` holds one of the words that SQL makes a name with. Every client encoding of PostgreSQL keeps ASCII, and a
/// keyword has no other spelling.
pub(super) fn makes_names(text: &[u8]) -> bool {
    holds(text, b'p', b'P', PREPARE) || holds(text, b'd', b'D', DECLARE)
}

fn holds(text: &[u8], lower: u8, upper: u8, word: &[u8]) -> bool {
    memchr2_iter(lower, upper, text).any(|at| {
        let found = text.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word));
        found && !at.checked_sub(1).is_some_and(|before| part(text, before)) && !part(text, at + word.len())
    })
}

/// Whether an identifier goes on at `at`.
fn part(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii())
}
