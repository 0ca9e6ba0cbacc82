//! The broker's own tasks. One that breaks off by a bug is begun anew, later each time. Until it has come round once more the
//! broker says that it is not ready, so that it never goes on unseen without one.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::broker::Broker;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Which tasks have broken off and not come round since.
#[derive(Debug, Default)]
pub(crate) struct Steady(Mutex<BTreeSet<&'static str>>);

impl Steady {
    /// Whether each is at work.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// A task has done all that it does in one round.
    pub(crate) fn came_round(&self, task: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(task);
    }

    fn broke_off(&self, task: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    }
}

/// The waits between a task's beginnings.
pub(crate) struct Anew {
    task: &'static str,
    wait: Duration,
}

impl Anew {
    pub(crate) const fn of(task: &'static str) -> Self {
        Self { task, wait: FIRST_WAIT }
    }

    /// The task broke off. Waits until it is to be begun anew; false if the broker stops, or is gone.
    pub(crate) async fn again(&mut self, broker: &Weak<Broker>, stop: &mut watch::Receiver<bool>) -> bool {
        let Self { task, wait } = *self;
        metrics::counter!("writ_panics_total", "part" => task).increment(1);
        tracing::error!(task, seconds = wait.as_secs(), "a task of the broker's broke off by a bug; it is begun anew");
        match broker.upgrade() {
            Some(broker) => broker.steady.broke_off(task),
            None => return false,
        }
        self.wait = (wait * 2).min(LONGEST_WAIT);
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }
}
