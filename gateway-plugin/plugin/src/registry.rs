//! The registry of live sessions: who must end, and why.
//!
//! An order may come before its session is here: the broker has admitted it, and the gateway still dials. The order is said
//! once, so it is kept for the session that registers then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use writ_core::event::SessionEnd;
use writ_core::id::SessionId;

/// Why a session has to end that its peers would go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// In a word, for the record.
    pub end: SessionEnd,
    /// What the client is told.
    pub reason: String,
}

type Signal = watch::Sender<Option<Ending>>;

/// How many orders are kept for sessions that are not here. Most are for sessions that have ended, and the oldest give way.
const MOST_EARLY: usize = 1024;

#[derive(Debug, Default)]
struct Inner {
    sessions: BTreeMap<SessionId, Signal>,
    early: VecDeque<(SessionId, Ending)>,
}

/// All live sessions of a gateway.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

/// A session's place in the registry; dropping it takes the session out.
#[derive(Debug)]
pub struct LiveSession {
    session: SessionId,
    signal: watch::Receiver<Option<Ending>>,
    registry: Registry,
}

impl Registry {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn register(&self, session: SessionId) -> LiveSession {
        let signal = self.with(|inner| {
            let early = inner.early.iter().position(|(of, _)| *of == session);
            let said = early.and_then(|place| inner.early.remove(place)).map(|(_, ending)| ending);
            let (sender, signal) = watch::channel(said);
            inner.sessions.insert(session, sender);
            signal
        });
        LiveSession { session, signal, registry: self.clone() }
    }

    /// Ends a session; `false` if it does not live here, or not yet: then it ends when it registers.
    pub(crate) fn end(&self, session: SessionId, ending: &Ending) -> bool {
        self.with(|inner| match inner.sessions.get(&session) {
            Some(signal) => {
                signal.send_if_modified(|said| said.is_none() && said.replace(ending.clone()).is_none());
                true
            }
            None => {
                if inner.early.iter().all(|(of, _)| *of != session) {
                    if inner.early.len() >= MOST_EARLY {
                        inner.early.pop_front();
                    }
                    inner.early.push_back((session, ending.clone()));
                }
                false
            }
        })
    }

    /// Ends all sessions.
    pub(crate) fn end_all(&self, ending: &Ending) {
        for session in self.sessions() {
            self.end(session, ending);
        }
    }

    /// The sessions that live.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.with(|inner| inner.sessions.keys().copied().collect())
    }
}

impl LiveSession {
    /// Resolves when the session has to end. Cancel-safe.
    pub async fn ended(&mut self) -> Ending {
        match self.signal.wait_for(Option::is_some).await {
            Ok(said) => said.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }
}

fn gone() -> Ending {
    Ending { end: SessionEnd::Drained, reason: "the gateway is shutting down".to_owned() }
}

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.registry.with(|inner| inner.sessions.remove(&self.session));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_learns_once_why_it_ends_and_leaves_when_dropped() {
        let registry = Registry::default();
        let session = SessionId::fresh();
        let mut live = registry.register(session);
        let first = Ending { end: SessionEnd::Revoked, reason: "first".to_owned() };
        assert!(registry.end(session, &first));
        registry.end_all(&Ending { end: SessionEnd::BrokerLost, reason: "second".to_owned() });
        assert_eq!(live.ended().await, first);
        drop(live);
        assert!(registry.sessions().is_empty());
        assert!(!registry.end(session, &first));
    }

    #[tokio::test]
    async fn an_order_that_comes_before_its_session_ends_it() {
        let registry = Registry::default();
        let (session, other) = (SessionId::fresh(), SessionId::fresh());
        let order = Ending { end: SessionEnd::Revoked, reason: "killed while it was opened".to_owned() };
        assert!(!registry.end(session, &order) && !registry.end(session, &order));
        let spared = registry.register(other);
        assert_eq!(*spared.signal.borrow(), None);
        assert_eq!(registry.register(session).ended().await, order);
        assert_eq!(*registry.register(session).signal.borrow(), None, "it was said once");
        for _ in 0..10_000 {
            registry.end(SessionId::fresh(), &order);
        }
        assert_eq!(registry.with(|inner| inner.early.len()), MOST_EARLY);
    }
}
