//! A question by slices gets the answer that it would get of everything.

use std::collections::BTreeSet;

use cedar_policy::{Context, Entity, Request, Response};
use proptest::prelude::*;
use writ_core::statement::{Fingerprint, Kind, Statement};

use super::{Head, MOST, MOST_NAMED, Making, Slices};
use crate::Bundle;
use crate::decide::workload_cast;
use crate::entities::{Cast, uid};
use crate::judge::tests::{does, facts, statement};
use crate::judge::{Asking, Thing, action, column_entity, identifier};
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
    r#"permit (principal, action, resource in Writ::Column::"payments/public.orders.email");"#,
    r#"permit (principal, action, resource == Writ::Column::"payments/pg_catalog.\"a\"\"b|c.d\".*");"#,
    r#"forbid (principal, action, resource is Writ::Column in Writ::Relation::"payments/public.cards");"#,
    r#"permit (principal, action, resource == Writ::Function::"payments/public.orders");"#,
    r#"forbid (principal, action == Writ::Action::"sql:function", resource in Writ::Function::"payments/public.cards");"#,
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
    let id = format!("payments/{}.{}", identifier(schema), identifier(relation));
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
        let named = if thing == Thing::Target { "payments" } else { &id };
        let policies = slice.policies(thing, named).expect("policies");
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
            ("public", "orders", "email"), ("public", "cards", "number"), ("other", "orders", "id"), ("pg_catalog", "a\"b|c.d", "*"),
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
            for name in [("public", "orders", "email"), ("public", "cards", "number"), ("pg_catalog", "a\"b|c.d", "*")]
            {
                same(&BTreeSet::from([index]), kind, name, true);
            }
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
        slice.policies(thing, "payments/public.orders").expect("policies").policies().count()
    };
    assert_eq!(count("sql:select", Thing::Relation), 1);
    assert_eq!(count("sql:select", Thing::Column), 0);
    assert_eq!(count("sql:do", Thing::Relation), 2);
}

#[test]
fn what_would_take_too_much_is_asked_whole() {
    let bundle = bundle(&(0..POLICIES.len()).collect());
    let mut making = Making {
        policies: bundle.policies(),
        numbered: bundle.policies().policies().collect(),
        made: [].into(),
        held: MOST,
        whole: None,
    };
    let slice = making.slice(Vec::new()).expect("no slice at all");
    assert_eq!(slice.policies().count(), 0);
    let slice = making.slice(vec![1]).expect("a slice");
    assert_eq!(slice.policies().count(), bundle.policies().policies().count());
    assert!(Slices::of(bundle.policies(), bundle.schema()).is_ok());
}

#[test]
fn policies_on_other_relations_are_not_asked() {
    let text: String = (0..1000)
        .map(|n| format!(r#"permit (principal, action == Writ::Action::"sql:select", resource in Writ::Relation::"payments/public.t{n}");"#))
        .collect();
    let bundle = Bundle::load(vec![("a.cedar".to_owned(), text)]).expect("the policies load");
    let slice = bundle.slices().action("sql:select").expect("a slice");
    let count = |thing, id| slice.policies(thing, id).expect("policies").policies().count();
    assert_eq!(count(Thing::Relation, "payments/public.t7"), 1);
    assert_eq!(count(Thing::Column, "payments/public.t7"), 1);
    assert_eq!(count(Thing::Relation, "payments/public.other"), 0);
}

#[test]
fn names_that_would_take_too_much_are_not_told_apart() {
    let bundle = bundle(&(0..POLICIES.len()).collect());
    let policies = bundle.policies();
    let mut making =
        Making { policies, numbered: policies.policies().collect(), made: [].into(), held: 0, whole: None };
    let head = |names| Head { caller: true, actions: None, on: None, names };
    let named: Vec<Head> = (0..MOST_NAMED).map(|number| head(Some(number.to_string()))).collect();
    let any = head(None);
    let few: Vec<(usize, &Head)> = named[..4].iter().chain([&any]).enumerate().collect();
    let on = making.on(&few).expect("slices");
    assert_eq!((on.named.len(), on.named["3"].policies().count(), on.any.policies().count()), (4, 2, 1));
    let many: Vec<(usize, &Head)> = named.iter().chain([&any]).enumerate().collect();
    let on = making.on(&many).expect("one slice");
    assert!(on.named.is_empty());
    assert_eq!(on.any.policies().count(), policies.policies().count(), "all of them");
}
