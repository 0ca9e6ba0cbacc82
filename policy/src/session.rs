//! Decisions prepared for one session: the gateway's hot path asks this table and never Cedar.
//!
//! Nothing that a `command` policy may read changes within a session but the bundle; with a new bundle the caller makes
//! a new table.

use writ_core::command::CommandTag;
use writ_core::fault::Fault;
use writ_core::grant::PolicyHash;
use writ_core::proof::Clearance;
use writ_core::target::Target;
use writ_core::verdict::Verdict;
use writ_core::workload::Workload;

use crate::bundle::Bundle;
use crate::decide::{Denied, command_in, unusable_denied, workload_cast};

/// What one session may do, by kind of command.
#[derive(Debug, Clone)]
pub struct SessionPolicy {
    policy_hash: PolicyHash,
    query: Decided,
    prepare: Decided,
    execute: Decided,
}

#[derive(Debug, Clone)]
enum Decided {
    Cleared(Clearance),
    Denied(Fault),
}

impl SessionPolicy {
    /// Asks policy about every kind of command.
    #[must_use]
    pub fn prepare(bundle: &Bundle, workload: &Workload, target: &Target) -> Self {
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
        }
    }

    /// The verdict on one kind of command. An allowed one costs a look-up and a count, no allocation.
    #[must_use]
    pub fn verdict(&self, tag: CommandTag) -> Verdict {
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
