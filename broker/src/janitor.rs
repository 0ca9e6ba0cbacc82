//! The janitor: settles what a crash left, and forgets what has ended.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use writ_core::event::{Event, SessionEnd};
use writ_core::id::GatewayId;
use writ_core::provider::Revoked;
use writ_core::time::{SignedDuration, Timestamp};
use writ_core::writ::{Writ, WritState};

use crate::broker::Broker;
use crate::caught::caught;
use crate::evidence::EvidenceFault;
use crate::steady::Anew;
use crate::store::{Change, Condition};

/// Its name among the broker's tasks.
const TASK: &str = "janitor";
/// How often it looks.
const TICK: Duration = Duration::from_secs(5);
/// How often it sweeps targets: every so many ticks.
const SWEEP_EVERY: u32 = 60;

/// Runs until the broker is gone.
pub(crate) async fn run(
    broker: Weak<Broker>,
    mut unlogged: mpsc::UnboundedReceiver<Writ>,
    mut stop: watch::Receiver<bool>,
) {
    let mut anew = Anew::of(TASK);
    while caught(rounds(&broker, &mut unlogged, &mut stop)).await.is_err() && anew.again(&broker, &mut stop).await {}
}

async fn rounds(broker: &Weak<Broker>, unlogged: &mut mpsc::UnboundedReceiver<Writ>, stop: &mut watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    let mut ticks = 0_u32;
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            writ = unlogged.recv() => {
                let (Some(writ), Some(broker)) = (writ, broker.upgrade()) else { return };
                broker.take_back(writ).await;
            }
            _ = tick.tick() => {
                let Some(broker) = broker.upgrade() else { return };
                broker.settle().await;
                if ticks.is_multiple_of(SWEEP_EVERY) {
                    broker.sweep().await;
                }
                ticks = ticks.wrapping_add(1);
                broker.steady.came_round(TASK);
            }
        }
    }
}

impl Broker {
    /// Settles intents without an outcome, sessions that are over, and gateways that are gone.
    pub(crate) async fn settle(self: &Arc<Self>) {
        let now = self.clock.now();
        // A mint that still runs is not overdue: twice the provider's limit has passed for none that does.
        let intended_before = before(now, self.settings.provider_timeout * 2);
        let expired_before = before(now, self.settings.gateway_lost);
        match self.store.overdue(intended_before, expired_before).await {
            Ok(writs) => {
                for writ in writs {
                    let settled = match writ.state {
                        WritState::Intended => self.abandon(writ).await,
                        _ => self.end(&writ, SessionEnd::Ttl, now).await,
                    };
                    self.report(settled);
                }
            }
            Err(fault) => tracing::error!(%fault, "overdue writs cannot be read"),
        }
        self.settle_lost_gateways(now).await;
        // By a clock that was set ahead, uses of tokens that are still good would be forgotten.
        if let Err(fault) = self.check_clock().await {
            return tracing::error!(code = fault.code, detail = %fault.detail, "nothing is issued or forgotten");
        }
        if let Err(fault) = self.store.prune(now).await {
            tracing::error!(%fault, "what has ended cannot be forgotten");
        }
        self.expire_approvals().await;
        if let Err(fault) = self.rotate_session_key().await {
            tracing::error!(%fault, "the key of session tokens cannot be changed; the one before stays in use");
        }
        if let Err(fault) = self.rotate_issuer_key().await {
            tracing::error!(%fault, "the issuer's key cannot be changed; the one before stays in use");
        }
    }

    async fn settle_lost_gateways(self: &Arc<Self>, now: Timestamp) {
        let lost_before = before(now, self.settings.gateway_lost);
        let gateways = match self.store.gateways().await {
            Ok(gateways) => gateways,
            Err(fault) => return tracing::error!(%fault, "gateways cannot be read"),
        };
        let lost = gateways.iter().filter(|gateway| gateway.seen.unwrap_or(gateway.enrolled) < lost_before);
        // A trial that a crash cut off is nobody's but the broker's.
        for gateway in lost.map(|gateway| gateway.id).chain([GatewayId::BROKER]) {
            let Ok(sessions) = self.store.open_sessions(gateway).await else { continue };
            for session in sessions.iter().filter(|session| session.writ.opened < lost_before) {
                self.report(self.end(&session.writ, SessionEnd::Crash, now).await);
            }
        }
    }

