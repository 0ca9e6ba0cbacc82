//! Proof that a client holds a key (DPoP, RFC 9449, 4.3). The proof brings its key, so it says nothing about who the client
//! is: it must never be read as more than "this request was made by whoever holds that key".

use reqwest::Url;
use serde_json::Value;
use writ_core::time::{SignedDuration, Timestamp};

use super::config::Algorithm;
use super::fault::IdentityFault;
use super::header::Compact;
use super::json::Object;
use super::jwks::Key;

/// The type in a proof's header.
pub const TYP: &str = "dpop+jwt";
/// How far a proof's time may be from ours, either way, in seconds.
const WINDOW_SECONDS: i64 = 60;
/// The longest proof, in bytes. Proofs are small.
const MAX_PROOF_BYTES: usize = 8 * 1024;
const MAX_JTI_BYTES: usize = 256;

/// A proof that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The RFC 7638 thumbprint of the client's key.
    pub thumbprint: String,
    /// The proof's own name: it is to be accepted once for this key.
    pub jti: String,
    /// Until when it must be remembered.
    pub expires: Timestamp,
}

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DpopFault {
    /// It is not the compact form of a signed token.
    #[error("the proof is malformed: {0}")]
    Form(IdentityFault),
    /// It is longer than any proof.
    #[error("the proof has {0} bytes, more than the 8192 that are read")]
    TooLong(usize),
    /// Its type is another.
    #[error("the proof's type is not `dpop+jwt`")]
    Type,
    /// Its algorithm or key is not accepted.
    #[error(
        "the proof's key is not a public key for RS256, PS256, ES256, ES384 or EdDSA, or does not fit its algorithm"
    )]
    Key,
    /// The signature is not by its key.
    #[error("the proof is not signed by the key that it brings")]
    Signature,
    /// A claim is missing, malformed or for another request.
    #[error("the proof's claim `{0}` is missing or does not fit this request")]
    Claim(&'static str),
}

/// Checks a proof for a request by `method` to `url` at `now`.
///
/// # Errors
/// [`DpopFault`]: why not. The caller answers `invalid_dpop_proof`.
pub fn verify(proof: &str, method: &str, url: &str, now: Timestamp) -> Result<Proof, DpopFault> {
    if proof.len() > MAX_PROOF_BYTES {
        return Err(DpopFault::TooLong(proof.len()));
    }
    let compact = Compact::parse_permitting(proof, Some("jwk")).map_err(DpopFault::Form)?;
    if compact.header.typ.as_deref() != Some(TYP) {
        return Err(DpopFault::Type);
    }
    let thumbprint = signer(&compact)?;
    let claims = &compact.claims;
    if text(claims, "htm")? != method {
        return Err(DpopFault::Claim("htm"));
    }
    let (said, meant) = (address(text(claims, "htu")?), address(url));
    if said.is_none() || said != meant {
        return Err(DpopFault::Claim("htu"));
    }
    let issued = claims.get("iat").and_then(Value::as_f64).ok_or(DpopFault::Claim("iat"))?;
    let issued = whole(issued).ok_or(DpopFault::Claim("iat"))?;
    if (now.as_second() - issued).abs() > WINDOW_SECONDS {
        return Err(DpopFault::Claim("iat"));
    }
    let jti = text(claims, "jti")?;
    if jti.is_empty() || jti.len() > MAX_JTI_BYTES {
        return Err(DpopFault::Claim("jti"));
    }
    let expires = now.checked_add(SignedDuration::from_secs(2 * WINDOW_SECONDS + 1)).unwrap_or(Timestamp::MAX);
    Ok(Proof { thumbprint, jti: jti.to_owned(), expires })
}

/// The thumbprint of the key that the proof brings, once it was seen to have signed the proof.
fn signer(compact: &Compact<'_>) -> Result<String, DpopFault> {
    let algorithm = Algorithm::named(&compact.header.alg).ok_or(DpopFault::Key)?;
    let key = compact.members.get("jwk").and_then(Key::from_jwk).ok_or(DpopFault::Key)?;
    let length_fits = algorithm.signature_bytes().is_none_or(|length| length == compact.signature_bytes);
    if !length_fits || !key.verifies(algorithm, compact.signed, compact.signature) {
        return Err(DpopFault::Signature);
    }
    Ok(key.thumbprint().to_owned())
}

fn text<'c>(claims: &'c Object, name: &'static str) -> Result<&'c str, DpopFault> {
    claims.get(name).and_then(Value::as_str).ok_or(DpopFault::Claim(name))
}

/// An address as it is compared: normalized, without query and fragment (RFC 9449, 4.3).
fn address(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by the year 9999")]
fn whole(seconds: f64) -> Option<i64> {
    (0.0..=253_402_300_799.0).contains(&seconds).then(|| seconds.floor() as i64)
}
