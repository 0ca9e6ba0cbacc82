//! A question by slices gets the answer that it would get of everything.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entity, Request, Response};
use proptest::prelude::*;
use writ_core::statement::{Fingerprint, Kind, Statement};

use super::{MOST, Making, Slices};
use crate::Bundle;
use crate::decide::workload_cast;
use crate::entities::{Cast, uid};
use crate::judge::tests::{does, facts, statement};
use crate::judge::{Asking, Thing, action, column_entity};
use crate::tests::{target, workload};

/// What heads and conditions can be: of each kind some that match, some that do not, some that err.
const POLICIES: &[&str] = &[
    r#"permit (principal, action, resource);"#,
    r#"permit (principal, action in Writ::Action::"use", resource);"#,
    r#"permit (principal is Writ::Workload, action in Writ::Action::"sql", resource is Writ::Relation);"#,
    r#"permit (principal, action == Writ::Action::"sql:select", resource in Writ::Relation::"payments/public.orders");"#,
    r#"permit (principal, action in [Writ::Action::"sql:insert", Writ::Action::"sql:update"], resource == Writ::Relation::"payments/public.orders");"#,
    r#"permit (principal, action, resource is Writ::Relation in Writ::Target::"payments");"#,
    r#"permit (principal, action == Writ::Action::"sql:function", resource) when { resource.schema == "public" };"#,
    r#"permit (principal, action == Writ::Action::"sql:unknown", resource == Writ::Target::"payments");"#,
    r#"permit (principal is Writ::Human, action, resource);"#,
    r#"permit (principal == Writ::Workload::"x|y", action in Writ::Action::"sql", resource);"#,
    r#"permit (principal, action in Writ::Action::"sql", resource == Writ::Target::"payments") when { principal.hasTag("repo") };"#,
    r#"forbid (principal, action, resource is Writ::Column) when { resource.relation.name == "cards" };"#,
    r#"forbid (principal, action, resource == Writ::Column::"payments/public.orders.email");"#,
    r#"forbid (principal, action in Writ::Action::"sql", resource is Writ::Relation) when { resource.target.name == "other" };"#,
    r#"forbid (principal, action in Writ::Action::"sql", resource) when { context.unfiltered };"#,
    r#"forbid (principal, action in Writ::Action::"sql", resource) when { context.now + 9223372036854775807 > 0 };"#,
    r#"forbid (principal, action == Writ::Action::"sql:select", resource) when { Writ::Relation::"payments/public.gone".name == "gone" };"#,
    r#"forbid (principal, action == Writ::Action::"sql:select", resource) when { Writ::Target::"payments".name == "payments" && context.database == "none" };"#,
    r#"forbid (principal, action in Writ::Action::"sql", resource) when { context has fingerprint && context["fingerprint"] like "01*" };"#,
    r#"permit (principal, action in Writ::Action::"sql", resource) when { [{ c: context }].contains({ c: context }) };"#,
    r#"forbid (principal, action in Writ::Action::"sql", resource) when { context == context };"#,
    r#"permit (principal, action in Writ::Action::"sql", resource) when { (if context.unfiltered then context else context).kinds.contains("select") };"#,
    // Conditions that name an action: more actions matter than the one that is asked about.
    r#"permit (principal, action, resource) when { action in [Writ::Action::"sql:select", Writ::Action::"sql:ddl"] };"#,
    r#"forbid (principal, action, resource) when { Writ::Action::"sql:delete" in action && context has unfiltered };"#,
    r#"forbid (principal, action, resource) unless { [Writ::Action::"sql:insert", Writ::Action::"sql:select"].contains(action) };"#,
];

const KINDS: [Kind; 8] =
    [Kind::Select, Kind::Insert, Kind::Update, Kind::Delete, Kind::Ddl, Kind::Set, Kind::CopyServer, Kind::Transaction];

fn bundle(chosen: &BTreeSet<usize>) -> Bundle {
    let text: String = chosen.iter().map(|&index| POLICIES[index]).collect();
    // One that names an action for SQL, and decides nothing.
    let names = r#"forbid (principal, action == Writ::Action::"sql:do", resource) when { context.now < 0 };"#;
    Bundle::load(vec![("a.cedar".to_owned(), format!("{names}{text}"))]).expect("the policies load")
}

/// What an answer says, whatever the order of its parts.
fn told(response: &Response) -> (cedar_policy::Decision, BTreeSet<String>, BTreeSet<String>) {
    let reasons = response.diagnostics().reason().map(ToString::to_string).collect();
    (response.decision(), reasons, response.diagnostics().errors().map(ToString::to_string).collect())
}

/// The same question put to all policies, with all actions, held to the schema.
fn whole(bundle: &Bundle, cast: &Cast, action: &str, on: &Entity, more: Vec<Entity>, context: Context) -> Response {
    let action = uid("Writ::Action", action).expect("an action");
    let schema = Some(bundle.schema());
    let question = cast.question(bundle, "command", vec![("tag".to_owned(), crate::entities::text("sql_query"))]);
    let question = question.expect("a question");
    let principal = question.request().principal().expect("a principal").clone();
    let request = Request::new(principal, action, on.uid(), context, schema).expect("it fits the schema");
    let entities = question.entities().clone().add_entities(more, schema).expect("they fit the schema");
    cedar_policy::Authorizer::new().is_authorized(&request, bundle.policies(), &entities)
}

