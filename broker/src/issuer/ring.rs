//! The keys of the issuer as they are at one moment: the one that signs, and all that are published.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::assertion::AssertionSigner;
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::time::Timestamp;

use crate::identity::config::Algorithm;
use crate::identity::jwks::Key;
use crate::identity::signing::SigningKey;
use crate::keys::{KeyFault, RotatingKeys};

/// How much longer than its last token's life a key is published: clocks differ.
pub(super) const OVERLAP_MARGIN: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Ring {
    signing: Signing,
    /// What the key that signs is called in the set: its thumbprint (RFC 7638).
    kid: String,
    /// The header of every token, encoded.
    header: String,
    jwks: Value,
    algorithms: Vec<&'static str>,
}

#[derive(Debug)]
enum Signing {
    Here(SigningKey),
    /// Trusted with its key, not with having signed the right bytes: what comes back is checked.
    Elsewhere {
        signer: Arc<dyn AssertionSigner>,
        algorithm: Algorithm,
        key: Box<Key>,
        limit: Duration,
    },
}

impl Ring {
    /// The ring of keys in files: the newest that was published for `announce` signs, or the oldest where none was.
    pub(super) fn of_files(keys: &RotatingKeys, now: Timestamp, announce: Duration) -> Result<Self, KeyFault> {
        let crypto = || KeyFault::Crypto(keys.purpose().name);
        let read = |pkcs8: &[u8]| SigningKey::read(pkcs8).ok_or_else(crypto);
        let all: Vec<(&[u8], bool)> = keys.all(now, announce).collect();
        let announced = all.iter().rev().find(|(_, announced)| *announced).or_else(|| all.first());
        let signing = read(announced.ok_or_else(crypto)?.0)?;
        let public: Result<Vec<(Value, Algorithm)>, KeyFault> =
            all.iter().map(|(pkcs8, _)| read(pkcs8).map(|key| (key.public(), key.algorithm()))).collect();
        let (algorithm, own) = (signing.algorithm(), signing.public());
        Self::new(Signing::Here(signing), algorithm, &own, &public?).ok_or_else(crypto)
    }

    /// The ring of a key that is elsewhere, and of `others` that are published with it.
    pub(super) fn of_signer(
        signer: Arc<dyn AssertionSigner>,
        others: &[Arc<dyn AssertionSigner>],
        limit: Duration,
    ) -> Result<Self, KeyFault> {
        let crypto = || KeyFault::Crypto("issuer");
        let named = |signer: &Arc<dyn AssertionSigner>| {
            Algorithm::named(signer.algorithm()).map(|algorithm| (signer.public(), algorithm)).ok_or_else(crypto)
        };
        let (own, algorithm) = named(&signer)?;
        let others: Vec<(Value, Algorithm)> = others.iter().map(named).collect::<Result<_, _>>()?;
        let key = Key::from_jwk(&own).ok_or_else(crypto)?;
        let published: Vec<(Value, Algorithm)> = others.into_iter().chain([(own.clone(), algorithm)]).collect();
        let signing = Signing::Elsewhere { signer, algorithm, key: Box::new(key), limit };
        Self::new(signing, algorithm, &own, &published).ok_or_else(crypto)
    }

    fn new(signing: Signing, algorithm: Algorithm, own: &Value, public: &[(Value, Algorithm)]) -> Option<Self> {
        let kid = Key::from_jwk(own)?.thumbprint().to_owned();
        let header = json!({ "alg": algorithm.name(), "typ": "JWT", "kid": kid });
        let published: Option<Vec<Value>> = public.iter().map(|(jwk, algorithm)| published(jwk, *algorithm)).collect();
        let mut algorithms: Vec<&'static str> = public.iter().map(|(_, algorithm)| algorithm.name()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        Some(Self { signing, kid, header, jwks: json!({ "keys": published? }), algorithms })
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) const fn jwks(&self) -> &Value {
        &self.jwks
    }

    pub(super) fn algorithms(&self) -> &[&'static str] {
        &self.algorithms
    }

    /// A compact token with these claims.
    pub(super) async fn sign(&self, claims: &Value) -> Result<Secret, ProviderFault> {
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims.to_string()));
        let unsigned = |why: &str| ProviderFault::Unreachable(format!("the issuer's key signed nothing: {why}"));
        let signature = match &self.signing {
            Signing::Here(key) => {
                let signature = key.sign(signed.as_bytes()).ok_or_else(|| unsigned("the library failed"))?;
                URL_SAFE_NO_PAD.encode(signature)
            }
            Signing::Elsewhere { signer, algorithm, key, limit } => {
                let asked: Pending<'_, _> = signer.sign(signed.as_bytes());
                let answer = tokio::time::timeout(*limit, asked).await;
                let signature = answer.map_err(|_| unsigned("the signer does not answer"))??;
                let signature = URL_SAFE_NO_PAD.encode(signature);
                if !key.verifies(*algorithm, &signed, &signature) {
                    return Err(unsigned("what the signer gave is no signature by its key"));
                }
                signature
            }
        };
        Ok(Secret::new(format!("{signed}.{signature}").into_bytes()))
    }
}

fn published(jwk: &Value, algorithm: Algorithm) -> Option<Value> {
    let kid = Key::from_jwk(jwk)?.thumbprint().to_owned();
    let mut jwk = jwk.clone();
    let members = jwk.as_object_mut()?;
    members.insert("kid".to_owned(), kid.into());
    members.insert("use".to_owned(), "sig".into());
    members.insert("alg".to_owned(), algorithm.name().into());
    Some(jwk)
}
