//! Actors: who acts for whom, and what the subject's own token says of it.

use serde_json::{Value, json};
use writ_core::workload::{Workload, actors};

use super::support::*;
use crate::identity::verify::Verifier;

const AGENT: &str = "agent-7";

/// The subject of a token, with an actor of another issuer acting for it.
fn delegated(subject: Value, actor: Value) -> Result<Workload, String> {
    let verifier = verifier();
    let subject = token(&EC, &header(), &with(claims(), subject));
    let common = with(claims(), json!({"iss": OTHER, "sub": AGENT, "jti": "two"}));
    let actor = token(&FOREIGN, &header(), &with(common, actor));
    let subject = wait(verifier.verify(&subject, now())).unwrap();
    let actor = wait(verifier.verify(&actor, now())).unwrap();
    let found = Verifier::delegate(subject, &actor);
    found.map(writ_core::proof::Verified::into_inner).map_err(|fault| format!("{}: {fault}", fault.code()))
}

fn chain(workload: &Workload) -> Vec<(Option<String>, String)> {
    let named = actors(&workload.claims).unwrap().into_iter();
    named.map(|one| (one.issuer.map(|issuer| issuer.to_string()), one.subject.to_string())).collect()
}

#[test]
fn the_actor_goes_before_those_who_acted_before() {
    let workload = delegated(json!({}), json!({})).unwrap();
    assert_eq!((workload.issuer.as_str(), workload.subject.as_str()), (ISSUER, "repo:acme/app:ref:main"));
    assert_eq!(chain(&workload), [(Some(OTHER.to_owned()), AGENT.to_owned())]);
    assert_eq!(workload.claims["repository"], "acme/app", "all else is the subject's");
    let before = json!({"act": {"sub": "desk", "act": {"sub": "app", "iss": OTHER}}});
    let workload = delegated(before, json!({})).unwrap();
    let expected = [
        (Some(OTHER.to_owned()), AGENT.to_owned()),
        (None, "desk".to_owned()),
        (Some(OTHER.to_owned()), "app".to_owned()),
    ];
    assert_eq!(chain(&workload), expected);
}

#[test]
fn whom_the_subject_names_may_act_and_nobody_else() {
    let table: Vec<(Value, &str)> = vec![
        (json!({"sub": AGENT, "iss": OTHER}), "accepted"),
        (json!({"sub": AGENT, "iss": OTHER, "repository": "acme/app"}), "accepted"),
        (json!({"sub": AGENT}), "identity.actor"),
        (json!({"sub": AGENT, "iss": ISSUER}), "identity.actor"),
        (json!({"sub": AGENT, "iss": format!("{OTHER}/")}), "identity.actor"),
        (json!({"sub": "agent-8", "iss": OTHER}), "identity.actor"),
        (json!({"sub": [AGENT], "iss": OTHER}), "identity.actor"),
        (json!({"iss": OTHER}), "identity.actor"),
        (json!({}), "identity.actor"),
        (json!({"sub": AGENT, "iss": 7}), "identity.actor"),
        (json!({"sub": AGENT, "iss": OTHER, "repository": "acme/other"}), "identity.actor"),
        (json!({"sub": AGENT, "iss": OTHER, "client_id": "x"}), "identity.actor"),
        (json!([{"sub": AGENT, "iss": OTHER}]), "identity.malformed_claim"),
        (json!(AGENT), "identity.malformed_claim"),
        (json!(null), "identity.malformed_claim"),
    ];
    for (permitted, expected) in table {
        let found = delegated(json!({"may_act": permitted}), json!({})).map_or_else(|code| code, |_| "accepted".into());
        assert!(found.starts_with(expected), "{permitted}: {found}");
    }
}

#[test]
fn an_actor_acts_by_itself_and_for_another() {
    let through = delegated(json!({}), json!({"act": {"sub": "other"}})).unwrap_err();
    assert!(through.contains("acts through others itself"), "{through}");
    let chain = (0..8)
        .fold(json!(null), |act, _| if act.is_null() { json!({"sub": "a"}) } else { json!({"sub": "a", "act": act}) });
    let long = delegated(json!({ "act": chain }), json!({})).unwrap_err();
    assert!(long.contains("too long"), "{long}");
    let verifier = verifier();
    let same = || wait(verifier.verify(&good(), now())).unwrap();
    assert_eq!(Verifier::delegate(same(), &same()).unwrap_err().code(), "identity.actor");
}
