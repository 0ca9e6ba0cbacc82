//! A token in, a verified workload out. The only maker of `Verified<Workload>`.
//!
//! The order is the point. The form first, without any key; then the issuer, by the `iss` claim, byte by byte, among the
//! configured; then the algorithm and the type, as configured for it; then its keys; then the signature; then what the
//! claims say. Nothing that an unverified claim says causes a request to anyone but a configured issuer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use writ_core::proof::Verified;
use writ_core::time::Timestamp;
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload, actors};

use super::aws_caller::{self, AwsCallers};
use super::cache::{Cache, Source};
use super::claims::{ClaimRules, Registered};
use super::config::{Algorithm, ConfigFault, IssuerConfig};
use super::delegation;
use super::discovery::Discovery;
use super::fault::{IdentityFault, shown};
use super::header::{Compact, Header};
use super::json::Object;
use super::jwks::{KeySet, Use};
use super::presets::{self, Preset};
use super::review::Review;
use super::session_token::{self, Ring, SessionIssuer};
use super::svid;
use crate::duration::Span;

/// Verifies tokens of the configured issuers.
#[derive(Debug)]
pub struct Verifier {
    issuers: BTreeMap<String, Trusted>,
    callers: Vec<AwsCallers>,
}

/// One issuer, and the rules for its tokens.
#[derive(Debug)]
struct Trusted {
    name: String,
    kind: TokenKind,
    algorithms: Vec<Algorithm>,
    types: BTreeSet<Option<String>>,
    claims: ClaimRules,
    keys: Keys,
    preset: Option<Preset>,
    tenant: Option<String>,
    review: Option<Review>,
    x509_svids: bool,
}

#[derive(Debug)]
enum Keys {
    /// None: whoever reviews the token checks its signature.
    Reviewed,
    Fixed(Arc<KeySet>),
    /// The broker's own, which change while it runs.
    Own(Arc<ArcSwap<Ring>>),
    Fetched(Box<Cache>),
}

/// A token whose signature and registered claims passed: for callers that make something other than a workload of it,
/// such as the login of a human.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Who vouches.
    pub issuer: Issuer,
    /// For whom.
    pub subject: Subject,
    /// Everything that the issuer says, registered claims included.
    pub claims: Object,
    /// What kind of token it was.
    pub kind: TokenKind,
    /// What tells the token from others.
    pub token_id: TokenId,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The last moment at which it may be accepted, leeway included.
    pub expires: Timestamp,
}

impl Verifier {
    /// A verifier of tokens for `audience`, the gateway group, by `issuers` and, where the broker issues them, its own
    /// session tokens. Nothing is fetched before the first token.
    ///
    /// # Errors
    /// [`ConfigFault`] for the first mistake in an issuer's configuration.
    pub fn new(
        issuers: &[IssuerConfig],
        audience: &str,
        sessions: Option<&SessionIssuer>,
    ) -> Result<Self, ConfigFault> {
        let (mut trusted, mut callers) = (BTreeMap::new(), Vec::<AwsCallers>::new());
        if let Some(sessions) = sessions {
            trusted.insert(sessions.issuer().to_owned(), Trusted::sessions(sessions));
        }
        for config in issuers {
            config.validate()?;
            let config = &config.resolved()?;
            if audience.is_empty() && config.audiences.is_empty() {
                return Err(config.fault("no audience is configured: name the gateway group, or give `audiences`"));
            }
            let twice = || config.fault("`issuer` is configured twice, or is the broker's own: keep one");
            if trusted.contains_key(&config.issuer) || callers.iter().any(|known| known.issuer() == config.issuer) {
                return Err(twice());
            }
            if config.preset == Some(Preset::AwsCaller) {
                let made = AwsCallers::new(config, audience)?;
                if callers.iter().any(|known| known.meets(&made)) {
                    return Err(config.fault("`regions` has one that another issuer has too: keep it in one"));
                }
                callers.push(made);
            } else {
                trusted.insert(config.issuer.clone(), Trusted::issuer(config, audience)?);
            }
        }
        Ok(Self { issuers: trusted, callers })
    }

    /// Puts another source of keys under an issuer that is configured.
    #[cfg(test)]
    pub(crate) fn with_source(
        mut self,
        issuer: &str,
        config: super::config::CacheConfig,
        source: Box<dyn Source>,
    ) -> Self {
        if let Some(trusted) = self.issuers.get_mut(issuer) {
            trusted.keys = Keys::Fetched(Box::new(Cache::new(source, config)));
        }
        self
    }

    /// Asks another STS about callers of AWS.
    #[cfg(test)]
    pub(crate) fn with_sts(mut self, endpoint: &reqwest::Url) -> Self {
        let client =
            || reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let callers = self.callers.drain(..).map(|callers| callers.with_endpoint(endpoint.clone(), client()));
        self.callers = callers.collect();
        self
    }

