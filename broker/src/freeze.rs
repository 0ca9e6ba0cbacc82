//! The kill switch: what an operator freezes is cut on every gateway, and nothing is opened for it until it is unfrozen.
//!
//! A freeze comes into force in one transaction with the orders to all sessions under it and with the revocations of their
//! credentials. An issuance asks twice whether it is frozen, each time in the transaction of a commit point: before anything
//! is minted, and before what was minted is released. So a session either stands in the store before the freeze, and has its
//! order, or it is refused. Streams of other replicas find the orders in the store.

use writ_broker_api::admin::FreezeRequest;
use writ_core::event::{Actor, Event};
use writ_core::fault::{Blame, Fault};
use writ_core::freeze::{Freeze, FreezeScope};
use writ_core::id::FreezeId;
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};

use crate::broker::Broker;
use crate::evidence::EvidenceFault;
use crate::refusal::Refusal;
use crate::revoke::check_reason;
use crate::store::{Change, Condition, MAX_FREEZES};

/// The longest issuer or subject of a scope, in bytes.
const MAX_NAME: usize = 2048;
/// How many targets are listed to an operator who named another.
const MOST_SHOWN: usize = 20;

impl Broker {
    /// Freezes a workload, a target, or everything.
    ///
    /// # Errors
    /// [`Refusal`] if the scope or the reason is malformed, no target of the name is configured, too many freezes are in
    /// force, or it cannot be written down.
    pub async fn freeze(&self, request: FreezeRequest, by: Actor) -> Result<Freeze, Refusal> {
        check_reason(&request.reason)?;
        self.check_scope(&request.scope)?;
        if self.store.freezes().await?.len() >= MAX_FREEZES {
            return Err(Refusal::conflict(format!("{MAX_FREEZES} freezes are in force: lift some, or freeze all")));
        }
        let FreezeRequest { scope, reason } = request;
        let freeze = Freeze { id: FreezeId::fresh(), scope, reason, by, at: self.clock.now() };
        let event = Event::Frozen {
            freeze: freeze.id,
            scope: freeze.scope.clone(),
            by: freeze.by.clone(),
            reason: freeze.reason.clone(),
        };
        self.evidence.write(vec![event], Vec::new(), vec![Change::Freeze(freeze.clone())]).await?;
        self.withdraw_frozen(&freeze.scope).await;
        tracing::warn!(freeze = %freeze.id, "access was frozen");
        metrics::counter!("writ_frozen_total").increment(1);
        // The gateways first, so that clients hear why. What they report as closed is taken back at once, the rest with the next tick.
        self.ordered.notify_waiters();
        Ok(freeze)
    }

    /// Lifts a freeze. What it ended stays ended; another that covers the same stays in force.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such freeze, the reason is malformed, or it cannot be written down.
    pub async fn unfreeze(&self, id: FreezeId, reason: &str, by: Actor) -> Result<Freeze, Refusal> {
        check_reason(reason)?;
        let freeze = self.freezes().await?.into_iter().find(|freeze| freeze.id == id);
        let freeze = freeze.ok_or_else(|| Refusal::not_found("freeze"))?;
        let scope = freeze.scope.clone();
        let event = Event::Unfrozen { freeze: id, scope, by, reason: reason.to_owned() };
        let written = self.evidence.write(vec![event], vec![Condition::Frozen(id)], vec![Change::Unfreeze(id)]).await;
        match written {
            Ok(()) => {
                tracing::warn!(freeze = %id, "a freeze was lifted");
                Ok(freeze)
            }
            // Somebody else lifted it first.
            Err(EvidenceFault::Refused) => Err(Refusal::not_found("freeze")),
            Err(fault) => Err(fault.into()),
        }
    }

    /// The freezes in force, newest first.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails.
    pub async fn freezes(&self) -> Result<Vec<Freeze>, Refusal> {
        Ok(self.store.freezes().await?)
    }

    /// What a workload is told that cannot be admitted to a target because of a freeze; `None` if none covers it.
    pub(crate) async fn frozen(&self, issuer: &Issuer, subject: &Subject, target: &TargetName) -> Option<Fault> {
        let freezes = self.store.freezes().await.ok()?;
        let freeze = freezes.iter().find(|freeze| freeze.scope.covers(issuer, subject, target))?;
        let fault = Fault::new("access.frozen", Blame::NotAllowed, freeze.words())
            .help("wait until an operator lifts the freeze, and quote the request if you ask them")
            .detail(format!("{} is in force: `writ unfreeze` lifts it", freeze.id));
        Some(fault)
    }

    /// A name with a slip in it would freeze nothing, and nobody would notice.
    fn check_scope(&self, scope: &FreezeScope) -> Result<(), Refusal> {
        let fits = |name: &str| (1..=MAX_NAME).contains(&name.len());
        match scope {
            FreezeScope::Workload { issuer, subject } => {
                if fits(subject.as_str()) && issuer.as_ref().is_none_or(|issuer| fits(issuer.as_str())) {
                    Ok(())
                } else {
                    Err(Refusal::malformed(format!("issuer and subject have 1 to {MAX_NAME} bytes each")))
                }
            }
            FreezeScope::Target { target } => match self.loaded.load().targets.find(target.as_str()) {
                Some(_) => Ok(()),
                None => Err(self.no_target()),
            },
            FreezeScope::All => Ok(()),
        }
    }

    pub(crate) fn no_target(&self) -> Refusal {
        let loaded = self.loaded.load();
        let mut names = loaded.targets.iter().map(|served| format!("`{}`", served.target.name));
        let shown = names.by_ref().take(MOST_SHOWN).collect::<Vec<_>>().join(", ");
        let more = names.next().map_or("", |_| ", and others");
        let mut refusal = Refusal::not_found("target");
        refusal.fault = refusal.fault.help(format!("write one of those that are configured: {shown}{more}"));
        refusal
    }
}

/// The condition under which a workload may be admitted to a target.
pub(crate) fn not_frozen(issuer: &Issuer, subject: &Subject, target: &TargetName) -> Condition {
    Condition::NotFrozen { issuer: issuer.clone(), subject: subject.clone(), target: target.clone() }
}
