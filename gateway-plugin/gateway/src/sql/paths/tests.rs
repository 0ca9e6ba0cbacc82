//! What a name may stand for never becomes less than what the server may do.

use writ_core::command::CommandId;
use writ_core::statement::{Access, Columns, Kind, Setting, SettingValue, Statement, TransactionStep};

use writ_policy::OwnFunctions;

use super::{Paths, list};
use crate::evidence::ServerFacts;

fn new(search_path: &str, role: &str, user_schema: bool) -> Paths {
    let (search_path, role) = (search_path.to_owned(), role.to_owned());
    Paths::new(&ServerFacts { search_path, user_schema, role, functions: OwnFunctions::default() })
}

fn paths() -> Paths {
    new("\"$user\", public", "writ_1", false)
}

fn does(kind: Kind) -> Statement {
    let access = Access { kind, relation: None, columns: Columns::Any };
    Statement { accesses: vec![access], literal: false, ..Statement::unknown() }
}

fn set(value: SettingValue, sure: bool, local: bool) -> Statement {
    let setting = Setting { name: "search_path".to_owned(), value, local, sure };
    Statement { settings: vec![setting], ..does(Kind::Set) }
}

fn to(schema: &str) -> Statement {
    set(SettingValue::Stated(vec![schema.to_owned()]), true, false)
}

fn release(paths: &mut Paths, id: u64, statements: &[Statement], alone: bool) {
    let mut after = paths.clone();
    statements.iter().for_each(|statement| after.step(statement));
    paths.released(CommandId(id), statements, after, alone);
}

#[test]
fn a_list_is_read_as_postgresql_reads_it() {
    let read = |text: &str| list(text).map(|names| names.join("|"));
    assert_eq!(read("\"$user\", public"), Some("$user|public".to_owned()));
    assert_eq!(read(" Public ,\"Odd, \"\"one\"\"\" "), Some("public|Odd, \"one\"".to_owned()));
    assert_eq!(read(""), Some(String::new()));
    for wrong in ["a,", ",a", "a b", "\"a", "a\"b", "a,,b"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn a_text_that_changes_the_path_is_judged_by_it_from_there_on() {
    let mut paths = paths();
    assert_eq!(paths.schemas(), ["public"]);
    paths.step(&to("app"));
    assert_eq!(paths.schemas(), ["app"]);
    paths.step(&set(SettingValue::Text("other".to_owned()), false, false));
    assert_eq!(paths.schemas(), ["app", "other"], "a function that may not have been called");
    paths.step(&set(SettingValue::Default, true, false));
    assert_eq!(paths.schemas(), ["public"]);
}

#[test]
fn a_change_stands_once_it_has_completed_and_both_may_before() {
    let mut paths = paths();
    release(&mut paths, 1, &[to("app")], true);
    assert_eq!(paths.schemas(), ["public", "app"]);
    paths.came_out(CommandId(1), true);
    assert_eq!(paths.schemas(), ["app"]);
    release(&mut paths, 2, &[to("other"), to("third")], true);
    paths.came_out(CommandId(2), true);
    assert_eq!(paths.schemas().len(), 2, "the second of two is outstanding");
    paths.came_out(CommandId(2), true);
    assert_eq!(paths.schemas(), ["third"]);
}

#[test]
fn a_change_that_fails_or_may_be_rolled_back_leaves_both() {
    let mut failed = paths();
    release(&mut failed, 1, &[to("app")], true);
    failed.came_out(CommandId(1), false);
    failed.came_out(CommandId(1), true);
    assert_eq!(failed.schemas(), ["public", "app"]);
    let mut open = paths();
    release(&mut open, 1, &[to("app")], false);
    open.came_out(CommandId(1), true);
    assert_eq!(open.schemas(), ["public", "app"]);
    let mut own = paths();
    let begin = Statement { transaction: Some(TransactionStep::Begin), ..does(Kind::Transaction) };
    release(&mut own, 1, &[begin, to("app")], true);
    own.came_out(CommandId(1), true);
    own.came_out(CommandId(1), true);
    assert_eq!(own.schemas(), ["public", "app"]);
    let mut local = paths();
    release(&mut local, 1, &[set(SettingValue::Stated(vec!["app".to_owned()]), true, true)], true);
    local.came_out(CommandId(1), true);
    assert_eq!(local.schemas(), ["public", "app"]);
}

#[test]
fn a_name_that_the_server_cuts_is_in_no_path() {
    let long = "s".repeat(64);
    assert_ne!(new(&long, "r", false).schemas(), std::slice::from_ref(&long));
    let mut paths = paths();
    release(&mut paths, 1, &[to(&long)], true);
    paths.came_out(CommandId(1), true);
    assert!(paths.schemas().iter().any(|schema| schema.len() > 64), "{:?}", paths.schemas());
}

#[test]
fn what_nobody_here_knows_places_no_name() {
    for kind in [Kind::Unknown, Kind::Do] {
        let mut paths = paths();
        release(&mut paths, 1, &[does(kind)], true);
        paths.came_out(CommandId(1), true);
        assert!(paths.schemas().iter().any(|schema| schema.len() > 63), "{kind:?}");
        assert!(!paths.catalog_first());
    }
    let mut computed = paths();
    computed.step(&set(SettingValue::Computed, true, false));
    assert!(computed.schemas().iter().any(|schema| schema.len() > 63));
    let mut many = paths();
    for number in 0..20 {
        release(&mut many, number, &[to(&format!("s{number}"))], false);
    }
    assert!(many.schemas().iter().any(|schema| schema.len() > 63) && many.schemas().len() < 20);
}

#[test]
fn a_schema_like_the_role_counts_once_it_may_be_there() {
    assert_eq!(new("\"$user\", public", "writ_1", true).schemas(), ["writ_1", "public"]);
    let mut made = paths();
    made.step(&does(Kind::Ddl));
    assert_eq!(made.schemas(), ["writ_1", "public"]);
}

#[test]
fn the_catalog_is_first_unless_the_path_says_otherwise() {
    let first = |setting: &str| new(setting, "r", false).catalog_first();
    assert!(first("public") && first("pg_catalog, public") && first(""));
    assert!(!first("public, pg_catalog"));
}
