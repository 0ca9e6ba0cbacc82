//! How calls leave the broker: no proxy that the environment names, no redirect, an end to every wait and to every body.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use writ_core::provider::ProviderFault;
use writ_provider_calls::{Failed, plain};
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
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .timeout(limit)
        .connect_timeout(CONNECT);
    builder.build().map_err(|error| ConfigFault::new(format!("no HTTP client can be made: {}", fault::chain(&error))))
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
    let body = body(sent).await.ok_or_else(|| fault::cut_short(doing))?;
    Ok(Answer { status, body })
}

/// The body of an answer, if it is whole and not too long. Its buffer never moves, so that nothing of it stays behind.
async fn body(mut response: reqwest::Response) -> Option<Zeroizing<Vec<u8>>> {
    let mut body = Zeroizing::new(Vec::with_capacity(LONGEST));
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// The fault, where a call is not made again.
pub(crate) fn settled(failed: Failed) -> ProviderFault {
    match failed {
        Failed::Harmlessly(fault) | Failed::ForGood(fault) => fault,
    }
}

/// An endpoint that somebody wrote instead of Google's own: HTTPS, or plain HTTP at loopback.
pub(crate) fn endpoint(setting: &str, text: Option<&str>, own: &str) -> Result<Url, ConfigFault> {
    let text = text.unwrap_or(own);
    let wrong = |why: &str| {
        let text = format!("`{setting}` is `{}`, {why}: write `https://host` or `https://host:port`", plain(text));
        Err(ConfigFault::new(text))
    };
    let Ok(url) = Url::parse(text) else { return wrong("which is no address") };
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    match (url.scheme(), url.host_str()) {
        (_, None | Some("")) => wrong("which names no host"),
        _ if !bare || url.path() != "/" => wrong("which has more than a host and a port"),
        ("https", _) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", _) => wrong("which would carry credentials in the clear"),
        _ => wrong("which is not HTTPS"),
    }
}

/// `path` at an endpoint. It is of names that were checked.
pub(crate) fn at(endpoint: &Url, path: &str) -> String {
    format!("{}{path}", endpoint.as_str().trim_end_matches('/'))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host == "localhost" || bare.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
