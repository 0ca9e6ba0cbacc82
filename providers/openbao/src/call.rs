//! One request to OpenBao: bounded in time and size, over TLS, repeated only where that is safe, never led elsewhere.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, Url};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_provider_calls::http::{body, causes, client as http_client, is_untrusted};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::config::{ConfigFault, OpenbaoConfig};

/// The longest answer. OpenBao takes no request of more than 32 MiB; a secret that is given out is far shorter.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// Load balancers close a connection that is idle for longer: a request must not meet that.
const IDLE: Duration = Duration::from_secs(30);

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Without it an agent in between may refuse, since no browser can be made to send it.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// An OpenBao or Vault.
pub(crate) struct Server {
    http: Client,
    url: Url,
    namespace: Option<HeaderValue>,
}

impl Server {
    /// Reads `ca_file`. Does not connect.
    pub(crate) fn new(config: &OpenbaoConfig) -> Result<Self, ConfigFault> {
        let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
        let mut builder = http_client(config.call_timeout());
        // With HTTP/1.1 a call that ran out of time takes its connection with it; with HTTP/2 the next would wait on the same.
        builder = builder.https_only(true).http1_only().user_agent(agent);
        builder = builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(4);
        if let Some(path) = &config.ca_file {
            let unread = |error| ConfigFault::new(format!("`ca_file`: `{}` cannot be read: {error}", path.display()));
            let pem = std::fs::read(path).map_err(unread)?;
            let bundle = Certificate::from_pem_bundle(&pem).ok().filter(|bundle| !bundle.is_empty());
            let none = || ConfigFault::new("`ca_file` has no certificate of an authority in PEM");
            builder = builder.tls_certs_only(bundle.ok_or_else(none)?);
        }
        let unusable = |error: reqwest::Error| ConfigFault::new(format!("`ca_file`: {}", plain(&error.to_string())));
        let unheaded = |_| ConfigFault::new("`namespace` is no path");
        let namespace = config.namespace.as_deref().map(HeaderValue::from_str).transpose().map_err(unheaded)?;
        Ok(Self { http: builder.build().map_err(unusable)?, url: config.url()?, namespace })
    }

    /// Its address, for whoever reads a fault.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Requests without a token, all before `end`.
    pub(crate) const fn anonymous(&self, end: Instant) -> Session<'_> {
        Session { server: self, token: None, end }
    }

    fn at(&self, call: Call<'_>) -> Option<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().push("v1").extend(call.path.split('/'));
        match call.verb {
            Verb::List => url.set_query(Some("list=true")),
            Verb::Version(Some(version)) => url.set_query(Some(&format!("version={version}"))),
            Verb::Get | Verb::Version(None) | Verb::Post | Verb::Delete => {}
        }
        Some(url)
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// What the caller is about, for faults.
    pub(crate) doing: &'a str,
    pub(crate) verb: Verb,
    /// The path below `/v1`.
    pub(crate) path: &'a str,
    /// Whether asking twice does no harm.
    pub(crate) harmless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    /// A GET of one version of a value, or of the newest.
    Version(Option<u32>),
    List,
    Post,
    Delete,
}

/// Somebody's requests, all before one moment.
pub(crate) struct Session<'a> {
    server: &'a Server,
    token: Option<HeaderValue>,
    end: Instant,
}

/// OpenBao understood and said no.
#[derive(Debug)]
pub(crate) struct Denied {
    /// HTTP's status.
    pub(crate) code: u16,
    /// Its own words, on one line.
    pub(crate) words: String,
}

/// An answer, or a no.
pub(crate) type Answer<T> = Result<Result<Reply<T>, Denied>, ProviderFault>;

/// What every answer looks like.
#[derive(Deserialize)]
pub(crate) struct Reply<T> {
    #[serde(default)]
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) lease_id: String,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) renewable: bool,
    pub(crate) data: Option<T>,
    pub(crate) auth: Option<Auth>,
    pub(crate) wrap_info: Option<IgnoredAny>,
}

/// What an answer says of a token.
#[derive(Deserialize)]
pub(crate) struct Auth {
    #[serde(deserialize_with = "secret")]
    pub(crate) client_token: Secret,
    #[serde(default)]
    pub(crate) accessor: String,
    #[serde(default)]
    pub(crate) lease_duration: u64,
    #[serde(default)]
    pub(crate) renewable: bool,
    #[serde(default)]
    pub(crate) token_type: String,
    #[serde(default)]
    pub(crate) num_uses: i64,
    pub(crate) metadata: Option<std::collections::BTreeMap<String, String>>,
    pub(crate) mfa_requirement: Option<IgnoredAny>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(|text| Secret::new(text.into_bytes()))
}

