//! Writ's own session tokens: what a workload that reconnects often gets at `/v1/token` for its OIDC token.
//!
//! A session token opens sessions for one workload and one target, within its short life, and nothing else. It is told from
//! workloads' tokens by its type, which no issuer can be configured for (RFC 8725, 3.11 and 3.12). It must never be
//! exchanged for another, or a stolen one would live for ever.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use writ_core::proof::Verified;
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, Issuer, TokenKind, Workload};

use super::config::Algorithm;
use super::fault::IdentityFault;
use super::header::MAX_TOKEN_BYTES;
use super::jwks::{Key, KeySet};
use super::signing::SigningKey;
use super::verify::Checked;
use crate::duration::Span;

/// The type in a session token's header.
pub const TYP: &str = "writ-session+jwt";
/// How long session tokens live, unless configured.
pub const DEFAULT_LIFE: Span = Span::seconds(300);
/// The claim that carries what policy needs.
const CARRIED: &str = "writ";
/// The claim that binds a token to a key (RFC 7800, 3.1).
const CONFIRMATION: &str = "cnf";

/// Why no session token was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionTokenFault {
    /// The key is of no use.
    #[error("the session-token key is neither ECDSA P-256 nor Ed25519 in PKCS#8")]
    Key,
    /// The signature could not be made.
    #[error("the session token could not be signed")]
    Signing,
    /// The workload showed a session token itself.
    #[error("a session token cannot be exchanged for another: exchange the issuer's own token")]
    NotExchangeable,
    /// The workload's claims do not fit.
    #[error("the workload's claims do not fit into a session token of at most 65536 bytes")]
    TooLong,
}

/// What a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// To nothing: whoever has it may use it.
    Bearer,
    /// To the key with this RFC 7638 thumbprint.
    Key(String),
    /// To something that cannot be proved here.
    Unprovable,
}

/// What the workload's token is bound to, by its `cnf` claim. A caller to whom no key was proved refuses all but
/// [`Binding::Bearer`].
#[must_use]
pub fn binding(workload: &Workload) -> Binding {
    let Some(confirmation) = workload.claims.get(CONFIRMATION) else { return Binding::Bearer };
    let only = confirmation.as_object().filter(|members| members.len() == 1);
    match only.and_then(|members| members.get("jkt")).and_then(Value::as_str) {
        Some(thumbprint) => Binding::Key(thumbprint.to_owned()),
        None => Binding::Unprovable,
    }
}

/// What policy needs of the workload's own token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Carried {
    issuer: Issuer,
    target: TargetName,
    claims: Claims,
}

/// The broker as an issuer of session tokens.
pub struct SessionIssuer {
    issuer: String,
    audience: String,
    life: Span,
    ring: Arc<ArcSwap<Ring>>,
}

/// The keys in use: replaced as a whole, for those who sign and those who verify at once.
pub(crate) struct Ring {
    signing: SigningKey,
    kid: String,
    keys: Arc<KeySet>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Ring {
    fn new(pkcs8: &[u8], former: &[Key]) -> Result<Self, SessionTokenFault> {
        let fits = |key: &SigningKey| key.algorithm() != Algorithm::Rs256;
        let signing = SigningKey::read(pkcs8).filter(fits).ok_or(SessionTokenFault::Key)?;
        let key = Key::from_jwk(&signing.public()).ok_or(SessionTokenFault::Key)?;
        let kid = key.thumbprint().to_owned();
        let former = former.iter().map(|key| key.clone().named(key.thumbprint()));
        let keys = core::iter::once(key.clone().named(&kid)).chain(former).collect();
        Ok(Self { signing, kid, keys: Arc::new(KeySet::of(keys)) })
    }

    pub(crate) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys)
    }
}

/// The public key that belongs to a signing key in PKCS#8.
///
/// # Errors
/// [`SessionTokenFault::Key`] if it is neither ECDSA P-256 nor Ed25519.
pub fn public_key(pkcs8: &[u8]) -> Result<Key, SessionTokenFault> {
    SigningKey::read(pkcs8).and_then(|key| Key::from_jwk(&key.public())).ok_or(SessionTokenFault::Key)
}

impl fmt::Debug for SessionIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionIssuer")
            .field("issuer", &self.issuer)
            .field("ring", &self.ring.load())
            .finish_non_exhaustive()
    }
}

