//! What a statement's judgement promises, above all what must deny.

use std::sync::Arc;

use writ_core::command::CommandTag;
use writ_core::statement::{Access, Columns, Fingerprint, Kind, QualifiedName, Statement};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;

use super::{Judgement, Need, StatementFacts};
use crate::tests::{target, workload};
use crate::{Bundle, OwnFunctions, SessionPolicy, check};

const USE: &str =
    r#"@id("use") permit (principal, action in Writ::Action::"use", resource == Writ::Target::"payments");"#;

fn policy(text: &str) -> SessionPolicy {
    let bundle = Bundle::load(vec![("a.cedar".to_owned(), format!("{USE}\n{text}"))]).expect("the policies load");
    SessionPolicy::prepare(&Arc::new(bundle), &workload(serde_json::json!({"repo": "a"})), &target())
}

fn name(name: &str) -> QualifiedName {
    match name.split_once('.') {
        Some((schema, name)) => QualifiedName { schema: Some(schema.to_owned()), name: name.to_owned() },
        None => QualifiedName { schema: None, name: name.to_owned() },
    }
}

pub(super) fn does(kind: Kind, relation: &str, columns: &[&str]) -> Access {
    let columns = match columns {
        ["*"] => Columns::Any,
        some => Columns::Stated(some.iter().map(|&column| column.to_owned()).collect()),
    };
    Access { kind, relation: (!relation.is_empty()).then(|| name(relation)), columns }
}

pub(super) fn statement(accesses: Vec<Access>, functions: &[&str]) -> Statement {
    Statement {
        accesses,
        functions: functions.iter().map(|function| name(function)).collect(),
        literal: false,
        fingerprint: Fingerprint([7; 16]),
        ..Statement::unknown()
    }
}

static NO_FUNCTIONS: std::sync::LazyLock<OwnFunctions> = std::sync::LazyLock::new(OwnFunctions::default);

pub(super) fn facts(schemas: &[String]) -> StatementFacts<'_> {
    StatementFacts {
        now: Timestamp::UNIX_EPOCH,
        database: "shop",
        database_role: "writ_1",
        schemas,
        catalog_first: true,
        functions: &NO_FUNCTIONS,
        in_transaction: false,
        session_rows: 0,
        statements_last_minute: 0,
        approvers: &[],
    }
}

fn judged(text: &str, statement: &Statement) -> Judgement {
    policy(text).judge(statement, &facts(&["public".to_owned()]))
}

fn said(text: &str, statement: &Statement) -> Result<(), String> {
    judged(text, statement).denied.map_or(Ok(()), |fault| Err(fault.public.into_owned()))
}

const READ: &str = r#"@id("read") permit (principal, action == Writ::Action::"sql:select",
    resource in Writ::Relation::"payments/public.orders");"#;

#[test]
fn a_set_that_names_no_action_for_sql_judges_no_statement() {
    assert!(!policy("").judges_statements());
    assert!(policy(READ).judges_statements());
    let in_condition = r#"forbid (principal, action, resource) when { action == Writ::Action::"sql:ddl" };"#;
    assert!(policy(in_condition).judges_statements(), "an action that a condition names counts too");
}

#[test]
fn a_relation_is_permitted_by_its_name_in_its_schema() {
    let read = |relation| statement(vec![does(Kind::Select, relation, &["*"])], &[]);
    assert_eq!(said(READ, &read("orders")), Ok(()));
    assert_eq!(said(READ, &read("public.orders")), Ok(()));
    let denied = |relation: &str| format!("no policy permits `sql:select` on `payments/{relation}`");
    assert_eq!(said(READ, &read("other.orders")), Err(denied("other.orders")));
    assert_eq!(said(READ, &read("cards")), Err(denied("public.cards")));
    let write = statement(vec![does(Kind::Delete, "orders", &[])], &[]);
    assert_eq!(said(READ, &write), Err("no policy permits `sql:delete` on `payments/public.orders`".to_owned()));
}

