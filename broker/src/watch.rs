//! The clock under watch: whether the wall clock still agrees with the one that nobody can set.
//!
//! Whoever can set the broker's clock can make an expired token good again, or a short life long. A step of more than the
//! allowed one therefore stops issuance, and is an event in the ledger. It starts again when the clock is back where it
//! should be, which is an event too, or when an operator restarts the broker: that says that the new time is the right one.
//!
//! A clock that is disciplined step by step, each within what is allowed, is followed: the comparison is with the last time
//! at which both agreed, not with the start.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use writ_core::event::Event;
use writ_core::fault::{Blame, Fault};
use writ_core::time::{Clock, SignedDuration, Timestamp};

use crate::broker::Broker;
use crate::evidence::EvidenceFault;
use crate::refusal::no_evidence;

/// What the two clocks said when they last agreed, and whether they do now.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    agreed: Mutex<Agreed>,
    most: SignedDuration,
    /// One at a time writes a step down.
    telling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
struct Agreed {
    wall: Timestamp,
    monotonic: Duration,
    /// By how much the wall clock is off, while it is.
    off: Option<SignedDuration>,
    /// A step that is not in the ledger yet.
    untold: Option<SignedDuration>,
}

/// What a look at the clocks gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// They agree.
    Steady,
    /// They have parted, or come together again; the wall clock moved by so much, and the ledger does not know it yet.
    Untold(SignedDuration),
    /// They disagree.
    Off,
}

impl ClockWatch {
    /// Takes the clocks as they are. A step of more than `most` is one.
    pub(crate) fn new(clock: &dyn Clock, most: Duration) -> Self {
        let agreed = Agreed { wall: clock.now(), monotonic: clock.monotonic(), off: None, untold: None };
        let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
        Self { agreed: Mutex::new(agreed), most, telling: tokio::sync::Mutex::new(()) }
    }

    /// Compares the clocks.
    pub(crate) fn look(&self, clock: &dyn Clock) -> Seen {
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        // Within the lock, so that two who look at once do not see time run backwards.
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let passed = monotonic.saturating_sub(agreed.monotonic);
        let passed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let off = wall.duration_since(agreed.wall).saturating_sub(passed);
        let within = off.abs() <= self.most;
        let moved = match (agreed.off, within) {
            (None, true) | (Some(_), false) => None,
            (None, false) => Some(off),
            (Some(was), true) => Some(off.saturating_sub(was)),
        };
        if let Some(moved) = moved {
            agreed.untold = Some(agreed.untold.map_or(moved, |before| before.saturating_add(moved)));
        }
        *agreed = match within {
            true => Agreed { wall, monotonic, off: None, ..*agreed },
            false => Agreed { off: Some(off), ..*agreed },
        };
        match agreed.untold {
            Some(by) => Seen::Untold(by),
            None if within => Seen::Steady,
            None => Seen::Off,
        }
    }

    /// The step is in the ledger.
    fn told(&self, by: SignedDuration) {
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = agreed.untold.map(|untold| untold.saturating_sub(by));
        agreed.untold = rest.filter(|rest| !rest.is_zero());
    }

    /// Whether the clocks agreed when they were last looked at.
    pub(crate) fn is_steady(&self) -> bool {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).off.is_none()
    }
}

impl Broker {
    /// Looks at the clocks; a step is in the ledger before anything else happens.
    ///
    /// # Errors
    /// [`Fault`] while the clock is not to be trusted, or if its step cannot be written down.
    pub(crate) async fn check_clock(&self) -> Result<(), Fault> {
        if let Seen::Untold(_) = self.clock_watch.look(&*self.clock) {
            let _one = self.clock_watch.telling.lock().await;
            if let Seen::Untold(by) = self.clock_watch.look(&*self.clock) {
                self.tell_step(by).await.map_err(|fault| no_evidence(&fault))?;
            }
        }
        if self.clock_watch.is_steady() {
            return Ok(());
        }
        Err(Fault::new("clock.stepped", Blame::Ours, "the broker's clock cannot be trusted, so nothing is issued")
            .help("tell the operator: set the clock right, or restart the broker if it is right now")
            .detail("the wall clock was stepped by more than `broker.max_clock_step` against the monotonic clock"))
    }

    async fn tell_step(&self, by: SignedDuration) -> Result<(), EvidenceFault> {
        let by_milliseconds = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        tracing::error!(by_milliseconds, steady = self.clock_watch.is_steady(), "the clock was stepped");
        metrics::counter!("writ_clock_steps_total").increment(1);
        self.evidence.event(Event::ClockStepped { by_milliseconds }).await?;
        self.clock_watch.told(by);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
