//! Writ as an OIDC issuer: the assertions by which targets that trust it know Writ and the writ.
//!
//! A target is told once whom to trust: the issuer's address, an audience, a subject. From then on the broker shows it an
//! ID token that it signed a moment ago, for one writ and a few minutes, and keeps no secret of the target's. Everybody may
//! read the two documents of the issuer, [`OidcIssuer::discovery`] and [`OidcIssuer::jwks`]; they are served by the broker
//! and can be put into a bucket.
//!
//! A key is published before it signs, for as long as targets may keep an old set (`key_announce`), and stays published
//! until the last token that it signed has ended.

mod config;
mod ring;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use writ_broker_api::paths::JWKS;
use writ_core::assertion::{AssertedSubject, Assertion, AssertionSigner, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::time::{Clock, Timestamp};
use writ_core::workload::{Issuer, Subject, Workload};

use crate::keys::files::hex;
use crate::keys::rotating::Fresh;
use crate::keys::{Introduced, KeyFault, RotatingKeys};
pub use config::{IssuingConfig, KeyForm};
use ring::Ring;

/// The longest value of a workload's claim that is repeated in an assertion, in bytes.
const MAX_REPEATED: usize = 512;
/// The claims that the issuer writes itself.
const OWN: [&str; 15] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "target",
    "writ",
    "session",
    "policy_hash",
    "workload_issuer",
    "workload_subject",
    "repository",
    "ref",
];

/// The issuer of assertions.
pub struct OidcIssuer {
    url: String,
    config: IssuingConfig,
    clock: Arc<dyn Clock>,
    /// None where the keys are kept by a signer of another's.
    keys: Option<Mutex<RotatingKeys>>,
    ring: ArcSwap<Ring>,
    introduced: Vec<Introduced>,
}

impl core::fmt::Debug for OidcIssuer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OidcIssuer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl OidcIssuer {
    /// The issuer with keys of its own in `directory`, made where there are none.
    ///
    /// # Errors
    /// [`KeyFault`] as for any key file.
    pub fn open(config: &IssuingConfig, url: &str, directory: &Path, clock: Arc<dyn Clock>) -> Result<Self, KeyFault> {
        crate::keys::files::create_private_directory(directory)?;
        let (now, mut introduced) = (clock.now(), Vec::new());
        let keys = RotatingKeys::load_or_create(directory, config.algorithm.purpose(), now, &mut introduced)?;
        let ring = Ring::of_files(&keys, now, config.key_announce.get())?;
        Ok(Self {
            url: url.to_owned(),
            config: config.clone(),
            clock,
            keys: Some(Mutex::new(keys)),
            ring: ArcSwap::from_pointee(ring),
            introduced,
        })
    }

