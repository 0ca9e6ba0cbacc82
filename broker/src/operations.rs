//! What operators ask of targets: which there are, whether a mint would work, and that what was minted goes.

use std::sync::Arc;

use writ_broker_api::admin::{OlderRevoked, TargetFacts};
use writ_core::event::{Actor, Event};
use writ_core::fault::{Blame, Fault};
use writ_core::id::RequestId;
use writ_core::provider::ProviderFault;

use crate::broker::Broker;
use crate::refusal::Refusal;
use crate::revoke::check_reason;
use crate::targets::Served;

impl Broker {
    /// Every target, by name.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails.
    pub async fn targets(&self) -> Result<Vec<TargetFacts>, Refusal> {
        let loaded = self.loaded.load_full();
        let turns = self.store.rotations().await?;
        let facts =
            |served: &Arc<Served>| TargetFacts { rotation: self.rotation_facts(served, &turns), ..facts(served) };
        Ok(loaded.targets.iter().map(facts).collect())
    }

    /// Asks the provider of a target whether a mint would work: with its own identity, changing nothing.
    ///
    /// # Errors
    /// [`Refusal`] with what the provider says, for whoever runs the target; if there is no such target.
    pub async fn probe_target(&self, target: &str) -> Result<(), Refusal> {
        let served = self.loaded.load().targets.find(target).ok_or_else(|| self.no_target())?;
        served.probe(self.settings.provider_timeout).await.map_err(|fault| for_operators(&fault))
    }

    /// Takes back everything that was minted at a target until now, for all its sessions and whoever else has its roles. The
    /// order is in the ledger before the target is asked, and what came of it after, though whoever ordered it is gone.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such target, the reason is malformed, the target cannot do this or does not, or it cannot
    /// be written down.
    pub async fn revoke_older(
        self: &Arc<Self>,
        target: &str,
        reason: &str,
        by: Actor,
    ) -> Result<OlderRevoked, Refusal> {
        check_reason(reason)?;
        let served = self.loaded.load().targets.find(target).ok_or_else(|| self.no_target())?;
        let (broker, reason) = (Arc::clone(self), reason.to_owned());
        let running = tokio::spawn(async move { broker.take_older_back(&served, reason, by).await });
        running.await.unwrap_or_else(|_| {
            let fault = Fault::new("targets.given_up", Blame::Ours, "the order was given up")
                .help("look with `writ ledger find` how far it came, and order it again");
            Err(Refusal::new(fault, RequestId::fresh()))
        })
    }

    async fn take_older_back(&self, served: &Served, reason: String, by: Actor) -> Result<OlderRevoked, Refusal> {
        let (target, before) = (served.target.name.clone(), self.clock.now());
        self.evidence.event(Event::OlderRevocationOrdered { target: target.clone(), before, by, reason }).await?;
        match served.revoke_older(before, self.settings.provider_timeout).await {
            Ok(()) => {
                tracing::warn!(%target, %before, "what was minted before this was taken back");
                self.evidence.event(Event::OlderRevoked { target: target.clone(), before }).await?;
                Ok(OlderRevoked { target, before })
            }
            Err(fault) => {
                let (code, detail) = (fault.code().to_owned(), crate::issue::cut(fault.detail()));
                self.evidence.event(Event::OlderRevocationFailed { target, before, code, detail }).await?;
                Err(for_operators(&fault))
            }
        }
    }
}

fn facts(served: &Served) -> TargetFacts {
    let (target, description) = (&served.target, served.provider.describe());
    TargetFacts {
        name: target.name.clone(),
        protocol: target.protocol,
        provider: description.kind.to_owned(),
        labels: target.labels.clone(),
        long_lived: description.long_lived,
        revocable: description.revocable,
        scoped: description.scoped,
        resting_seconds: served.resting().map(|rest| rest.as_secs() + 1),
        rotation: None,
    }
}

/// Operators learn what a workload does not: the provider's own words, which hold no secret.
pub(crate) fn for_operators(fault: &ProviderFault) -> Refusal {
    let misconfigured = matches!(fault, ProviderFault::Misconfigured(_));
    let blame = if misconfigured { Blame::Ours } else { Blame::Target };
    let words = format!("{fault}: {}", fault.detail());
    let refusal = Refusal::new(Fault::new(fault.code(), blame, words), RequestId::fresh());
    if misconfigured { Refusal { status: 409, ..refusal } } else { refusal }
}
