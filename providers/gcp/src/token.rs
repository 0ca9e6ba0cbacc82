//! A token that Google gave, and what is public of it.

use core::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use zeroize::Zeroizing;

/// The longest token, in bytes: Google promises no size, and this is many times what any has had.
const LONGEST: usize = 16 * 1024;

/// A token and its end, as Google granted it.
pub(crate) struct Token {
    pub(crate) text: Zeroizing<String>,
    pub(crate) expires: Timestamp,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Token {
    /// Whether it is what a header can carry.
    pub(crate) fn is_sound(text: &str) -> bool {
        (16..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// The credential of a writ. Google's audit logs show the writ's id as the reason of the request that the token was given for.
    pub(crate) fn credential(self, kind: CredentialKind, form: Form, principal: String, writ: &Writ) -> Credential {
        Credential {
            kind,
            audit: format!("{principal} by request reason {}", writ.id),
            principal,
            secret: Secret::new(self.text.as_bytes().to_vec()),
            expires: Some(self.expires),
            fingerprint: form.fingerprint(&self.text),
            revocation: Revocation::None,
        }
    }
}

/// What a token is. Google's logs show none by a name of its own; the fingerprint says which kind was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A service account's.
    Access,
    /// The same behind an access boundary.
    Bounded,
    /// A principal's of a pool.
    Federated,
    /// An ID token of a service account.
    Identity,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::Access => "gcp-access-token",
            Self::Bounded => "gcp-bounded-token",
            Self::Federated => "gcp-federated-token",
            Self::Identity => "gcp-id-token",
        }
    }

    /// The form, and a digest that the token cannot be searched back from.
    pub(crate) fn fingerprint(self, token: &str) -> Fingerprint {
        let mut context = Context::new(&SHA256);
        for part in ["writ ", self.name(), "\0", token] {
            context.update(part.as_bytes());
        }
        let short: String = context.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Fingerprint::of_public(self.name(), &short)
    }

    /// The form of a credential that this crate made.
    pub(crate) fn of(credential: &Credential) -> Option<Self> {
        let (name, _) = credential.fingerprint.as_str().split_once(':')?;
        [Self::Access, Self::Bounded, Self::Federated, Self::Identity].into_iter().find(|form| form.name() == name)
    }
}

/// A secret in an answer.
pub(crate) fn zeroizing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// What a JWT says of itself. Nothing of it is verified: whoever gave it is known.
pub(crate) fn claims(token: &[u8]) -> Option<Value> {
    let mut parts = token.split(|byte| *byte == b'.');
    let payload = parts.nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}
