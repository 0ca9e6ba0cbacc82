//! JWT-SVIDs (spiffe.io, "The JWT SPIFFE Verifiable Identity Document", "The SPIFFE Identity and Verifiable Identity
//! Document").
//!
//! The trust domain is the issuer: a JWT-SVID need not name any other, and where it does, the name says nothing.

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

const SCHEME: &str = "spiffe://";
/// The longest SPIFFE ID and the longest trust domain, in bytes.
const MAX_ID_BYTES: usize = 2048;
const MAX_DOMAIN_BYTES: usize = 255;

pub(super) fn known(domain: Option<&str>) -> Known {
    Known {
        issuer: domain
            .filter(|domain| is_domain(domain))
            .map(|domain| format!("{SCHEME}{domain}"))
            .ok_or("give `tenant`, the trust domain's name, such as `prod.example.org`"),
        algorithms: &[Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::Ps256],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: Some("a trust domain's name: lower-case letters, digits, `.`, `-`, `_`"),
    }
}

pub(super) fn read(token: &Reader<'_>, domain: Option<&str>) -> Result<Attributes, IdentityFault> {
    let id = token.text("sub")?;
    let (of, path) = parse(id).ok_or(IdentityFault::Malformed("sub"))?;
    if domain.is_some_and(|domain| domain != of) {
        return Err(token.contradiction("sub", "trust domain", id));
    }
    Ok(Attributes::default().put("id", id).put("trust_domain", of).put("path", path))
}

/// The trust domain and the path of a SPIFFE ID that names a workload.
pub(in crate::identity) fn parse(id: &str) -> Option<(&str, &str)> {
    let rest = id.strip_prefix(SCHEME).filter(|_| id.len() <= MAX_ID_BYTES)?;
    let (domain, path) = rest.split_at(rest.find('/')?);
    let segments = path.strip_prefix('/')?.split('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let sound = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    (is_domain(domain) && segments.into_iter().all(sound)).then_some((domain, path))
}

fn is_domain(domain: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_DOMAIN_BYTES).contains(&domain.len()) && domain.bytes().all(plain)
}
