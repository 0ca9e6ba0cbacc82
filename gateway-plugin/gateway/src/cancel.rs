//! Which session a cancel request means, across all workers.
//!
//! Clients get our own keys, never the target's. A request is matched in constant time, its rate is limited for each
//! gateway, and what goes to the target is a request with the target's own key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use writ_core::fault::{Blame, Fault};
use writ_core::target::Address;
use writ_wire_postgres::cancel::{BackendKey, CancelKey};

/// What a cancel request leads to.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Where the target is.
    pub address: Address,
    /// What cancels there.
    pub key: BackendKey,
}

#[derive(Debug)]
struct Inner {
    sessions: HashMap<u32, (CancelKey, Option<Goal>)>,
    tokens: f64,
    refilled: Instant,
    rate: u32,
}

/// The sessions that can be cancelled.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

/// A session's entry; dropping it takes the session out.
#[derive(Debug)]
pub struct Entry {
    registry: Registry,
    key: BackendKey,
}

impl Registry {
    /// An empty registry that answers at most `rate` requests a second.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        let inner = Inner { sessions: HashMap::new(), tokens: f64::from(rate), refilled: Instant::now(), rate };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Answers at most `rate` requests a second from now on.
    pub fn limit(&self, rate: u32) {
        self.lock().rate = rate;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session and makes its key, of `length` bytes.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn enter(&self, length: usize, goal: Option<Goal>) -> Result<Entry, Fault> {
        let none = || Fault::new("gateway.random", Blame::Ours, "the gateway has no randomness for a cancel key");
        let key = CancelKey::random(length).ok_or_else(none)?;
        let mut inner = self.lock();
        loop {
            let number = CancelKey::random(4).ok_or_else(none)?;
            let Some(bytes) = number.expose().first_chunk::<4>() else { return Err(none()) };
            // libpq keeps it in a signed number.
            let pid = u32::from_be_bytes(*bytes) & 0x7fff_ffff;
            if pid != 0 && !inner.sessions.contains_key(&pid) {
                inner.sessions.insert(pid, (key.clone(), goal));
                return Ok(Entry { registry: self.clone(), key: BackendKey { pid, key } });
            }
        }
    }

    /// What a request leads to; `None` where it is unknown, wrong, or one too many.
    #[must_use]
    pub fn find(&self, asked: &BackendKey, now: Instant) -> Option<Goal> {
        let mut inner = self.lock();
        let rate = f64::from(inner.rate);
        let passed = now.saturating_duration_since(inner.refilled).as_secs_f64();
        inner.tokens = passed.mul_add(rate, inner.tokens).min(rate);
        inner.refilled = now;
        if inner.tokens < 1.0 {
            return None;
        }
        inner.tokens -= 1.0;
        let (key, goal) = inner.sessions.get(&asked.pid)?;
        if *key == asked.key { goal.clone() } else { None }
    }
}

impl Entry {
    /// The key that the client gets.
    #[must_use]
    pub const fn key(&self) -> &BackendKey {
        &self.key
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.lock().sessions.remove(&self.key.pid);
    }
}
