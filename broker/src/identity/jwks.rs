//! Which keys of a JWK set count (RFC 7517). Only public, asymmetric signature keys whose kind fits an accepted algorithm;
//! everything else in a set is ignored, so that an issuer may add kinds that are unknown here.
//!
//! A symmetric key must never become a verification key: an RSA modulus used as an HMAC secret is the oldest forgery.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::CertificateDer;
use serde_json::Value;

use super::config::Algorithm;

/// The most keys that are looked at in one set.
const MAX_KEYS: usize = 128;
/// The fewest and most bits of an RSA modulus: RFC 7518, 3.3 asks for 2048, and beyond 8192 a check costs too much.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

/// What a key is marked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `sig` (RFC 7517, 4.2), or not marked.
    Signature,
    /// `jwt-svid`: a SPIFFE bundle holds X.509 authorities beside the keys of JWT-SVIDs, and each key says which it is.
    JwtSvid,
}

/// A JWK set that is none, or that holds nothing of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksFault {
    /// Not a JSON object with an array `keys`.
    #[error("it is not a JSON object with an array `keys`")]
    Malformed,
    /// No key in it counts.
    #[error("it holds no public signature key for RS256, PS256, ES256, ES384 or EdDSA")]
    Empty,
}

/// One key, parsed once for each algorithm that it verifies.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    verifying: Vec<(Algorithm, ParsedPublicKey)>,
    thumbprint: String,
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

/// The keys of an issuer that count.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// A trust domain's X.509 authorities, where it is a SPIFFE bundle.
    authorities: Vec<CertificateDer<'static>>,
}

impl KeySet {
    /// Reads a JWK set of signature keys.
    ///
    /// # Errors
    /// [`JwksFault`] if it is none or no key in it counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwksFault> {
        Self::parse_for(bytes, Use::Signature)
    }

    /// Reads a JWK set of keys that are marked for this use.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_for(bytes: &[u8], purpose: Use) -> Result<Self, JwksFault> {
        let document: Value = serde_json::from_slice(bytes).map_err(|_| JwksFault::Malformed)?;
        let document_keys = document.get("keys").and_then(Value::as_array).ok_or(JwksFault::Malformed)?;
        let marked = document_keys.iter().take(MAX_KEYS).filter_map(|jwk| Key::marked(jwk, purpose));
        let keys: Vec<Key> = marked.collect();
        let authorities = match purpose {
            Use::Signature => Vec::new(),
            Use::JwtSvid => document_keys.iter().take(MAX_KEYS).filter_map(authority).collect(),
        };
        if keys.is_empty() && authorities.is_empty() { Err(JwksFault::Empty) } else { Ok(Self { keys, authorities }) }
    }

    /// A set of these keys.
    #[must_use]
    pub const fn of(keys: Vec<Key>) -> Self {
        Self { keys, authorities: Vec::new() }
    }

    /// The X.509 authorities of a SPIFFE bundle.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whether a key has this name, for whatever algorithm.
    #[must_use]
    pub fn knows(&self, kid: Option<&str>) -> bool {
        kid.is_none_or(|kid| self.keys.iter().any(|key| key.kid.as_deref() == Some(kid)))
    }

    /// The keys that may have made a signature: those of this name, or all where the token names none.
    pub fn candidates<'s>(&'s self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &'s Key> {
        let named = move |key: &&Key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        self.keys.iter().filter(named).filter(move |key| key.verifying(algorithm).is_some())
    }
}

