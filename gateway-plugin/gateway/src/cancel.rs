//! Which session a cancel request means, across all workers.
//!
//! Clients get our own keys, never the target's. A request is matched in constant time, its rate is limited for each
//! gateway, and what goes to the target is a request with the target's own key. A request that names no session here costs
//! nothing and tells nothing: it takes nothing of the rate, or whoever reaches the port could keep all others from cancelling.
//!
//! A balancer may bring a request to another gateway than the one that has the session, and the request holds nothing but the
//! key. So the key's number names both: [`GATEWAY_BITS`] of it the gateway, the rest the session. Whoever knows the gateways can
//! tell where a request belongs; of a request that belongs elsewhere this one knows nothing and does nothing.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use writ_core::fault::{Blame, Fault};
use writ_core::id::GatewayId;
use writ_core::target::Address;
use writ_wire_postgres::cancel::{BackendKey, CancelKey};

/// How many bits of a key's number name the gateway. Two of a hundred gateways may share a name; they share no key.
pub const GATEWAY_BITS: u32 = 11;
/// How many bits name the session. Together they make 31: libpq keeps the number with a sign.
const SESSION_BITS: u32 = 31 - GATEWAY_BITS;
const SESSIONS: u32 = 1 << SESSION_BITS;

/// How a gateway is named in the numbers of its keys: the last bits of its id, which are random.
#[must_use]
pub const fn number_of(gateway: GatewayId) -> u32 {
    let [.., high, low] = gateway.to_bytes();
    (((high as u32) << 8) | low as u32) & ((1 << GATEWAY_BITS) - 1)
}

/// How the gateway is named that gave this key.
#[must_use]
pub const fn gateway_in(key: &BackendKey) -> u32 {
    key.pid >> SESSION_BITS
}

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
    sessions: HashMap<u32, Known>,
    tokens: f64,
    refilled: Instant,
    rate: u32,
}

#[derive(Debug)]
struct Known {
    key: CancelKey,
    goal: Option<Goal>,
    wanted: Arc<Notify>,
}

/// The sessions that can be cancelled.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
    gateway: u32,
}

/// A session's entry; dropping it takes the session out.
#[derive(Debug)]
pub struct Entry {
    registry: Registry,
    key: BackendKey,
    wanted: Arc<Notify>,
}

impl Registry {
    /// An empty registry of this gateway that answers at most `rate` requests a second.
    #[must_use]
    pub fn new(gateway: GatewayId, rate: u32) -> Self {
        let inner = Inner { sessions: HashMap::new(), tokens: f64::from(rate), refilled: Instant::now(), rate };
        Self { inner: Arc::new(Mutex::new(inner)), gateway: number_of(gateway) }
    }

    /// Answers at most `rate` requests a second from now on, right or wrong.
    pub fn limit(&self, rate: u32) {
        self.lock().rate = rate;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a session and makes its key, of `length` bytes.
    ///
    /// # Errors
    /// There are as many sessions as can be told apart, or the system has no randomness to give.
    pub fn enter(&self, length: usize, goal: Option<Goal>) -> Result<Entry, Fault> {
        let none = || Fault::new("gateway.random", Blame::Ours, "the gateway has no randomness for a cancel key");
        let key = CancelKey::random(length).ok_or_else(none)?;
        let mut inner = self.lock();
        // Half of all numbers: a free one is found at once.
        if inner.sessions.len() >= (SESSIONS / 2) as usize {
            return Err(Fault::new("gateway.full", Blame::Ours, "the gateway has as many sessions as it may have")
                .help("try again later"));
        }
        loop {
            let random = CancelKey::random(4).ok_or_else(none)?;
            let Some(bytes) = random.expose().first_chunk::<4>() else { return Err(none()) };
            let pid = (self.gateway << SESSION_BITS) | (u32::from_be_bytes(*bytes) & (SESSIONS - 1));
            if pid != 0 && !inner.sessions.contains_key(&pid) {
                let wanted = Arc::new(Notify::new());
                inner.sessions.insert(pid, Known { key: key.clone(), goal, wanted: Arc::clone(&wanted) });
                return Ok(Entry { registry: self.clone(), key: BackendKey { pid, key }, wanted });
            }
        }
    }

    /// Whether a request, by its number, is for a session of another gateway.
    #[must_use]
    pub const fn is_elsewhere(&self, asked: &BackendKey) -> bool {
        gateway_in(asked) != self.gateway
    }

    /// What a request leads to; `None` where it is unknown, wrong, or one too many. What the session itself holds back hears of it.
    #[must_use]
    pub fn find(&self, asked: &BackendKey, now: Instant) -> Option<Goal> {
        let mut inner = self.lock();
        if !inner.sessions.contains_key(&asked.pid) {
            return None;
        }
        let rate = f64::from(inner.rate);
        let passed = now.saturating_duration_since(inner.refilled).as_secs_f64();
        inner.tokens = passed.mul_add(rate, inner.tokens).min(rate);
        inner.refilled = now;
        if inner.tokens < 1.0 {
            return None;
        }
        inner.tokens -= 1.0;
        let known = inner.sessions.get(&asked.pid).filter(|known| known.key == asked.key)?;
        known.wanted.notify_waiters();
        known.goal.clone()
    }
}

impl Entry {
    /// The key that the client gets.
    #[must_use]
    pub const fn key(&self) -> &BackendKey {
        &self.key
    }

    /// What cancels on the target what the session does there; `None` where the target gave no key.
    #[must_use]
    pub fn goal(&self) -> Option<Goal> {
        self.registry.lock().sessions.get(&self.key.pid).and_then(|known| known.goal.clone())
    }

    /// Wakes whoever waits when a request to cancel comes for this session.
    #[must_use]
    pub fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.lock().sessions.remove(&self.key.pid);
    }
}