    /// An intent without an outcome, or a credential that was never released: it is taken back by the writ's label.
    pub(crate) async fn abandon(&self, writ: Writ) -> Result<(), EvidenceFault> {
        let now = self.clock.now();
        tracing::warn!(writ = %writ.id, "a writ was abandoned; its credential is taken back");
        let conditions = vec![Condition::SessionOpen(writ.session)];
        let changes = vec![
            Change::CloseSession { session: writ.session, at: now, end: SessionEnd::NotOpened, commands: 0 },
            Change::Revoke { writ: writ.id, due: now, attempts: 0 },
            Change::Writ(Writ { state: WritState::Abandoned, closed: Some(now), ..writ.clone() }),
        ];
        let written = self.evidence.write(vec![Event::WritAbandoned { writ: writ.id }], conditions, changes).await;
        self.due.notify_one();
        written
    }

    /// A credential that was minted and not released. Whatever became of its session meanwhile, and even if nothing can be
    /// written down, it must go: taking back needs no evidence first, and what stays intended is settled again later.
    async fn take_back(&self, writ: Writ) {
        let revoke = Change::Revoke { writ: writ.id, due: self.clock.now(), attempts: 0 };
        let outcome = match self.abandon(writ.clone()).await {
            Err(EvidenceFault::Refused) => self.evidence.write(Vec::new(), Vec::new(), vec![revoke]).await,
            outcome => outcome,
        };
        self.due.notify_one();
        if outcome.is_err() {
            let loaded = self.loaded.load_full();
            let served = loaded.targets.find(writ.target.as_str());
            let limit = self.settings.provider_timeout;
            let gone = match &served {
                Some(served) => matches!(served.revoke(None, &writ, limit).await, Ok(Revoked::Gone)),
                None => false,
            };
            tracing::error!(writ = %writ.id, gone, "an unreleased credential was taken back without evidence");
        }
        self.report(outcome);
    }

    /// A session is over, though nobody reported it.
    pub(crate) async fn end(&self, writ: &Writ, end: SessionEnd, now: Timestamp) -> Result<(), EvidenceFault> {
        let conditions = vec![Condition::SessionOpen(writ.session)];
        let event = Event::SessionClosed {
            session: writ.session,
            writ: writ.id,
            end,
            code: Some("gateway.silent".to_owned()),
            commands: 0,
            command_segments: 0,
            row_segments: 0,
        };
        let changes = vec![
            Change::CloseSession { session: writ.session, at: now, end, commands: 0 },
            Change::Revoke { writ: writ.id, due: now, attempts: 0 },
        ];
        let written = self.evidence.write(vec![event], conditions, changes).await;
        self.due.notify_one();
        written
    }

    /// Removes what providers find at their targets and no live writ accounts for.
    pub(crate) async fn sweep(&self) {
        let live = match self.store.live_writs().await {
            Ok(live) => live,
            Err(fault) => return tracing::error!(%fault, "live writs cannot be read; nothing is swept"),
        };
        let loaded = self.loaded.load_full();
        for served in loaded.targets.iter() {
            match served.sweep(&live, self.settings.provider_timeout * 3).await {
                Ok(swept) if swept.removed + swept.left > 0 => {
                    tracing::info!(target = %served.target.name, removed = swept.removed, left = swept.left, "swept");
                }
                Ok(_) => {}
                Err(fault) => tracing::warn!(target = %served.target.name, code = fault.code(), "the sweep failed"),
            }
        }
    }

    fn report(&self, outcome: Result<(), EvidenceFault>) {
        match outcome {
            // Somebody else settled it first.
            Ok(()) | Err(EvidenceFault::Refused) => {}
            Err(fault) => tracing::error!(%fault, "a settlement cannot be written down; it is done again"),
        }
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}
