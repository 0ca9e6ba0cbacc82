//! Passwords that are changed in turns: when, by whom, and how far each turn came.
//!
//! The store has one record for each such target. Whoever writes it names the version that it knew, so that of several brokers one
//! turns at a time; a claim that was not renewed in time is another's to take. Each state is in the ledger, in the transaction
//! that writes the record, before the next step is taken: whoever could not write it down does not go on.
//!
//! A crash is no case of its own. A turn that was cut off before its secret was written has changed nothing that anybody uses, and
//! the next one is due for the same user. One that was cut off after that is found by the secret, which names its user then, and by
//! the target, which lets that user in; the last word of it is written down late.
//!
//! What the secret says is believed only so far. One that is older than what was put there last is left alone; one whose user does
//! not get in is written down as a failure, and the turn, which gives the other user its place, is made all the same.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use writ_broker_api::admin::RotationFacts;
use writ_core::credential::Fingerprint;
use writ_core::event::{Actor, Event, TurnOrder};
use writ_core::fault::{Blame, Fault};
use writ_core::id::RequestId;
use writ_core::provider::ProviderFault;
use writ_core::rotation::{Reached, TurnFault, TurnRecord, TurnState, TurnStep};
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};

use crate::broker::Broker;
use crate::caught::caught;
use crate::evidence::EvidenceFault;
use crate::operations::for_operators;
use crate::refusal::Refusal;
use crate::revoke::check_reason;
use crate::steady::Anew;
use crate::store::{Change, Condition, StoreFault};
use crate::targets::{Served, held};

/// Its name among the broker's tasks.
const TASK: &str = "rotation";
/// How often it looks whether a turn is due.
const TICK: Duration = Duration::from_secs(10);
/// How much longer a claim lasts than a step of the turn may take: for what is under way when the step is given up, and for the
/// clocks of replicas.
const MARGIN: Duration = Duration::from_secs(30);

/// Runs until the broker is gone. A turn that has begun is brought to its end first.
pub(crate) async fn run(broker: Weak<Broker>, mut stop: watch::Receiver<bool>) {
    let mut anew = Anew::of(TASK);
    while caught(rounds(&broker, &mut stop)).await.is_err() && anew.again(&broker, &mut stop).await {}
}

async fn rounds(broker: &Weak<Broker>, stop: &mut watch::Receiver<bool>) {
    let mut tick = interval_at(Instant::now() + TICK, TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = tick.tick() => {
                let Some(broker) = broker.upgrade() else { return };
                broker.turn_due(stop).await;
                broker.steady.came_round(TASK);
            }
        }
    }
}

/// Why a turn did not come to its end.
#[derive(Debug)]
enum Stopped {
    /// Another is about it.
    Taken,
    /// A step failed; that is written down.
    Fault(ProviderFault, TurnStep),
    /// It cannot be written down.
    Evidence(EvidenceFault),
    /// The store failed.
    Store(StoreFault),
}

impl From<StoreFault> for Stopped {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

impl From<Stopped> for Refusal {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Taken => Self::conflict("a turn is under way: look with `writ targets show` what comes of it"),
            Stopped::Fault(fault, step) => {
                let mut refusal = for_operators(&fault);
                let words = format!("the turn stopped while {}: {}", step.doing(), refusal.fault.public);
                refusal.fault.public = words.into();
                refusal.fault.help = Some("the user in use stays as it is; the turn is begun anew by itself".into());
                refusal
            }
            Stopped::Evidence(fault) => fault.into(),
            Stopped::Store(fault) => fault.into(),
        }
    }
}

