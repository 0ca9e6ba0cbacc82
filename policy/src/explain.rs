//! Why: what each policy said to one question. For operators; nothing of it goes to a client.

use std::fmt;

use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityTypeName, EntityUid, Policy, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};
use writ_core::command::CommandTag;
use writ_core::grant::{Obligations, PolicyHash};
use writ_core::target::Target;
use writ_core::verdict::HoldTerms;
use writ_core::workload::Workload;

use crate::bundle::Bundle;
use crate::decide::{
    ConnectContext, Denied, accepting, allowed, bound_here, command_question, connect_question, held, name, settle,
    unusable_denied, workload_cast,
};
use crate::entities::{Question, Unusable};
use crate::problem::Printable;

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It matched: a `permit` permitted, a `forbid` forbade.
    Matched,
    /// Its head names another principal.
    OtherPrincipal,
    /// Its head names another action.
    OtherAction,
    /// Its head names another resource.
    OtherResource,
    /// Its head fits, a `when` is false or an `unless` is true.
    ConditionFalse,
    /// It could not be evaluated, which denies.
    Erred(String),
}

/// One policy and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The policy's id.
    pub policy: String,
    /// Whether it is a `forbid`; else a `permit`.
    pub forbids: bool,
    /// What it said.
    pub outcome: Outcome,
}

/// A decision and how it came about.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The decision: the obligations where it is yes (none for commands).
    pub decision: Result<Option<Obligations>, Denied>,
    /// The humans who have to approve first; of a connection alone.
    pub hold: Option<HoldTerms>,
    /// What each policy said, by id; empty where Cedar was not asked.
    pub said: Vec<Said>,
    /// The policy set that decided.
    pub policy_hash: PolicyHash,
}

/// Explains what [`crate::connect`] decides. It grants nothing, so it takes a workload without proof.
#[must_use]
pub fn explain_connect(bundle: &Bundle, workload: &Workload, target: &Target, context: &ConnectContext) -> Explanation {
    if let Err(denied) = bound_here(bundle, workload, target) {
        let policy_hash = bundle.hash().clone();
        return Explanation { decision: Err(denied), hold: None, said: Vec::new(), policy_hash };
    }
    let question = workload_cast(bundle, workload, target).and_then(|cast| connect_question(bundle, &cast, context));
    explain(bundle, question, |policies| {
        let policies = accepting(bundle, workload, policies.to_vec())?;
        let obligations = settle(bundle, &policies, context)?;
        Ok((Some(obligations), held(bundle, &policies)))
    })
}

/// Explains what [`crate::command`] decides.
#[must_use]
pub fn explain_command(bundle: &Bundle, workload: &Workload, target: &Target, tag: CommandTag) -> Explanation {
    let question = workload_cast(bundle, workload, target).and_then(|cast| command_question(bundle, &cast, tag));
    explain(bundle, question, |_| Ok((None, None)))
}

fn explain(
    bundle: &Bundle,
    question: Result<Question, Unusable>,
    settle: impl FnOnce(&[String]) -> Result<(Option<Obligations>, Option<HoldTerms>), Denied>,
) -> Explanation {
    let policy_hash = bundle.hash().clone();
    let question = match question {
        Ok(question) => question,
        Err(unusable) => {
            let decision = Err(unusable_denied(bundle, unusable));
            return Explanation { decision, hold: None, said: Vec::new(), policy_hash };
        }
    };
    let settled = allowed(bundle, &question.ask(bundle.policies())).and_then(|policies| settle(&policies));
    let (decision, hold) = match settled {
        Ok((obligations, hold)) => (Ok(obligations), hold),
        Err(denied) => (Err(denied), None),
    };
    let mut said: Vec<Said> = bundle.policies().policies().map(|policy| one(&question, policy)).collect();
    said.sort_by(|one, other| one.policy.cmp(&other.policy));
    Explanation { decision, hold, said, policy_hash }
}

fn one(question: &Question, policy: &Policy) -> Said {
    Said { policy: name(policy.id()), forbids: policy.effect() == Effect::Forbid, outcome: outcome(question, policy) }
}

/// What one policy says to a question.
pub(crate) fn outcome(question: &Question, policy: &Policy) -> Outcome {
    let request = question.request();
    let entities = question.entities();
    let fits = |of: Option<&EntityUid>, scope: Scope| of.is_some_and(|entity| scope.holds(entity, entities));
    if !fits(request.principal(), policy.principal_constraint().into()) {
        return Outcome::OtherPrincipal;
    }
    if !fits(request.action(), policy.action_constraint().into()) {
        return Outcome::OtherAction;
    }
    if !fits(request.resource(), policy.resource_constraint().into()) {
        return Outcome::OtherResource;
    }
    let alone = match PolicySet::from_policies([policy.clone()]) {
        Ok(alone) => alone,
        Err(error) => return Outcome::Erred(error.to_string()),
    };
    let response = question.ask(&alone);
    let error = response.diagnostics().errors().next().map(ToString::to_string);
    match error {
        Some(error) => Outcome::Erred(error),
        None if response.diagnostics().reason().next().is_some() => Outcome::Matched,
        None => Outcome::ConditionFalse,
    }
}

