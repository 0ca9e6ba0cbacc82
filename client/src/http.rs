//! HTTP to issuers and metadata servers: no proxy, no redirect, a short patience, and no more of an answer than a token needs.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::fault::{Fault, chain};

/// How long a connection may take: what answers here is near.
const CONNECT: Duration = Duration::from_secs(1);
/// How long an answer may take in all.
const ANSWER: Duration = Duration::from_secs(5);
/// The most that is read of an answer, in bytes.
const MOST: usize = 256 << 10;
/// How long to wait before each further try of one that was refused for the moment.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// A client for one errand.
pub(crate) struct Http(Client);

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Http {
    pub(crate) fn new() -> Result<Self, Fault> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .build()
            .map_err(|error| Fault::new(format!("no HTTP client can be set up: {}", chain(&error))))?;
        Ok(Self(client))
    }

    /// Asks once. `who` is who is asked.
    pub(crate) async fn once(
        &self,
        who: &str,
        build: impl Fn(&Client) -> RequestBuilder + Send,
    ) -> Result<Answer, Fault> {
        let failed =
            |error: reqwest::Error| Fault::new(format!("{who} does not answer: {}", chain(&error.without_url())));
        let mut response = build(&self.0).send().await.map_err(failed)?;
        let mut body = Zeroizing::new(Vec::with_capacity(8 << 10));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST {
                return Err(Fault::new(format!("{who} answered with more than {MOST} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: response.headers().clone(), body })
    }

    /// Asks, and asks again where it was told that it cannot be answered at the moment.
    pub(crate) async fn ask(
        &self,
        who: &str,
        build: impl Fn(&Client) -> RequestBuilder + Send + Sync,
    ) -> Result<Answer, Fault> {
        for wait in AGAIN {
            match self.once(who, &build).await {
                Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {}
                other => return other,
            }
            tokio::time::sleep(wait).await;
        }
        self.once(who, &build).await
    }
}

impl Answer {
    /// The answer's text, where it was a success.
    pub(crate) fn text(&self, who: &str) -> Result<&str, Fault> {
        self.success(who)?;
        core::str::from_utf8(&self.body)
            .map_err(|_| Fault::new(format!("{who} answered with something that is no text")))
    }

    /// One text of a JSON object, where it was a success.
    pub(crate) fn member(&self, who: &str, name: &str) -> Result<Zeroizing<String>, Fault> {
        self.success(who)?;
        let mut value: Value = serde_json::from_slice(&self.body)
            .map_err(|_| Fault::new(format!("{who} answered with something that is no JSON")))?;
        let found = match value.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(Zeroizing::new(text)),
            _ => Err(Fault::new(format!("{who} answered without `{name}`"))),
        };
        wipe(&mut value);
        found
    }

    fn success(&self, who: &str) -> Result<(), Fault> {
        if self.status == StatusCode::OK {
            return Ok(());
        }
        Err(Fault::new(format!("{who} refused with status {}", self.status.as_u16())))
    }
}

/// What stands beside what was asked for may be secret too.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(all) => all.iter_mut().for_each(wipe),
        Value::Object(all) => all.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A URL to which a secret may be sent: over TLS, or on this machine.
pub(crate) fn safe(text: &str, what: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|_| Fault::new(format!("{what} is no URL")))?;
    if url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url) {
        Ok(url)
    } else {
        Err(Fault::new(format!("{what} is no https URL")))
    }
}

/// Whether a URL leads to this machine by its address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    address(url).is_some_and(|address| address.is_loopback()) || url.host_str() == Some("localhost")
}

/// The address in a URL, where its host is one.
pub(crate) fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}
