//! What a token's claims must say (RFC 7519, 4.1; RFC 8725, 3.8 to 3.10). Called only after the signature was verified.

use aws_lc_rs::digest;
use serde_json::Value;
use writ_core::time::{SignedDuration, Timestamp};
use writ_core::workload::{Subject, TokenId};

use super::fault::{IdentityFault, shown};
use super::json::Object;
use crate::duration::Span;
use crate::keys::files::hex;

/// The longest subject, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 1024;
/// The longest token identifier, in bytes.
pub const MAX_JTI_BYTES: usize = 512;
/// The most audiences that a token may name.
const MAX_AUDIENCES: usize = 64;
/// The last second of the year 9999.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The rules for one issuer's claims.
#[derive(Debug, Clone)]
pub struct ClaimRules {
    /// Whom tokens may be for.
    pub audiences: Vec<String>,
    /// The `azp` that are accepted; empty: not looked at.
    pub authorized_parties: Vec<String>,
    /// The longest life.
    pub max_lifetime: Span,
    /// The greatest age.
    pub max_age: Option<Span>,
    /// How far clocks may differ.
    pub leeway: Span,
    /// Whether `jti` must be there.
    pub require_jti: bool,
}

/// What the claims said, once they passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The `sub` claim.
    pub subject: Subject,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The last moment at which the token may be accepted: `exp` and the leeway. A use is remembered until then.
    pub expires: Timestamp,
    /// What tells this token from others.
    pub token_id: TokenId,
}

impl ClaimRules {
    /// Checks the claims of a token whose signature over `signed` was verified.
    ///
    /// # Errors
    /// [`IdentityFault`] for the first claim that is missing, malformed or not acceptable at `now`.
    pub fn check(&self, claims: &Object, signed: &str, now: Timestamp) -> Result<Registered, IdentityFault> {
        self.audience(claims)?;
        self.authorized_party(claims)?;
        let subject = name(claims, "sub", MAX_SUBJECT_BYTES)?.ok_or(IdentityFault::Missing("sub"))?;
        let (issued_at, expires) = self.times(claims, now)?;
        let token_id = match name(claims, "jti", MAX_JTI_BYTES)? {
            Some(jti) => TokenId::Jti(jti.to_owned()),
            None if self.require_jti => return Err(IdentityFault::Missing("jti")),
            None => digest_of(signed),
        };
        Ok(Registered { subject: Subject::new(subject), issued_at, expires, token_id })
    }

    fn audience(&self, claims: &Object) -> Result<(), IdentityFault> {
        let malformed = IdentityFault::Malformed("aud");
        let named: Vec<&str> = match claims.get("aud") {
            None => return Err(IdentityFault::Missing("aud")),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(audiences)) if (1..=MAX_AUDIENCES).contains(&audiences.len()) => {
                audiences.iter().map(Value::as_str).collect::<Option<_>>().ok_or(malformed)?
            }
            Some(_) => return Err(malformed),
        };
        if named.iter().any(|audience| self.audiences.iter().any(|ours| ours == audience)) {
            return Ok(());
        }
        Err(IdentityFault::Audience(shown(&named.join(" "))))
    }

    fn authorized_party(&self, claims: &Object) -> Result<(), IdentityFault> {
        if self.authorized_parties.is_empty() {
            return Ok(());
        }
        let party = claims.get("azp").ok_or(IdentityFault::Missing("azp"))?;
        let party = party.as_str().ok_or(IdentityFault::Malformed("azp"))?;
        if self.authorized_parties.iter().any(|known| known == party) {
            Ok(())
        } else {
            Err(IdentityFault::AuthorizedParty(shown(party)))
        }
    }

    fn times(&self, claims: &Object, now: Timestamp) -> Result<(Timestamp, Timestamp), IdentityFault> {
        let expires = date(claims, "exp")?.ok_or(IdentityFault::Missing("exp"))?;
        let issued = date(claims, "iat")?.ok_or(IdentityFault::Missing("iat"))?;
        let begins = date(claims, "nbf")?;
        let (leeway, clock) = (self.leeway.as_millis(), now.as_millisecond());
        let end = expires.saturating_add(leeway);
        if clock >= end {
            return Err(IdentityFault::Expired(moment(expires)));
        }
        if issued > clock.saturating_add(leeway) {
            return Err(IdentityFault::IssuedInFuture(moment(issued)));
        }
        if let Some(begins) = begins.filter(|begins| *begins > clock.saturating_add(leeway)) {
            return Err(IdentityFault::NotYet(moment(begins)));
        }
        let life = expires - issued;
        if life <= 0 {
            return Err(IdentityFault::Malformed("exp"));
        }
        if life > self.max_lifetime.as_millis() {
            return Err(IdentityFault::Lifetime { seconds: life / 1000, allowed: self.max_lifetime });
        }
        let age = clock.saturating_sub(issued);
        if let Some(allowed) = self.max_age.filter(|allowed| age > allowed.as_millis().saturating_add(leeway)) {
            return Err(IdentityFault::Age { seconds: age / 1000, allowed });
        }
        Ok((moment(issued), moment(end)))
    }
}

/// The digest of what is signed. Not of the whole token: an ECDSA signature can be rewritten into another valid one, and
/// each would count as a token of its own.
fn digest_of(signed: &str) -> TokenId {
    TokenId::Digest(hex(digest::digest(&digest::SHA256, signed.as_bytes()).as_ref()))
}

/// A claim that names something: not empty, bounded, without control characters.
fn name<'c>(claims: &'c Object, claim: &'static str, longest: usize) -> Result<Option<&'c str>, IdentityFault> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text))
            if !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control) =>
        {
            Ok(Some(text))
        }
        Some(_) => Err(IdentityFault::Malformed(claim)),
    }
}

/// A NumericDate (RFC 7519, 2), which need not be an integer, in milliseconds since 1970, rounded down.
fn date(claims: &Object, claim: &'static str) -> Result<Option<i64>, IdentityFault> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => Ok(Some(milliseconds(seconds))),
        _ => Err(IdentityFault::Malformed(claim)),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller bounds it by the year 9999")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).floor() as i64
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(Timestamp::MAX)
}