    /// Verifies a workload's token, what stands for one, or a session token of the broker's own.
    ///
    /// # Errors
    /// [`IdentityFault`]: why not. The client is told [`IdentityFault::to_fault`] and no more.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Verified<Workload>, IdentityFault> {
        if aws_caller::is_proof(token) {
            let (callers, proof) = aws_caller::find(&self.callers, token)?;
            return callers.workload(&proof, now).await.map(verified);
        }
        let checked = self.verify_claims(token, now).await?;
        let workload = match checked.kind {
            TokenKind::Session => session_token::workload(checked)?,
            TokenKind::Certificate => return Err(IdentityFault::Certificate("no token is one".to_owned())),
            TokenKind::Workload => Workload {
                issuer: checked.issuer,
                subject: checked.subject,
                claims: checked.claims,
                token_kind: TokenKind::Workload,
                token_id: checked.token_id,
                token_expires: checked.expires,
                bound_target: None,
            },
        };
        Ok(verified(workload))
    }

    /// Verifies the certificates that a client showed, whose key its connection proved: the leaf first.
    ///
    /// # Errors
    /// [`IdentityFault`] unless they are an X.509-SVID of a trust domain whose X.509-SVIDs are taken.
    pub async fn verify_certificates(
        &self,
        chain: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<Verified<Workload>, IdentityFault> {
        let leaf = chain.first().ok_or_else(|| IdentityFault::Certificate("there is none".to_owned()))?;
        let leaf = svid::Leaf::read(leaf)?;
        let issuer = leaf.issuer();
        let trusted = self.issuers.get(&issuer).filter(|trusted| trusted.x509_svids);
        let trusted = trusted.ok_or_else(|| IdentityFault::UnknownIssuer(shown(&issuer)))?;
        svid::check_chain(chain, trusted.keys(None, now).await?.authorities(), now)?;
        Ok(verified(leaf.workload()))
    }

    /// The subject as the actor acts for it (RFC 8693, 4.1): the actor goes before those through whom the subject acts already.
    ///
    /// # Errors
    /// [`IdentityFault::Actor`] if the subject's token names others who may act for it (`may_act`), or the chain would be too
    /// long.
    pub fn delegate(
        subject: Verified<Workload>,
        actor: &Verified<Workload>,
    ) -> Result<Verified<Workload>, IdentityFault> {
        delegation::delegate(subject.into_inner(), actor.get()).map(verified)
    }

    /// Verifies a token, whatever is made of it.
    ///
    /// # Errors
    /// [`IdentityFault`]: why not.
    pub async fn verify_claims(&self, token: &str, now: Timestamp) -> Result<Checked, IdentityFault> {
        let mut compact = Compact::parse(token)?;
        let issuer = self.named(&compact)?;
        let trusted = self.issuers.get(&issuer).ok_or_else(|| IdentityFault::UnknownIssuer(shown(&issuer)))?;
        let algorithm = trusted.algorithm(&compact.header)?;
        trusted.check_type(&compact.header)?;
        trusted.check_signature(&compact, algorithm, now).await?;
        let Registered { subject, issued_at, expires, token_id } =
            trusted.claims.check(&compact.claims, compact.signed, now)?;
        actors(&compact.claims).map_err(|_| IdentityFault::Malformed("act"))?;
        if let Some(preset) = trusted.preset {
            preset.apply(&mut compact.claims, trusted.tenant.as_deref())?;
        }
        if let Some(review) = &trusted.review {
            review.confirm(token, &compact.claims).await?;
        }
        Ok(Checked {
            issuer: Issuer::new(issuer),
            subject,
            claims: compact.claims,
            kind: trusted.kind,
            token_id,
            issued_at,
            expires,
        })
    }
}

/// The one maker of verified workloads: its callers checked everything.
fn verified(workload: Workload) -> Verified<Workload> {
    #[expect(clippy::disallowed_methods, reason = "this is the one maker: the callers above made every check")]
    let verified = Verified::by_identity(workload);
    verified
}

impl Verifier {
    /// The issuer that a token names: by `iss`, or by the trust domain of its subject where it is a JWT-SVID, whose `iss` is
    /// optional and says nothing. The broker's own session tokens, which their type tells from all others, have such a subject
    /// too, of the workload that they speak for.
    fn named(&self, compact: &Compact<'_>) -> Result<String, IdentityFault> {
        let claims = &compact.claims;
        let own = compact.header.typ.as_deref() == Some(session_token::TYP);
        let subject = claims.get("sub").and_then(Value::as_str).filter(|_| !own);
        let domain = subject.and_then(presets::trust_domain).map(|domain| format!("spiffe://{domain}"));
        if let Some(domain) = domain.filter(|domain| self.issuers.contains_key(domain)) {
            return Ok(domain);
        }
        let issuer = claims.get("iss").ok_or(IdentityFault::Missing("iss"))?;
        issuer.as_str().map(str::to_owned).ok_or(IdentityFault::Malformed("iss"))
    }
}

