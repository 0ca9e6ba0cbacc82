//! Asking a cluster about a token (Kubernetes `TokenReview`, `authentication.k8s.io/v1`).
//!
//! Keys alone do not show that a pod or its account was deleted since; the API server knows. It is asked after everything that
//! can be checked here was checked, and its answer can only refuse: it has to say the same user, account and pod as the token,
//! for an audience that was asked about. What it says beside that is not looked at.

use std::path::PathBuf;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::asking::Asking;
use super::config::{ConfigFault, IssuerConfig};
use super::discovery::{Reach, chain, client_trusting, is_loopback};
use super::fault::{IdentityFault, shown};
use super::json::Object;

/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The longest token of the broker's own, in bytes.
const MAX_TOKEN: u64 = 64 * 1024;
/// The members of the answer's `extra`, and which attribute each has to repeat.
const EXTRA: [(&str, &str); 4] = [
    ("authentication.kubernetes.io/pod-name", "pod"),
    ("authentication.kubernetes.io/pod-uid", "pod_uid"),
    ("authentication.kubernetes.io/node-name", "node"),
    ("authentication.kubernetes.io/node-uid", "node_uid"),
];
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// The API server that is asked about each token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewConfig {
    /// Its address, without a path: `https://kubernetes.default.svc`.
    pub url: String,
    /// PEM certificates of the authorities that may vouch for it, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The file with the broker's own token, read anew for each question.
    pub token_file: PathBuf,
    /// Whether its word stands for the signature: then no keys are fetched.
    #[serde(default)]
    pub alone: bool,
}

impl ReviewConfig {
    pub(super) fn problem(&self, loopback: bool) -> Option<String> {
        let Ok(url) = Url::parse(&self.url) else {
            return Some(format!("`review.url` is no address: `{}`", shown(&self.url)));
        };
        let plain = url.scheme() == "http" && loopback && is_loopback(&url);
        if url.scheme() != "https" && !plain {
            Some("`review.url` is not an https address: the broker's own token goes there".into())
        } else if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            Some("`review.url` has a path: write the API server's address alone".into())
        } else if !url.username().is_empty() || url.password().is_some() {
            Some("`review.url` carries a user name or password: remove it".into())
        } else {
            None
        }
    }
}

/// An API server that is asked.
#[derive(Debug)]
pub struct Review {
    name: String,
    url: Url,
    token_file: PathBuf,
    audiences: Vec<String>,
    client: Client,
    asking: Asking,
}

impl Review {
    /// Asks the API server of `review` about tokens for one of `audiences`.
    ///
    /// # Errors
    /// [`ConfigFault`] if its authorities cannot be read.
    pub(super) fn new(
        config: &IssuerConfig,
        review: &ReviewConfig,
        audiences: Vec<String>,
    ) -> Result<Self, ConfigFault> {
        let url = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", review.url.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| config.fault("`review.url` is no address"))?;
        // The operator named this one address, which is inside as a rule.
        let reach = if url.scheme() == "http" { Reach::Loopback } else { Reach::Internal };
        Ok(Self {
            name: config.name.clone(),
            url,
            token_file: review.token_file.clone(),
            audiences,
            client: client_trusting(config, reach, ("review.ca_file", review.ca_file.as_deref()))?,
            asking: Asking::new(),
        })
    }

    /// Has the API server confirm a token, whose claims and attributes are these.
    ///
    /// # Errors
    /// [`IdentityFault::Unconfirmed`] unless it says the same of the token as the token itself, and
    /// [`IdentityFault::Unavailable`] if it says nothing.
    pub(super) async fn confirm(&self, token: &str, claims: &Object) -> Result<(), IdentityFault> {
        let turn = self.asking.turn().await;
        let _place = turn.ok_or_else(|| self.unavailable("too many questions are open there"))?;
        let answer = self.ask(token).await.map_err(|reason| self.unavailable(reason))?;
        check(&answer, claims, &self.audiences)
            .map_err(|reason| IdentityFault::Unconfirmed { issuer: shown(&self.name), reason })
    }

    fn unavailable(&self, reason: impl Into<String>) -> IdentityFault {
        IdentityFault::Unavailable { issuer: shown(&self.name), reason: reason.into() }
    }

