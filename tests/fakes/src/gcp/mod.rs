//! A fake of what Google Cloud gives tokens by, and of what takes them, strict.
//!
//! | part | what answers |
//! |---|---|
//! | STS: `POST /v1/token`, of JWTs for a pool's principal and of access tokens behind an access boundary | this fake |
//! | IAM credentials: `generateAccessToken`, `generateIdToken` | this fake |
//! | `tokeninfo`, for access and ID tokens; `/oauth2/v3/certs`, the keys of ID tokens | this fake |
//! | Cloud Storage: reading and writing an object, by the JSON API | this fake, so that a token's scopes and boundary show |
//! | KMS: `publicKey` and `asymmetricSign` of one version of a key | this fake, with keys of its own |
//! | Secret Manager: `access` of a version | this fake |
//! | Cloud SQL: how PostgreSQL there takes an access token for a login ([`cloudsql`]) | this fake, before a real PostgreSQL |
//!
//! Nothing of Google's is behind it: no registry has any of it. Real are the clients that are held to it beside Writ's own:
//! `google-auth` for Python, `google-cloud-auth` for Rust, and `gcloud` where a machine has it (no registry of packages does).
//!
//! # How tokens are exchanged
//! The fields of RFC 8693 by their names in a form, none unknown and none twice. The provider of the pool is named in `audience`
//! with the project's number. The JWT is by RS256 or ES256, its `kid` is among the keys that discovery at the provider's issuer leads
//! to, fetched anew each time; `iss` is that issuer to the letter; `aud` is an allowed audience, or the provider itself; `exp` and
//! `iat` are there, at most a day apart, with no leeway. Then the attribute mapping, then the attribute condition ([`cel`]), then the
//! binding of the principal, to the letter, in the service account's own policy.
//!
//! # Where it is stricter than Google
//! Unknown members of requests are refused where Google passes over some. Clocks have no leeway. Bindings hold at once, where Google
//! takes minutes. A token that is shown must have a scope for the call; there is no `roles/owner`. KMS demands the digest's checksum.
//!
//! # Where Google's own words are not known
//! Texts of errors are Google's where they are public; codes are. That a token behind a boundary is unknown to `tokeninfo` is this
//! fake's choice: nothing public says what Google answers there. PostgreSQL's error when a login is refused has Google's text; its
//! SQLSTATE is a guess.
//!
//! # Not here
//! Workforce pools, SAML, X.509 and AWS as sources, quota projects, `signJwt` and `signBlob`, organizations and their policies but
//! for the lifetime of tokens, groups, deny policies, CEL beyond what [`cel`] says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use writ_world::packages;

use crate::background::{Background, listen, serve};
use crate::clock::Clock;
use crate::issuer::{Algorithm, Issuer};

pub mod cel;
pub mod cloudsql;
mod iam;
mod info;
mod jwt;
mod kms;
mod project;
mod refusal;
mod secrets;
mod service;
mod storage;
mod sts;
mod trouble;

pub use kms::{KeyForm, Spoilt};
pub use project::{Account, Issued, Kind, NUMBER, PROJECT, PoolProvider};
pub use trouble::Trouble;

use project::Project;

/// What the handlers share.
pub(crate) struct Cloud {
    project: Mutex<Project>,
    clock: Clock,
    trouble: Mutex<Option<Trouble>>,
    trail: Mutex<Vec<Value>>,
    /// Whose keys ID tokens are signed with.
    google: Issuer,
    http: reqwest::Client,
}

