use std::sync::Arc;

use super::*;
use crate::action::MaskKey;
use crate::detect::Scanner;
use crate::postgres::NoCatalog;
use crate::rules::{MaskRules, RuleSet};

fn engine(rules: &str) -> Engine {
    let rules: MaskRules = toml::from_str(rules).unwrap();
    let rules = Arc::new(RuleSet::new(&rules).unwrap());
    let scanner = Scanner::new(rules.wanted(), rules.user());
    Engine::new(rules, Arc::new(MaskKey::derive(&[7; 32])), scanner, Arc::new(NoCatalog))
}

/// What a value becomes; nothing where it becomes NULL.
fn masked(rules: &str, type_id: u32, value: &str) -> Option<String> {
    let mut engine = engine(rules);
    let column = Column::of_type(type_id, false, &engine.rules, &NoCatalog);
    let mut out = Vec::new();
    match engine.value(&column, value.as_bytes(), Sight::Unseen, &mut out).unwrap() {
        Fate::Keep => Some(value.to_owned()),
        Fate::Replaced => Some(String::from_utf8(out).unwrap()),
        Fate::Null | Fate::Drop => None,
    }
}

const CARDS: &str = r#"rules = [{ name = "cards", detector = "pan", action = "redact" }]"#;

#[test]
fn an_element_is_masked_in_its_place() {
    for (type_id, value, expected) in [
        (1009, "{a,4111111111111111,NULL}", "{a,\"REDACTED\",NULL}"),
        (1009, r#"{"b \" c","4111 1111 1111 1111, x",{d,"\\"}}"#, r#"{"b \" c","REDACTED, x",{d,"\\"}}"#),
        (1015, "[2:3]={a,4111111111111111}", "[2:3]={a,\"REDACTED\"}"),
        (1016, "{1,4111111111111111}", "{1,NULL}"),
        (199, r#"{"{\"pan\": 4111111111111111}"}"#, r#"{"{\"pan\": \"REDACTED\"}"}"#),
        (2287, r#"{"(1,4111111111111111,)"}"#, r#"{"(1,,)"}"#),
        (2249, r#"(1,"a ""4111111111111111"" b",c)"#, "(1,,c)"),
        (2249, "(1,2,)", "(1,2,)"),
        (1009, "{}", "{}"),
    ] {
        assert_eq!(masked(CARDS, type_id, value).unwrap(), expected);
    }
    for (type_id, value) in [
        (3926, "[4111111111111111,4111111111111113)"),
        (1009, "{4111111111111111"),
        (1009, "{\"4111111111111111}"),
        (2249, "(\"4111111111111111)"),
        (1020, "{(1,4111111111111111),(2,3)}"),
    ] {
        assert_eq!(masked(CARDS, type_id, value), None, "{value}");
    }
}

#[test]
fn a_type_s_rule_holds_within_values() {
    let rules = r#"rules = [{ name = "money", type = 790, action = "null" }, { name = "ids", type = 20, action = "format-preserving" }]"#;
    assert_eq!(masked(rules, 1009, "{a,b}").unwrap(), "{a,b}");
    let other = masked(rules, 1016, "{12345678,NULL,1}").unwrap();
    assert!(!other.contains("12345678") && other.ends_with(",NULL,NULL}"), "{other}");
    assert_eq!(masked(rules, 2249, "(1,a,)").unwrap(), "(,,)", "a row does not say of which types its fields are");
    assert_eq!(masked(rules, 3926, "[1,5)"), None);
    assert_eq!(masked(rules, 3926, "empty").unwrap(), "empty");
    assert_eq!(masked(rules, 1016, "{1"), None, "what cannot be read");
}
