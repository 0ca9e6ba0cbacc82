//! The registry of live sessions: who must end, and why.

use std::collections::BTreeMap;
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

/// All live sessions of a gateway.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    sessions: Arc<Mutex<BTreeMap<SessionId, Signal>>>,
}

/// A session's place in the registry; dropping it takes the session out.
#[derive(Debug)]
pub struct LiveSession {
    session: SessionId,
    signal: watch::Receiver<Option<Ending>>,
    registry: Registry,
}

impl Registry {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<SessionId, Signal>) -> T) -> T {
        work(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn register(&self, session: SessionId) -> LiveSession {
        let (sender, signal) = watch::channel(None);
        self.with(|sessions| sessions.insert(session, sender));
        LiveSession { session, signal, registry: self.clone() }
    }

    /// Ends a session; `false` if it does not live here.
    pub(crate) fn end(&self, session: SessionId, ending: &Ending) -> bool {
        self.with(|sessions| match sessions.get(&session) {
            Some(signal) => {
                signal.send_if_modified(|said| said.is_none() && said.replace(ending.clone()).is_none());
                true
            }
            None => false,
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
        self.with(|sessions| sessions.keys().copied().collect())
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
        self.registry.with(|sessions| sessions.remove(&self.session));
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
}