impl Trusted {
    fn issuer(config: &IssuerConfig, audience: &str) -> Result<Self, ConfigFault> {
        let audiences = if config.audiences.is_empty() { vec![audience.to_owned()] } else { config.audiences.clone() };
        let review = config.review.as_ref().map(|review| Review::new(config, review, audiences.clone())).transpose()?;
        Ok(Self {
            name: config.name.clone(),
            kind: TokenKind::Workload,
            algorithms: config.algorithms.clone(),
            types: config.types(),
            claims: ClaimRules {
                audiences,
                authorized_parties: config.authorized_parties.clone(),
                max_lifetime: config.longest_life(),
                max_age: config.max_age,
                leeway: config.leeway,
                require_jti: config.require_jti,
            },
            keys: keys(config)?,
            preset: config.preset,
            tenant: config.tenant.clone(),
            review,
            x509_svids: config.x509_svids,
        })
    }

    fn sessions(sessions: &SessionIssuer) -> Self {
        Self {
            name: "writ".to_owned(),
            kind: TokenKind::Session,
            algorithms: sessions.algorithms(),
            types: BTreeSet::from([Some(session_token::TYP.to_owned())]),
            claims: ClaimRules {
                audiences: vec![sessions.audience().to_owned()],
                authorized_parties: Vec::new(),
                max_lifetime: sessions.life(),
                max_age: None,
                // Only the clocks of the broker's own replicas can differ.
                leeway: Span::seconds(5),
                require_jti: true,
            },
            keys: Keys::Own(sessions.ring()),
            preset: None,
            tenant: None,
            review: None,
            x509_svids: false,
        }
    }

    fn algorithm(&self, header: &Header) -> Result<Algorithm, IdentityFault> {
        Algorithm::named(&header.alg)
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or_else(|| IdentityFault::Algorithm { issuer: shown(&self.name), found: shown(&header.alg) })
    }

    fn check_type(&self, header: &Header) -> Result<(), IdentityFault> {
        if self.types.contains(&header.typ) {
            return Ok(());
        }
        let found = shown(header.typ.as_deref().unwrap_or_default());
        Err(IdentityFault::Type { issuer: shown(&self.name), found })
    }

    async fn check_signature(
        &self,
        compact: &Compact<'_>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<(), IdentityFault> {
        if algorithm.signature_bytes().is_some_and(|length| length != compact.signature_bytes) {
            return Err(IdentityFault::Signature(shown(&self.name)));
        }
        if let (Keys::Reviewed, Some(_)) = (&self.keys, &self.review) {
            return Ok(());
        }
        let kid = compact.header.kid.as_deref();
        let keys = self.keys(kid, now).await?;
        let mut candidates = keys.candidates(kid, algorithm).take(MAX_CANDIDATES).peekable();
        if candidates.peek().is_none() {
            return Err(IdentityFault::UnknownKey {
                issuer: shown(&self.name),
                kid: shown(kid.unwrap_or_default()),
                algorithm: algorithm.name(),
            });
        }
        if candidates.any(|key| key.verifies(algorithm, compact.signed, compact.signature)) {
            Ok(())
        } else {
            Err(IdentityFault::Signature(shown(&self.name)))
        }
    }

    async fn keys(&self, kid: Option<&str>, now: Timestamp) -> Result<Arc<KeySet>, IdentityFault> {
        match &self.keys {
            Keys::Reviewed => Ok(Arc::default()),
            Keys::Fixed(keys) => Ok(Arc::clone(keys)),
            Keys::Own(ring) => Ok(ring.load().keys()),
            Keys::Fetched(cache) => cache
                .keys(kid, now)
                .await
                .map_err(|reason| IdentityFault::KeysUnavailable { issuer: shown(&self.name), reason }),
        }
    }
}

/// The most keys that one token is checked against: a token that names none may have been made by any of them.
const MAX_CANDIDATES: usize = 8;

fn keys(config: &IssuerConfig) -> Result<Keys, ConfigFault> {
    if config.is_reviewed_alone() {
        return Ok(Keys::Reviewed);
    }
    if config.discovers() {
        let source: Box<dyn Source> = Box::new(Discovery::new(config)?);
        return Ok(Keys::Fetched(Box::new(Cache::new(source, config.cache))));
    }
    let document = match (&config.jwks, &config.jwks_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => std::fs::read(path)
            .map_err(|error| config.fault(format!("`jwks_file` `{}` cannot be read: {error}", path.display())))?,
        (None, None) => Vec::new(),
    };
    let keys = KeySet::parse_for(&document, key_use(config))
        .map_err(|fault| config.fault(format!("its key set is of no use: {fault}")))?;
    Ok(Keys::Fixed(keys.into()))
}

/// What keys of this issuer are marked for.
pub(super) fn key_use(config: &IssuerConfig) -> Use {
    if config.preset == Some(Preset::Spiffe) { Use::JwtSvid } else { Use::Signature }
}
