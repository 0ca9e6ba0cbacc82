use super::*;
use crate::postgres::NoCatalog;
use crate::rules::MaskRules;

const RULES: &str = r#"rules = [
    { name = "cards", detector = "pan", action = "partial" },
    { name = "mail", detector = "email", action = "redact" },
    { name = "secrets", detector = "secret-field", action = "redact" },
    { name = "pay", type = 790, action = "redact" },
]"#;

fn mask() -> StatementMask {
    let rules: MaskRules = toml::from_str(RULES).unwrap();
    let rules = Arc::new(RuleSet::new(&rules).unwrap());
    StatementMask::new(rules, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog))
}

fn masked(sql: &str) -> String {
    let mut out = Vec::new();
    if mask().statement(sql.as_bytes(), &mut out) {
        return String::from_utf8(out).unwrap();
    }
    assert!(out.is_empty());
    sql.to_owned()
}

#[test]
fn a_literal_stays_a_literal() {
    for (sql, expected) in [
        ("select 1, 'a', $1", "select 1, 'a', $1"),
        ("select 'pay 4111111111111111'", "select 'pay 411111******1111'"),
        ("select 4111111111111111, 1.5", "select '411111******1111', 1.5"),
        ("select 4111_1111_1111_1111", "select '411111******1111'"),
        ("select 0xE9B08A568F1C7", "select '411111******1111'"),
        ("select E'it\\'s \\x34\\061\\u00311111111111111'", "select E'it''s 411111******1111'"),
        ("select 'x' || E'\\\\ 4111111111111111'", "select 'x' || E'\\\\ 411111******1111'"),
        ("select 'a'4111111111111111, x", "select 'a'0, x"),
        ("select 4111111111111111\n'a'", "select 0\n'a'"),
        ("select 'it''s 4111111111111111'", "select 'it''s 411111******1111'"),
        ("select '41111111' -- it's\n '11111111'", "select '411111******1111'"),
        ("select U&'\\0034111111111111111'", "select U&'REDACTED'"),
        ("select U&'!0034111111111111111' uescape '!'", "select U&'REDACTED' uescape '!'"),
        ("select X'34313131313131313131313131313131'", "select 'REDACTED'"),
        ("select X'E9B08A568F1C7'", "select 'REDACTED'"),
        ("select $a$4111111111111111$a$", "select $a$411111******1111$a$"),
        ("select \"4111111111111111\" from t", "select \"411111******1111\" from t"),
        ("select 1 -- jane@doe.example\n+ 1", "select 1 -- REDACTED\n+ 1"),
        ("create role x password 'hunter2' login", "create role x password 'REDACTED' login"),
        (
            "insert into t values ('{\"password\": \"hunter2\"}')",
            "insert into t values ('{\"password\": \"REDACTED\"}')",
        ),
        ("select 'open 4111111111111111", "select 'open 411111******1111"),
    ] {
        assert_eq!(masked(sql), expected);
    }
}

#[test]
fn what_follows_a_comment_stays_a_statement() {
    let rules: MaskRules =
        toml::from_str(r#"rules = [{ name = "keys", detector = "private-key", action = "redact" }]"#).unwrap();
    let rules = Arc::new(RuleSet::new(&rules).unwrap());
    let mut mask = StatementMask::new(rules, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog));
    for comment in ["-- -----BEGIN PRIVATE KEY-----\n", "/* -----BEGIN PRIVATE KEY----- */"] {
        let mut out = Vec::new();
        assert!(mask.statement(format!("select 1 {comment} + 1").as_bytes(), &mut out));
        assert_eq!(String::from_utf8(out).unwrap(), "select 1 /* REDACTED */ + 1");
    }
}

#[test]
fn what_is_no_text_is_looked_at_all_the_same() {
    let mut out = Vec::new();
    assert!(mask().statement(b"select '\xff 4111111111111111'", &mut out));
    assert_eq!(out, b"select '\xff 411111******1111'");
}

#[test]
fn parameters_are_masked_in_their_types() {
    let card = 4_111_111_111_111_111_i64.to_be_bytes();
    for (type_id, binary, value, shown, expected) in [
        (0, false, &b"4111111111111111"[..], Shown::Changed, &b"411111******1111"[..]),
        (25, true, b"plain", Shown::Unchanged, b""),
        (20, true, &card, Shown::Null, b""),
        (790, false, b"$1.00", Shown::Null, b""),
    ] {
        let mut out = Vec::new();
        assert_eq!(mask().parameter(type_id, binary, value, &mut out), shown);
        assert_eq!(out, expected);
    }
}

#[test]
fn marks_say_which_rules_changed_what() {
    let mut mask = mask();
    assert!(mask.statement(b"select '4111111111111111', 'jane@doe.example'", &mut Vec::new()));
    let marks: Vec<_> = mask.take_marks().into_iter().map(|mark| (mark.rule, mark.count)).collect();
    assert_eq!(marks, [("cards".to_owned(), 1), ("mail".to_owned(), 1)]);
}
