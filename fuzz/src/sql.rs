//! SQL: the lexer against the server's scanner, the grammar against the shape, and what a parser's child answers.

use writ_core::statement::Kind;
use writ_parser::testing::{cut_alike, said_of_the_shape};
use writ_sql::outline;
use writ_sql::wire::{self, Answer, HEAD};

pub(crate) const WORDS: &[&[u8]] = &[
    b"'",
    b"''",
    b"\"",
    b"E'",
    b"U&'",
    b"U&\"",
    b"$$",
    b"$a$",
    b"$1",
    b"--",
    b"/*",
    b"*/",
    b"\n",
    b";",
    b"\\'",
    b" UESCAPE '!'",
    b"SELECT ",
    b" FROM t ",
    b" WHERE ",
    b"WITH a AS (",
    b"UPDATE t SET a = ",
    b"DELETE FROM t ",
    b" RETURNING *",
    b"EXPLAIN ",
    b"set_config('role', ",
    b"(",
    b")",
    b" UNION ",
    b"::int",
    b"0x1F",
    b"1_0.5e-1",
    b"B'01'",
];

pub(crate) const FRAME_WORDS: &[&[u8]] = &[
    b"\"unknown\"",
    b"\"any\"",
    b"\"stated\"",
    b"\"default\"",
    b"null",
    b"true",
    b"[",
    b"]",
    b"{",
    b"}",
    b"\0\0\0\x20\x01",
];

/// The bytes are SQL.
pub(crate) fn tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        assert!(outline(data).is_err());
        return;
    };
    assert_eq!(cut_alike(text), Ok(()));
    if let Ok(outline) = outline(data) {
        let spaced = writ_sql::outline(format!(" /* ; ' */ {text}\n").as_bytes());
        assert_eq!(spaced.map(|spaced| spaced.shape), Ok(outline.shape));
    }
}

/// The bytes are SQL.
pub(crate) fn statements(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(said_of_the_shape(text), Ok(()));
    }
}

/// The bytes are a frame with an answer.
pub(crate) fn frames(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<HEAD>() else { return };
    if let Ok(head) = wire::head(head, 4096) {
        assert!(head.body <= 4096);
    }
    if let Ok(Answer::Statements(statements)) = wire::read_answer(body) {
        for statement in statements {
            let unknown = statement.accesses.iter().filter(|access| access.kind == Kind::Unknown).count();
            assert!(!statement.accesses.is_empty() && (unknown == 0 || statement.accesses.len() == 1));
        }
    }
}
