//! SASL OAUTHBEARER (RFC 7628), as PostgreSQL 18 speaks it: what a client shows, and what it is told.
//!
//! Never: take a message that is not exactly in the form, one that asks to be bound to the channel, or one that wants to act as
//! somebody else: the token alone says who comes.

use writ_core::fault::{Blame, Fault};
use zeroize::Zeroizing;

use crate::frame::{self, Reader};

/// The mechanism's name.
pub(super) const MECHANISM: &[u8] = b"OAUTHBEARER";

/// Where a client that has no token yet may get one: PostgreSQL 18's answer to an OAUTHBEARER discovery request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The URL of the issuer's discovery document.
    pub discovery_url: String,
    /// The scope to ask for.
    pub scope: String,
}

/// The data of a `SASLInitialResponse`; `None` where the client sends it behind an empty challenge (RFC 4422, section 3.3).
pub(super) fn initial(body: &[u8]) -> Result<Option<&[u8]>, Fault> {
    let mut reader = Reader::new(body, 0);
    if reader.text() != Some(MECHANISM) {
        return Err(malformed("another mechanism than the one offered"));
    }
    let length = reader.u32().ok_or_else(|| malformed("no length"))?;
    let data = reader.rest();
    match length {
        u32::MAX if data.is_empty() => Ok(None),
        length if length as usize == data.len() => Ok(Some(data)),
        _ => Err(malformed("wrong length")),
    }
}

/// The token of an OAUTHBEARER message (RFC 7628, section 3.1); `None` where the client asks how to get one.
pub(super) fn bearer(data: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    // RFC 5801, section 5: `y` is a client that could bind to the channel and saw that it is not offered.
    let rest = data.strip_prefix(b"n,").or_else(|| data.strip_prefix(b"y,"));
    let rest = rest.ok_or_else(|| malformed("channel binding asked for"))?;
    let gs2 = memchr::memchr(1, rest).ok_or_else(|| malformed("no key"))?;
    let (authorization, pairs) = rest.split_at(gs2);
    if authorization != b"," {
        return Err(malformed("an authorization identity is not taken"));
    }
    let pairs = pairs.strip_suffix(b"\x01\x01").ok_or_else(|| malformed("no end"))?;
    let mut values = pairs.split(|byte| *byte == 1).filter_map(|pair| pair.strip_prefix(b"auth="));
    let value = values.next().ok_or_else(|| malformed("no auth key"))?;
    if values.next().is_some() {
        return Err(malformed("two auth keys"));
    }
    if value.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = value.split_at_checked(7).ok_or_else(|| malformed("no bearer token"))?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(malformed("no bearer token"));
    }
    if !is_b64token(token) {
        return Err(Fault::new("postgres.token", Blame::NotAllowed, "the token is malformed")
            .help("give the token exactly as its issuer gave it"));
    }
    Ok(Some(Zeroizing::new(token.to_vec())))
}

/// What may stand behind `Bearer` (RFC 6750, section 2.1).
fn is_b64token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    end > 0 && token.iter().take(end).all(plain)
}

/// The answer to a token that is not accepted, or to none (RFC 7628, section 3.2.2).
pub(super) fn failure(oauth: &OAuth, out: &mut Vec<u8>) {
    frame::write(out, b'R', |out| {
        out.extend_from_slice(&11_u32.to_be_bytes());
        out.extend_from_slice(b"{\"status\":\"invalid_token\",\"scope\":");
        json_text(out, &oauth.scope);
        out.extend_from_slice(b",\"openid-configuration\":");
        json_text(out, &oauth.discovery_url);
        out.push(b'}');
    });
}

pub(super) fn no_token(help: &'static str) -> Fault {
    Fault::new("postgres.oauth_discovery", Blame::NotAllowed, "no token was shown").help(help)
}

fn malformed(why: &'static str) -> Fault {
    Fault::new("postgres.oauthbearer", Blame::Peer, "malformed OAUTHBEARER message").detail(why)
}

/// A JSON string (RFC 8259, section 7).
fn json_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            control if control.is_control() => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
