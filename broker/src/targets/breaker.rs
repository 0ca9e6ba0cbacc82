//! A target that does not answer is left alone for a while: neither it nor those who wait gain from calling it again and again.
//!
//! After [`FAILURES`] calls in a row that did not reach it, calls are refused at once. When the rest is over one call goes
//! through; if that does not reach it either, the next rest is twice as long, up to [`LONGEST_REST`]. Who was let through for
//! that and did not call gives the place back, so that a client which policy or a used token stops cannot keep a target resting
//! for all others; and what fails of the calls that were under way before a rest makes it no longer.

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

/// The right to call the target once.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    finds_out: bool,
}

impl Breaker {
    /// Lets a call through, or says for how long none goes through.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, rest) = (Instant::now(), state.rest);
        let finds_out = match &mut state.until {
            Some(until) if now < *until => return Err(*until - now),
            // The one call that finds out: the others wait for as long again.
            Some(until) => {
                *until = now + rest;
                true
            }
            None => false,
        };
        Ok(Pass { breaker: self, finds_out })
    }

    /// For how long no call goes through, if none does.
    pub(crate) fn resting(&self) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.and_then(|until| until.checked_duration_since(Instant::now())).filter(|rest| !rest.is_zero())
    }

    /// Whether a call reached the target, which was let through to find that out or was not. True where a rest has begun.
    pub(crate) fn tell(&self, reached: bool, finds_out: bool) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reached {
            *state = State::default();
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        state.rest = match state.until {
            Some(_) if finds_out => (state.rest * 2).min(LONGEST_REST),
            Some(_) => return false,
            None if state.failures < FAILURES => return false,
            None => FIRST_REST,
        };
        state.until = Some(Instant::now() + state.rest);
        true
    }
}

impl Pass<'_> {
    /// Takes the right, which from here on is not given back. True for the call that finds out.
    pub(crate) fn take(mut self) -> bool {
        core::mem::take(&mut self.finds_out)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.finds_out {
            let mut state = self.breaker.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.until = state.until.map(|until| until.min(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests;
