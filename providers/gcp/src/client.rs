//! How calls leave the broker: no proxy that the environment names, no redirect, an end to every wait and to every body.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use writ_core::provider::ProviderFault;
use writ_provider_calls::{Failed, http};
use zeroize::Zeroizing;

use crate::config::ConfigFault;
use crate::fault;

/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// The header whose text Google's audit logs keep beside each call (`requestMetadata.requestAttributes.reason`).
pub(crate) const REASON: &str = "x-goog-request-reason";

/// What carries the calls.
pub(crate) fn http_client(limit: Duration) -> Result<Client, ConfigFault> {
    http::client(CONNECT)
        .timeout(limit)
        .build()
        .map_err(|error| ConfigFault::new(format!("no HTTP client can be made: {}", fault::chain(&error))))
}

/// An answer, whole. It may hold a token.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Sends a request and reads its answer.
pub(crate) async fn send(doing: &str, request: RequestBuilder) -> Result<Answer, Failed> {
    // Not the error itself: it would show the address.
    let sent = request.send().await.map_err(|error| fault::of_transport(doing, &error.without_url()))?;
    let status = sent.status().as_u16();
    let body = http::body(sent, LONGEST).await.map_err(|_| fault::cut_short(doing))?;
    Ok(Answer { status, body })
}

/// The fault, where a call is not made again.
pub(crate) fn settled(failed: Failed) -> ProviderFault {
    match failed {
        Failed::Harmlessly(fault) | Failed::ForGood(fault) => fault,
    }
}

/// An endpoint that somebody wrote instead of Google's own: HTTPS, or plain HTTP at loopback.
pub(crate) fn endpoint(setting: &str, text: Option<&str>, own: &str) -> Result<Url, ConfigFault> {
    http::endpoint(setting, text.unwrap_or(own)).map_err(ConfigFault::new)
}

/// `path` at an endpoint. It is of names that were checked.
pub(crate) fn at(endpoint: &Url, path: &str) -> String {
    format!("{}{path}", endpoint.as_str().trim_end_matches('/'))
}