impl Broker {
    /// Makes every turn that is due, one after another. Where the broker stops, the one under way is the last.
    pub(crate) async fn turn_due(&self, stop: &watch::Receiver<bool>) {
        let loaded = self.loaded.load_full();
        let rotating = || loaded.targets.iter().filter_map(|served| Some((served, served.provider.rotation()?)));
        if rotating().next().is_none() {
            return;
        }
        // By a clock that was set ahead everything would be due.
        if let Err(fault) = self.check_clock().await {
            return tracing::error!(code = fault.code, "no password is changed: the clock cannot be trusted");
        }
        let turns = match self.store.rotations().await {
            Ok(turns) => turns,
            Err(fault) => return tracing::error!(%fault, "the turns of passwords cannot be read"),
        };
        for (served, rotation) in rotating() {
            if *stop.borrow() {
                return;
            }
            let (name, now) = (&served.target.name, self.clock.now());
            let last = turns.iter().find(|turn| turn.target == *name);
            measure(name, last, now);
            let due = last.is_none_or(|last| last.due(rotation.every()) <= now && !last.is_claimed(now));
            if !due {
                continue;
            }
            match self.turn(served, None).await {
                // Another broker's turn, or one that an operator ordered, came first. What failed is in the log already.
                Ok(_) | Err(Stopped::Taken | Stopped::Fault(..)) => {}
                Err(Stopped::Evidence(fault)) => {
                    tracing::error!(target = %name, %fault, "a turn cannot be written down")
                }
                Err(Stopped::Store(fault)) => tracing::error!(target = %name, %fault, "a turn cannot be read"),
            }
        }
    }

    /// An operator has a target's password changed now, and hears what came of it. The turn comes to its end though whoever ordered
    /// it is gone.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such target, its password is not changed in turns, the reason is malformed, a turn is under way,
    /// a step fails, or it cannot be written down.
    pub async fn rotate_target(
        self: &Arc<Self>,
        target: &str,
        reason: &str,
        by: Actor,
    ) -> Result<RotationFacts, Refusal> {
        check_reason(reason)?;
        let served = self.loaded.load().targets.find(target).ok_or_else(|| self.no_target())?;
        if served.provider.rotation().is_none() {
            return Err(Refusal::conflict(
                "the target's password is not changed in turns: its provider has no `rotation`",
            ));
        }
        self.check_clock().await.map_err(|fault| Refusal::new(fault, RequestId::fresh()))?;
        let (broker, order) = (Arc::clone(self), TurnOrder { by, reason: reason.to_owned() });
        let running = tokio::spawn(async move {
            let turned = broker.turn(&served, Some(order)).await?;
            Ok(facts(&served, Some(turned), broker.clock.now()).ok_or(Stopped::Taken)?)
        });
        running.await.unwrap_or_else(|_| {
            let fault = Fault::new("targets.given_up", Blame::Ours, "the turn was given up")
                .help("look with `writ targets show` how far it came; it is begun anew by itself");
            Err(Refusal::new(fault, RequestId::fresh()))
        })
    }

    /// Makes one turn. The order is the point: no step before the one in front of it is written down.
    async fn turn(&self, served: &Served, order: Option<TurnOrder>) -> Result<TurnRecord, Stopped> {
        let Some(rotation) = served.provider.rotation() else { return Err(Stopped::Taken) };
        let (target, limit, ordered) = (&served.target, self.settings.provider_timeout, order.is_some());
        // Before the secret is read: what another broker writes down from here on makes this one stop.
        let before = self.store.rotations().await?.into_iter().find(|turn| turn.target == target.name);
        let now = self.clock.now();
        if before.as_ref().is_some_and(|before| before.is_claimed(now)) {
            return Err(Stopped::Taken);
        }
        let record = before.unwrap_or_else(|| first(target.name.clone(), now));
        let mut account = Account { broker: self, record, order: order.map(Box::new) };
        let mut turn = match held(limit, async { rotation.begin(target, limit).await }).await {
            Ok(turn) => turn,
            Err(fault) => return Err(account.failed(TurnStep::Read, fault).await),
        };
        if account.record.is_ahead_of(&turn.found(), turn.in_use(), now) {
            return Err(account.failed(TurnStep::Read, outdated(&account.record, turn.in_use())).await);
        }
        match held(limit, async { turn.try_in_use(limit).await }).await {
            Ok(()) if account.record.may_have_switched(turn.in_use()) => {
                account.switched(turn.found()).await?;
                if !ordered {
                    return Ok(account.record);
                }
            }
            Ok(()) => {}
            Err(fault @ ProviderFault::Unreachable(_)) => return Err(account.failed(TurnStep::Read, fault).await),
            Err(fault) => account.shut_out(turn.in_use(), &fault).await?,
        }
        account.begun(turn.due()).await?;
        loop {
            let step = TurnStep::following(account.record.state);
            match held(limit, async { turn.step(limit).await }).await {
                Ok(Reached::Set) => account.reached(TurnState::Set).await?,
                Ok(Reached::Verified) => account.reached(TurnState::Verified).await?,
                Ok(Reached::Switched(fingerprint)) => {
                    account.switched(fingerprint).await?;
                    return Ok(account.record);
                }
                Err(fault) => return Err(account.failed(step, fault).await),
            }
        }
    }

