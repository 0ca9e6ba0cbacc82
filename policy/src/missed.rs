//! Which conditions a workload misses: of each `permit` whose head fits it, the parts that do not hold. For operators, as
//! [`crate::explain`] is.

use cedar_policy::{Effect, Policy};
use serde_json::{Value, json};
use writ_core::target::Target;
use writ_core::workload::Workload;

use crate::bundle::Bundle;
use crate::decide::{ConnectContext, bound_here, connect_question, name, workload_cast};
use crate::entities::Question;
use crate::explain::{Outcome, outcome};

/// A `permit` that is about this workload and target, and why it does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The policy's id.
    pub policy: String,
    /// The conditions that do not hold, each in Cedar's text.
    pub conditions: Vec<String>,
}

/// What keeps each policy from letting this workload connect. Empty where Cedar would not be asked.
#[must_use]
pub fn missed(bundle: &Bundle, workload: &Workload, target: &Target, context: &ConnectContext) -> Vec<Missed> {
    if bound_here(bundle, workload, target).is_err() {
        return Vec::new();
    }
    let question = workload_cast(bundle, workload, target).and_then(|cast| connect_question(bundle, &cast, context));
    let Ok(question) = question else { return Vec::new() };
    let permits = bundle.policies().policies().filter(|policy| policy.effect() == Effect::Permit);
    let mut all: Vec<Missed> = permits.filter_map(|policy| of(&question, policy)).collect();
    all.sort_by(|one, other| one.policy.cmp(&other.policy));
    all
}

fn of(question: &Question, policy: &Policy) -> Option<Missed> {
    if outcome(question, policy) != Outcome::ConditionFalse {
        return None;
    }
    let whole = policy.to_json().ok()?;
    let stated = whole.get("conditions").and_then(Value::as_array)?;
    let parts = stated.iter().flat_map(|condition| {
        let body = condition.get("body").cloned().unwrap_or_default();
        // An `unless` holds or does not as a whole.
        let is_when = condition.get("kind").and_then(Value::as_str) == Some("when");
        let bodies = if is_when { conjuncts(body) } else { vec![body] };
        bodies.into_iter().map(|body| json!({ "kind": condition.get("kind"), "body": body })).collect::<Vec<_>>()
    });
    let holds = |part: &Value| alone(&whole, part).is_some_and(|policy| outcome(question, &policy) == Outcome::Matched);
    let conditions = parts.filter(|part| !holds(part)).filter_map(|part| text(&part)).collect();
    Some(Missed { policy: name(policy.id()), conditions })
}

/// What stands between the `&&`s.
fn conjuncts(body: Value) -> Vec<Value> {
    let sides = body.get("&&").and_then(|both| Some((both.get("left")?.clone(), both.get("right")?.clone())));
    match sides {
        Some((left, right)) => conjuncts(left).into_iter().chain(conjuncts(right)).collect(),
        None => vec![body],
    }
}

/// The policy with one condition alone.
fn alone(whole: &Value, condition: &Value) -> Option<Policy> {
    let mut one = whole.clone();
    *one.get_mut("conditions")? = json!([condition]);
    Policy::from_json(None, one).ok()
}

/// A condition as Cedar writes it.
fn text(condition: &Value) -> Option<String> {
    let bare = json!({
        "effect": "permit", "principal": { "op": "All" }, "action": { "op": "All" }, "resource": { "op": "All" },
        "conditions": [condition],
    });
    let policy = Policy::from_json(None, bare).ok()?.to_cedar()?;
    let (_, text) = policy.split_once(')')?;
    let words: Vec<&str> = text.trim().trim_end_matches(';').split_whitespace().collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{context, target, workload};

    const POLICY: &str = r#"@id("deploy")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments")
when {
    principal.issuer == "https://issuer.test" &&
    principal.hasTag("environment") && principal.getTag("environment") == "production" &&
    (principal.hasTag("ref") || principal.hasTag("tag"))
}
unless { principal.hasTag("fork") };
@id("elsewhere")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"ledger");
@id("never")
forbid (principal, action, resource) when { principal.hasTag("never") };"#;

    fn of(claims: Value) -> Vec<String> {
        let bundle = Bundle::load(vec![("a.cedar".to_owned(), POLICY.to_owned())]).expect("the policy loads");
        let all = missed(&bundle, &workload(claims), &target(), &context());
        all.into_iter()
            .flat_map(|one| one.conditions.into_iter().map(move |text| format!("{}: {text}", one.policy)))
            .collect()
    }

    #[test]
    fn each_condition_that_does_not_hold_is_named() {
        assert_eq!(of(json!({ "environment": "production", "ref": "main" })), Vec::<String>::new());
        assert_eq!(
            of(json!({ "environment": "staging", "ref": "main" })),
            [r#"deploy: when { principal.getTag("environment") == "production" }"#]
        );
        assert_eq!(of(json!({ "environment": "production", "ref": "main", "fork": "yes" })).len(), 1);
        let nothing = of(json!({}));
        assert_eq!(nothing.len(), 3, "{nothing:?}");
        assert!(nothing.iter().all(|line| !line.contains("issuer")), "{nothing:?}");
    }
}
