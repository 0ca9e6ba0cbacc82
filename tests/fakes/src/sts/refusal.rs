//! AWS's refusals: a code that clients act on, the status that goes with it, and words for a human.

use crate::sigv4::Wrong;

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// AWS's code, as clients see it: `AccessDenied`, `InvalidIdentityToken`, ...
    pub code: &'static str,
    /// What a human reads.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(crate) fn token(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidIdentityToken", message)
    }

    pub(crate) fn malformed_policy(message: impl Into<String>) -> Self {
        Self::new(400, "MalformedPolicyDocument", message)
    }

    pub(crate) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Missing => {
                Self::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
            }
            Wrong::Malformed(what) => Self::new(400, "IncompleteSignature", what),
            // AWS gives the same code to a signature that is out of its time.
            Wrong::Mismatch(what) | Wrong::Time(what) => Self::new(403, "SignatureDoesNotMatch", what),
        }
    }
}
