//! One request to GitHub: bounded in time and size, over TLS, repeated only where it cannot have taken effect.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::time::Timestamp;
use writ_provider_calls::http::{body, causes, client as http_client};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::config::ConfigFault;

/// The version of the API whose answers are read here.
const VERSION: &str = "2022-11-28";
/// The longest answer: a repository has six kilobytes.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// GitHub closes a connection that is idle for longer: a request must not meet that.
const IDLE: Duration = Duration::from_secs(30);
/// By how much clocks may differ before that is what a refusal is about, in seconds.
const CLOCKS: i64 = 60;

/// GitHub's API.
pub(crate) struct Api {
    client: Client,
}

/// GitHub understood and said no.
#[derive(Debug)]
pub(crate) struct Denied {
    /// HTTP's status.
    pub(crate) code: u16,
    /// Its own words, on one line.
    pub(crate) words: String,
    /// By how many seconds its clock is ahead of ours, where that is more than it should be.
    pub(crate) ahead: Option<i64>,
}

/// What errors look like.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// One thing to ask.
pub(crate) struct Request<'a> {
    /// What is being done, for messages.
    pub(crate) doing: &'a str,
    pub(crate) method: Method,
    pub(crate) url: String,
    /// The App's JWT, or a token.
    pub(crate) bearer: &'a Secret,
    pub(crate) body: Option<Arc<Vec<u8>>>,
}

impl Api {
    /// Does not connect.
    pub(crate) fn new(connecting: Duration) -> Result<Self, ConfigFault> {
        // GitHub refuses whoever does not say who it is.
        let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
        let builder = http_client(connecting);
        // With HTTP/1.1 a call that ran out of time takes its connection with it; with HTTP/2 the next would wait on the same.
        let builder = builder.http1_only().user_agent(agent);
        let built = builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(4).build();
        let client = built.map_err(|error| ConfigFault::new(format!("no client: {}", plain(&error.to_string()))))?;
        Ok(Self { client })
    }

    /// Sends it within `deadline`. What only looks or takes back is sent again where GitHub failed; what makes something, only
    /// where there was no connection.
    ///
    /// # Errors
    /// [`ProviderFault::Unreachable`] if there is no answer: what was asked for may have happened.
    pub(crate) async fn ask(
        &self,
        request: &Request<'_>,
        deadline: Duration,
        now: Timestamp,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Denied>, ProviderFault> {
        let headers = headers(request.bearer).ok_or_else(|| {
            ProviderFault::Misconfigured(format!("{}: the token has characters that none has", request.doing))
        })?;
        let harmless = request.method != Method::POST;
        repeated(request.doing, deadline, || {
            let mut sent = self.client.request(request.method.clone(), &request.url).headers(headers.clone());
            if let Some(body) = &request.body {
                sent = sent.header("content-type", "application/json").body(body.to_vec());
            }
            once(request.doing, sent, harmless, now)
        })
        .await
    }
}

fn headers(bearer: &Secret) -> Option<HeaderMap> {
    let value = Zeroizing::new([b"Bearer ", bearer.expose()].concat());
    let mut authorization = HeaderValue::from_bytes(&value).ok()?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, authorization);
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert("x-github-api-version", HeaderValue::from_static(VERSION));
    Some(headers)
}

async fn once(
    doing: &str,
    request: reqwest::RequestBuilder,
    harmless: bool,
    now: Timestamp,
) -> Result<Result<Zeroizing<Vec<u8>>, Denied>, Failed> {
    let unreachable = |text: String| ProviderFault::Unreachable(format!("{doing}: {text}"));
    let failed = |fault| if harmless { Failed::Harmlessly(fault) } else { Failed::ForGood(fault) };
    let response = match request.send().await {
        Ok(response) => response,
        // There was no connection, so that nothing was asked.
        Err(error) if error.is_connect() => return Err(Failed::Harmlessly(unreachable(causes(&error)))),
        Err(error) => return Err(failed(unreachable(causes(&error)))),
    };
    let (status, head) = (response.status(), response.headers().clone());
    let body = body(response, ANSWER_LIMIT).await.map_err(|problem| failed(unreachable(problem)))?;
    if status.is_success() {
        return Ok(Ok(body));
    }
    let problem = serde_json::from_slice::<Problem>(&body).unwrap_or_default();
    let words = match problem.message.as_str() {
        "" => format!("HTTP status {}", status.as_u16()),
        message => plain(message),
    };
    if status.is_server_error() {
        return Err(failed(unreachable(format!("it failed: {words}"))));
    }
    if let Some(wait) = limited(status, &head, &words, now) {
        // It did nothing; but it wants to be left alone for longer than a call may take.
        return Err(Failed::ForGood(unreachable(format!("it takes no more for {wait} s: {words}"))));
    }
    Ok(Err(Denied { code: status.as_u16(), words, ahead: ahead(&head, now) }))
}

/// For how many seconds GitHub wants to be left alone, where that is why it refused: the hour's requests are used up, or too
/// many came at once.
fn limited(status: StatusCode, head: &HeaderMap, words: &str, now: Timestamp) -> Option<i64> {
    let number = |name: &str| head.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let wait = number(RETRY_AFTER.as_str());
    let used_up = number("x-ratelimit-remaining") == Some(0);
    let said = words.to_ascii_lowercase().contains("rate limit");
    let is = status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN && (wait.is_some() || used_up || said));
    let reset = || number("x-ratelimit-reset").filter(|_| used_up).map(|reset| (reset - now.as_second()).max(0));
    is.then(|| wait.or_else(reset).unwrap_or(60))
}

/// By how much GitHub's clock is ahead of ours, if by more than it should be.
fn ahead(head: &HeaderMap, now: Timestamp) -> Option<i64> {
    let date = head.get(DATE)?.to_str().ok()?;
    let theirs = http_date(date)?;
    let ahead = theirs - now.as_second();
    (ahead.abs() > CLOCKS).then_some(ahead)
}

/// Seconds since 1970 of `Fri, 02 Jan 2026 03:04:05 GMT` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let iso = format!("{year}-{month:02}-{day}T{time}Z");
    (zone == "GMT").then(|| iso.parse::<Timestamp>().ok())?.map(Timestamp::as_second)
}

/// What an answer says. A parser's words may quote it, and it may be a token.
pub(crate) fn read<T: DeserializeOwned>(doing: &str, body: &[u8]) -> Result<T, ProviderFault> {
    let broken = |_| ProviderFault::Unreachable(format!("{doing}: the answer is broken off, or none of GitHub's"));
    serde_json::from_slice(body).map_err(broken)
}
