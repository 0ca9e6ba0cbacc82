//! Taking credentials back: at a session's end, by order, and again until it works.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use writ_core::event::{Actor, Event};
use writ_core::id::{SessionId, WritId};
use writ_core::provider::{ProviderFault, Revoked};
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};
use writ_core::writ::{Writ, WritState};

use crate::broker::Broker;
use crate::caught::caught;
use crate::evidence::EvidenceFault;
use crate::refusal::Refusal;
use crate::steady::Anew;
use crate::store::{Change, Condition, DueRevocation};

/// Its name among the broker's tasks.
const TASK: &str = "revoker";
/// How many revocations run at once: a storm must not take the targets down.
const AT_ONCE: usize = 8;
/// How often due revocations are looked for, beside being woken.
const TICK: Duration = Duration::from_secs(1);
/// After how many failures a writ is shown as irrevocable.
const IRREVOCABLE_AFTER: u32 = 3;
/// The longest wait between two attempts, in seconds.
const MAX_BACKOFF_SECONDS: u64 = 300;
/// How long a broker that stops goes on taking back what is due; the next start does the rest.
const LAST_LIMIT: Duration = Duration::from_secs(10);

/// Runs until the broker stops. What is due by then, the sessions that its end closed, is taken back before it is gone.
pub(crate) async fn run(broker: Weak<Broker>, mut stop: watch::Receiver<bool>) {
    let mut anew = Anew::of(TASK);
    while caught(rounds(&broker, &mut stop)).await.is_err() && anew.again(&broker, &mut stop).await {}
}

async fn rounds(broker: &Weak<Broker>, stop: &mut watch::Receiver<bool>) {
    loop {
        let Some(strong) = broker.upgrade() else { return };
        strong.revoke_due().await;
        strong.steady.came_round(TASK);
        let woken = async {
            let _ = tokio::time::timeout(TICK, strong.due.notified()).await;
        };
        tokio::select! {
            () = woken => {}
            _ = stop.changed() => {
                if tokio::time::timeout(LAST_LIMIT, strong.revoke_due()).await.is_err() {
                    tracing::warn!("credentials that are due are taken back at the next start: there was no time left");
                }
                return;
            }
        }
    }
}

impl Broker {
    /// Takes back what is due, a few at a time.
    async fn revoke_due(self: &Arc<Self>) {
        let mut queued = BTreeMap::new();
        loop {
            let due = match self.store.due_revocations(self.clock.now(), 64).await {
                Ok(due) => due,
                Err(fault) => return tracing::error!(%fault, "due revocations cannot be read"),
            };
            if due.is_empty() {
                return;
            }
            let mut written = true;
            let mut running = JoinSet::new();
            for revocation in due {
                if running.len() == AT_ONCE {
                    written &= running.join_next().await.is_none_or(was_written);
                }
                let broker = Arc::clone(self);
                match self.waits(&revocation, &mut queued) {
                    Some(wait) => running.spawn(async move { broker.postpone(revocation, wait).await }),
                    None => running.spawn(async move { broker.revoke(revocation).await }),
                };
            }
            while let Some(ended) = running.join_next().await {
                written &= was_written(ended);
            }
            // What could not be written down is still due: the target is not asked again before the next tick.
            if !written {
                return;
            }
        }
    }

    /// For how many seconds a revocation waits because its target gets as many as it should at once. `queued` counts what
    /// waits for a target, so that it does not come back all together.
    fn waits(&self, due: &DueRevocation, queued: &mut BTreeMap<TargetName, u64>) -> Option<u64> {
        let loaded = self.loaded.load();
        let served = loaded.targets.find(due.writ.target.as_str())?;
        let a_second = loaded.rates.revocations;
        if served.admit_revocation(a_second) {
            return None;
        }
        let before = queued.entry(due.writ.target.clone()).or_default();
        *before += 1;
        Some(1 + *before / u64::from(a_second.max(1)))
    }

    /// Puts one off. It was not tried, so that it does not count as an attempt. False if that could not be written down.
    async fn postpone(&self, due: DueRevocation, seconds: u64) -> bool {
        let DueRevocation { writ, attempts } = due;
        metrics::counter!("writ_revocations_postponed_total").increment(1);
        let unchanged = vec![Condition::WritIs(writ.id, writ.state)];
        let change = Change::Revoke { writ: writ.id, due: after(self.clock.now(), seconds), attempts };
        match self.evidence.write(Vec::new(), unchanged, vec![change]).await {
            Ok(()) | Err(EvidenceFault::Refused) => true,
            Err(fault) => {
                tracing::error!(%fault, "a revocation cannot be put off; it is looked at again");
                false
            }
        }
    }