    /// The issuer with a signer of another's: a key management service, which keeps the key, and may take `limit` for a
    /// signature. The keys of `others` are published beside it and sign nothing. Nobody here knows whether the key signed before, so
    /// that it counts as introduced whenever it is opened.
    ///
    /// # Errors
    /// [`KeyFault::Crypto`] if a public key is of no use.
    pub fn with_signer(
        config: &IssuingConfig,
        url: &str,
        signer: Arc<dyn AssertionSigner>,
        others: &[Arc<dyn AssertionSigner>],
        limit: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyFault> {
        let ring = Ring::of_signer(signer, others, limit)?;
        let introduced = vec![Introduced { purpose: "issuer-signer", public: ring.kid().to_owned(), file: None }];
        let (url, config, ring) = (url.to_owned(), config.clone(), ArcSwap::from_pointee(ring));
        Ok(Self { url, config, clock, keys: None, ring, introduced })
    }

    /// The keys that came into use when it was opened, for the ledger.
    #[must_use]
    pub fn introduced(&self) -> &[Introduced] {
        &self.introduced
    }

    /// The discovery document (OpenID Connect Discovery 1.0, 3), with what targets look at.
    #[must_use]
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}{JWKS}", self.url),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": self.ring.load().algorithms(),
            "scopes_supported": ["openid"],
            "claims_supported": OWN,
        })
    }

    /// The keys, as a JWK set (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.ring.load().jwks().clone()
    }

    /// Makes a new key when the newest is old enough, lets one sign that was announced for long enough, and forgets those whose
    /// tokens have ended. Gives the key that was made, which the caller has written down by `write`.
    ///
    /// # Errors
    /// [`KeyFault`], or what `write` says; then the keys before stay in use.
    pub(crate) async fn turn<E: From<KeyFault>>(
        &self,
        write: impl AsyncFnOnce(Introduced) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let (now, mut keys) = (self.clock.now(), keys.lock().await);
        let (life, announce) = (self.config.key_life.get(), self.config.key_announce.get());
        if keys.is_due(now, life) {
            let fresh = Fresh::make(keys.purpose(), now)?;
            write(fresh.introduced.clone()).await?;
            keys.rotate(fresh)?;
            tracing::info!(issuer = %self.url, "a key of the issuer was made: it signs once it was announced for long enough");
        }
        let forgotten = keys.forget(now, announce + self.config.token_life.get() + ring::OVERLAP_MARGIN);
        self.ring.store(Arc::new(Ring::of_files(&keys, now, announce)?));
        forgotten.map(drop).map_err(E::from)
    }

    async fn token(&self, assertion: Assertion<'_>) -> Result<Secret, ProviderFault> {
        if let Some(own) = assertion.claims.keys().find(|claim| OWN.contains(&claim.as_str())) {
            return Err(ProviderFault::Misconfigured(format!("`{own}` is a claim of the issuer's own")));
        }
        let claims = self.claims(assertion)?;
        let ring = self.ring.load_full();
        ring.sign(&Value::Object(claims)).await
    }

    fn claims(&self, assertion: Assertion<'_>) -> Result<Map<String, Value>, ProviderFault> {
        let asker = assertion.intended.and_then(Intended::asker);
        let subject = match (assertion.subject, asker) {
            (AssertedSubject::Target, _) => format!("target:{}", assertion.target),
            (AssertedSubject::Workload, Some(asker)) => {
                workload_subject(&asker.workload.issuer, &asker.workload.subject)
            }
            (AssertedSubject::Workload, None) => {
                let text = "the subject is the workload, and there is none in a probe or a revocation: write `subject = \
                            \"target\"`";
                return Err(ProviderFault::Misconfigured(text.to_owned()));
            }
        };
        let issued = self.clock.now();
        let mut claims = Map::from_iter(assertion.claims);
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", self.url.as_str().into());
        put("sub", subject.into());
        put("aud", assertion.audience.into());
        put("iat", issued.as_second().into());
        put("nbf", issued.as_second().into());
        put("exp", self.end(issued, assertion.intended).into());
        put("jti", random()?.into());
        put("target", assertion.target.as_str().into());
        if let Some(writ) = assertion.intended.map(Intended::writ) {
            put("writ", writ.id.to_string().into());
            put("session", writ.session.to_string().into());
            put("policy_hash", writ.policy_hash.as_str().into());
            put("workload_issuer", cut(writ.issuer.as_str()).into());
            put("workload_subject", cut(writ.subject.as_str()).into());
        }
        if let Some(asker) = asker {
            for name in ["repository", "ref"] {
                if let Some(value) = named(&asker.workload, name) {
                    put(name, cut(value).into());
                }
            }
        }
        Ok(claims)
    }

    /// The token ends with the writ, if that is sooner.
    fn end(&self, issued: Timestamp, intended: Option<&Intended>) -> i64 {
        let life = i64::try_from(self.config.token_life.get().as_secs()).unwrap_or(i64::MAX);
        let end = issued.as_second().saturating_add(life);
        intended.map_or(end, |intended| end.min(intended.writ().expires.as_second()).max(issued.as_second() + 1))
    }
}

impl Assertions for OidcIssuer {
    fn issuer(&self) -> &str {
        &self.url
    }

    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(self.token(assertion))
    }
}

/// The subject of a workload's own: the same for all its writs, and told from all others.
#[must_use]
pub fn workload_subject(issuer: &Issuer, subject: &Subject) -> String {
    let digest = digest(&SHA256, format!("{issuer}\n{subject}").as_bytes());
    format!("workload:{}", hex(digest.as_ref().get(..16).unwrap_or_default()))
}

/// A claim as the CI presets name it, else as the token does.
fn named<'w>(workload: &'w Workload, name: &str) -> Option<&'w str> {
    let attribute = workload.claims.get("ci").and_then(|ci| ci.get(name));
    attribute.or_else(|| workload.claims.get(name)).and_then(Value::as_str)
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_REPEATED)).unwrap_or(text)
}

fn random() -> Result<String, ProviderFault> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| ProviderFault::Unreachable("no random numbers can be had".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;