fn same(chosen: &BTreeSet<usize>, kind: usize, (schema, relation, column): (&str, &str, &str), unfiltered: bool) {
    let bundle = bundle(chosen);
    let made = || workload_cast(&bundle, &workload(serde_json::json!({"repo": "a"})), &target()).expect("a cast");
    let (full, lean) = (made(), made().for_statements(&bundle).expect("a cast for statements"));
    let (schemas, of) = (["public".to_owned()], statement(vec![does(KINDS[kind], relation, &["*"])], &[]));
    let facts = facts(&schemas);
    let asking = Asking { bundle: &bundle, cast: &lean, target: "payments", facts: &facts };
    let of = Statement { unfiltered, fingerprint: Fingerprint([1; 16]), ..of };
    let context = asking.context(&of, |_| true).expect("a context");
    let read = asking.context(&of, |attribute| bundle.governs().reads_of_context(attribute)).expect("what is read");
    let id = format!("payments/{schema}.{relation}");
    let table = asking.entity("Writ::Relation", &id, schema, relation).expect("a relation");
    let column = column_entity(&format!("{id}.{column}"), &table.uid()).expect("a column");
    let function = asking.entity("Writ::Function", &id, schema, relation).expect("a function");
    let target = Entity::with_uid(full.resource().clone());
    for (action, thing, on, more) in [
        (action(KINDS[kind]), Thing::Target, &target, vec![]),
        (action(KINDS[kind]), Thing::Relation, &table, vec![table.clone()]),
        (action(KINDS[kind]), Thing::Column, &column, vec![table.clone(), column.clone()]),
        ("sql:function", Thing::Function, &function, vec![function.clone()]),
        ("sql:unknown", Thing::Target, &target, vec![]),
    ] {
        let slice = bundle.slices().action(action).expect("a slice");
        let policies = slice.policies(thing).expect("policies");
        let contexts = (read.clone(), Some(&context));
        let sliced = lean.question_on(&bundle, slice, &on.uid(), more.clone(), contexts).expect("a question");
        let whole = whole(&bundle, &full, action, on, more, context.clone());
        assert_eq!(
            told(&sliced.ask(policies)),
            told(&whole),
            "{action} on {} {}, by {chosen:?}",
            thing.as_str(),
            on.uid()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_slice_answers_as_everything_does(
        chosen in proptest::collection::btree_set(0..POLICIES.len(), 0..6),
        kind in 0..KINDS.len(),
        name in prop::sample::select(vec![
            ("public", "orders", "email"), ("public", "cards", "number"), ("other", "orders", "id"), ("pg_catalog", "a\"b|c", "*"),
        ]),
        unfiltered: bool,
    ) {
        same(&chosen, kind, name, unfiltered);
    }
}

#[test]
fn each_policy_alone_is_in_the_slices_that_it_may_match() {
    for index in 0..POLICIES.len() {
        for kind in 0..KINDS.len() {
            same(&BTreeSet::from([index]), kind, ("public", "orders", "email"), true);
        }
    }
}

#[test]
fn a_condition_that_names_an_action_is_found() {
    for (index, policy) in POLICIES.iter().enumerate() {
        let names = policy.rsplit_once("when").is_some_and(|(_, when)| when.contains("Action"));
        let names = names || policy.contains("unless");
        assert_eq!(bundle(&BTreeSet::from([index])).governs().actions, names, "{policy}");
    }
}

#[test]
fn each_action_for_sql_of_the_schema_has_its_slices() {
    let bundle = bundle(&BTreeSet::new());
    let actions = bundle.schema().action_entities().expect("actions");
    let sql = actions.iter().filter(|entity| entity.uid().id().unescaped().starts_with("sql:")).count();
    assert_eq!(bundle.slices().actions.len(), sql);
    assert!(bundle.slices().actions.values().all(|slice| slice.on.len() == 4));
}

#[test]
fn a_policy_is_in_no_slice_that_its_head_rules_out() {
    let bundle = bundle(&(2..=2).collect());
    let count = |action, thing| {
        let slice = bundle.slices().action(action).expect("a slice");
        slice.policies(thing).expect("policies").policies().count()
    };
    assert_eq!(count("sql:select", Thing::Relation), 1);
    assert_eq!(count("sql:select", Thing::Column), 0);
    assert_eq!(count("sql:do", Thing::Relation), 2);
}

#[test]
fn what_would_take_too_much_is_asked_whole() {
    let bundle = bundle(&(0..POLICIES.len()).collect());
    let mut making = Making { policies: bundle.policies(), made: [].into(), held: MOST, whole: None };
    let slice = making.slice(Vec::new()).expect("no slice at all");
    assert_eq!(slice.policies().count(), 0);
    let slice = making.slice(vec![1]).expect("a slice");
    assert_eq!(slice.policies().count(), bundle.policies().policies().count());
    assert!(Slices::of(bundle.policies(), bundle.schema()).is_ok());
}
