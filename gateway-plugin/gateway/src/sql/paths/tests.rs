//! What a name may stand for never becomes less than what the server may do.

use writ_core::command::CommandId;
use writ_core::statement::{Access, Columns, Kind, Setting, SettingValue, Statement, TransactionStep};

use writ_policy::OwnFunctions;
use writ_record::entry::Ending;

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

fn step(step: TransactionStep) -> Statement {
    Statement { transaction: Some(step), ..does(Kind::Transaction) }
}

fn local(schema: &str) -> Statement {
    set(SettingValue::Stated(vec![schema.to_owned()]), true, true)
}

/// Lets a text go that completes as far as `done` of its statements.
fn run(paths: &mut Paths, id: u64, statements: &[Statement], done: usize) {
    paths.released(CommandId(id), statements);
    (0..done).for_each(|_| paths.came_out(CommandId(id), Ending::Completed));
}

/// The schemas once no transaction is open.
fn settled(paths: &mut Paths) -> Vec<String> {
    paths.settle(|| false);
    paths.schemas()
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
    paths.step(&set(SettingValue::Default, true, false));
    assert_eq!(paths.schemas(), ["public"]);
    paths.step(&set(SettingValue::Text("other".to_owned()), false, false));
    assert_eq!(paths.schemas(), ["public", "other"], "a function that may not have been called");
    paths.step(&to("app"));
    assert_eq!(paths.schemas(), ["app", "other"], "and that a portal may call again");
}

#[test]
fn a_text_that_ends_its_transaction_is_judged_by_what_that_leaves() {
    use TransactionStep::{Begin, Commit, Release, Rollback, RollbackTo, Savepoint};
    let name = || "a".to_owned();
    let behind = |statements: &[Statement]| {
        let mut paths = paths();
        statements.iter().for_each(|statement| paths.step(statement));
        paths.schemas().join(" ")
    };
    assert_eq!(behind(&[to("x"), step(Rollback)]), "public");
    assert_eq!(behind(&[to("x"), step(Commit)]), "x");
    assert_eq!(behind(&[to("x"), step(Begin), step(Rollback)]), "public");
    assert_eq!(behind(&[step(Begin), to("x"), step(Commit), step(Begin), to("y"), step(Rollback)]), "x");
    assert_eq!(behind(&[local("x"), step(Commit)]), "public");
    assert_eq!(behind(&[step(Begin), to("y"), local("x")]), "x");
    assert_eq!(behind(&[step(Begin), to("y"), local("x"), step(Commit)]), "y");
    assert_eq!(behind(&[step(Begin), local("x"), to("y"), step(Commit)]), "y");
    assert_eq!(behind(&[step(Begin), step(Savepoint(name())), to("x"), step(RollbackTo(name()))]), "public");
    assert_eq!(behind(&[step(Begin), step(Savepoint(name())), to("x"), step(Release(name()))]), "x");
    assert!(behind(&[step(Begin), to("x"), step(RollbackTo(name()))]).len() > 63, "a savepoint that nobody made");
    let mut begun = paths();
    run(&mut begun, 1, &[step(Begin)], 1);
    run(&mut begun, 2, &[to("x")], 1);
    begun.step(&step(Commit));
    assert_eq!(begun.schemas(), ["public", "x"], "what is under way may fail, and the COMMIT roll back");
}

#[test]
fn a_change_stands_once_it_has_completed_and_both_may_before() {
    let mut paths = paths();
    run(&mut paths, 1, &[to("app")], 0);
    assert_eq!(paths.schemas(), ["public", "app"]);
    paths.came_out(CommandId(1), Ending::Completed);
    assert_eq!(paths.schemas(), ["public", "app"], "its transaction may fail yet");
    assert_eq!(settled(&mut paths), ["app"]);
    run(&mut paths, 2, &[to("other"), to("third")], 1);
    assert_eq!(paths.schemas(), ["app", "other", "third"], "the second of two is outstanding");
    paths.came_out(CommandId(2), Ending::Completed);
    assert_eq!(settled(&mut paths), ["third"]);
}

#[test]
fn a_change_within_a_transaction_stands_until_that_ends() {
    use TransactionStep::{Begin, Commit, Rollback};
    for (end, left) in [(Commit, "app"), (Rollback, "public")] {
        let mut paths = paths();
        run(&mut paths, 1, &[step(Begin)], 1);
        run(&mut paths, 2, &[to("app")], 1);
        paths.settle(|| true);
        assert_eq!(paths.schemas(), ["app"]);
        run(&mut paths, 3, &[local("own")], 1);
        assert_eq!(paths.schemas(), ["own"]);
        run(&mut paths, 4, &[step(end)], 0);
        assert_eq!(paths.schemas(), ["public", "app", "own"]);
        paths.came_out(CommandId(4), Ending::Completed);
        assert_eq!(settled(&mut paths), [left]);
    }
}

#[test]
fn what_fails_may_take_changes_back() {
    let mut failed = paths();
    run(&mut failed, 1, &[to("app")], 0);
    failed.came_out(CommandId(1), Ending::Failed);
    assert_eq!(settled(&mut failed), ["public"]);
    // A pipeline whose second command, or whose end, fails.
    let mut pipeline = paths();
    run(&mut pipeline, 1, &[to("app")], 1);
    pipeline.failed();
    assert_eq!(pipeline.schemas(), ["public", "app"]);
    assert_eq!(settled(&mut pipeline), ["public", "app"]);
    // A command that is denied behind a change that is outstanding.
    let mut denied = paths();
    run(&mut denied, 1, &[to("app")], 0);
    denied.failed();
    denied.came_out(CommandId(1), Ending::Completed);
    assert_eq!(settled(&mut denied), ["public", "app"]);
    // A COMMIT of what has failed rolls back.
    let mut aborted = paths();
    run(&mut aborted, 1, &[step(TransactionStep::Begin)], 1);
    run(&mut aborted, 2, &[to("app")], 1);
    aborted.failed();
    run(&mut aborted, 3, &[step(TransactionStep::Commit)], 1);
    assert_eq!(settled(&mut aborted), ["public", "app"]);
}

#[test]
fn a_portal_that_stops_may_change_it_again() {
    let mut paths = paths();
    paths.released(CommandId(1), &[set(SettingValue::Text("app".to_owned()), true, false)]);
    paths.came_out(CommandId(1), Ending::Suspended);
    run(&mut paths, 2, &[to("other")], 1);
    assert_eq!(settled(&mut paths), ["other", "app"]);
}

#[test]
fn a_name_that_the_server_cuts_is_in_no_path() {
    let long = "s".repeat(64);
    assert_ne!(new(&long, "r", false).schemas(), std::slice::from_ref(&long));
    let mut paths = paths();
    run(&mut paths, 1, &[to(&long)], 1);
    assert!(paths.schemas().iter().any(|schema| schema.len() > 64), "{:?}", paths.schemas());
}

#[test]
fn what_nobody_here_knows_places_no_name() {
    for kind in [Kind::Unknown, Kind::Do, Kind::Call] {
        let mut paths = paths();
        run(&mut paths, 1, &[does(kind)], 1);
        assert!(paths.schemas().iter().any(|schema| schema.len() > 63), "{kind:?}");
        assert!(!paths.catalog_first());
    }
    let mut computed = paths();
    computed.step(&set(SettingValue::Computed, true, false));
    assert!(computed.schemas().iter().any(|schema| schema.len() > 63));
    let mut many = paths();
    for number in 0..20 {
        run(&mut many, number, &[to(&format!("s{number}"))], 0);
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
