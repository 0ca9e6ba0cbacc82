//! The lexer against the server's scanner.

use pg_query::protobuf::Token;
use proptest::prelude::*;
use writ_sql::{Lexer, Uncut};

use super::super::agrees;

/// What the scanner takes, the lexer cuts alike, but for what the server refuses: a dollar or a backslash alone, which
/// no grammar takes, and a parameter that runs into letters, which libpg_query takes and no server since version 15.
fn held(text: &str) -> Result<(), String> {
    if Lexer::new(text).next().is_none() || text.contains('\0') {
        return Ok(());
    }
    let Ok(theirs) = pg_query::scan_tokens(text) else { return Ok(()) };
    let ours: Result<Vec<_>, _> =
        Lexer::new(text).map(|token| token.map(|t| (t.class, t.start, t.text.len()))).collect();
    let has = |wanted: fn(Token) -> bool| theirs.iter().any(|token| wanted(token.token()));
    let refused = match ours {
        Err(Uncut::Stray) => has(|token| matches!(token, Token::Ascii36 | Token::Ascii92)),
        Err(Uncut::Number) => has(|token| token == Token::Param),
        _ => false,
    };
    if refused || agrees(text) {
        return Ok(());
    }
    Err(format!("{text:?}: {ours:?}, {theirs:?}"))
}

#[test]
fn the_statements_of_the_table_are_cut_alike() {
    let statements = include_str!("../../../tests/statements.txt").lines().filter(|line| !line.starts_with("  = "));
    for line in statements {
        held(line).unwrap();
    }
}

#[test]
fn the_corners_are_cut_alike() {
    for text in [
        "'a'\n'b'",
        "'a' --x\n 'b'",
        "E'a'\n'\\''",
        "b'1''0'",
        "b'1'\n'0'",
        "X'1f'",
        "U&'a'\n'b''c'",
        "U&\"a\"\"b\" UESCAPE '!'",
        "N'a'",
        "$$a$$",
        "$a$ $$ $b$ $a$",
        "a$b$c",
        "1..2",
        "1...2",
        "1.e5",
        "0x_1F",
        "1_000.0_1e1_0",
        "$1 $23",
        "1$1",
        "a+-b",
        "a@-b",
        "a+--b\nc",
        "a*/*b*/c",
        "/*/**/*/",
        "/***/a",
        "?|",
        "<->",
        "=>",
        "<=",
        "!=",
        "<>",
        "::",
        ":=",
        ":a",
        "99999999999999999999",
        "été",
        "\"été\"",
        "a\u{a0}b",
        "\u{b}a",
        "u&x",
        "u& 'x'",
        "e 'x'",
        "xx'1'",
        "1.",
        ".5",
        "1.5.5",
        "a.*",
        "[1:2]",
        "`a`",
        "#",
        "a\r--b\rc",
        "'a'\r'b'",
        "'\\'",
        "E'\\\\'",
        "E'\\x41\\101\\n'",
        "E'\\u0041'",
    ] {
        held(text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_characters_are_cut_alike(text in "[ abeEuUxXnN0-9_'\"$\\\\&/*\n\r.;:=+<>|@#?é()-]{0,24}") {
        held(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_pieces_are_cut_alike(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12)) {
        held(&pieces.concat()).map_err(TestCaseError::fail)?;
    }
}

const PIECES: &[&str] = &[
    "'", "''", "\"", "\"\"", "E'", "e'", "U&'", "u&\"", "B'", "x'", "N'", "$$", "$a$", "$", "$1", "\\", "\\'",
    "\\u0041", "--", "/*", "*/", "\n", " ", "\r", "\t", "\u{c}", "1", "0x", "0b1", "_", ".", "..", "e", "E+", "a",
    "UESCAPE", ";", "(", ")", "+", "-", "*", "/", "<", ">", "=", "!", "@", ":", "::", ":=", "é", ",", "[", "]", "|",
    "?",
];
