//! Questions to whoever has to confirm a token: how many may be open at once, and how long one waits for its turn.
//!
//! They are asked before anything is known of the asker, so that whoever reaches a gateway can fill the places with proofs that are
//! none. Turns come in the order of asking: a good token waits a while, and is not turned away.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// How many questions may be open at one party.
const MOST: usize = 64;
/// How long a question waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The places of one party.
#[derive(Debug)]
pub(super) struct Asking(Semaphore);

impl Asking {
    pub(super) const fn new() -> Self {
        Self(Semaphore::const_new(MOST))
    }

    /// A place, held until it is dropped. `None` where none came free in time.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(LONGEST_WAIT, self.0.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_question_waits_for_its_turn_and_not_for_ever() {
        let asking = Asking::new();
        let mut places = Vec::new();
        for _ in 0..MOST {
            places.push(asking.turn().await.unwrap());
        }
        let begun = tokio::time::Instant::now();
        assert!(asking.turn().await.is_none(), "all places are taken");
        assert_eq!(begun.elapsed(), LONGEST_WAIT);
        let (came, ()) = tokio::join!(asking.turn(), async {
            tokio::time::sleep(LONGEST_WAIT / 2).await;
            places.pop();
        });
        assert!(came.is_some(), "one came free while it waited");
    }
}
