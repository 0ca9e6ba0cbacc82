//! What every call of a provider to its target needs: a deadline, retries where they are safe, words without secrets.
//!
//! A call may be repeated only where it cannot have taken effect: the connection was never made, or the target said that it
//! did nothing and to come back. Whoever repeats anything else mints two credentials for one writ.

pub mod der;
pub mod http;
pub mod signing;

use std::future::Future;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use tokio::time::{Instant, sleep_until, timeout_at};
use writ_core::provider::ProviderFault;

/// How often a call is made at most.
pub const ATTEMPTS: u32 = 3;
/// The longest wait before the second call; it doubles for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest text from outside in a fault.
const MESSAGE_LIMIT: usize = 300;

/// Why one call failed.
#[derive(Debug)]
pub enum Failed {
    /// It took no effect, and may be made again.
    Harmlessly(ProviderFault),
    /// It may have taken effect, or would fail again.
    ForGood(ProviderFault),
}

/// `call`, which ends within `deadline`.
///
/// # Errors
/// What the call says; [`ProviderFault::Unreachable`] if it does not end in time.
pub async fn within<T>(
    doing: &str,
    deadline: Duration,
    call: impl Future<Output = Result<T, ProviderFault>>,
) -> Result<T, ProviderFault> {
    tokio::time::timeout(deadline, call).await.unwrap_or_else(|_| Err(late(doing, deadline)))
}

/// `call`, again while it fails harmlessly, at most [`ATTEMPTS`] times and all within `deadline`. Between two attempts a
/// random time passes, so that callers who were turned away together do not come back together.
///
/// # Errors
/// The last fault; [`ProviderFault::Unreachable`] if no attempt ends in time.
pub async fn repeated<T, F>(doing: &str, deadline: Duration, mut call: impl FnMut() -> F) -> Result<T, ProviderFault>
where
    F: Future<Output = Result<T, Failed>>,
{
    let end = Instant::now() + deadline;
    let mut attempt = 1;
    loop {
        let fault = match timeout_at(end, call()).await {
            Err(_) => return Err(late(doing, deadline)),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(Failed::ForGood(fault))) => return Err(fault),
            Ok(Err(Failed::Harmlessly(fault))) => fault,
        };
        let again = Instant::now() + jitter(FIRST_WAIT * 2_u32.pow(attempt - 1));
        if attempt == ATTEMPTS || again >= end {
            return Err(fault);
        }
        attempt += 1;
        sleep_until(again).await;
    }
}

/// Between half of `most` and `most`.
fn jitter(most: Duration) -> Duration {
    let mut byte = [u8::MAX];
    let _ = SystemRandom::new().fill(&mut byte);
    most / 2 + most.mul_f64(f64::from(byte[0]) / 510.0)
}

fn late(doing: &str, limit: Duration) -> ProviderFault {
    ProviderFault::Unreachable(format!("{doing}: no answer within {} ms", limit.as_millis()))
}

/// Text from outside, on one line, cut at a length that a log can hold.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().take(MESSAGE_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