#[test]
fn every_thing_that_a_statement_does_must_be_permitted() {
    let hidden = statement(vec![does(Kind::Select, "orders", &["*"]), does(Kind::Delete, "orders", &[])], &[]);
    assert!(said(READ, &hidden).is_err(), "a WITH that writes");
    let nothing = statement(vec![], &[]);
    assert!(said(READ, &nothing).is_err(), "nothing at all is not understood");
}

#[test]
fn an_unqualified_name_is_every_candidate() {
    let read = statement(vec![does(Kind::Select, "orders", &["*"])], &[]);
    let both = ["public".to_owned(), "other".to_owned()];
    let denied = policy(READ).judge(&read, &facts(&both)).denied.expect("denied");
    assert_eq!(denied.public, "no policy permits `sql:select` on `payments/other.orders`");
    let none = policy(READ).judge(&read, &facts(&[])).denied.expect("denied");
    assert_eq!(none.public, "no policy permits `sql:select` on `payments/pg_catalog.orders`");
}

#[test]
fn a_catalog_is_one_where_the_server_looks_there_first() {
    let read = statement(vec![does(Kind::Select, "pg_type", &["oid"])], &[]);
    let catalog = r#"permit (principal, action == Writ::Action::"sql:select", resource is Writ::Relation)
        when { resource.schema == "pg_catalog" };"#;
    assert_eq!(said(catalog, &read), Ok(()));
    let schemas = ["public".to_owned(), "pg_catalog".to_owned()];
    let late = StatementFacts { catalog_first: false, ..facts(&schemas) };
    assert!(policy(catalog).judge(&read, &late).denied.is_some(), "the name may stand in `public`");
}

const COLUMNS: &str = r#"
    @id("orders") permit (principal, action == Writ::Action::"sql:select", resource == Writ::Relation::"payments/public.orders");
    @id("no-notes") forbid (principal, action, resource == Writ::Column::"payments/public.orders.notes");
    @id("name-only") permit (principal, action == Writ::Action::"sql:select",
        resource == Writ::Column::"payments/public.people.name");"#;

#[test]
fn a_forbidden_column_is_forbidden_by_name_and_by_star() {
    let read = |columns: &[&str]| statement(vec![does(Kind::Select, "orders", columns)], &[]);
    assert_eq!(said(COLUMNS, &read(&["id"])), Ok(()));
    assert_eq!(said(COLUMNS, &read(&[])), Ok(()), "count(*)");
    let forbidden = Err("policy `no-notes` forbids `sql:select` on `payments/public.orders.notes`".to_owned());
    assert_eq!(said(COLUMNS, &read(&["id", "notes"])), forbidden);
    assert_eq!(said(COLUMNS, &read(&["*"])), forbidden);
}

#[test]
fn a_column_alone_can_be_permitted() {
    let read = |columns: &[&str]| statement(vec![does(Kind::Select, "people", columns)], &[]);
    assert_eq!(said(COLUMNS, &read(&["name"])), Ok(()));
    for columns in [&["name", "email"][..], &["*"], &[]] {
        assert!(said(COLUMNS, &read(columns)).is_err(), "{columns:?}");
    }
}

#[test]
fn a_policy_on_the_type_of_columns_bites_though_no_column_is_named() {
    let text = r#"permit (principal, action, resource in Writ::Target::"payments");
        forbid (principal, action in Writ::Action::"sql", resource is Writ::Column) when { resource.relation.name == "cards" };"#;
    assert!(said(text, &statement(vec![does(Kind::Select, "cards", &["id"])], &[])).is_err());
    assert_eq!(said(text, &statement(vec![does(Kind::Select, "orders", &["id"])], &[])), Ok(()));
}

