//! The lexer against the server's scanner, and what is said of a shape.

use proptest::prelude::*;

use crate::testing::{cut_alike, said_of_the_shape};

#[test]
fn the_statements_of_the_table_are_cut_alike_and_what_is_said_of_them_holds_for_their_shape() {
    let statements = include_str!("../../../tests/statements.txt").lines().filter(|line| !line.starts_with("  = "));
    for line in statements {
        cut_alike(line).unwrap();
        said_of_the_shape(line).unwrap();
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
        cut_alike(text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_characters_are_cut_alike(text in "[ abeEuUxXnN0-9_'\"$\\\\&/*\n\r.;:=+<>|@#?é()-]{0,24}") {
        cut_alike(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_pieces_are_cut_alike(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..12)) {
        cut_alike(&pieces.concat()).map_err(TestCaseError::fail)?;
    }
}

const PIECES: &[&str] = &[
    "'", "''", "\"", "\"\"", "E'", "e'", "U&'", "u&\"", "B'", "x'", "N'", "$$", "$a$", "$", "$1", "\\", "\\'",
    "\\u0041", "--", "/*", "*/", "\n", " ", "\r", "\t", "\u{c}", "1", "0x", "0b1", "_", ".", "..", "e", "E+", "a",
    "UESCAPE", ";", "(", ")", "+", "-", "*", "/", "<", ">", "=", "!", "@", ":", "::", ":=", "é", ",", "[", "]", "|",
    "?",
];
