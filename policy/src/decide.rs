//! The decisions: `connect`, `command`, and what a human may do.
//!
//! Each has one way to yes: Cedar allows, no policy erred, and the obligations of all permits that matched agree.

use std::fmt;

use cedar_policy::{AuthorizationError, Decision, PolicyId, Response, RestrictedExpression};
use serde_json::Value;
use writ_core::client::ClientKey;
use writ_core::command::CommandTag;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::{Grant, PolicyHash};
use writ_core::proof::{Clearance, Verified};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::verdict::{HoldTerms, Verdict};
use writ_core::workload::{Claims, EXPOSURES, Issuer, Subject, Workload};

use crate::bundle::Bundle;
use crate::entities::{Cast, Principal, Question, Unusable, system, target as target_entity, text};
use crate::obligations::{self, Named, Stated};
use crate::terms::Combined;

/// What `connect` knows besides workload and target.
#[derive(Debug, Clone)]
pub struct ConnectContext {
    /// The time of the decision.
    pub now: Timestamp,
    /// The client's address as the gateway saw it, without port.
    pub client_address: Option<String>,
    /// The role that the client asked for, where it asked for one.
    pub database_role: Option<String>,
    /// The database, or other part of the target, that the client asked for; not known where a token is exchanged.
    pub database: Option<String>,
    /// The key that the client proved, if it did.
    pub client_key: Option<ClientKey>,
    /// The longest life that any session may have, in seconds, from the configuration.
    pub ttl_cap_seconds: u64,
}

/// A human, as their identity provider describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Human {
    /// Who vouches for them.
    pub issuer: Issuer,
    /// What the issuer calls them.
    pub subject: Subject,
    /// What else the issuer says of them.
    pub claims: Claims,
}

/// What a human may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HumanAction {
    /// Change the system: gateways, revocations, keys.
    Admin,
    /// Decide on held commands and grants.
    Approve,
    /// Read recordings and prove evidence.
    Audit,
    /// Let something held go on alone, in an emergency, to be reviewed later.
    BreakGlass,
    /// See what there is, without what was said in sessions.
    View,
}

impl HumanAction {
    /// All actions, for tables over them.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Approve, Self::Audit, Self::BreakGlass, Self::View];

    /// The action as policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Approve => "approve",
            Self::Audit => "audit",
            Self::BreakGlass => "break_glass",
            Self::View => "view",
        }
    }
}

/// A decision to refuse.
#[derive(Clone, PartialEq, Eq)]
pub struct Denied {
    /// A stable code, `policy.what`.
    pub code: &'static str,
    /// The policies that it came from, sorted; empty where none permitted.
    pub policies: Vec<String>,
    /// The policy set that decided.
    pub policy_hash: PolicyHash,
    /// What the operator must know. Never sent to a client.
    pub detail: String,
}

impl Denied {
    /// What a client may know: the same for every reason, so that it learns nothing of policies and targets.
    pub const PUBLIC: &'static str = "this is not permitted by policy";

    fn new(code: &'static str, bundle: &Bundle, policies: Vec<String>, detail: impl Into<String>) -> Self {
        Self { code, policies, policy_hash: bundle.hash().clone(), detail: detail.into() }
    }

    /// A statement that is denied for another reason than an answer of Cedar's.
    pub(crate) fn statement(code: &'static str, bundle: &Bundle, detail: &str) -> Self {
        Self::new(code, bundle, Vec::new(), detail)
    }

    /// The refusal in the two messages that it needs.
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::new(self.code, Blame::NotAllowed, Self::PUBLIC)
            .help("ask the operator of this gateway, and quote the request")
            .detail(format!(
                "{} [policies: {}] [policy set: {}]",
                self.detail,
                self.policies.join(", "),
                self.policy_hash
            ))
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {:?}", self.code, self.detail, self.policies)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PUBLIC)
    }
}

impl std::error::Error for Denied {}

/// Decides whether a workload may open a session at a target.
///
/// # Errors
/// [`Denied`] unless a policy permits, none forbids, none errs, no policy reads a claim as what it is not, and the
/// permits that matched agree on the role, which must be the one asked for where one was.
pub fn connect(
    bundle: &Bundle,
    workload: &Verified<Workload>,
    target: &Target,
    context: &ConnectContext,
) -> Result<Grant, Denied> {
    bound_here(bundle, workload.get(), target)?;
    let cast = workload_cast(bundle, workload.get(), target).map_err(|unusable| unusable_denied(bundle, unusable))?;
    let question = connect_question(bundle, &cast, context).map_err(|unusable| unusable_denied(bundle, unusable))?;
    let policies = allowed(bundle, &question.ask(bundle.policies()))?;
    let policies = accepting(bundle, workload.get(), policies)?;
    let obligations = settle(bundle, &policies, context)?;
    let hold = held(bundle, &policies);
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place where a permission to connect becomes a grant"
    )]
    Ok(Grant::decided(obligations, bundle.hash().clone(), policies, hold))
}