impl SessionIssuer {
    /// An issuer at the broker's address, of tokens for the gateway group. The key is PKCS#8, ECDSA P-256 or Ed25519;
    /// tokens by the keys in `former` are accepted until they end, so that the key can be changed.
    ///
    /// # Errors
    /// [`SessionTokenFault::Key`] if the key is neither.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        life: Span,
        pkcs8: &[u8],
        former: &[Key],
    ) -> Result<Self, SessionTokenFault> {
        let ring = Arc::new(ArcSwap::from_pointee(Ring::new(pkcs8, former)?));
        Ok(Self { issuer: issuer.into(), audience: audience.into(), life, ring })
    }

    /// Signs with another key from now on. Tokens by the keys in `former` are still accepted, by every verifier of this
    /// issuer's.
    ///
    /// # Errors
    /// [`SessionTokenFault::Key`] if the key is of no use; then nothing changes.
    pub fn rotate(&self, pkcs8: &[u8], former: &[Key]) -> Result<(), SessionTokenFault> {
        self.ring.store(Arc::new(Ring::new(pkcs8, former)?));
        Ok(())
    }

    /// Makes a session token for the workload and the target, bound to the key with this thumbprint if there is one.
    ///
    /// # Errors
    /// [`SessionTokenFault`] if the workload showed a session token, its claims do not fit, or signing fails.
    pub fn mint(
        &self,
        workload: &Verified<Workload>,
        target: &TargetName,
        thumbprint: Option<&str>,
        now: Timestamp,
    ) -> Result<String, SessionTokenFault> {
        let workload = workload.get();
        if workload.token_kind == TokenKind::Session {
            return Err(SessionTokenFault::NotExchangeable);
        }
        let mut claims = workload.claims.clone();
        claims.remove(CONFIRMATION);
        let issued = now.as_second();
        let carried = Carried { issuer: workload.issuer.clone(), target: target.clone(), claims };
        let mut body = json!({
            "iss": self.issuer, "aud": self.audience, "sub": workload.subject, "iat": issued,
            "exp": issued.saturating_add(self.life.as_millis() / 1000), "jti": random()?, CARRIED: carried,
        });
        if let (Some(thumbprint), Some(members)) = (thumbprint, body.as_object_mut()) {
            members.insert(CONFIRMATION.to_owned(), json!({ "jkt": thumbprint }));
        }
        let ring = self.ring.load();
        let header = json!({ "alg": ring.signing.algorithm().name(), "typ": TYP, "kid": ring.kid });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&body));
        let signature = ring.signing.sign(signed.as_bytes()).ok_or(SessionTokenFault::Signing)?;
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        if token.len() > MAX_TOKEN_BYTES { Err(SessionTokenFault::TooLong) } else { Ok(token) }
    }

    /// The `iss` claim of its tokens: the broker's address.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` claim of its tokens: the gateway group.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// How long its tokens live.
    #[must_use]
    pub const fn life(&self) -> Span {
        self.life
    }

    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        // A former key may be of the other kind; each key fits one algorithm alone.
        vec![Algorithm::Es256, Algorithm::EdDsa]
    }

    pub(crate) fn ring(&self) -> Arc<ArcSwap<Ring>> {
        Arc::clone(&self.ring)
    }
}

fn random() -> Result<String, SessionTokenFault> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SessionTokenFault::Signing)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The workload that a session token of ours speaks for: the original issuer, subject and claims.
pub(crate) fn workload(mut checked: Checked) -> Result<Workload, IdentityFault> {
    let carried = checked.claims.remove(CARRIED).ok_or(IdentityFault::Missing(CARRIED))?;
    let carried: Carried = serde_json::from_value(carried).map_err(|_| IdentityFault::Malformed(CARRIED))?;
    let mut claims = carried.claims;
    // The session token's own binding stands in for the original's.
    if let Some(confirmation) = checked.claims.remove(CONFIRMATION) {
        claims.insert(CONFIRMATION.to_owned(), confirmation);
    }
    Ok(Workload {
        issuer: carried.issuer,
        subject: checked.subject,
        claims,
        token_kind: TokenKind::Session,
        token_id: checked.token_id,
        token_expires: checked.expires,
        bound_target: Some(carried.target),
    })
}