#[test]
fn a_function_that_does_more_than_compute_makes_the_statement_unknown() {
    let read = |function| statement(vec![does(Kind::Select, "orders", &["*"])], &[function]);
    for harmless in ["lower", "pg_catalog.count", "now"] {
        assert_eq!(said(READ, &read(harmless)), Ok(()), "{harmless}");
    }
    for other in ["pg_read_file", "pg_sleep", "app.lower", "nextval", "dblink", "set_config", "query_to_xml"] {
        assert!(said(READ, &read(other)).expect_err(other).contains("not understood"), "{other}");
    }
    let permits = r#"permit (principal, action == Writ::Action::"sql:function", resource == Writ::Function::"payments/app.total");"#;
    assert_eq!(said(&format!("{READ}{permits}"), &read("app.total")), Ok(()));
    assert!(said(&format!("{READ}{permits}"), &read("total")).is_err(), "it may stand in other schemas");
}

#[test]
fn the_unknown_passes_by_a_policy_that_names_it_alone() {
    let unknown = Statement::unknown();
    let all = r#"permit (principal, action in Writ::Action::"sql", resource in Writ::Target::"payments");"#;
    assert!(said(all, &unknown).is_err());
    assert!(
        said(
            "permit (principal, action, resource);\nforbid (principal, action == Writ::Action::\"sql:ddl\", resource);",
            &unknown
        )
        .is_err()
    );
    let named = r#"permit (principal, action == Writ::Action::"sql:unknown", resource == Writ::Target::"payments");"#;
    assert_eq!(said(named, &unknown), Ok(()));
}

#[test]
fn a_denial_names_the_policies_that_forbid_and_no_others() {
    let read = |columns: &[&str]| judged(COLUMNS, &statement(vec![does(Kind::Select, "orders", columns)], &[]));
    let (permitted, forbidden) = (read(&["id"]), read(&["notes"]));
    assert_eq!(
        (permitted.policies.as_slice(), forbidden.policies.as_slice()),
        (&["orders".to_owned()][..], &["no-notes".to_owned()][..])
    );
    for both in [permitted.clone().and(forbidden.clone()), forbidden.clone().and(permitted)] {
        assert_eq!(both, forbidden);
    }
}

const HOLD: &str = r#"
    @id("delete") @hold("10m") @approvers("dba, security") @approvals("2")
    permit (principal, action == Writ::Action::"sql:delete", resource in Writ::Target::"payments");
    @id("more") @hold("5m") @approvers("dba") @rows("10")
    permit (principal, action == Writ::Action::"sql:delete", resource in Writ::Target::"payments");"#;

#[test]
fn the_strictest_of_all_that_permit_holds() {
    let delete = statement(vec![does(Kind::Delete, "orders", &[])], &[]);
    let judgement = judged(HOLD, &delete);
    let hold = judgement.hold.clone().expect("held");
    assert_eq!((hold.timeout_seconds, hold.groups, hold.needed), (300, vec!["dba".to_owned()], 2));
    assert_eq!((hold.in_transaction_seconds, judgement.rows), (None, Some(10)));
    assert_eq!(judgement.policies, ["delete", "more"]);
    let policy = policy(HOLD);
    assert!(matches!(policy.settle(CommandTag::SqlQuery, &judgement, false), Verdict::Hold(_)));
    assert!(matches!(policy.settle(CommandTag::SqlQuery, &judgement, true), Verdict::Allow(_)));
    assert!(matches!(policy.verdict(CommandTag::SqlQuery), Verdict::Deny(_)), "what was not judged is not allowed");
}

#[test]
fn an_approval_overrules_no_denial() {
    let denied = judged(HOLD, &statement(vec![does(Kind::Ddl, "orders", &[])], &[]));
    assert!(matches!(policy(HOLD).settle(CommandTag::SqlQuery, &denied, true), Verdict::Deny(_)));
}

#[test]
fn what_policies_read_of_the_moment_is_known() {
    let reads = |text: &str| policy(&format!("{READ}{text}")).inputs();
    assert_eq!(reads(""), crate::Inputs::default());
    let condition =
        |text: &str| format!("forbid (principal, action in Writ::Action::\"sql\", resource) when {{ {text} }};");
    assert!(reads(&condition("context.now < 5")).moving);
    assert!(reads(&condition("context.session_rows > 5")).moving);
    let open = reads(&condition("context.in_transaction"));
    assert!(open.transaction && !open.moving);
    assert_eq!(reads(&condition("context.kinds.contains(\"ddl\")")), crate::Inputs::default());
}