/// Decides on one kind of command. [`crate::SessionPolicy`] prepares all kinds for a session at once.
#[must_use]
pub fn command(bundle: &Bundle, workload: &Workload, target: &Target, tag: CommandTag) -> Verdict {
    let decided = workload_cast(bundle, workload, target)
        .map_err(|unusable| unusable_denied(bundle, unusable))
        .and_then(|cast| command_in(bundle, &cast, tag));
    match decided {
        Ok(clearance) => Verdict::Allow(clearance),
        Err(denied) => Verdict::Deny(denied.fault()),
    }
}

/// Decides whether a human may do something, and gives the policies that permit it, sorted.
///
/// # Errors
/// [`Denied`] unless a policy permits, none forbids, none errs and no policy reads a claim as what it is not.
pub fn human(
    bundle: &Bundle,
    human: &Verified<Human>,
    action: HumanAction,
    now: Timestamp,
) -> Result<Vec<String>, Denied> {
    let human = human.get();
    let principal =
        Principal { kind: "Writ::Human", issuer: &human.issuer, subject: &human.subject, claims: &human.claims };
    let question = system()
        .and_then(|system| Cast::new(bundle, &principal, system))
        .and_then(|cast| cast.question(bundle, action.as_str(), vec![seconds(now)]))
        .map_err(|unusable| unusable_denied(bundle, unusable))?;
    allowed(bundle, &question.ask(bundle.policies()))
}

pub(crate) fn command_in(bundle: &Bundle, cast: &Cast, tag: CommandTag) -> Result<Clearance, Denied> {
    let question = command_question(bundle, cast, tag).map_err(|unusable| unusable_denied(bundle, unusable))?;
    allowed(bundle, &question.ask(bundle.policies()))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one place where a permitted command is cleared")]
    Ok(Clearance::by_policy(bundle.hash().clone()))
}

pub(crate) fn workload_cast(bundle: &Bundle, workload: &Workload, target: &Target) -> Result<Cast, Unusable> {
    let principal = Principal {
        kind: "Writ::Workload",
        issuer: &workload.issuer,
        subject: &workload.subject,
        claims: &workload.claims,
    };
    Cast::new(bundle, &principal, target_entity(target)?)
}

pub(crate) fn connect_question(bundle: &Bundle, cast: &Cast, context: &ConnectContext) -> Result<Question, Unusable> {
    let mut pairs = vec![seconds(context.now)];
    let optional = [
        ("client_address", context.client_address.as_deref()),
        ("database_role", context.database_role.as_deref()),
        ("database", context.database.as_deref()),
        ("client_key", context.client_key.as_ref().map(ClientKey::as_str)),
    ];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?)))));
    cast.question(bundle, "connect", pairs)
}

pub(crate) fn command_question(bundle: &Bundle, cast: &Cast, tag: CommandTag) -> Result<Question, Unusable> {
    cast.question(bundle, "command", vec![("tag".to_owned(), text(tag.as_str()))])
}

/// A session token opens sessions at its own target only, whatever the policies say.
pub(crate) fn bound_here(bundle: &Bundle, workload: &Workload, target: &Target) -> Result<(), Denied> {
    match &workload.bound_target {
        Some(bound) if *bound != target.name => {
            let detail = format!("the session token is for the target `{bound}` and was shown for `{}`", target.name);
            Err(Denied::new("policy.other_target", bundle, Vec::new(), detail))
        }
        _ => Ok(()),
    }
}

fn seconds(now: Timestamp) -> (String, RestrictedExpression) {
    ("now".to_owned(), RestrictedExpression::new_long(now.as_second()))
}

pub(crate) fn unusable_denied(bundle: &Bundle, unusable: Unusable) -> Denied {
    let (code, detail) = match unusable {
        Unusable::Issuer => {
            ("policy.issuer_unusable", "the issuer's name holds `|`, which separates it from the subject".to_owned())
        }
        Unusable::TooLarge => {
            ("policy.claims_too_large", "the token holds more claims than policies are asked about".to_owned())
        }
        Unusable::Misread(name) => (
            "policy.claim_unreadable",
            format!(
                "a policy reads the claim `{}`, which the token gives in a form that policies cannot read",
                name.escape_debug()
            ),
        ),
        Unusable::Cedar(error) => {
            ("policy.request_invalid", format!("the question does not fit the schema: {}", error.escape_debug()))
        }
    };
    Denied::new(code, bundle, Vec::new(), detail)
}