impl<'a> Session<'a> {
    /// The same server, for whoever has `token`.
    pub(crate) fn with(&self, token: &Secret) -> Option<Session<'a>> {
        let mut header = HeaderValue::from_bytes(token.expose()).ok().filter(|header| !header.is_empty())?;
        header.set_sensitive(true);
        Some(Session { server: self.server, token: Some(header), end: self.end })
    }

    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Asks, with `body` where there is one.
    ///
    /// # Errors
    /// [`ProviderFault::Unreachable`] if there is no answer: what was asked for may have happened.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call<'_>, body: Option<&Value>) -> Answer<T> {
        let unmade = || ProviderFault::Misconfigured(format!("{}: the request cannot be made", call.doing));
        let url = self.server.at(call).ok_or_else(unmade)?;
        let body = body.map(serde_json::to_vec).transpose().map_err(|_| unmade())?.map(Zeroizing::new);
        let method = match call.verb {
            Verb::Get | Verb::Version(_) | Verb::List => Method::GET,
            Verb::Post => Method::POST,
            Verb::Delete => Method::DELETE,
        };
        repeated(call.doing, self.left(), || {
            let mut request = self.server.http.request(method.clone(), url.clone()).header(REQUEST, "true");
            if let Some(namespace) = &self.server.namespace {
                request = request.header(NAMESPACE, namespace.clone());
            }
            if let Some(token) = &self.token {
                request = request.header(TOKEN, token.clone());
            }
            if let Some(body) = &body {
                request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_vec());
            }
            once(call, request)
        })
        .await
    }
}

async fn once<T: DeserializeOwned>(
    call: Call<'_>,
    request: reqwest::RequestBuilder,
) -> Result<Result<Reply<T>, Denied>, Failed> {
    let unreachable = |text: String| ProviderFault::Unreachable(format!("{}: {text}", call.doing));
    let failed = |fault| if call.harmless { Failed::Harmlessly(fault) } else { Failed::ForGood(fault) };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Err(unconnected(call.doing, &error)),
        Err(error) => return Err(failed(unreachable(causes(&error)))),
    };
    let status = response.status();
    let body = body(response, ANSWER_LIMIT).await.map_err(|problem| failed(unreachable(problem)))?;
    if status.is_success() {
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        // A parser's words may quote the answer, which may be a secret.
        return serde_json::from_slice(text)
            .map(Ok)
            .map_err(|_| failed(unreachable("the answer is broken off".to_owned())));
    }
    let denied = denied(status.as_u16(), &body);
    match denied.code {
        // It says that it did nothing, and to come back.
        412 | 429 => Err(Failed::Harmlessly(unreachable(format!("it is busy: {}", denied.words)))),
        503 if denied.words.contains("sealed") => {
            Err(failed(unreachable("it is sealed: unseal it (HTTP status 503)".to_owned())))
        }
        500.. => Err(failed(unreachable(format!("it failed: {} (HTTP status {})", denied.words, denied.code)))),
        300..=399 => Err(Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{}: it sends elsewhere (HTTP status {}), as a standby does that cannot forward: write the address of the active \
             node, or of what finds it",
            call.doing, denied.code
        )))),
        _ => Ok(Err(denied)),
    }
}

fn denied(code: u16, body: &[u8]) -> Denied {
    #[derive(Deserialize, Default)]
    struct Errors {
        #[serde(default)]
        errors: Vec<String>,
    }
    let errors = serde_json::from_slice::<Errors>(body).unwrap_or_default().errors;
    // Several errors come as one text with lines and marks.
    let words = errors.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
    let words = if words.is_empty() { format!("HTTP status {code}") } else { plain(&words) };
    Denied { code, words }
}

/// There was no connection, so that nothing was asked; or the other end is not whom the authorities know.
fn unconnected(doing: &str, error: &reqwest::Error) -> Failed {
    let text = causes(error);
    if is_untrusted(error) {
        return Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{doing}: its certificate is not vouched for: {text}: write its authority into `ca_file`"
        )));
    }
    Failed::Harmlessly(ProviderFault::Unreachable(format!("{doing}: {text}")))
}
