//! The form of a compact JWS (RFC 7515, 7.1) and its header, read strictly and before any library sees it.
//!
//! A header is data from whoever sent the token. It must never choose the key's address (`jku`, `x5u`), bring the key
//! (`jwk`, `x5c`), switch on an extension (`crit`, `b64`, `zip`) or say how the claims are read (`cty`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::fault::{IdentityFault, Part, shown};
use super::json::{JsonFault, Object, object};

/// The longest token that is read.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;
/// The longest key id.
const MAX_KID_BYTES: usize = 512;
/// What no token of a workload may carry. Certificate thumbprints (`x5t`) are harmless and ignored.
const REFUSED: [&str; 10] = ["crit", "jku", "x5u", "jwk", "x5c", "b64", "zip", "enc", "epk", "cty"];

/// What a header may say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm that it claims. Compared with the configured ones, never obeyed.
    pub alg: String,
    /// Its type, in lower case and without `application/` (RFC 7515, 4.1.9).
    pub typ: Option<String>,
    /// The key's name: data, only ever compared.
    pub kid: Option<String>,
}

/// A token that has the right form. Nothing in it is verified.
#[derive(Debug)]
pub struct Compact<'a> {
    /// The header.
    pub header: Header,
    /// All of the header's members.
    pub members: Object,
    /// The claims.
    pub claims: Object,
    /// What is signed: header, dot, claims.
    pub signed: &'a str,
    /// The signature as the token writes it.
    pub signature: &'a str,
    /// The signature's length in bytes.
    pub signature_bytes: usize,
}

impl<'a> Compact<'a> {
    /// Reads a token whose header carries nothing that is refused.
    ///
    /// # Errors
    /// [`IdentityFault`] for any departure from the form.
    pub fn parse(token: &'a str) -> Result<Self, IdentityFault> {
        Self::parse_permitting(token, None)
    }

    /// Reads a token whose header may carry `permitted`, one of the parameters that are otherwise refused.
    ///
    /// # Errors
    /// [`IdentityFault`] for any departure from the form.
    pub fn parse_permitting(token: &'a str, permitted: Option<&str>) -> Result<Self, IdentityFault> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(IdentityFault::TooLong(token.len()));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(IdentityFault::Parts(1))?;
        let (header, claims) = signed.split_once('.').ok_or(IdentityFault::Parts(2))?;
        match token.bytes().filter(|byte| *byte == b'.').count() {
            2 => {}
            4 => return Err(IdentityFault::Encrypted),
            dots => return Err(IdentityFault::Parts(dots + 1)),
        }
        let members = part(header, Part::Header)?;
        if let Some(name) = REFUSED.iter().find(|name| Some(**name) != permitted && members.contains_key(**name)) {
            return Err(IdentityFault::HeaderRefused(name));
        }
        let header = Header::read(&members)?;
        let claims = part(claims, Part::Claims)?;
        let signature_bytes = decode(signature, Part::Signature)?.len();
        Ok(Self { header, members, claims, signed, signature, signature_bytes })
    }
}

impl Header {
    fn read(members: &Object) -> Result<Self, IdentityFault> {
        let alg = text(members, "alg")?.ok_or(IdentityFault::HeaderMalformed("alg"))?;
        let typ = text(members, "typ")?.map(media_type);
        let kid = text(members, "kid")?;
        match kid {
            Some(kid) if kid.len() > MAX_KID_BYTES => Err(IdentityFault::HeaderMalformed("kid")),
            kid => Ok(Self { alg: alg.to_owned(), typ, kid: kid.map(str::to_owned) }),
        }
    }
}

/// A type as it is compared: in lower case, `application/` dropped where no other slash follows (RFC 7515, 4.1.9).
#[must_use]
pub fn media_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

fn text<'m>(members: &'m Object, name: &'static str) -> Result<Option<&'m str>, IdentityFault> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(IdentityFault::HeaderMalformed(name)),
    }
}

fn decode(text: &str, part: Part) -> Result<Vec<u8>, IdentityFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| IdentityFault::Base64(part))
}

fn part(text: &str, part: Part) -> Result<Object, IdentityFault> {
    object(&decode(text, part)?).map_err(|fault| match fault {
        JsonFault::Malformed => IdentityFault::Json(part),
        JsonFault::Duplicate(name) => IdentityFault::Duplicate { part, name: shown(&name) },
    })
}
