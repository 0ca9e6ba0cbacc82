//! What the decisions promise, above all about what must deny.

use proptest::prelude::*;
use serde_json::{Value, json};
use writ_core::command::CommandTag;
use writ_core::grant::{Grant, RecordLevel};
use writ_core::proof::Verified;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload};

use crate::explain::Outcome;
use crate::wire::{self, NotTaken};
use crate::{
    Bundle, ConnectContext, Denied, Human, HumanAction, SessionPolicy, check, connect, explain_connect, human,
};

const HEAD: &str = "(principal is Writ::Workload, action in Writ::Action::\"use\", resource is Writ::Target)";

fn files(text: &str) -> Vec<(String, String)> {
    vec![("a.cedar".to_owned(), text.replace("HEAD", HEAD))]
}

fn bundle(text: &str) -> Bundle {
    Bundle::load(files(text)).expect("the policies load")
}

pub(crate) fn workload(claims: Value) -> Workload {
    Workload {
        issuer: Issuer::new("https://issuer.test"),
        subject: Subject::new("job"),
        claims: serde_json::from_value(claims).expect("an object"),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("1".to_owned()),
        token_expires: Timestamp::MAX,
        bound_target: None,
    }
}

pub(crate) fn target() -> Target {
    Target {
        name: TargetName::new("payments").expect("a name"),
        labels: [("env".to_owned(), "production".to_owned())].into(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "database".to_owned(),
    }
}

pub(crate) fn context() -> ConnectContext {
    ConnectContext {
        now: Timestamp::UNIX_EPOCH,
        client_address: None,
        database_role: None,
        database: None,
        client_key: None,
        ttl_cap_seconds: 86_400,
    }
}

#[expect(clippy::disallowed_methods, reason = "tests stand in for identity")]
fn verified<T>(value: T) -> Verified<T> {
    Verified::by_identity(value)
}

fn asked(text: &str, claims: Value) -> Result<Grant, Denied> {
    connect(&bundle(text), &verified(workload(claims)), &target(), &context())
}

fn code(result: Result<Grant, Denied>) -> &'static str {
    result.expect_err("denied").code
}

#[test]
fn nothing_is_permitted_by_default() {
    assert_eq!(code(asked("", json!({}))), "policy.no_permit");
}

#[test]
fn defaults_stand_where_nothing_is_stated() {
    let grant = asked("@id(\"p\") permit HEAD;", json!({})).expect("allowed");
    let obligations = grant.obligations();
    assert_eq!((obligations.ttl_seconds, obligations.uses, obligations.record), (900, 1, RecordLevel::Commands));
    assert_eq!((&obligations.role, obligations.connection_limit), (&None, None));
    assert_eq!(grant.policies(), ["p"]);
}

