//! Why a token was refused, for the operator and the ledger. The client learns that it was refused, and never why: an
//! answer that tells one refusal from another helps whoever is trying tokens out.

use writ_core::fault::{Blame, Fault};

/// The longest excerpt of outside text in a message, in characters.
const SHOWN: usize = 120;

/// Outside text for a message: control characters and backticks escaped, cut at a bounded length.
#[must_use]
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN));
    for character in text.chars().take(SHOWN) {
        match character {
            '`' => shown.push_str("\\`"),
            ' '..='~' => shown.push(character),
            other => shown.extend(other.escape_unicode()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Which part of a compact token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Claims,
    /// The signature.
    Signature,
}

impl core::fmt::Display for Part {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// A refusal. [`Self::code`] is stable; the words may change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityFault {
    /// Longer than [`super::header::MAX_TOKEN_BYTES`].
    #[error("the token has {0} bytes, more than the 65536 that are read")]
    TooLong(usize),
    /// Not three parts.
    #[error("the token has {0} parts where a signed token has three")]
    Parts(usize),
    /// A JWE.
    #[error("the token is encrypted: only signed tokens are accepted")]
    Encrypted,
    /// A part is not base64url without padding.
    #[error("the token's {0} is not base64url without padding")]
    Base64(Part),
    /// A part is not a JSON object.
    #[error("the token's {0} is not a JSON object in UTF-8")]
    Json(Part),
    /// A member name occurs twice.
    #[error("the token's {part} names `{name}` twice")]
    Duplicate {
        /// Where.
        part: Part,
        /// Which name.
        name: String,
    },
    /// A header parameter that is refused whatever it says.
    #[error("the token's header carries `{0}`, which is never accepted from a token")]
    HeaderRefused(&'static str),
    /// A header parameter of the wrong form.
    #[error("the token's header lacks `{0}`, or it is not what it must be")]
    HeaderMalformed(&'static str),
    /// The algorithm is not the issuer's.
    #[error("the token is signed with `{found}`, which issuer `{issuer}` is not configured for")]
    Algorithm {
        /// The issuer's configured name.
        issuer: String,
        /// What the header says.
        found: String,
    },
    /// The type is not one that this issuer's tokens may have.
    #[error("the token's type is `{found}`, which issuer `{issuer}` is not configured for")]
    Type {
        /// The issuer's configured name.
        issuer: String,
        /// What the header says; empty where it says nothing.
        found: String,
    },
    /// No such issuer is configured.
    #[error("no issuer `{0}` is configured: the claim is compared byte by byte")]
    UnknownIssuer(String),
    /// The issuer has no such key.
    #[error("issuer `{issuer}` publishes no usable key `{kid}` for `{algorithm}`")]
    UnknownKey {
        /// The issuer's configured name.
        issuer: String,
        /// The key id; empty where the token names none.
        kid: String,
        /// The algorithm.
        algorithm: &'static str,
    },
    /// The issuer's keys cannot be had, and none are held that are fresh enough.
    #[error("the keys of issuer `{issuer}` cannot be had: {reason}")]
    KeysUnavailable {
        /// The issuer's configured name.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// Whoever is asked about it cannot be asked, or gives no answer that can be read.
    #[error("`{issuer}` could not be asked about the token: {reason}")]
    Unavailable {
        /// The issuer's configured name.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// Whoever was asked about it did not confirm it.
    #[error("`{issuer}` did not confirm the token: {reason}")]
    Unconfirmed {
        /// The issuer's configured name.
        issuer: String,
        /// Why.
        reason: String,
    },
    /// A certificate that is no X.509-SVID, or not of its trust domain.
    #[error("the certificate was refused: {0}")]
    Certificate(String),
    /// The token of an actor that may not act for the subject.
    #[error("the actor may not act for the subject: {0}")]
    Actor(&'static str),
    /// The signature is not the issuer's.
    #[error("the signature is not by a key of issuer `{0}`")]
    Signature(String),
    /// A required claim is absent.
    #[error("the token has no claim `{0}`")]
    Missing(&'static str),
    /// The token is not as its issuer, which a preset knows, writes them.
    #[error("the token is not as `{preset}` writes them: {problem}")]
    Shape {
        /// The preset.
        preset: &'static str,
        /// What is different.
        problem: String,
    },
    /// A claim has the wrong form.
    #[error("the claim `{0}` is not what it must be")]
    Malformed(&'static str),
    /// The audience is not ours.
    #[error("the token is for `{0}` and not for this gateway group")]
    Audience(String),
    /// The authorized party is not one of the configured.
    #[error("the token's authorized party `{0}` is not configured")]
    AuthorizedParty(String),
    /// Expired.
    #[error("the token expired at {0}")]
    Expired(writ_core::time::Timestamp),
    /// Not valid yet.
    #[error("the token is not valid before {0}")]
    NotYet(writ_core::time::Timestamp),
    /// Issued in the future.
    #[error("the token says that it was issued at {0}, which is in the future")]
    IssuedInFuture(writ_core::time::Timestamp),
    /// It lives longer than the issuer's tokens may.
    #[error("the token lives {seconds} s, longer than the {allowed} that are configured")]
    Lifetime {
        /// Its life.
        seconds: i64,
        /// The cap.
        allowed: crate::duration::Span,
    },
    /// It is older than the issuer's tokens may be.
    #[error("the token was issued {seconds} s ago, longer than the {allowed} that are configured")]
    Age {
        /// Its age.
        seconds: i64,
        /// The cap.
        allowed: crate::duration::Span,
    },
}

impl IdentityFault {
    /// A stable code for logs, metrics and the ledger.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "identity.too_long",
            Self::Parts(_) => "identity.parts",
            Self::Encrypted => "identity.encrypted",
            Self::Base64(_) => "identity.base64",
            Self::Json(_) => "identity.json",
            Self::Duplicate { .. } => "identity.duplicate_member",
            Self::HeaderRefused(_) => "identity.header_refused",
            Self::HeaderMalformed(_) => "identity.header_malformed",
            Self::Algorithm { .. } => "identity.algorithm",
            Self::Type { .. } => "identity.type",
            Self::UnknownIssuer(_) => "identity.unknown_issuer",
            Self::UnknownKey { .. } => "identity.unknown_key",
            Self::KeysUnavailable { .. } => "identity.keys_unavailable",
            Self::Unavailable { .. } => "identity.unavailable",
            Self::Unconfirmed { .. } => "identity.unconfirmed",
            Self::Certificate(_) => "identity.certificate",
            Self::Actor(_) => "identity.actor",
            Self::Signature(_) => "identity.signature",
            Self::Missing(_) => "identity.missing_claim",
            Self::Shape { .. } => "identity.shape",
            Self::Malformed(_) => "identity.malformed_claim",
            Self::Audience(_) => "identity.audience",
            Self::AuthorizedParty(_) => "identity.authorized_party",
            Self::Expired(_) => "identity.expired",
            Self::NotYet(_) => "identity.not_yet_valid",
            Self::IssuedInFuture(_) => "identity.issued_in_future",
            Self::Lifetime { .. } => "identity.lifetime",
            Self::Age { .. } => "identity.age",
        }
    }

    /// The one fault that a client sees, whatever the reason. The detail, for the operator, has code and reason.
    #[must_use]
    pub fn to_fault(&self) -> Fault {
        Fault::new("identity.refused", Blame::NotAllowed, "the token was refused")
            .help("get a fresh token for this gateway group, or ask the operator why, quoting the request's id")
            .detail(format!("{}: {self}", self.code()))
    }
}
