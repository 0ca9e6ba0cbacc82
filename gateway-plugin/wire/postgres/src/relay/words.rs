//! Whether a text can give a name to another statement: what has to be known of SQL where no SQL is parsed.
//!
//! SQL makes a prepared statement by a command that begins with `PREPARE`, and a cursor by one that begins with `DECLARE`.
//! A text without either word cannot make one, whatever else it says. The reverse does not hold, and need not: such a text is
//! only waited for, and what it did is read from the server's completion messages.
//!
//! A statement that is planned reads what it was bound to; a utility statement (`FETCH`, `EXECUTE`, `SHOW`) finds what it reads by
//! name when it runs. Here too the reverse need not hold: a text that is not known for the first is taken for the second.

use memchr::memchr2_iter;

const PREPARE: &[u8] = b"prepare";
const DECLARE: &[u8] = b"declare";

/// Whether `text` holds one of the words that SQL makes a name with. Every client encoding of PostgreSQL keeps ASCII, and a
/// keyword has no other spelling.
pub(super) fn makes_names(text: &[u8]) -> bool {
    holds(text, b'p', b'P', PREPARE) || holds(text, b'd', b'D', DECLARE)
}

/// Whether `text` is one statement that is planned as a whole before it runs, by its first word.
pub(super) fn is_planned(text: &[u8]) -> bool {
    const PLANNED: [&[u8]; 7] = [b"select", b"with", b"insert", b"update", b"delete", b"values", b"table"];
    let text = behind_comments(text);
    let end = text.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    if word.is_empty() {
        return rest.first() == Some(&b'(');
    }
    PLANNED.iter().any(|planned| word.eq_ignore_ascii_case(planned)) && !part(rest, 0)
}

/// What stands behind the blanks and comments at the beginning; nothing where a comment does not end.
fn behind_comments(mut text: &[u8]) -> &[u8] {
    loop {
        text = text.trim_ascii_start();
        let end = match text {
            [b'-', b'-', ..] => text.iter().position(|byte| matches!(byte, b'\n' | b'\r')),
            [b'/', b'*', ..] => block(text),
            _ => return text,
        };
        text = end.and_then(|end| text.get(end..)).unwrap_or_default();
    }
}

/// Where a comment ends, which may hold others.
fn block(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match text.get(at..)? {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return Some(at);
                }
            }
            [] => return None,
            _ => at += 1,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::is_planned;

    #[test]
    fn a_statement_that_is_planned_is_known_by_its_first_word() {
        for text in [
            "select 1",
            " \n\tSELECT*from t",
            "(select 1)",
            "((values (1)))",
            "With a as (select 1) table a",
            "-- a comment\n/* and /* another */ */insert into t values (1) returning *",
            "select",
            "table\"t\"",
        ] {
            assert!(is_planned(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            ";select 1",
            "fetch all from c",
            "execute q",
            "show x",
            "selects 1",
            "select1",
            "select$ 1",
            "-- select",
            "/* */ */ select 1",
            "/* /* */ select 1",
            "/* select 1",
            "explain select 1",
            "\u{e9}select 1",
        ] {
            assert!(!is_planned(text.as_bytes()), "{text}");
        }
    }
}
