//! Decisions prepared for one session: the gateway's hot path asks this table and never Cedar, unless a policy names an
//! action for SQL. Then each statement is judged ([`SessionPolicy::judge`]), and what it came to may be kept, under
//! [`SessionPolicy::scope`], for as long as nothing changes that [`SessionPolicy::inputs`] names.
//!
//! Nothing that a `command` policy may read changes within a session but the bundle; with a new bundle the caller makes
//! a new table.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;
use writ_core::command::CommandTag;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_core::proof::Clearance;
use writ_core::target::Target;
use writ_core::verdict::Verdict;
use writ_core::workload::Workload;

use crate::bundle::Bundle;
use crate::decide::{Denied, command_in, unusable_denied, workload_cast};
use crate::entities::Cast;
use crate::governs::Inputs;
use crate::judge::{Asking, Judgement, Need, StatementFacts};

/// What one session may do, by kind of command.
#[derive(Debug, Clone)]
pub struct SessionPolicy {
    policy_hash: PolicyHash,
    /// What statements are judged by; nothing where no policy names an action for SQL.
    statements: Option<Arc<Statements>>,
    query: Decided,
    prepare: Decided,
    execute: Decided,
}

#[derive(Debug, Clone)]
enum Decided {
    Cleared(Clearance),
    Denied(Fault),
}

struct Statements {
    bundle: Arc<Bundle>,
    /// Why all is denied, where there is nothing to ask about.
    cast: Result<Cast, Fault>,
    target: String,
    scope: [u8; 32],
}

impl core::fmt::Debug for Statements {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Statements").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What decides for one session: the bundle's hash, the workload with all its claims, and the target.
fn scope(bundle: &Bundle, workload: &Workload, target: &Target) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    let claims = serde_json::to_vec(&workload.claims).unwrap_or_default();
    let labels = serde_json::to_vec(&target.labels).unwrap_or_default();
    let (issuer, subject) = (workload.issuer.as_str(), workload.subject.as_str());
    let parts = [bundle.hash().as_str(), issuer, subject, target.name.as_str()].map(str::as_bytes);
    for part in parts.into_iter().chain([claims.as_slice(), labels.as_slice()]) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().unwrap_or_default()
}

impl SessionPolicy {
    /// Asks policy about every kind of command.
    #[must_use]
    pub fn prepare(bundle: &Arc<Bundle>, workload: &Workload, target: &Target) -> Self {
        let cast = workload_cast(bundle, workload, target).map_err(|unusable| unusable_denied(bundle, unusable));
        let decide = |tag| {
            let decided = cast.as_ref().map_err(Denied::clone).and_then(|cast| command_in(bundle, cast, tag));
            decided.map_or_else(|denied| Decided::Denied(denied.fault()), Decided::Cleared)
        };
        Self {
            policy_hash: bundle.hash().clone(),
            query: decide(CommandTag::SqlQuery),
            prepare: decide(CommandTag::SqlPrepare),
            execute: decide(CommandTag::SqlExecute),
            statements: bundle.governs().statements.then(|| {
                let scope = scope(bundle, workload, target);
                let (bundle, target) = (Arc::clone(bundle), target.name.as_str().to_owned());
                let cast = cast.and_then(|cast| {
                    cast.for_statements(&bundle).map_err(|unusable| unusable_denied(&bundle, unusable))
                });
                Arc::new(Statements { bundle, cast: cast.map_err(|denied| denied.fault()), target, scope })
            }),
        }
    }

    /// Whether statements have to be judged: a policy names an action for SQL.
    #[must_use]
    pub const fn judges_statements(&self) -> bool {
        self.statements.is_some()
    }

    /// Which changing inputs a verdict on a statement may depend on.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        self.statements.as_ref().map(|statements| statements.bundle.governs().inputs).unwrap_or_default()
    }

    /// Two sessions of one scope get the same verdicts where the facts are the same.
    #[must_use]
    pub fn scope(&self) -> [u8; 32] {
        self.statements.as_ref().map(|statements| statements.scope).unwrap_or_default()
    }

    /// What policy says of one statement. Nothing of it is a verdict before [`Self::settle`].
    #[must_use]
    pub fn judge(&self, statement: &writ_core::statement::Statement, facts: &StatementFacts<'_>) -> Judgement {
        let Some(Statements { bundle, cast, target, .. }) = self.statements.as_deref() else {
            return Judgement::default();
        };
        match cast {
            Ok(cast) => Asking { bundle, cast, target, facts }.judge(statement),
            Err(fault) => Judgement { denied: Some(fault.clone()), ..Judgement::default() },
        }
    }

    /// The least that policies have to permit for one statement to pass, whatever these say of it.
    #[must_use]
    pub fn needs(&self, statement: &writ_core::statement::Statement, facts: &StatementFacts<'_>) -> BTreeSet<Need> {
        let Some(Statements { bundle, cast: Ok(cast), target, .. }) = self.statements.as_deref() else {
            return BTreeSet::new();
        };
        Asking { bundle, cast, target, facts }.needs(statement)
    }

    /// The verdict on a command whose statements were judged. `approved` says whether humans have approved these very bytes.
    #[must_use]
    pub fn settle(&self, tag: CommandTag, judgement: &Judgement, approved: bool) -> Verdict {
        match (self.decided(tag), &judgement.denied) {
            (Verdict::Allow(_), Some(fault)) => Verdict::Deny(fault.clone()),
            (Verdict::Allow(clearance), None) => match &judgement.hold {
                Some(terms) if !approved => Verdict::Hold(terms.clone()),
                _ => Verdict::Allow(clearance),
            },
            (other, _) => other,
        }
    }

    /// The verdict on one kind of command. An allowed one costs a look-up and a count, no allocation. Where statements have to
    /// be judged, it is never yes.
    #[must_use]
    pub fn verdict(&self, tag: CommandTag) -> Verdict {
        match self.decided(tag) {
            Verdict::Allow(_) if self.judges_statements() => Verdict::Deny(
                Fault::new("policy.not_judged", Blame::NotAllowed, "the statement could not be judged")
                    .help("shorten or simplify the statement"),
            ),
            decided => decided,
        }
    }

    fn decided(&self, tag: CommandTag) -> Verdict {
        let decided = match tag {
            CommandTag::SqlQuery => &self.query,
            CommandTag::SqlPrepare => &self.prepare,
            CommandTag::SqlExecute => &self.execute,
        };
        match decided {
            Decided::Cleared(clearance) => Verdict::Allow(clearance.clone()),
            Decided::Denied(fault) => Verdict::Deny(fault.clone()),
        }
    }

    /// The policy set that decided.
    #[must_use]
    pub const fn policy_hash(&self) -> &PolicyHash {
        &self.policy_hash
    }
}
