//! Time. Code that decides takes `now` as an argument or asks a [`Clock`]; only shells read the machine's clock.

pub use jiff::{SignedDuration, Timestamp};

/// Where the wall clock comes from.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// `at` plus `seconds`, held at the last representable time instead of overflowing.
#[must_use]
pub fn after(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