impl Cloud {
    fn project(&self) -> MutexGuard<'_, Project> {
        self.project.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, event: Value) {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// The running fake. It ends when it is dropped.
pub struct Gcp {
    cloud: Arc<Cloud>,
    url: String,
    _background: Background,
}

impl std::fmt::Debug for Gcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gcp").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Gcp {
    /// Starts it, every service at one address, over plain HTTP on loopback.
    ///
    /// # Errors
    /// If there is no port, or no key can be made.
    pub fn start() -> Result<Self, String> {
        let background = Background::start()?;
        let (listener, address) = background.run(listen())?;
        let cloud = Arc::new(Cloud {
            project: Mutex::default(),
            clock: Clock::default(),
            trouble: Mutex::new(None),
            trail: Mutex::default(),
            google: Issuer::start()?,
            http: crate::moto::client()?,
        });
        background.spawn(serve(listener, None, service::router(Arc::clone(&cloud))));
        Ok(Self { cloud, url: format!("http://{address}"), _background: background })
    }

    /// What stands for every service's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a provider of a pool, or another in its place; gives its resource name.
    ///
    /// # Errors
    /// What is wrong with its mapping or its condition.
    pub fn pool_provider(&self, provider: PoolProvider) -> Result<String, String> {
        self.cloud.project().provide(provider)
    }

    /// Makes a service account, or another policy for it.
    ///
    /// # Errors
    /// What is wrong with its bindings.
    pub fn account(&self, account: Account) -> Result<(), String> {
        self.cloud.project().account(account)
    }

    /// Makes a bucket with an object in it, and who may do what there: role and member.
    pub fn bucket(&self, name: &str, object: &str, content: &str, bindings: &[(&str, &str)]) {
        self.cloud.project().bucket(name, object, content, bindings);
    }

    /// Makes a key of one version; gives its resource name.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn key(&self, name: &str, form: KeyForm, bindings: &[(&str, &str)]) -> Result<String, String> {
        let key = kms::Key::make(form, bindings)?;
        Ok(self.cloud.project().key(name, key))
    }

    /// Makes a secret of these versions, oldest first, `None` where one is disabled; gives its resource name.
    pub fn secret(&self, name: &str, versions: &[Option<&str>], bindings: &[(&str, &str)]) -> String {
        let versions = versions.iter().map(|value| value.map(|text| text.as_bytes().to_vec())).collect();
        let bindings = bindings.iter().map(|(role, member)| ((*role).to_owned(), (*member).to_owned())).collect();
        let name = format!("projects/{PROJECT}/secrets/{name}");
        self.cloud.project().secrets.insert(name.clone(), secrets::Stored { versions, bindings });
        name
    }

    /// Spoils what KMS and Secret Manager answer from now on, or does not.
    pub fn spoil(&self, spoilt: Option<Spoilt>) {
        self.cloud.project().spoilt = spoilt;
    }

    /// An access token of a service account, as the metadata server of its machine gives it.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn machine_token(&self, email: &str) -> Result<String, String> {
        let now = self.cloud.clock.now();
        self.cloud.project().machine_token(email, now)
    }

    /// Gets STS and the IAM credentials service into trouble, or out of it.
    pub fn trouble(&self, trouble: Option<Trouble>) {
        *self.cloud.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        self.cloud.clock.set_ahead(trouble.map_or(0, Trouble::clock));
    }

    /// Sets its clock so many seconds ahead of the machine's; behind, if negative.
    pub fn clock_ahead(&self, seconds: i64) {
        self.cloud.clock.set_ahead(seconds);
    }

    /// Everything that was asked, as audit logs have it with data access on: oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        self.cloud.trail.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The entries that hold this text anywhere.
    #[must_use]
    pub fn audit_naming(&self, text: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|event| event.to_string().contains(text)).collect()
    }

    /// What a token is, whether or not it has ended.
    #[must_use]
    pub fn issued(&self, token: &str) -> Option<Issued> {
        self.cloud.project().tokens.get(token).cloned()
    }

    /// All that was given out, in no order.
    #[must_use]
    pub fn all_issued(&self) -> Vec<Issued> {
        self.cloud.project().tokens.values().cloned().collect()
    }

    /// Who is behind a token that an API of Google's is shown, if it lives and has one of these scopes: what a GKE cluster asks.
    #[must_use]
    pub fn who(&self, token: &str, scopes: &[&str]) -> Option<String> {
        let now = self.cloud.clock.now();
        let issued = self.issued(token).filter(|issued| issued.expires > now && issued.kind != Kind::Identity)?;
        let all = scopes.iter().all(|scope| issued.scopes.iter().any(|known| known == scope));
        all.then_some(issued.principal)
    }

    pub(crate) fn cloud(&self) -> Arc<Cloud> {
        Arc::clone(&self.cloud)
    }
}

/// Whether a text is an OAuth scope of Google's: those of its APIs, and OpenID's.
fn is_scope(text: &str) -> bool {
    text.starts_with("https://www.googleapis.com/auth/") || matches!(text, "openid" | "email" | "profile")
}

/// The Python with Google's own library, for `tests/clients/google_auth_calls.py`.
///
/// # Errors
/// That it is missing, and what brings it.
pub fn python() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("gcp/venv/bin/python"), "`tests/world/scripts/fetch-gcp`")
}

/// An ID token of Google's for a service account.
fn id_token(google: &Issuer, claims: &Value) -> Result<String, String> {
    google.token(Algorithm::Rs256, claims)
}

/// Names with values.
type Texts = BTreeMap<String, String>;