/// The policies that permitted, if that is what the answer comes to. Cedar skips a policy that errs, so that an erring
/// `forbid` would fail open: any error denies, whatever the decision.
pub(crate) fn allowed(bundle: &Bundle, response: &Response) -> Result<Vec<String>, Denied> {
    let errors = response.diagnostics().errors();
    let mut erred: Vec<String> = errors.map(erring).collect();
    erred.sort();
    if !erred.is_empty() {
        return Err(Denied::new("policy.error", bundle, erred, "a policy could not be evaluated"));
    }
    let mut policies: Vec<String> = response.diagnostics().reason().map(name).collect();
    policies.sort();
    match response.decision() {
        Decision::Allow => Ok(policies),
        Decision::Deny if policies.is_empty() => {
            Err(Denied::new("policy.no_permit", bundle, policies, "no policy permits this"))
        }
        Decision::Deny => Err(Denied::new("policy.forbidden", bundle, policies, "a policy forbids this")),
    }
}

/// The policies among those that permitted which accept that others may decide what the workload runs, or act for it, where
/// they do.
pub(crate) fn accepting(bundle: &Bundle, workload: &Workload, policies: Vec<String>) -> Result<Vec<String>, Denied> {
    let exposures = exposures(workload);
    if exposures.is_empty() {
        return Ok(policies);
    }
    let accepts = |id: &&String| bundle.stated(id).is_some_and(|stated| stated.accepts(&exposures));
    let accepting: Vec<String> = policies.iter().filter(accepts).cloned().collect();
    if !accepting.is_empty() {
        return Ok(accepting);
    }
    let named = exposures.join(", ").escape_debug().to_string();
    let detail =
        format!("others have a part in what the workload does (`{named}`), which no matching policy `@accepts`");
    Err(Denied::new("policy.exposed", bundle, policies, detail))
}

/// By what others have a part in what the workload does. What is not readable accepts nothing.
fn exposures(workload: &Workload) -> Vec<&str> {
    let mut exposures = written_by_others(workload);
    exposures.extend(workload.claims.contains_key("act").then_some(obligations::DELEGATION));
    exposures
}

fn written_by_others(workload: &Workload) -> Vec<&str> {
    match workload.claims.get("ci").and_then(|ci| ci.get(EXPOSURES)) {
        None => Vec::new(),
        Some(Value::Array(exposures)) => {
            exposures.iter().map(|exposure| exposure.as_str().unwrap_or("unreadable")).collect()
        }
        Some(_) => vec!["unreadable"],
    }
}

fn erring(error: &AuthorizationError) -> String {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => name(error.policy_id()),
    }
}

/// A policy's id as it stands: its Display would escape.
pub(crate) fn name(id: &PolicyId) -> String {
    let id: &str = id.as_ref();
    id.to_owned()
}

/// The humans whom the policies that permitted ask for, if any does.
pub(crate) fn held(bundle: &Bundle, policies: &[String]) -> Option<HoldTerms> {
    let mut combined = Combined::default();
    for (id, stated) in policies.iter().filter_map(|id| Some((id, bundle.stated(id)?))) {
        combined.add(id, &stated.terms);
    }
    combined.hold
}

pub(crate) fn settle(
    bundle: &Bundle,
    policies: &[String],
    context: &ConnectContext,
) -> Result<writ_core::grant::Obligations, Denied> {
    let deny = |code, detail: String| Denied::new(code, bundle, policies.to_vec(), detail);
    let stated: Option<Vec<&Stated>> = policies.iter().map(|id| bundle.stated(id)).collect();
    let combined = obligations::combine(stated.into_iter().flatten(), context.ttl_cap_seconds).map_err(|conflict| {
        let (one, other) = (conflict.one.escape_debug(), conflict.other.escape_debug());
        match conflict.of {
            Named::Role => {
                deny("policy.role_conflict", format!("matching policies name the roles `{one}` and `{other}`"))
            }
            Named::Scope => {
                deny("policy.scope_conflict", format!("matching policies name the scopes `{one}` and `{other}`"))
            }
        }
    })?;
    let Some(obligations) = combined.filter(|obligations| obligations.ttl_seconds > 0) else {
        return Err(deny("policy.no_time", "the grant leaves no time for a session".to_owned()));
    };
    match &context.database_role {
        Some(asked) if obligations.role.as_ref() != Some(asked) => {
            let asked = asked.escape_debug();
            Err(deny(
                "policy.role_not_granted",
                format!("no matching policy grants the role `{asked}` that was asked for"),
            ))
        }
        _ => Ok(obligations),
    }
}
