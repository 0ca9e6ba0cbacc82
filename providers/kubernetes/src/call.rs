//! One request to the API server: bounded in time and size, over TLS, repeated only where that is safe.
//!
//! The requests and the words for errors are `kube`'s; its client is not used. That one collects answers of any size, repeats
//! by itself, and cannot be given a token for one request.

use std::time::Duration;

use kube::core::Status;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Client, Identity, Method, Url};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_provider_calls::http::{body, causes, client as http_client, is_untrusted};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::access::Access;
use crate::config::ConfigFault;
use crate::rights::Right;

/// The longest answer: a page of a list has a few hundred bytes for each of its objects.
const ANSWER_LIMIT: usize = 4 * 1024 * 1024;
/// API servers, and what stands before them, close a connection that is idle for longer: a request must not meet that.
const IDLE: Duration = Duration::from_secs(30);

/// What `kube` made of a request, or could not.
pub(crate) type Request = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// A cluster's API server.
pub(crate) struct Cluster {
    /// With the broker's client certificate, where it has one.
    own: Client,
    /// Without: an API server that sees a certificate does not look at a token.
    bare: Client,
    access: Access,
    /// All that the broker needs there.
    needed: Vec<Right>,
}

impl Cluster {
    /// Does not connect.
    pub(crate) fn new(mut access: Access, needed: Vec<Right>, connecting: Duration) -> Result<Self, ConfigFault> {
        let (authorities, identity) = (access.authorities.take(), access.identity.take());
        let bare = client(authorities.clone(), None, connecting)?;
        let own = client(authorities, identity, connecting)?;
        Ok(Self { own, bare, access, needed })
    }

    /// Who the broker is there.
    pub(crate) fn named(&self) -> &str {
        &self.access.named
    }

    /// All that the broker needs there.
    pub(crate) fn needed(&self) -> &[Right] {
        &self.needed
    }

    /// The broker's own, for what it does before `end`.
    pub(crate) async fn session(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        end: Instant,
    ) -> Result<Session<'_>, ProviderFault> {
        let Some(bearer) = &self.access.bearer else {
            return Ok(Session { cluster: self, http: &self.own, authorization: None, end });
        };
        let asked = tokio::time::timeout_at(end, bearer.bearer(target, intended)).await;
        let late = |_| ProviderFault::Unreachable(format!("{}: none in time", self.named()));
        let token = asked.map_err(late)??;
        Ok(Session { http: &self.own, ..self.session_of(&token, end)? })
    }

    /// That of whoever has `token`.
    pub(crate) fn session_of(&self, token: &Secret, end: Instant) -> Result<Session<'_>, ProviderFault> {
        let value = Zeroizing::new([b"Bearer ", token.expose()].concat());
        let mut header = HeaderValue::from_bytes(&value).map_err(|_| {
            ProviderFault::Misconfigured(format!("{} is no token: it has other characters", self.named()))
        })?;
        header.set_sensitive(true);
        Ok(Session { cluster: self, http: &self.bare, authorization: Some(header), end })
    }

    fn url(&self, path_and_query: &str) -> Option<Url> {
        let base = self.access.server.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path_and_query}")).ok()
    }
}

fn client(
    authorities: Option<Vec<Certificate>>,
    identity: Option<Identity>,
    connecting: Duration,
) -> Result<Client, ConfigFault> {
    let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
    let mut builder = http_client(connecting);
    // With HTTP/1.1 a call that ran out of time takes its connection with it; with HTTP/2 the next would wait on the same.
    builder = builder.https_only(true).http1_only().user_agent(agent);
    builder = builder.pool_idle_timeout(IDLE).pool_max_idle_per_host(4);
    if let Some(authorities) = authorities {
        builder = builder.tls_certs_only(authorities);
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity);
    }
    let built = builder.build();
    built.map_err(|error| ConfigFault::new(format!("its certificates cannot be used: {}", plain(&error.to_string()))))
}

