//! Proposals as text: that they are policies, that they are narrow, and that no name gets out of its place.

use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};
use writ_policy::Bundle;

use super::*;

fn asked(needs: &[(&'static str, Thing, &str)], settings: &[&str], unfiltered: bool) -> Asked {
    Asked {
        needs: needs.iter().map(|(action, thing, id)| Need { action, thing: *thing, id: (*id).to_owned() }).collect(),
        settings: settings.iter().map(|&name| name.to_owned()).collect(),
        unfiltered,
        ..Asked::default()
    }
}

fn proposed(subject: &str, allowed: &[Asked], held: &[Asked]) -> String {
    let mut did = Did { sessions: 2, commands: 9, ttl_seconds: 900, ..Did::default() };
    allowed.iter().for_each(|asked| did.allowed.add(asked));
    held.iter().for_each(|asked| did.held.add(asked));
    let target = TargetName::new("db").unwrap();
    let at = At { issuer: Issuer::new("https://issuer.example"), subject: Subject::new(subject), target };
    let text = text(&[(at, did)].into());
    if let Err(problems) = Bundle::load(vec![("a.cedar".to_owned(), text.clone())]) {
        panic!("{problems:?}: {text}");
    }
    text
}

const COLUMN: (&str, Thing, &str) = ("sql:select", Thing::Column, "db/public.orders.id");

#[test]
fn what_was_done_is_permitted_to_the_one_who_did_it() {
    let text = proposed("job", &[asked(&[COLUMN], &[], false)], &[]);
    let expected = r#"// What job did at db: 9 commands in 2 sessions.
@id("suggested-1")
@ttl("900s")
@record("commands")
permit (
    principal == Writ::Workload::"https://issuer.example|job",
    action in Writ::Action::"use",
    resource == Writ::Target::"db"
);

@id("suggested-2")
permit (
    principal == Writ::Workload::"https://issuer.example|job",
    action == Writ::Action::"sql:select",
    resource == Writ::Column::"db/public.orders.id"
);

"#;
    assert_eq!(text, expected);
}

#[test]
fn a_relation_that_is_needed_whole_takes_its_columns_and_no_others() {
    let more = [
        COLUMN,
        ("sql:select", Thing::Relation, "db/public.orders"),
        ("sql:select", Thing::Column, "db/public.orders2.id"),
        ("sql:select", Thing::Column, "db/public.\"orders.x\".id"),
    ];
    let text = proposed("job", &[asked(&more, &[], false)], &[]);
    assert!(!text.contains("public.orders.id\""), "{text}");
    assert!(text.contains("orders2.id") && text.contains("\\\"orders.x\\\".id"), "{text}");
}

#[test]
fn conditions_are_as_narrow_as_what_was_done() {
    let delete = ("sql:delete", Thing::Relation, "db/public.orders");
    let filtered = proposed("job", &[asked(&[delete], &[], false)], &[]);
    assert!(filtered.contains("unless { context.unfiltered }"), "{filtered}");
    assert!(!proposed("job", &[asked(&[delete], &[], true)], &[]).contains("unfiltered"));
    let set = asked(&[("sql:set", Thing::Target, "db")], &["search_path", "work_mem"], false);
    let text = proposed("job", &[set], &[]);
    assert!(text.contains(r#"when { ["search_path", "work_mem"].containsAll(context.settings) }"#), "{text}");
}

#[test]
fn what_humans_approved_is_held_again_unless_it_was_allowed_too() {
    let (one, other) = (("sql:delete", Thing::Relation, "db/a.a"), ("sql:delete", Thing::Relation, "db/a.b"));
    let text = proposed("job", &[asked(&[one], &[], false)], &[asked(&[one], &[], false), asked(&[other], &[], false)]);
    let (_, held) = text.split_once("@hold(\"10m\")").unwrap();
    assert!(held.contains("db/a.b") && !held.contains("db/a.a"), "{text}");
}

/// What a held `DELETE` reads in its condition must not hold every `SELECT` of that column.
#[test]
fn a_column_of_a_relation_that_was_read_whole_is_not_held() {
    let read = ("sql:select", Thing::Relation, "db/public.orders");
    let (delete, longer) = (
        ("sql:delete", Thing::Relation, "db/public.orders"),
        ("sql:select", Thing::Column, "db/public.orders_of_old.id"),
    );
    let text = proposed("job", &[asked(&[read], &[], false)], &[asked(&[delete, COLUMN, longer], &[], false)]);
    let (_, held) = text.split_once("@hold(\"10m\")").unwrap();
    assert!(held.contains("sql:delete") && held.contains("orders_of_old.id") && !held.contains("orders.id"), "{text}");
}

#[test]
fn no_name_gets_out_of_its_place() {
    let subject = "a\"); permit (principal, action, resource); //\\";
    let text = proposed(subject, &[asked(&[("sql:select", Thing::Relation, "db/\"x\\\".y\".z")], &[], false)], &[]);
    let heads = text.lines().filter(|line| line.starts_with("permit")).count();
    assert_eq!(heads, 2, "{text}");
    assert!(text.lines().all(|line| line.starts_with("//") || !line.contains("|a\"); permit")), "{text}");
    assert_eq!(quoted("a\n\u{202e}\u{1b}\u{e9}"), "\"a\\u{a}\\u{202e}\\u{1b}\u{e9}\"");
}