    async fn ask(&self, token: &str) -> Result<Object, String> {
        let question = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": { "token": token, "audiences": self.audiences },
        });
        let failed =
            |error: reqwest::Error| format!("`{}`: {}", self.url.host_str().unwrap_or_default(), chain(&error));
        let request = self.client.post(self.url.clone()).header(AUTHORIZATION, self.own_token().await?);
        let request = request.header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/json");
        let mut response = request.body(question.to_string()).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("it answers with more than {MAX_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200 | 201 => super::json::object(&body).map_err(|_| "its answer is not a JSON object".to_owned()),
            401 => Err("it does not know the broker's own token, which is in `review.token_file`".to_owned()),
            403 => Err("the broker may not ask: bind its account to the role `system:auth-delegator`".to_owned()),
            status => Err(format!("it answers with status {status}")),
        }
    }

    /// Projected tokens are replaced while the broker runs.
    async fn own_token(&self) -> Result<HeaderValue, String> {
        let problem = |what: &str| format!("`review.token_file` `{}` {what}", self.token_file.display());
        let file = tokio::fs::File::open(&self.token_file)
            .await
            .map_err(|error| problem(&format!("cannot be read: {error}")))?;
        let mut text = Zeroizing::new(String::new());
        let read = file.take(MAX_TOKEN + 1).read_to_string(&mut text).await;
        read.map_err(|error| problem(&format!("cannot be read: {error}")))?;
        let token = text.trim();
        if token.is_empty() || text.len() as u64 > MAX_TOKEN {
            return Err(problem("holds no token"));
        }
        let bearer = Zeroizing::new(format!("Bearer {token}"));
        let mut header = HeaderValue::from_str(&bearer).map_err(|_| problem("holds no token"))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Holds an answer against the token.
fn check(answer: &Object, claims: &Object, audiences: &[String]) -> Result<(), String> {
    let is = |name: &str, expected: &str| answer.get(name).and_then(Value::as_str) == Some(expected);
    if !is("apiVersion", "authentication.k8s.io/v1") || !is("kind", "TokenReview") {
        return Err("its answer is no TokenReview".to_owned());
    }
    let status = answer.get("status").and_then(Value::as_object).ok_or("its answer has no status")?;
    let error = status.get("error").map(|error| error.as_str().unwrap_or("unreadable")).unwrap_or_default();
    if status.get("authenticated") != Some(&Value::Bool(true)) || !error.is_empty() {
        return Err(format!("the token is not authenticated: `{}`", shown(error)));
    }
    let confirmed = texts(status.get("audiences")).unwrap_or_default();
    // A server that knows nothing of audiences names none: then the token may be for anybody.
    if confirmed.is_empty() || !confirmed.iter().all(|one| audiences.iter().any(|ours| ours == one)) {
        return Err("it does not confirm the audience".to_owned());
    }
    same_user(status.get("user").unwrap_or(&Value::Null), claims)
}

fn same_user(user: &Value, claims: &Object) -> Result<(), String> {
    let attributes = claims.get("kubernetes").unwrap_or(&Value::Null);
    let attribute = |name: &str| attributes.get(name).and_then(Value::as_str);
    let text = |name: &str| user.get(name).and_then(Value::as_str);
    if text("username").is_none() || text("username") != claims.get("sub").and_then(Value::as_str) {
        return Err("it names another user than the token".to_owned());
    }
    if text("uid").is_none() || text("uid") != attribute("service_account_uid") {
        return Err("it names another account than the token: the account was made anew".to_owned());
    }
    let groups = texts(user.get("groups")).ok_or("it names no groups")?;
    let namespace = format!("system:serviceaccounts:{}", attribute("namespace").unwrap_or_default());
    if !["system:serviceaccounts", &namespace].iter().all(|group| groups.contains(group)) {
        return Err("it does not name the groups of a service account".to_owned());
    }
    let extra = user.get("extra").unwrap_or(&Value::Null);
    for (name, of) in EXTRA {
        let said = extra.get(name);
        // What an older server leaves out it has not checked; pods have been named since there were bound tokens.
        let may_lack = said.is_none() && (attribute(of).is_none() || of.starts_with("node"));
        if !may_lack && texts(said) != attribute(of).map(|one| vec![one]) {
            return Err(format!("`{name}` is not what the token says"));
        }
    }
    let credential = claims.get("jti").and_then(Value::as_str).map(|jti| format!("JTI={jti}"));
    match extra.get(CREDENTIAL) {
        Some(said) if texts(Some(said)) != credential.as_deref().map(|one| vec![one]) => {
            Err(format!("`{CREDENTIAL}` is not what the token says"))
        }
        _ => Ok(()),
    }
}

/// A list of texts; `None` if it is anything else.
fn texts(value: Option<&Value>) -> Option<Vec<&str>> {
    value?.as_array()?.iter().map(Value::as_str).collect()
}
