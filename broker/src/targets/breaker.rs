//! A target that does not answer is left alone for a while: neither it nor those who wait gain from calling it again and again.
//!
//! After [`FAILURES`] calls in a row that did not reach it, calls are refused at once. When the rest is over one call goes
//! through; if that does not reach it either, the next rest is twice as long, up to [`LONGEST_REST`].

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many calls in a row must fail to reach the target.
pub(crate) const FAILURES: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    rest: Duration,
    until: Option<Instant>,
}

/// Whether a target is called.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

impl Breaker {
    /// Lets a call through, or says for how long none goes through.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, rest) = (Instant::now(), state.rest);
        match &mut state.until {
            Some(until) if now < *until => Err(*until - now),
            // The one call that finds out: the others wait for as long again.
            Some(until) => {
                *until = now + rest;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// For how long no call goes through, if none does.
    pub(crate) fn resting(&self) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|rest| !rest.is_zero())
    }

    /// Whether the last call reached the target. True where a rest has begun.
    pub(crate) fn tell(&self, reached: bool) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reached {
            *state = State::default();
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES {
            return false;
        }
        state.rest = if state.until.is_some() { (state.rest * 2).min(LONGEST_REST) } else { FIRST_REST };
        state.until = Some(Instant::now() + state.rest);
        true
    }
}

#[cfg(test)]
mod tests;