#[test]
fn mistakes_in_terms_are_problems() {
    let problems = |annotations: &str| {
        let text = format!("{annotations} permit (principal, action == Writ::Action::\"sql:delete\", resource);");
        check(&[("a.cedar".to_owned(), text)]).into_iter().map(|problem| problem.to_string()).collect::<String>()
    };
    assert_eq!(problems("@hold(\"10m\")"), "");
    for wrong in [
        "@hold(\"10\")",
        "@hold(\"2d\")",
        "@approvers(\"dba\")",
        "@hold(\"1m\") @approvers(\"\")",
        "@hold(\"1m\") @approvals(\"11\")",
        "@ttl(\"5m\")",
    ] {
        assert_ne!(problems(wrong), "", "{wrong}");
    }
    let on = |annotation: &str, action: &str| {
        let text = format!("{annotation} permit (principal, action == Writ::Action::\"{action}\", resource);");
        check(&[("a.cedar".to_owned(), text)]).len()
    };
    assert_eq!((on("@hold(\"1m\") @approvals(\"2\")", "connect"), on("@approvals(\"2\")", "connect")), (0, 1));
    assert_eq!((on("@hold(\"1m\")", "admin"), on("@hold_in_transaction(\"1m\")", "connect")), (1, 1));
}

#[test]
fn names_in_ids_are_quoted_as_sql_quotes_them() {
    let quoted = r#"permit (principal, action == Writ::Action::"sql:select", resource in Writ::Relation::"payments/public.\"Odd.name\"");"#;
    let odd = QualifiedName { schema: Some("public".to_owned()), name: "Odd.name".to_owned() };
    let access = Access { kind: Kind::Select, relation: Some(odd), columns: Columns::Any };
    assert_eq!(said(quoted, &statement(vec![access], &[])), Ok(()));
    let other = QualifiedName { schema: Some("public.\"Odd".to_owned()), name: "name\"".to_owned() };
    let access = Access { kind: Kind::Select, relation: Some(other), columns: Columns::Any };
    assert!(said(quoted, &statement(vec![access], &[])).is_err());
}

#[test]
fn what_a_statement_needs_is_enough_and_no_less_is() {
    let two = ["public".to_owned(), "App".to_owned()];
    let statements = [
        statement(vec![does(Kind::Select, "orders", &["id", "Note"])], &["count"]),
        statement(vec![does(Kind::Select, "orders", &["*"]), does(Kind::Delete, "app.cards", &[])], &["app.total"]),
        statement(vec![does(Kind::Transaction, "", &[])], &[]),
        statement(vec![does(Kind::Select, "pg_type", &["oid"])], &["pg_sleep"]),
        Statement::unknown(),
    ];
    let permit = |need: &Need| {
        let Need { action, thing, id } = need;
        let id = id.replace('"', "\\\"");
        format!("permit (principal, action == Writ::Action::\"{action}\", resource == {}::\"{id}\");\n", thing.as_str())
    };
    for statement in statements {
        let facts = facts(&two);
        let needs: Vec<Need> = policy(READ).needs(&statement, &facts).into_iter().collect();
        assert!(!needs.is_empty());
        let text = |left_out: Option<usize>| -> String {
            let kept = needs.iter().enumerate().filter(|(place, _)| Some(*place) != left_out);
            kept.map(|(_, need)| permit(need)).collect()
        };
        // Some action for SQL is named, so that statements are judged.
        let unrelated =
            "permit (principal, action == Writ::Action::\"sql:notify\", resource == Writ::Target::\"other\");";
        let denied = |left_out| policy(&format!("{unrelated}{}", text(left_out))).judge(&statement, &facts).denied;
        assert_eq!(denied(None), None, "{}", text(None));
        for (place, need) in needs.iter().enumerate() {
            assert!(denied(Some(place)).is_some(), "{need:?} is not needed for {statement:?}");
        }
    }
}