#[test]
fn the_strictest_of_all_matching_permits_holds() {
    let text = "@ttl(\"10m\") @uses(\"5\") @role(\"ro\") @connection_limit(\"4\") permit HEAD;
        @ttl(\"5m\") @uses(\"9\") @record(\"full\") @connection_limit(\"2\") permit HEAD;";
    let grant = asked(text, json!({})).expect("allowed");
    let obligations = grant.obligations();
    assert_eq!((obligations.ttl_seconds, obligations.uses, obligations.record), (300, 5, RecordLevel::Full));
    assert_eq!((obligations.role.as_deref(), obligations.connection_limit), (Some("ro"), Some(2)));
}

#[test]
fn a_connection_is_held_where_any_permit_says_so() {
    let text = "@id(\"one\") @hold(\"10m\") @approvers(\"dba, ops\") permit HEAD; @id(\"free\") permit HEAD;
        @id(\"two\") @hold(\"5m\") @approvers(\"ops\") @approvals(\"2\") permit HEAD;";
    let grant = asked(text, json!({})).expect("allowed");
    let hold = grant.hold().expect("held");
    assert_eq!((hold.timeout_seconds, hold.needed, hold.groups.as_slice()), (300, 2, &["ops".to_owned()][..]));
    assert_eq!(hold.policies, ["one", "two"]);
    assert!(asked("permit HEAD;", json!({})).expect("allowed").hold().is_none());
    let explained = explain_connect(&bundle(text), &workload(json!({})), &target(), &context()).to_string();
    assert!(explained.starts_with("held for 300 s, until 2 of ops approve\n"), "{explained}");
}

#[test]
fn a_silent_permit_counts_with_its_defaults() {
    let grant = asked("@ttl(\"1h\") @uses(\"5\") permit HEAD; permit HEAD;", json!({})).expect("allowed");
    assert_eq!((grant.obligations().ttl_seconds, grant.obligations().uses), (900, 1));
}

#[test]
fn the_cap_holds_and_a_cap_of_nothing_denies() {
    let (bundle, workload) = (bundle("@ttl(\"7d\") permit HEAD;"), verified(workload(json!({}))));
    let capped =
        |ttl_cap_seconds| connect(&bundle, &workload, &target(), &ConnectContext { ttl_cap_seconds, ..context() });
    assert_eq!(capped(60).expect("allowed").obligations().ttl_seconds, 60);
    assert_eq!(code(capped(0)), "policy.no_time");
}

#[test]
fn differing_roles_deny() {
    assert_eq!(code(asked("@role(\"a\") permit HEAD; @role(\"b\") permit HEAD;", json!({}))), "policy.role_conflict");
    assert_eq!(
        code(asked("@scope(\"a\") permit HEAD; @scope(\"b\") permit HEAD;", json!({}))),
        "policy.scope_conflict"
    );
}

#[test]
fn what_others_may_have_written_runs_only_where_a_policy_accepts_it() {
    let exposed = |by: serde_json::Value| json!({"ci": {"exposures": by}});
    let both = exposed(json!(["pull_request_target", "ssh_rerun"]));
    let target = exposed(json!(["pull_request_target"]));
    assert_eq!(code(asked("permit HEAD;", target.clone())), "policy.exposed");
    assert_eq!(code(asked("@accepts(\"pull_request\") permit HEAD;", target.clone())), "policy.exposed");
    assert_eq!(code(asked("@accepts(\"pull_request_target\") permit HEAD;", both.clone())), "policy.exposed");
    assert_eq!(code(asked("permit HEAD;", exposed(json!("pull_request")))), "policy.exposed");
    assert_eq!(code(asked("permit HEAD;", exposed(json!([7])))), "policy.exposed");
    assert!(asked("@accepts(\"pull_request_target, ssh_rerun\") permit HEAD;", both).is_ok());
    assert!(asked("permit HEAD;", json!({"ci": {"event": "push"}})).is_ok());
    assert!(asked("permit HEAD;", exposed(json!([]))).is_ok());
    let text = "@id(\"open\") @ttl(\"1h\") permit HEAD; @id(\"narrow\") @ttl(\"5m\") @accepts(\"pull_request_target\") permit HEAD;";
    let grant = asked(text, target.clone()).expect("allowed");
    assert_eq!((grant.policies(), grant.obligations().ttl_seconds), (&["narrow".to_owned()][..], 300));
    let explained =
        explain_connect(&bundle("permit HEAD;"), &workload(target), &self::target(), &context()).to_string();
    assert!(explained.contains("policy.exposed") && explained.contains("@accepts"), "{explained}");
}

#[test]
fn nobody_acts_for_a_workload_where_no_policy_accepts_it() {
    let through = |actor: serde_json::Value| json!({"act": actor});
    let agent = through(json!({"iss": "https://agents.example", "sub": "agent"}));
    assert_eq!(code(asked("permit HEAD;", agent.clone())), "policy.exposed");
    assert_eq!(code(asked("@accepts(\"pull_request\") permit HEAD;", agent.clone())), "policy.exposed");
    assert_eq!(code(asked("permit HEAD;", through(json!(null)))), "policy.exposed");
    assert!(asked("@accepts(\"delegation\") permit HEAD;", agent.clone()).is_ok());
    let named = "@accepts(\"delegation\") permit HEAD when { principal.hasTag(\"act.sub\") && principal.getTag(\"act.sub\") == \"other\" };";
    assert_eq!(code(asked(named, agent.clone())), "policy.no_permit");
    let both = json!({"act": agent["act"], "ci": {"exposures": ["pull_request"]}});
    assert_eq!(code(asked("@accepts(\"delegation\") permit HEAD;", both.clone())), "policy.exposed");
    assert!(asked("@accepts(\"delegation, pull_request\") permit HEAD;", both).is_ok());
}

#[test]
fn a_role_that_was_asked_for_must_be_the_one_granted() {
    let ask = |text: &str, role: &str| {
        let context = ConnectContext { database_role: Some(role.to_owned()), ..context() };
        connect(&bundle(text), &verified(workload(json!({}))), &target(), &context)
    };
    assert!(ask("@role(\"ro\") permit HEAD;", "ro").is_ok());
    assert_eq!(code(ask("@role(\"ro\") permit HEAD;", "postgres")), "policy.role_not_granted");
    assert_eq!(code(ask("permit HEAD;", "postgres")), "policy.role_not_granted");
}

#[test]
fn a_grant_can_be_held_to_a_database() {
    let ask = |database: Option<&str>| {
        let context = ConnectContext { database: database.map(str::to_owned), ..context() };
        let text = "permit HEAD when { context has database && context.database == \"payments\" };";
        connect(&bundle(text), &verified(workload(json!({}))), &target(), &context)
    };
    assert!(ask(Some("payments")).is_ok());
    for other in [Some("postgres"), Some("Payments"), None] {
        assert_eq!(code(ask(other)), "policy.no_permit", "{other:?}");
    }
}

#[test]
fn a_grant_can_be_held_to_a_key() {
    let ask = |text: &str, key: Option<&str>| {
        let context = ConnectContext { client_key: key.map(|key| key.parse().expect("a thumbprint")), ..context() };
        connect(&bundle(text), &verified(workload(json!({}))), &target(), &context)
    };
    let (one, other) = ("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    let any = "permit HEAD; forbid HEAD unless { context has client_key };";
    assert!(ask(any, Some(one)).is_ok() && ask(any, Some(other)).is_ok());
    assert_eq!(code(ask(any, None)), "policy.forbidden");
    let this = format!("permit HEAD when {{ context has client_key && context.client_key == \"{one}\" }};");
    assert!(ask(&this, Some(one)).is_ok());
    for wrong in [Some(other), None] {
        assert_eq!(code(ask(&this, wrong)), "policy.no_permit", "{wrong:?}");
    }
}

#[test]
fn a_session_token_for_another_target_is_refused() {
    let elsewhere = TargetName::new("other").expect("a name");
    let workload = Workload { bound_target: Some(elsewhere), ..workload(json!({})) };
    let result = connect(&bundle("permit HEAD;"), &verified(workload), &target(), &context());
    assert_eq!(code(result), "policy.other_target");
}

#[test]
fn a_forbid_wins_and_an_erring_forbid_denies() {
    assert_eq!(code(asked("permit HEAD; forbid HEAD;", json!({}))), "policy.forbidden");
    let erring = "permit HEAD;
        @id(\"bad\") forbid (principal, action == Writ::Action::\"connect\", resource)
        when { context.now - 9223372036854775807 - 9223372036854775807 > 0 };";
    let denied = asked(erring, json!({})).expect_err("denied");
    assert_eq!((denied.code, denied.policies), ("policy.error", vec!["bad".to_owned()]));
}

#[test]
fn mistakes_are_reported_with_file_and_line() {
    let cases = [
        ("\n\n@masks(\"pan\")\npermit HEAD;", 3, "unknown annotation `@masks`"),
        ("\n\n@mask(\"pan\")\npermit HEAD;", 3, "there is no set of masks `pan`"),
        ("@mask(\"a,\") permit HEAD;", 1, "cannot name a set of masks"),
        ("@mask(\"../a\") permit HEAD;", 1, "cannot name a set of masks"),
        ("@mask(\"a\") forbid HEAD;", 1, "stands on a `forbid`"),
        ("@id(\"x\")\n@ttl(\"15\")\npermit HEAD;", 2, "not a time"),
        ("@ttl(\"0m\") permit HEAD;", 1, "not a time"),
        ("@ttl(\"99999999999999999999d\") permit HEAD;", 1, "not a time"),
        ("@ttl permit HEAD;", 1, "not a time"),
        ("@uses(\"+1\") permit HEAD;", 1, "not a number"),
        ("@connection_limit(\"4294967296\") permit HEAD;", 1, "not a number"),
        ("@record(\"Full\") permit HEAD;", 1, "not a level"),
        ("@role(\"\") permit HEAD;", 1, "cannot name a role"),
        ("@ttl(\"1m\") forbid HEAD;", 1, "stands on a `forbid`"),
        ("@ttl(\"1m\") permit (principal, action == Writ::Action::\"view\", resource);", 1, "never permits `connect`"),
        ("@id(\"x\") permit HEAD;\n@id(\"x\") permit HEAD;", 2, "two policies have the id `x`"),
        ("@id(\"a b\") permit HEAD;", 1, "cannot be an `@id`"),
        ("permit HEAD\nwhen { principal.nothing == 1 };", 2, "nothing"),
        ("permit HEAD when { principal.getTag(\"x\") == \"y\" };", 1, "tag"),
        ("permit HEAD;\npermit (principal", 2, "unexpected"),
        ("permit (principal == ?principal, action, resource);", 1, "template"),
        ("\nforbid HEAD when { principal.hasTag(resource.name) };", 2, "computed"),
        ("\nforbid HEAD when { {Value: principal.hasTag(resource.name)}.Value };", 2, "computed"),
    ];
    for (text, line, words) in cases {
        let problems = check(&files(text));
        let found = problems
            .iter()
            .any(|problem| problem.file == "a.cedar" && problem.line == line && problem.message.contains(words));
        assert!(found, "{text}: {problems:?}");
        assert!(Bundle::load(files(text)).is_err(), "{text}");
    }
    let twice = [files("permit HEAD;"), files("")].concat();
    assert!(check(&twice).iter().any(|problem| problem.message.contains("two policy files")));
}

#[test]
fn masks_of_all_permits_hold_and_their_sets_are_part_of_the_bundle() {
    let set = |name: &str, text: &str| (format!("{name}{}", crate::bundle::MASK_SUFFIX), text.to_owned());
    let text = "@mask(\"cards, people\") permit HEAD; @mask(\"people,secrets\") permit HEAD; permit HEAD;";
    let with =
        |people: &str| [files(text), vec![set("cards", "1"), set("people", people), set("secrets", "")]].concat();
    let bundle = Bundle::load(with("not read here")).expect("the policies load");
    let grant = connect(&bundle, &verified(workload(json!({}))), &target(), &context()).expect("a grant");
    assert_eq!(grant.obligations().masks, ["cards", "people", "secrets"]);
    assert_eq!(bundle.mask_set("people"), Some("not read here"));
    assert_eq!((bundle.mask_set("nobody"), bundle.mask_sets().count()), (None, 3));
    let other = Bundle::load(with("read")).expect("the policies load");
    assert_ne!(bundle.hash(), other.hash(), "a set's text is part of what the hash names");
    let received = Bundle::from_wire(&bundle.to_wire(1, Timestamp::UNIX_EPOCH).unwrap()).expect("the bundle");
    assert_eq!(received.bundle.mask_set("cards"), Some("1"));
    let bad = check(&[files("permit HEAD;"), vec![set("a b", "")]].concat());
    assert!(bad.iter().any(|problem| problem.file == "a b.mask.toml"), "{bad:?}");
}

#[test]
fn claims_become_tags() {
    let text = "permit HEAD when {
        principal.hasTag(\"a.b.c\") && principal.getTag(\"a.b.c\") == \"x\" &&
        principal.hasTag(\"n\") && principal.getTag(\"n\") == \"18446744073709551615\" &&
        principal.hasTag(\"t\") && principal.getTag(\"t\") == \"true\" &&
        principal.lists.hasTag(\"g\") && principal.lists.getTag(\"g\").contains(\"one\") &&
        principal.lists.hasTag(\"n\") && !principal.hasTag(\"null\") };";
    let claims = json!({"a": {"b.c": "x"}, "n": u64::MAX, "t": true, "g": ["one", 2], "null": null});
    assert!(asked(text, claims).is_ok());
}

#[test]
fn a_claim_without_a_form_is_not_lost_to_a_forbid() {
    let single = "permit HEAD; forbid HEAD when { principal.hasTag(\"c\") && principal.getTag(\"c\") == \"x\" };";
    let list = "permit HEAD unless { principal.lists.hasTag(\"c\") && principal.lists.getTag(\"c\").contains(\"x\") };";
    let nested = "permit HEAD; forbid HEAD when { principal.hasTag(\"c.d\") && principal.getTag(\"c.d\") == \"x\" };";
    let deep = (0..100).fold(json!("x"), |inner, _| json!({ "d": inner }));
    let long = "x".repeat(crate::claims::MAX_TEXT + 1);
    for claim in [json!(1.5), json!(1e300), json!([["x"]]), json!([{}]), json!([null]), json!({}), json!(long)] {
        for policies in [single, list] {
            assert_eq!(code(asked(policies, json!({ "c": claim }))), "policy.claim_unreadable", "{claim}");
        }
        assert!(asked("permit HEAD;", json!({ "c": claim })).is_ok(), "what no policy reads harms nobody");
    }
    assert_eq!(code(asked(single, json!({ "c": ["x"] }))), "policy.claim_unreadable");
    assert_eq!(code(asked(list, json!({ "c": "x" }))), "policy.no_permit");
    assert_eq!(code(asked(nested, json!({ "c": [{ "d": "x" }] }))), "policy.claim_unreadable");
    assert_eq!(code(asked(nested, json!({ "c": { "d": "x" } }))), "policy.forbidden");
    assert_eq!(code(asked(nested, json!({ "c": { "d": "y" }, "c.d": "x" }))), "policy.claim_unreadable");
    let below = "permit HEAD; forbid HEAD when { principal.hasTag(\"c.d.d.d.d.d.d.d.d.d.d\") };";
    assert_eq!(code(asked(below, json!({ "c": deep }))), "policy.claim_unreadable");
}

#[test]
fn too_many_claims_deny() {
    let many: Vec<u32> = (0..5000).collect();
    assert_eq!(code(asked("permit HEAD;", json!({ "c": many }))), "policy.claims_too_large");
    let empty: Value = (0..5000).map(|n| (n.to_string(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(code(asked("permit HEAD;", empty)), "policy.claims_too_large");
}

#[test]
fn names_from_outside_are_data() {
    let text = "permit HEAD when { principal.subject == \"job\" };";
    let hostile = Workload { subject: Subject::new("job\" || true || \"\0"), ..workload(json!({"\"}; permit": "\0"})) };
    assert_eq!(code(connect(&bundle(text), &verified(hostile), &target(), &context())), "policy.no_permit");
    let split = Workload { issuer: Issuer::new("https://a|b"), ..workload(json!({})) };
    let denied = connect(&bundle("permit HEAD;"), &verified(split), &target(), &context());
    assert_eq!(code(denied), "policy.issuer_unusable");
}

#[test]
fn a_session_table_says_what_command_says() {
    let bundle = bundle(
        "permit HEAD; forbid (principal, action == Writ::Action::\"command\", resource)
        when { context.tag == \"sql_prepare\" };",
    );
    let bundle = std::sync::Arc::new(bundle);
    let table = SessionPolicy::prepare(&bundle, &workload(json!({})), &target());
    for tag in CommandTag::ALL {
        match (table.verdict(tag), crate::command(&bundle, &workload(json!({})), &target(), tag)) {
            (Verdict::Allow(one), Verdict::Allow(other)) => {
                assert_eq!((one, tag != CommandTag::SqlPrepare), (other, true))
            }
            (Verdict::Deny(one), Verdict::Deny(other)) => {
                assert_eq!((one.code, tag), (other.code, CommandTag::SqlPrepare));
                assert!(!one.public.contains("a.cedar") && one.detail.contains("a.cedar#2"));
            }
            other => panic!("{tag:?}: {other:?}"),
        }
    }
}

#[test]
fn humans_are_decided_by_action() {
    let bundle = bundle(include_str!("../examples/humans.cedar"));
    let may = |groups: Value, action| {
        let person = Human {
            issuer: Issuer::new("https://idp.test"),
            subject: Subject::new("ann"),
            claims: serde_json::from_value(json!({ "groups": groups })).expect("an object"),
        };
        human(&bundle, &verified(person), action, Timestamp::UNIX_EPOCH).is_ok()
    };
    let row = |groups: Value| HumanAction::ALL.map(|action| may(groups.clone(), action));
    assert_eq!(row(json!(["writ-admins"])), [true; 5]);
    assert_eq!(row(json!(["auditors"])), [false, false, true, false, true]);
    assert_eq!(row(json!(["others"])), [false; 5]);
}

#[test]
fn an_explanation_names_each_policy_and_why() {
    let bundle = bundle(
        "@id(\"yes\") permit HEAD;
        @id(\"when\") permit HEAD when { principal.hasTag(\"x\") };
        @id(\"who\") permit (principal == Writ::Workload::\"x\", action, resource);
        @id(\"what\") forbid (principal, action == Writ::Action::\"command\", resource);
        @id(\"where\") forbid (principal, action, resource == Writ::Target::\"other\");",
    );
    let explanation = explain_connect(&bundle, &workload(json!({})), &target(), &context());
    let outcome = |id: &str| explanation.said.iter().find(|said| said.policy == id).map(|said| said.outcome.clone());
    assert_eq!(outcome("yes"), Some(Outcome::Matched));
    assert_eq!(outcome("when"), Some(Outcome::ConditionFalse));
    assert_eq!(outcome("who"), Some(Outcome::OtherPrincipal));
    assert_eq!(outcome("what"), Some(Outcome::OtherAction));
    assert_eq!(outcome("where"), Some(Outcome::OtherResource));
    assert!(explanation.to_string().starts_with("allowed\n  ttl 900s, role none"));
}

#[test]
fn the_hash_names_files_and_not_their_order() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let hash = |files| Bundle::load(files).expect("loads").hash().clone();
    assert_eq!(hash(vec![file("a", ""), file("b", "//")]), hash(vec![file("b", "//"), file("a", "")]));
    assert_ne!(hash(vec![file("a", ""), file("b", "//")]), hash(vec![file("a", "//"), file("b", "")]));
    assert_ne!(hash(vec![file("a", "//")]), hash(vec![file("a", "// ")]));
    assert_eq!(hash(vec![]).as_str().len(), 64);
}

#[test]
fn a_bundle_survives_the_wire_and_nothing_else_does() {
    let bundle = bundle("permit HEAD;");
    let bytes = bundle.to_wire(7, Timestamp::UNIX_EPOCH).expect("bytes");
    let signature = wire::sign(&bytes, |message| Ok::<_, ()>(message.to_vec())).expect("signed");
    let equal = |message: &[u8], signature: &[u8]| message == signature;
    let received = wire::verify(&bytes, &signature, equal).expect("taken");
    assert_eq!((received.number, received.bundle.hash()), (7, bundle.hash()));
    let text = String::from_utf8(bytes.clone()).expect("text");
    let changed = text.replace("permit", "forbid");
    assert!(matches!(wire::verify(changed.as_bytes(), &signature, equal), Err(NotTaken::Signature)));
    assert!(matches!(Bundle::from_wire(changed.as_bytes()), Err(NotTaken::Hash)));
    let newer = text.replace("\"version\":1", "\"version\":2");
    assert!(matches!(Bundle::from_wire(newer.as_bytes()), Err(NotTaken::Version(2))));
}

#[test]
fn the_examples_load_together() {
    let text = [
        include_str!("../examples/github-actions.cedar"),
        include_str!("../examples/kubernetes.cedar"),
        include_str!("../examples/production.cedar"),
        include_str!("../examples/humans.cedar"),
    ];
    let files = text.iter().enumerate().map(|(n, text)| (n.to_string(), (*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(check(&files), []);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("x")),
    ];
    leaf.prop_recursive(6, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[cd.]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the claims are: a workload passes a policy that excludes a claim only if the claim is absent or null.
    #[test]
    fn no_claim_passes_by_omission(claim in any_json()) {
        let text = "permit HEAD unless { principal.hasTag(\"c\") || principal.lists.hasTag(\"c\") };";
        let passed = asked(text, json!({ "c": claim.clone() })).is_ok();
        prop_assert_eq!(passed, claim.is_null());
    }

    #[test]
    fn any_claims_are_decided_without_panic(name in any::<String>(), claim in any_json()) {
        let decided = asked("permit HEAD;", json!({ name: claim }));
        prop_assert!(decided.is_ok());
    }

    #[test]
    fn any_text_is_loaded_or_reported(text in any::<String>()) {
        let problems = check(&files(&text));
        prop_assert_eq!(problems.is_empty(), Bundle::load(files(&text)).is_ok());
    }
}