/// A policy's head, the same for all three places.
struct Scope {
    kind: Option<EntityTypeName>,
    within: Option<Vec<EntityUid>>,
}

impl Scope {
    fn holds(&self, entity: &EntityUid, entities: &Entities) -> bool {
        let kind = self.kind.as_ref().is_none_or(|kind| kind == entity.type_name());
        let inside = |outer: &EntityUid| outer == entity || entities.is_ancestor_of(outer, entity);
        kind && self.within.as_ref().is_none_or(|within| within.iter().any(inside))
    }
}

impl From<PrincipalConstraint> for Scope {
    fn from(constraint: PrincipalConstraint) -> Self {
        use PrincipalConstraint as C;
        match constraint {
            C::Any => Self { kind: None, within: None },
            C::Is(kind) => Self { kind: Some(kind), within: None },
            C::In(id) | C::Eq(id) => Self { kind: None, within: Some(vec![id]) },
            C::IsIn(kind, id) => Self { kind: Some(kind), within: Some(vec![id]) },
        }
    }
}

impl From<ResourceConstraint> for Scope {
    fn from(constraint: ResourceConstraint) -> Self {
        use ResourceConstraint as C;
        match constraint {
            C::Any => Self { kind: None, within: None },
            C::Is(kind) => Self { kind: Some(kind), within: None },
            C::In(id) | C::Eq(id) => Self { kind: None, within: Some(vec![id]) },
            C::IsIn(kind, id) => Self { kind: Some(kind), within: Some(vec![id]) },
        }
    }
}

impl From<ActionConstraint> for Scope {
    fn from(constraint: ActionConstraint) -> Self {
        let within = match constraint {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(id) => Some(vec![id]),
            ActionConstraint::In(ids) => Some(ids),
        };
        Self { kind: None, within }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.write_str("matched"),
            Self::OtherPrincipal => f.write_str("does not apply: another principal"),
            Self::OtherAction => f.write_str("does not apply: another action"),
            Self::OtherResource => f.write_str("does not apply: another resource"),
            Self::ConditionFalse => f.write_str("does not apply: its conditions do not hold"),
            Self::Erred(error) => write!(f, "could not be evaluated, which denies: {}", Printable(error)),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Ok(None) => writeln!(f, "allowed")?,
            Ok(Some(obligations)) => {
                match &self.hold {
                    None => writeln!(f, "allowed")?,
                    Some(hold) => write_hold(f, hold)?,
                }
                write_obligations(f, obligations)?;
            }
            Err(denied) => writeln!(f, "denied ({}): {}", denied.code, Printable(&denied.detail))?,
        }
        for said in &self.said {
            let effect = if said.forbids { "forbid" } else { "permit" };
            writeln!(f, "  {effect} {}: {}", said.policy.escape_debug(), said.outcome)?;
        }
        write!(f, "policy set {}", self.policy_hash)
    }
}

fn write_hold(f: &mut fmt::Formatter<'_>, hold: &HoldTerms) -> fmt::Result {
    let of = if hold.groups.is_empty() {
        "all approvers".to_owned()
    } else {
        hold.groups.iter().map(|group| Printable(group).to_string()).collect::<Vec<_>>().join(", ")
    };
    writeln!(f, "held for {} s, until {} of {of} approve", hold.timeout_seconds, hold.needed)
}

fn write_obligations(f: &mut fmt::Formatter<'_>, obligations: &Obligations) -> fmt::Result {
    let record = match obligations.record {
        writ_core::grant::RecordLevel::Commands => "commands",
        writ_core::grant::RecordLevel::Full => "full",
    };
    let role = obligations.role.as_deref().map_or_else(|| "none".to_owned(), |role| Printable(role).to_string());
    let limit = obligations.connection_limit.map_or_else(|| "the provider's".to_owned(), |limit| limit.to_string());
    let (ttl, uses) = (obligations.ttl_seconds, obligations.uses);
    let masks = if obligations.masks.is_empty() { "none".to_owned() } else { obligations.masks.join(", ") };
    writeln!(f, "  ttl {ttl}s, role {role}, record {record}, uses {uses}, connection limit {limit}, masks {masks}")
}