/// The blocks of a page that hold policies.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    page.split("```cedar\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn the_cookbook_loads_and_does_what_it_says() {
    let page = include_str!("../../../docs/policy-cookbook.md");
    let of = |heading: &str| {
        let text = page.split("## ").find(|part| part.starts_with(heading)).expect("the heading");
        blocks(text).collect::<String>()
    };
    for block in blocks(page) {
        policy(block);
    }
    let does = |kind, relation, columns: &[&str]| statement(vec![does(kind, relation, columns)], &[]);
    assert_eq!(said(&of("Read some tables"), &does(Kind::Select, "orders", &["*"])), Ok(()));
    assert!(said(&of("Read some tables"), &does(Kind::Select, "cards", &["*"])).is_err());
    assert_eq!(said(&of("Read a whole schema"), &does(Kind::Select, "orders", &["id"])), Ok(()));
    assert!(said(&of("Read a whole schema"), &does(Kind::Select, "orders", &["*"])).is_err());
    let mut all = does(Kind::Delete, "orders", &[]);
    assert_eq!(said(&of("Write, but never"), &all), Ok(()));
    all.unfiltered = true;
    assert!(said(&of("Write, but never"), &all).is_err());
    assert_eq!(judged(&of("Hold what"), &does(Kind::Delete, "orders", &[])).hold.expect("held").needed, 1);
    assert_eq!(judged(&of("Hold what"), &does(Kind::Ddl, "orders", &[])).hold.expect("held").needed, 2);
    let calls = statement(does(Kind::Select, "", &[]).accesses, &["nextval"]);
    assert_eq!(said(&format!("{}{}", of("Functions"), of("Read some tables")), &calls), Ok(()));
    assert!(said(&of("Read some tables"), &calls).is_err());
    assert_eq!(judged(&of("Limits"), &does(Kind::Select, "orders", &["*"])).rows, Some(10_000));
}

#[test]
fn a_function_of_the_databases_own_is_asked_about_under_whichever_name_it_is_called() {
    const POLICIES: &str = r#"
        permit (principal, action in Writ::Action::"sql", resource) unless { resource is Writ::Function };
        forbid (principal, action, resource == Writ::Column::"payments/public.cards.number");
    "#;
    let session = policy(POLICIES);
    let schemas = ["public".to_owned()];
    let own = OwnFunctions::of(
        [
            ("public", "lower", false),
            ("public", "full_name", true),
            ("public", "later", false),
            ("other", "upper", true),
        ]
        .map(|(schema, name, of_row)| (schema.to_owned(), name.to_owned(), of_row)),
    );
    let facts = StatementFacts { functions: &own, ..facts(&schemas) };
    let code = |statement: &Statement| session.judge(statement, &facts).denied.map(|fault| fault.code);
    let reads = |columns: &[&str]| does(Kind::Select, "cards", columns);
    let selecting =
        |column: &str| Statement { selected: vec![column.to_owned()], ..statement(vec![reads(&[column])], &[]) };
    assert_eq!(code(&statement(vec![reads(&["name"])], &["upper", "pg_catalog.lower"])), None);
    assert_eq!(code(&statement(vec![reads(&["name"])], &["lower"])), Some("policy.no_permit"), "it may be the own one");
    assert_eq!(code(&selecting("name")), None);
    assert_eq!(code(&selecting("later")), None, "it takes no row");
    assert_eq!(code(&selecting("full_name")), Some("policy.forbidden"), "the whole row may be read");
    assert_eq!(code(&statement(vec![reads(&["full_name"])], &[])), None, "alone it is a column");
    let any = OwnFunctions::any();
    let facts = StatementFacts { functions: &any, ..facts };
    assert!(session.judge(&selecting("name"), &facts).denied.is_some());
}