    /// How a target's password is changed in turns, where it is.
    pub(crate) fn rotation_facts(&self, served: &Served, turns: &[TurnRecord]) -> Option<RotationFacts> {
        let last = turns.iter().find(|turn| turn.target == served.target.name).cloned();
        facts(served, last, self.clock.now())
    }
}

fn facts(served: &Served, last: Option<TurnRecord>, now: Timestamp) -> Option<RotationFacts> {
    let every = served.provider.rotation()?.every();
    let due = last.as_ref().map_or(now, |last| last.due(every));
    Some(RotationFacts { every_seconds: every.as_secs(), due, last })
}

/// The age of the password in use, where it is known.
fn measure(target: &TargetName, last: Option<&TurnRecord>, now: Timestamp) {
    if let Some(turned) = last.and_then(|last| last.turned) {
        let age = now.duration_since(turned).as_secs_f64();
        metrics::gauge!("writ_rotation_age_seconds", "target" => target.to_string()).set(age);
    }
}

/// Why nothing is done by a secret that may be older than what was put there last.
fn outdated(record: &TurnRecord, in_use: &str) -> ProviderFault {
    let put = record.fingerprint.as_ref().map_or("another version", Fingerprint::as_str);
    ProviderFault::Refused(format!(
        "the secret names `{in_use}`, and may be older than what was put there last ({put}): nothing is set until its place gives \
         out the newest version. Where somebody put it there since, it is taken up ten minutes after the last turn, or, where \
         versions are numbers, with a newer one"
    ))
}

/// What is known before the first turn.
const fn first(target: TargetName, now: Timestamp) -> TurnRecord {
    TurnRecord {
        target,
        version: 0,
        user: None,
        state: TurnState::Begun,
        begun: now,
        ended: None,
        claimed: None,
        turned: None,
        fingerprint: None,
        failures: 0,
        fault: None,
    }
}

/// Writes a turn down, state by state.
struct Account<'a> {
    broker: &'a Broker,
    record: TurnRecord,
    /// It stands with the beginning of the turn that it ordered, or with why there was none.
    order: Option<Box<TurnOrder>>,
}