    /// Takes one back. False if what became of it could not be written down.
    async fn revoke(&self, due: DueRevocation) -> bool {
        let writ = due.writ;
        let outcome = match self.loaded.load().targets.find(writ.target.as_str()) {
            // Not being called is a failure like any other: an operator sees that the credential may still live.
            Some(served) => match served.admit() {
                Ok(pass) => {
                    let said = |fault: ProviderFault| format!("{}: {}", fault.code(), fault.detail());
                    served.revoke(Some(pass), &writ, self.settings.provider_timeout).await.map_err(said)
                }
                Err(rest) => Err(format!("not called for {} s: the target does not answer", rest.as_secs() + 1)),
            },
            None => Err("the target is no longer configured".to_owned()),
        };
        let now = self.clock.now();
        let written = match outcome {
            Ok(revoked) => self.revoked(writ, revoked, now).await,
            Err(detail) => self.not_revoked(writ, due.attempts.saturating_add(1), detail, now).await,
        };
        match written {
            // The writ went on meanwhile, and with it perhaps its credential: it is still due, and done again.
            Ok(()) | Err(EvidenceFault::Refused) => true,
            Err(fault) => {
                tracing::error!(%fault, "a revocation cannot be written down; it is done again");
                false
            }
        }
    }

    /// Nothing is left to be done: it was taken back, or its target takes back none alone.
    async fn revoked(&self, writ: Writ, revoked: Revoked, now: Timestamp) -> Result<(), EvidenceFault> {
        let unchanged = vec![Condition::WritIs(writ.id, writ.state)];
        let state = match writ.state {
            WritState::Failed | WritState::Abandoned => writ.state,
            _ => WritState::Closed,
        };
        let (id, closed) = (writ.id, writ.closed.or(Some(now)));
        let ends = writ.credential.as_ref().and_then(|facts| facts.expires);
        let changes = vec![Change::Writ(Writ { state, closed, ..writ }), Change::Revoked(id)];
        let event = match revoked {
            Revoked::Gone => {
                metrics::counter!("writ_revoked_total").increment(1);
                Event::CredentialRevoked { writ: id }
            }
            Revoked::Left => Event::CredentialLeft { writ: id, ends },
        };
        self.evidence.write(vec![event], unchanged, changes).await
    }

    async fn not_revoked(
        &self,
        writ: Writ,
        attempts: u32,
        detail: String,
        now: Timestamp,
    ) -> Result<(), EvidenceFault> {
        let unchanged = vec![Condition::WritIs(writ.id, writ.state)];
        tracing::warn!(writ = %writ.id, attempts, detail, "a credential could not be taken back; it is tried again");
        metrics::counter!("writ_revocation_failures_total").increment(1);
        let backoff = (1_u64 << attempts.min(16)).min(MAX_BACKOFF_SECONDS);
        let mut changes = vec![Change::Revoke { writ: writ.id, due: after(now, backoff), attempts }];
        let event = Event::RevocationFailed { writ: writ.id, attempts, detail: crate::issue::cut(&detail) };
        if attempts >= IRREVOCABLE_AFTER {
            changes.push(Change::Writ(Writ { state: WritState::Irrevocable, ..writ }));
        }
        self.evidence.write(vec![event], unchanged, changes).await
    }

    /// An operator ends a writ's session and takes its credential back.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such writ, the reason is missing, or the order cannot be written.
    pub async fn revoke_writ(&self, writ: WritId, reason: &str, by: Actor) -> Result<Writ, Refusal> {
        let writ = self.store.writ(writ).await?.ok_or_else(|| Refusal::not_found("writ"))?;
        self.order(&writ, reason, by).await?;
        Ok(writ)
    }

    /// An operator kills a session: the same, named by the session.
    ///
    /// # Errors
    /// As for [`Self::revoke_writ`].
    pub async fn kill_session(
        &self,
        session: SessionId,
        reason: &str,
        by: Actor,
    ) -> Result<writ_broker_api::admin::Session, Refusal> {
        let session = self.store.session(session).await?.ok_or_else(|| Refusal::not_found("session"))?;
        self.order(&session.writ, reason, by).await?;
        Ok(session)
    }

    async fn order(&self, writ: &Writ, reason: &str, by: Actor) -> Result<(), Refusal> {
        check_reason(reason)?;
        if !matches!(writ.state, WritState::Intended | WritState::Issued | WritState::Irrevocable) {
            return Err(Refusal::conflict("the writ has ended already"));
        }
        let event = Event::RevocationOrdered { writ: writ.id, session: writ.session, by, reason: reason.to_owned() };
        let changes = vec![
            Change::Order { session: writ.session, gateway: writ.gateway, reason: reason.to_owned() },
            Change::Revoke { writ: writ.id, due: self.clock.now(), attempts: 0 },
        ];
        self.evidence.write(vec![event], Vec::new(), changes).await?;
        // The gateway first, so that the client hears why. What it reports as closed is taken back at once, else with the next tick.
        self.ordered.notify_waiters();
        Ok(())
    }
}

/// What one revocation said; one that broke off is done again.
fn was_written(ended: Result<bool, JoinError>) -> bool {
    ended.unwrap_or_else(|error| {
        if error.is_panic() {
            metrics::counter!("writ_panics_total", "part" => TASK).increment(1);
            tracing::error!("a revocation broke off by a bug; it is done again");
        }
        false
    })
}

/// An operator's reason goes to the ledger and to clients.
pub(crate) fn check_reason(reason: &str) -> Result<(), Refusal> {
    let length = reason.chars().count();
    if length == 0 || length > 200 || reason.chars().any(char::is_control) {
        return Err(Refusal::malformed("a reason of 1 to 200 characters is needed"));
    }
    Ok(())
}
