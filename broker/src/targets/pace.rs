//! How fast credentials are taken back at one target: a storm of revocations must not take down what it revokes at.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// At most so many calls a second, evenly, and a second's worth at once.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Takes one call. False where there is none left at this moment.
    pub(crate) fn take(&self, a_second: u32) -> bool {
        let interval = Duration::from_secs(1) / a_second.max(1);
        let now = Instant::now();
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // When the next call would be due if they came evenly; it may lie a second ahead.
        let due = next.map_or(now, |next| next.max(now));
        let left = due + interval <= now + Duration::from_secs(1);
        if left {
            *next = Some(due + interval);
        }
        left
    }
}

#[cfg(test)]
mod tests;