impl Key {
    /// The key that a JWK describes, if it counts.
    #[must_use]
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        Self::marked(jwk, Use::Signature)
    }

    fn marked(jwk: &Value, purpose: Use) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("d").is_some() || !may_verify(jwk, purpose) {
            return None;
        }
        let mut key = match text("kty")? {
            "RSA" => Self::rsa(text("n")?, text("e")?),
            "EC" => Self::ec(text("crv")?, text("x")?, text("y")?),
            "OKP" if text("crv")? == "Ed25519" => Self::ed25519(text("x")?),
            _ => None,
        }?;
        key.kid = jwk.get("kid").map(|kid| kid.as_str().map(str::to_owned)).unwrap_or_default();
        if let Some(alg) = jwk.get("alg") {
            let alg = alg.as_str()?;
            key.verifying.retain(|(algorithm, _)| algorithm.name() == alg);
        }
        (!key.verifying.is_empty()).then_some(key)
    }

    /// Names the key.
    #[must_use]
    pub fn named(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Its RFC 7638 thumbprint: SHA-256, base64url.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether this key made `signature` (base64url) over `signed`.
    #[must_use]
    pub fn verifies(&self, algorithm: Algorithm, signed: &str, signature: &str) -> bool {
        let (Some(key), Ok(signature)) = (self.verifying(algorithm), URL_SAFE_NO_PAD.decode(signature)) else {
            return false;
        };
        key.verify_sig(signed.as_bytes(), &signature).is_ok()
    }

    fn verifying(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        self.verifying.iter().find(|(of, _)| *of == algorithm).map(|(_, key)| key)
    }

    fn rsa(n: &str, e: &str) -> Option<Self> {
        let (padded, exponent) = (decode(n)?, decode(e)?);
        // Some issuers write the sign byte of a big integer.
        let modulus: Vec<u8> = padded.into_iter().skip_while(|byte| *byte == 0).collect();
        let leading = modulus.first()?.leading_zeros() as usize;
        if !RSA_BITS.contains(&(modulus.len() * 8 - leading)) || exponent.len() > 8 {
            return None;
        }
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let components = RsaPublicKeyComponents { n: &modulus, e: &exponent };
        let pkcs1 = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok()?;
        let pss = components.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256).ok()?;
        Some(Self::made(vec![(Algorithm::Rs256, pkcs1), (Algorithm::Ps256, pss)], &canonical))
    }

    fn ec(crv: &str, x: &str, y: &str) -> Option<Self> {
        let (algorithm, length) = match crv {
            "P-256" => (Algorithm::Es256, 32),
            "P-384" => (Algorithm::Es384, 48),
            _ => return None,
        };
        let (horizontal, vertical) = (decode(x)?, decode(y)?);
        if horizontal.len() != length || vertical.len() != length {
            return None;
        }
        let point = [[4].as_slice(), &horizontal, &vertical].concat();
        let canonical = format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let key = match algorithm {
            Algorithm::Es384 => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point),
            _ => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point),
        };
        Some(Self::made(vec![(algorithm, key.ok()?)], &canonical))
    }

    fn ed25519(x: &str) -> Option<Self> {
        let public = decode(x).filter(|public| public.len() == 32)?;
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let key = ParsedPublicKey::new(&ED25519, &public).ok()?;
        Some(Self::made(vec![(Algorithm::EdDsa, key)], &canonical))
    }

    fn made(verifying: Vec<(Algorithm, ParsedPublicKey)>, canonical: &str) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        Self { kid: None, verifying, thumbprint: URL_SAFE_NO_PAD.encode(digest) }
    }
}

/// Whether `use` and `key_ops` let the key verify signatures (RFC 7517, 4.2 and 4.3).
fn may_verify(jwk: &Value, purpose: Use) -> bool {
    let by_use = match (purpose, jwk.get("use").map(Value::as_str)) {
        (Use::Signature, None | Some(Some("sig"))) | (Use::JwtSvid, Some(Some("jwt-svid"))) => true,
        (Use::Signature | Use::JwtSvid, _) => false,
    };
    let verify = |operations: &Vec<Value>| operations.iter().any(|operation| operation.as_str() == Some("verify"));
    let by_operations = jwk.get("key_ops").is_none_or(|operations| operations.as_array().is_some_and(verify));
    by_use && by_operations
}

/// The certificate of an X.509 authority in a SPIFFE bundle (X509-SVID, 6.2): one in `x5c`, which is base64 with padding
/// (RFC 7517, 4.7), and no key id.
fn authority(jwk: &Value) -> Option<CertificateDer<'static>> {
    let marked = jwk.get("use").and_then(Value::as_str) == Some("x509-svid");
    let [certificate] = jwk.get("x5c")?.as_array()?.as_slice() else { return None };
    let certificate = STANDARD.decode(certificate.as_str()?).ok()?;
    (marked && jwk.get("kid").is_none() && jwk.get("d").is_none()).then(|| CertificateDer::from(certificate))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
