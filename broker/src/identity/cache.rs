//! An issuer's keys, kept between tokens.
//!
//! Whoever sends tokens must never make the broker hammer the issuer: whatever arrives, one fetch at a time, and at least
//! the configured interval between two. Keys are never used for longer than the stale bound after they were fetched, or a
//! key that the issuer took back would count for ever. The number of issuers is bounded by the configuration, so there is
//! nothing to evict.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use writ_core::time::{SignedDuration, Timestamp};

use super::config::CacheConfig;
use super::jwks::KeySet;

/// How long one fetch may take, whatever its source does.
const FETCH_LIMIT: Duration = Duration::from_secs(15);
/// How many tokens with a key that is not held may wait for one fetch; more are answered from what is held.
const MOST_WAITING: usize = 32;
/// How long keys are fresh where the issuer does not say.
const DEFAULT_FRESH: SignedDuration = SignedDuration::from_secs(600);

/// What a fetch gave.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The keys.
    pub keys: KeySet,
    /// How long the issuer lets them be kept (`Cache-Control`), if it says.
    pub fresh: Option<Duration>,
}

/// A fetch that is under way: keys, or why there are none.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, String>> + Send + 'a>>;

/// Where keys come from.
pub trait Source: Send + Sync + core::fmt::Debug {
    /// Fetches the keys. An error is for the operator.
    fn fetch(&self) -> Fetching<'_>;
}

/// Keys that were fetched.
#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    fetched: Timestamp,
    fresh: SignedDuration,
}

/// The last fetch. Holding it is the right to fetch.
#[derive(Debug, Default)]
struct Last {
    at: Option<Timestamp>,
    failure: Option<String>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Cache {
    source: Box<dyn Source>,
    config: CacheConfig,
    held: ArcSwapOption<Held>,
    last: Mutex<Last>,
    waiting: Semaphore,
}

impl Cache {
    /// An empty cache over `source`.
    #[must_use]
    pub fn new(source: Box<dyn Source>, config: CacheConfig) -> Self {
        Self {
            source,
            config,
            held: ArcSwapOption::empty(),
            last: Mutex::default(),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }

    /// The keys to try for a token whose header names `kid`. Fetches if they are not fresh or do not hold that name, as
    /// far as the interval allows; else gives what is held, which may not hold it.
    ///
    /// # Errors
    /// The reason, for the operator, where no keys are held that may still be used.
    pub async fn keys(&self, kid: Option<&str>, now: Timestamp) -> Result<Arc<KeySet>, String> {
        let held = self.held.load_full();
        let Some(held) = held.filter(|held| self.usable(held, now)) else {
            return self.fetch(self.last.lock().await, kid, now).await;
        };
        if !held.keys.knows(kid) {
            let Ok(_place) = self.waiting.try_acquire() else { return Ok(Arc::clone(&held.keys)) };
            return self.fetch(self.last.lock().await, kid, now).await;
        }
        if age(held.fetched, now) < held.fresh {
            return Ok(Arc::clone(&held.keys));
        }
        // Not fresh, but usable: nobody waits for a fetch that another has begun.
        match self.last.try_lock() {
            Ok(last) => self.fetch(last, kid, now).await,
            Err(_) => Ok(Arc::clone(&held.keys)),
        }
    }

    async fn fetch(
        &self,
        mut last: MutexGuard<'_, Last>,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Arc<KeySet>, String> {
        let held = self.held.load_full();
        let satisfied = |held: &Held| age(held.fetched, now) < held.fresh && held.keys.knows(kid);
        if let Some(held) = held.filter(|held| satisfied(held)) {
            return Ok(Arc::clone(&held.keys));
        }
        let interval = signed(self.config.fetch_interval.get());
        if last.at.is_none_or(|at| age(at, now) >= interval) {
            // Written down first: a caller that goes away in the middle has still spent the interval.
            last.at = Some(now);
            let fetched = tokio::time::timeout(FETCH_LIMIT, self.source.fetch()).await;
            match fetched.unwrap_or_else(|_| Err("the issuer took too long".to_owned())) {
                Ok(fetched) => {
                    last.failure = None;
                    self.held.store(Some(Arc::new(self.held(fetched, now))));
                }
                Err(reason) => last.failure = Some(reason),
            }
        }
        match self.held.load_full().filter(|held| self.usable(held, now)) {
            Some(held) => Ok(Arc::clone(&held.keys)),
            None => Err(last.failure.clone().unwrap_or_else(|| "no fetch has succeeded".to_owned())),
        }
    }

    fn held(&self, fetched: Fetched, now: Timestamp) -> Held {
        let (least, most) = (signed(self.config.min_fresh.get()), signed(self.config.max_fresh.get()));
        let fresh = fetched.fresh.map_or(DEFAULT_FRESH, signed).min(most).max(least);
        Held { keys: fetched.keys.into(), fetched: now, fresh }
    }

    fn usable(&self, held: &Held, now: Timestamp) -> bool {
        age(held.fetched, now) < signed(self.config.max_stale.get())
    }
}

/// The time between two moments, whichever comes first: a clock that was set back must not make keys younger.
fn age(then: Timestamp, now: Timestamp) -> SignedDuration {
    now.duration_since(then).abs()
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// How long a `Cache-Control` header lets a private cache keep a reply (RFC 9111, 5.2.2): zero for `no-store` and
/// `no-cache`, `None` where it does not say.
#[must_use]
pub fn freshness(cache_control: &str) -> Option<Duration> {
    let directives = || cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    if directives().any(|directive| directive == "no-store" || directive == "no-cache") {
        return Some(Duration::ZERO);
    }
    directives().find_map(|directive| {
        let seconds = directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok()?;
        Some(Duration::from_secs(seconds))
    })
}
