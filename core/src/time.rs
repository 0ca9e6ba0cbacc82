//! Time. Code that decides takes `now` as an argument or asks a [`Clock`]; only shells read the machine's clock.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use jiff::{SignedDuration, Timestamp};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The time now, by the wall clock. Whoever administers the machine can set it.
    fn now(&self) -> Timestamp;

    /// The time since some moment in the past, by a clock that nobody can set.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }
}

/// `at` plus `seconds`, held at the last representable time instead of overflowing.
#[must_use]
pub fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
