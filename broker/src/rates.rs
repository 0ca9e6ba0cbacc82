//! How often each caller may ask for what ends in the ledger or at a target: a bucket for each, so that none can fill the
//! disk or wear out the targets for all.
//!
//! What is over the rate costs no write: the first one in a minute is an entry of the ledger, the others are counted
//! (`writ_rate_limited_total`). A gateway has two buckets, one for sessions and one for tokens that are refused: whoever
//! reaches it, with a token that is none, must not use up what those with good tokens may ask for. Callers that are forgotten, because they were
//! silent or because there are too many, begin anew; the number that is remembered is bounded.

use core::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use serde::Deserialize;
use writ_core::fault::{Blame, Fault};
use writ_core::id::GatewayId;
use writ_core::time::Timestamp;

/// How many callers are remembered.
const MAX_CALLERS: u64 = 100_000;
/// After how long a silent caller is forgotten: then its bucket is full again in any case.
const IDLE: Duration = Duration::from_secs(2 * BURST_SECONDS as u64);
/// A caller that was silent may catch up with what it could have asked in so many seconds.
const BURST_SECONDS: u32 = 10;
/// How often a caller's refusals are written down.
const TOLD_EVERY_SECONDS: i64 = 60;

/// What each caller may ask for in a second. Ten seconds' worth may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RatesConfig {
    /// Sessions that one gateway asks for with good tokens.
    pub sessions: u32,
    /// Tokens that one gateway shows and that are refused.
    pub refusals: u32,
    /// Requests to `/v1/token` from one address; of IPv6, from one /64.
    pub exchanges: u32,
    /// Attempts to join as a gateway from one address.
    pub enrolments: u32,
    /// Credentials that are taken back at one target; what is more waits.
    pub revocations: u32,
}

impl Default for RatesConfig {
    fn default() -> Self {
        Self { sessions: 500, refusals: 50, exchanges: 50, enrolments: 5, revocations: 200 }
    }
}

/// Who asks for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Opens(GatewayId),
    Refused(GatewayId),
    Exchanges(IpAddr),
    Enrols(IpAddr),
}

impl Caller {
    pub(crate) fn exchanges(address: IpAddr) -> Self {
        Self::Exchanges(network(address))
    }

    pub(crate) fn enrols(address: IpAddr) -> Self {
        Self::Enrols(network(address))
    }

    const fn rate(self, rates: &RatesConfig) -> u32 {
        match self {
            Self::Opens(_) => rates.sessions,
            Self::Refused(_) => rates.refusals,
            Self::Exchanges(_) => rates.exchanges,
            Self::Enrols(_) => rates.enrolments,
        }
    }

    pub(crate) const fn gateway(self) -> Option<GatewayId> {
        match self {
            Self::Opens(gateway) | Self::Refused(gateway) => Some(gateway),
            Self::Exchanges(_) | Self::Enrols(_) => None,
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Opens(_) => "sessions",
            Self::Refused(_) => "refusals",
            Self::Exchanges(_) => "exchanges",
            Self::Enrols(_) => "enrolments",
        }
    }
}

impl core::fmt::Display for Caller {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Opens(gateway) | Self::Refused(gateway) => write!(f, "{} by {gateway}", self.what()),
            Self::Exchanges(address) | Self::Enrols(address) => write!(f, "{} from {address}", self.what()),
        }
    }
}

/// Whoever has one address of an IPv6 network has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// A request over the rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// For the caller.
    pub(crate) fault: Fault,
    /// Whether it is the first in a minute: then it belongs in the ledger.
    pub(crate) first: bool,
}

#[derive(Debug)]
struct Bucket {
    /// Requests that may still come, in thousandths.
    left: u64,
    filled: Timestamp,
    told: Option<Timestamp>,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Rates {
    buckets: Cache<Caller, Arc<Mutex<Bucket>>>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { buckets: Cache::builder().max_capacity(MAX_CALLERS).time_to_idle(IDLE).build() }
    }

    /// Takes one request out of the caller's bucket.
    ///
    /// # Errors
    /// [`Exceeded`] where it is empty.
    pub(crate) fn admit(&self, caller: Caller, rates: &RatesConfig, now: Timestamp) -> Result<(), Exceeded> {
        let rate = caller.rate(rates);
        let most = u64::from(rate) * u64::from(BURST_SECONDS) * 1000;
        let fresh = || Arc::new(Mutex::new(Bucket { left: most, filled: now, told: None }));
        let bucket = self.buckets.get_with(caller, fresh);
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = u64::try_from(now.duration_since(bucket.filled).as_millis()).unwrap_or(0);
        bucket.left = since.saturating_mul(rate.into()).saturating_add(bucket.left).min(most);
        bucket.filled = now;
        if let Some(left) = bucket.left.checked_sub(1000) {
            bucket.left = left;
            return Ok(());
        }
        metrics::counter!("writ_rate_limited_total", "what" => caller.what()).increment(1);
        let first = bucket.told.is_none_or(|told| now.duration_since(told).abs().as_secs() >= TOLD_EVERY_SECONDS);
        if first {
            bucket.told = Some(now);
        }
        let fault = Fault::new("rate.limited", Blame::NotAllowed, "too many requests")
            .help("try again in a second; an operator can raise `broker.rates`")
            .detail(format!("{caller}: more than {rate} in a second; what follows within a minute is only counted"));
        Err(Exceeded { fault, first })
    }
}

#[cfg(test)]
mod tests;