/// Somebody's requests, all before one moment.
pub(crate) struct Session<'a> {
    cluster: &'a Cluster,
    http: &'a Client,
    authorization: Option<HeaderValue>,
    end: Instant,
}

/// The API server understood and said no.
#[derive(Debug)]
pub(crate) struct Denied {
    /// HTTP's status.
    pub(crate) code: u16,
    /// What kind of thing it is about, as the API names them: `secrets`, `serviceaccounts`.
    pub(crate) kind: String,
    /// Its own words, on one line.
    pub(crate) words: String,
}

/// An answer, or a no.
pub(crate) type Answer<T> = Result<Result<T, Denied>, ProviderFault>;

impl<'a> Session<'a> {
    /// The same, for longer.
    pub(crate) fn until(&self, end: Instant) -> Session<'a> {
        Session { cluster: self.cluster, http: self.http, authorization: self.authorization.clone(), end }
    }

    pub(crate) const fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Sends `request`. What only looks or deletes is sent again where the API server failed; what makes something, only where
    /// it cannot have been made.
    ///
    /// # Errors
    /// [`ProviderFault::Unreachable`] if there is no answer: what the request asked for may have happened.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, doing: &str, request: Request) -> Answer<T> {
        let said = |_| ProviderFault::Misconfigured(format!("{doing}: the request cannot be made"));
        let (head, body) = request.map_err(said)?.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = self.cluster.url(path).ok_or_else(|| said(kube::core::request::Error::Validation(String::new())))?;
        let harmless = head.method != Method::POST;
        repeated(doing, self.left(), || {
            let mut request = self.http.request(head.method.clone(), url.clone()).headers(head.headers.clone());
            if !head.headers.contains_key(ACCEPT) {
                request = request.header(ACCEPT, "application/json");
            }
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            once(doing, request.body(body.clone()), harmless)
        })
        .await
    }
}

async fn once<T: DeserializeOwned>(
    doing: &str,
    request: reqwest::RequestBuilder,
    harmless: bool,
) -> Result<Result<T, Denied>, Failed> {
    let unreachable = |text: String| ProviderFault::Unreachable(format!("{doing}: {text}"));
    let failed = |fault| if harmless { Failed::Harmlessly(fault) } else { Failed::ForGood(fault) };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Err(unconnected(doing, &error)),
        Err(error) => return Err(failed(unreachable(causes(&error)))),
    };
    let status = response.status();
    let body = body(response, ANSWER_LIMIT).await.map_err(|problem| failed(unreachable(problem)))?;
    if status.is_success() {
        // A parser's words may quote the answer, which may be a token.
        return serde_json::from_slice(&body)
            .map(Ok)
            .map_err(|_| failed(unreachable("the answer is broken off".to_owned())));
    }
    let denied = denied(status.as_u16(), &body);
    match denied.code {
        // It says that it did nothing, and to come back.
        429 => Err(Failed::Harmlessly(unreachable(format!("it is busy: {}", denied.words)))),
        500.. => Err(failed(unreachable(format!("it failed: {}", denied.words)))),
        _ => Ok(Err(denied)),
    }
}

fn denied(code: u16, body: &[u8]) -> Denied {
    let status = serde_json::from_slice::<Status>(body).unwrap_or_default();
    let kind = status.details.map(|details| details.kind).unwrap_or_default();
    let words = if status.message.is_empty() { format!("HTTP status {code}") } else { plain(&status.message) };
    Denied { code, kind, words }
}

/// There was no connection, so that nothing was asked; or the other end is not whom the authorities know.
fn unconnected(doing: &str, error: &reqwest::Error) -> Failed {
    let text = causes(error);
    if is_untrusted(error) {
        return Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{doing}: the API server's certificate is not vouched for: {text}: write its authority into `ca_file`, or into the \
             kubeconfig's `certificate-authority`"
        )));
    }
    Failed::Harmlessly(ProviderFault::Unreachable(format!("{doing}: {text}")))
}
