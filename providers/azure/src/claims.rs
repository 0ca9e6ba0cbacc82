//! What stands in an access token, for the record alone.
//!
//! A token is for its resource to read, and opaque to whoever was given it: Entra may encrypt it or change its form at any time.
//! So nothing depends on what is read here but the words in the ledger, and one refusal: of a token that says outright that it is
//! another's. A token that cannot be read is used as it is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The claims that are written down, where they can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The token's own id: `uniqueTokenIdentifier` in the sign-in log.
    pub(crate) uti: Option<String>,
    /// The service principal's object id.
    pub(crate) oid: Option<String>,
    /// The client that it was given to.
    pub(crate) client: Option<String>,
    /// The tenant.
    pub(crate) tenant: Option<String>,
    /// Its end, in seconds since 1970.
    pub(crate) end: Option<i64>,
}

#[derive(Deserialize)]
struct Payload {
    uti: Option<String>,
    oid: Option<String>,
    /// Version 1.
    appid: Option<String>,
    /// Version 2.
    azp: Option<String>,
    tid: Option<String>,
    exp: Option<i64>,
}

impl Claims {
    pub(crate) fn read(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        let [_, payload, _] = parts.as_slice() else { return Self::default() };
        let Ok(payload) = URL_SAFE_NO_PAD.decode(payload).map(Zeroizing::new) else { return Self::default() };
        let Ok(payload) = serde_json::from_slice::<Payload>(&payload) else { return Self::default() };
        let Payload { uti, oid, appid, azp, tid, exp } = payload;
        Self {
            uti: named(uti),
            oid: named(oid),
            client: named(appid.or(azp)).map(|id| id.to_ascii_lowercase()),
            tenant: named(tid).map(|id| id.to_ascii_lowercase()),
            end: exp,
        }
    }
}

/// An id that may stand in a log.
fn named(id: Option<String>) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    id.filter(|id| !id.is_empty() && id.len() <= 64 && id.bytes().all(plain))
}
