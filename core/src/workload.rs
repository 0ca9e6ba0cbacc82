//! The workload: the non-human caller, as its issuer describes it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Timestamp;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// Takes the name exactly as it stands: no trimming, no case folding.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name as text. It is data from outside: encode it for the place it goes to.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An OIDC issuer: the `iss` claim, compared byte by byte.
    Issuer
);
name!(
    /// What the issuer calls the workload: the `sub` claim. Meaningless without its [`Issuer`].
    Subject
);
name!(
    /// Whom a token is for: one value of the `aud` claim.
    Audience
);

/// The member of `ci` among the claims that lists by what others than a job's owners may decide what it runs:
/// `pull_request`, `pull_request_target`, `workflow_run`, `merge_request`, `ssh_rerun`. Presets of issuers write it.
pub const EXPOSURES: &str = "exposures";

/// The claims of a verified token, by name. Values are JSON as the issuer wrote it.
pub type Claims = BTreeMap<String, Value>;

/// What tells one token from another, for replay: `jti` where the issuer gives one, else the token's digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenId {
    /// The `jti` claim. Unique within its issuer (RFC 7519, 4.1.7).
    Jti(String),
    /// SHA-256 over the signed part of the compact token, in lower-case hexadecimal. The signature is left out: an ECDSA
    /// signature can be rewritten into another valid one.
    Digest(String),
}

impl TokenId {
    /// The key under which uses are counted: issuer and token, unambiguous.
    #[must_use]
    pub fn replay_key(&self, issuer: &Issuer) -> String {
        match self {
            Self::Jti(jti) => format!("jti:{}:{}:{jti}", issuer.as_str().len(), issuer),
            Self::Digest(digest) => format!("sha256:{digest}"),
        }
    }
}

/// How the workload showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// The workload's own OIDC token: opens at most `@uses` sessions.
    Workload,
    /// A session token from `/v1/token`: opens any number of sessions for its workload and target within its life.
    Session,
    /// A certificate whose key its connection proved: gets session tokens, and opens nothing itself.
    Certificate,
}

/// The non-human caller: issuer, subject and claims, from a token that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Who vouches for it.
    pub issuer: Issuer,
    /// What the issuer calls it.
    pub subject: Subject,
    /// What else the issuer says of it.
    pub claims: Claims,
    /// What kind of token it showed.
    pub token_kind: TokenKind,
    /// Which token it showed.
    pub token_id: TokenId,
    /// The last moment at which that token may be accepted, leeway included: a use is remembered until then.
    pub token_expires: Timestamp,
    /// The only target that the token may be used for, where it says so (session tokens do).
    pub bound_target: Option<crate::target::TargetName>,
}

/// Somebody through whom a workload acts (RFC 8693, 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delegate {
    /// Who vouches for it, where the token says so; else the token's own issuer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
    /// What the issuer calls it.
    pub subject: Subject,
}

/// A chain of actors that is not well formed, or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`act` is not a chain of at most {MAX_ACTORS} objects that each name a `sub`")]
pub struct InvalidActors;

/// The most actors in a chain.
pub const MAX_ACTORS: usize = 8;

/// The chain of actors in a token's claims, the one that acts first; empty where the workload acts for itself.
///
/// # Errors
/// [`InvalidActors`] if the claim `act` is there and is no such chain.
pub fn actors(claims: &Claims) -> Result<Vec<Delegate>, InvalidActors> {
    let mut chain = Vec::new();
    let mut next = claims.get("act");
    while let Some(actor) = next {
        let text = |member: &str| match actor.get(member) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(Some(text)),
            Some(_) => Err(InvalidActors),
        };
        let subject = text("sub")?.ok_or(InvalidActors)?;
        let issuer = text("iss")?.map(Issuer::new);
        if chain.len() == MAX_ACTORS {
            return Err(InvalidActors);
        }
        chain.push(Delegate { issuer, subject: Subject::new(subject) });
        next = actor.get("act");
    }
    Ok(chain)
}