impl Account<'_> {
    async fn begun(&mut self, due: &str) -> Result<(), Stopped> {
        let (user, begun) = (Some(due.to_owned()), self.broker.clock.now());
        let next = TurnRecord { user, state: TurnState::Begun, begun, ended: None, fault: None, ..self.record.clone() };
        let order = self.order.take();
        self.write(&[TurnState::Begun], self.claimed(next), order).await
    }

    async fn reached(&mut self, state: TurnState) -> Result<(), Stopped> {
        self.write(&[state], self.claimed(TurnRecord { state, ..self.record.clone() }), None).await
    }

    /// The secret has the due user: whoever asks for it from now on gets the new one, which is the turn's end.
    async fn switched(&mut self, fingerprint: Fingerprint) -> Result<(), Stopped> {
        let now = Some(self.broker.clock.now());
        let next = TurnRecord {
            state: TurnState::Ended,
            ended: now,
            claimed: None,
            turned: now,
            fingerprint: Some(fingerprint),
            failures: 0,
            fault: None,
            ..self.record.clone()
        };
        self.write(&[TurnState::Switched, TurnState::Ended], next, None).await?;
        let (target, user) = (&self.record.target, self.record.user.as_deref().unwrap_or_default());
        tracing::info!(%target, user, "a password was changed");
        metrics::counter!("writ_rotations_total", "target" => target.to_string()).increment(1);
        measure(target, Some(&self.record), self.broker.clock.now());
        Ok(())
    }

    /// The user in use does not get in with what the secret says: somebody changed the one or the other. The turn that follows puts
    /// the other user in its place.
    async fn shut_out(&mut self, in_use: &str, fault: &ProviderFault) -> Result<(), Stopped> {
        let detail =
            format!("the user in use, `{in_use}`, does not get in with what the secret says: {}", fault.detail());
        let (code, detail) = (fault.code().to_owned(), crate::issue::cut(&detail));
        let target = &self.record.target;
        tracing::warn!(%target, code, detail, "whoever uses the secret is shut out: the other user gets a new password");
        let next = self.stopped(TurnFault { step: TurnStep::Read, code, detail });
        self.write(&[TurnState::Failed], next, None).await
    }

    /// It stopped. How far it had come is kept: a turn of which nobody knows whether its secret was written is told by that.
    async fn failed(&mut self, step: TurnStep, fault: ProviderFault) -> Stopped {
        let (code, detail) = (fault.code().to_owned(), crate::issue::cut(fault.detail()));
        let target = &self.record.target;
        tracing::warn!(%target, code, detail, "a password was not changed while {}; it is tried again", step.doing());
        let (next, order) = (self.stopped(TurnFault { step, code, detail }), self.order.take());
        match self.write(&[TurnState::Failed], next, order).await {
            Ok(()) => Stopped::Fault(fault, step),
            Err(stopped) => stopped,
        }
    }

    fn stopped(&self, fault: TurnFault) -> TurnRecord {
        metrics::counter!("writ_rotation_failures_total", "target" => self.record.target.to_string()).increment(1);
        TurnRecord {
            ended: Some(self.broker.clock.now()),
            claimed: None,
            failures: self.record.failures.saturating_add(1),
            fault: Some(fault),
            ..self.record.clone()
        }
    }

    fn claimed(&self, record: TurnRecord) -> TurnRecord {
        let life = self.broker.settings.provider_timeout * 2 + MARGIN;
        TurnRecord { claimed: Some(after(self.broker.clock.now(), life.as_secs())), ..record }
    }

    /// The one place where a turn is written: the ledger's entries and the record, if nobody else wrote it since.
    async fn write(
        &mut self,
        states: &[TurnState],
        next: TurnRecord,
        mut order: Option<Box<TurnOrder>>,
    ) -> Result<(), Stopped> {
        let condition = Condition::Rotation { target: next.target.clone(), version: self.record.version };
        let next = TurnRecord { version: self.record.version.saturating_add(1), ..next };
        let events = states.iter().map(|state| self::event(*state, &next, order.take())).collect();
        let written = self.broker.evidence.write(events, vec![condition], vec![Change::Rotation(next.clone())]).await;
        match written {
            Ok(()) => {
                self.record = next;
                Ok(())
            }
            Err(EvidenceFault::Refused) => Err(Stopped::Taken),
            Err(fault) => Err(Stopped::Evidence(fault)),
        }
    }
}

fn event(state: TurnState, record: &TurnRecord, order: Option<Box<TurnOrder>>) -> Event {
    let written = matches!(state, TurnState::Switched | TurnState::Ended);
    let reading = record.fault.as_ref().is_some_and(|fault| fault.step == TurnStep::Read);
    Event::CredentialTurned {
        target: record.target.clone(),
        user: if reading { None } else { record.user.clone() },
        state,
        fingerprint: record.fingerprint.clone().filter(|_| written),
        order,
        fault: record.fault.clone().map(Box::new),
    }
}
