//! Text that is made to break the parser.

use proptest::prelude::*;
use writ_core::statement::Kind;
use writ_sql::wire::{Answer, LONGEST_TEXT, Reason};

use crate::analyse;
use crate::testing::said_of_the_shape;

/// As the child runs it: with a stack of its own.
fn said(text: impl Into<Vec<u8>>) -> Answer {
    let text = text.into();
    let thread = std::thread::Builder::new().stack_size(crate::child::STACK);
    thread.spawn(move || analyse(&text)).unwrap().join().unwrap()
}

fn understood(text: impl Into<Vec<u8>>) -> bool {
    matches!(said(text), Answer::Statements(statements) if statements.iter().all(|s| s.accesses[0].kind != Kind::Unknown))
}

#[test]
fn what_is_no_text_is_refused() {
    assert_eq!(said(b"SELECT 1\0; DROP TABLE t"), Answer::Unknown(Reason::Encoding));
    assert_eq!(said(b"SELECT '\xc3\x28'"), Answer::Unknown(Reason::Encoding));
    assert_eq!(said(b"SELECT '\xed\xa0\x80'"), Answer::Unknown(Reason::Encoding));
}

#[test]
fn long_text_is_parsed_up_to_the_cap() {
    let padded = |length: usize| format!("SELECT a FROM t WHERE b = '{}'", "x".repeat(length - 28));
    assert_eq!(padded(LONGEST_TEXT).len(), LONGEST_TEXT);
    assert!(understood(padded(LONGEST_TEXT)));
    assert_eq!(said(padded(LONGEST_TEXT + 1)), Answer::Unknown(Reason::Long));
    assert_eq!(said("1,".repeat(LONGEST_TEXT / 2)), Answer::Unknown(Reason::Long));
    assert!(understood(format!("INSERT INTO t VALUES {}", vec!["(1,2,3)"; 9_000].join(","))));
}

#[test]
fn chains_and_nests_are_refused_and_kill_nothing() {
    let chain = |joint: &str, terms: usize| format!("SELECT {}", vec!["1"; terms].join(joint));
    let nest = |open: &str, close: &str, depth: usize| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
    for text in [
        chain("+", 40_000),
        chain("||", 30_000),
        chain("=", 30_000),
        chain(" UNION SELECT ", 10_000),
        nest("(", ")", 10_000),
        nest("((", "))", 20_000),
        nest("(SELECT ", ")", 4_000),
        nest("f(", ")", 20_000),
        nest("CASE WHEN true THEN ", " END", 6_000),
        nest("- ", "", 40_000),
        nest("NOT ", "", 40_000),
        nest("ARRAY[", "]", 10_000),
        format!("SELECT * FROM {}t{}", "(".repeat(5_000), " JOIN t ON true)".repeat(5_000)),
        format!("{}SELECT 1{}", "WITH a AS (".repeat(5_000), ") SELECT 1".repeat(5_000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(20_000)),
        format!("SELECT a{}", "[1]".repeat(40_000)),
        format!("SELECT a{}", "::int".repeat(20_000)),
        format!("SELECT {}", "/*".repeat(60_000)),
    ] {
        let start: String = text.chars().take(40).collect();
        let answer = said(text);
        assert!(matches!(answer, Answer::Unknown(Reason::Deep | Reason::Syntax | Reason::Long)), "{start}: {answer:?}");
    }
}

#[test]
fn what_is_long_but_flat_is_understood() {
    for text in [
        format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 10_000].join(" OR ")),
        format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 10_000].join(" AND ")),
        format!("SELECT * FROM t WHERE a IN ({})", vec!["1"; 40_000].join(",")),
        format!("SELECT {}", vec!["a"; 20_000].join(",")),
        vec!["SELECT 1"; 4_000].join(";"),
        format!("SELECT CASE {} END FROM t", "WHEN a = 1 THEN b ".repeat(5_000)),
    ] {
        let start: String = text.chars().take(40).collect();
        assert!(understood(text), "{start}");
    }
}

#[test]
fn the_deepest_that_the_grammar_gives_out_has_room_on_the_stack() {
    // Where its limit lies depends on how its C was compiled: it is passed by each of these somewhere.
    for depth in (500..6_000).step_by(500) {
        for (open, joint, close) in
            [("", " || a", ""), ("f(", "", ")"), ("CASE WHEN a THEN ", "", " END"), ("(SELECT ", "", ")")]
        {
            let _ = said(format!("SELECT {}a{}{}", open.repeat(depth), joint.repeat(depth), close.repeat(depth)));
        }
    }
}

#[test]
fn what_is_deep_within_reason_is_understood() {
    for text in [
        format!("SELECT {} FROM t", vec!["a"; 350].join(" || ")),
        format!("SELECT * FROM t {}", "JOIN u USING (id) ".repeat(150)),
        format!("SELECT {}a{} FROM t", "coalesce(b, ".repeat(120), ")".repeat(120)),
        format!("SELECT {} 1 {} FROM t", "CASE WHEN a = 1 THEN 2 ELSE ".repeat(60), "END ".repeat(60)),
        format!("SELECT a FROM t {}", "UNION ALL SELECT b FROM u ".repeat(150)),
    ] {
        let start: String = text.chars().take(40).collect();
        let answer = said(text);
        assert!(matches!(answer, Answer::Statements(_)), "{start}: {answer:?}");
    }
}

#[test]
fn what_does_too_much_is_refused() {
    let tables: Vec<_> = (0..6_000).map(|n| format!("t{n}")).collect();
    assert_eq!(said(format!("SELECT 1 FROM {}", tables.join(","))), Answer::Unknown(Reason::Wide));
    let functions: Vec<_> = (0..6_000).map(|n| format!("f{n}()")).collect();
    assert_eq!(said(format!("SELECT {}", functions.join(","))), Answer::Unknown(Reason::Wide));
    let columns: Vec<_> = (0..2_000).map(|n| format!("c{n}")).collect();
    let many = format!("SELECT {} FROM {}", columns.join(","), tables[..2_000].join(","));
    assert_eq!(said(many), Answer::Unknown(Reason::Wide));
    assert_eq!(said(vec!["SELECT 1"; 5_000].join(";")), Answer::Unknown(Reason::Wide));
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,80}") {
        said_of_the_shape(&text).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn any_words_of_sql_have_an_answer(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..30)) {
        said_of_the_shape(&words.join(" ")).map_err(TestCaseError::fail)?;
    }
}

const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "t",
    "u",
    "a",
    "b",
    "*",
    "(",
    ")",
    ",",
    ".",
    "=",
    "1",
    "'x'",
    "AS",
    "JOIN",
    "ON",
    "WITH",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "USING",
    "RETURNING",
    "ORDER BY",
    "GROUP BY",
    "LIMIT",
    "UNION",
    "f(",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "NOT",
    "AND",
    "NULL",
    "$1",
    ";",
    "CREATE",
    "TABLE",
    "VIEW",
    "DROP",
    "EXPLAIN",
    "ANALYZE",
    "PREPARE",
    "EXECUTE",
    "COPY",
    "TO",
    "STDOUT",
    "MERGE",
    "MATCHED",
    "GRANT",
    "ALTER",
    "LATERAL",
    "EXISTS",
    "IN",
    "::int",
    "[1]",
];
