//! Identifiers. Each names one kind of thing, so that one cannot be passed for another.
//!
//! Text form: a prefix, `-`, and a UUIDv7 (RFC 9562) in 26 characters of lower-case Crockford base32. That fits a
//! PostgreSQL role name, an AWS role session name and a Kubernetes object name, and sorts by time.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LENGTH: usize = 26;

/// Text that is not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {kind} identifier: it has the form `{prefix}-` and 26 characters of lower-case base32")]
pub struct InvalidId {
    kind: &'static str,
    prefix: &'static str,
}

fn encode(value: u128) -> String {
    (0..ENCODED_LENGTH)
        .rev()
        .filter_map(|place| ALPHABET.get(((value >> (place * 5)) & 31) as usize))
        .map(|byte| char::from(*byte))
        .collect()
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != ENCODED_LENGTH || text.as_bytes().first()? > &b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = ALPHABET.iter().position(|candidate| *candidate == byte)?;
        Some((value << 5) | digit as u128)
    })
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// A fresh identifier: the time in milliseconds and 74 random bits.
            #[must_use]
            pub fn fresh() -> Self {
                Self(Uuid::now_v7().as_u128())
            }

            /// The identifier as 16 bytes, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }

            /// The identifier that [`Self::to_bytes`] gave.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "-"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(InvalidId { kind: $kind, prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

identifier!(
    /// A writ: the record of one issuance.
    WritId, "writ", "writ"
);
identifier!(
    /// A session: one connection of one workload to one target through the gateway.
    SessionId, "session", "sess"
);
identifier!(
    /// A gateway, as enrolled.
    GatewayId, "gateway", "gw"
);
identifier!(
    /// A request to the broker: what a refused client may quote, and what the ledger explains.
    RequestId, "request", "req"
);
identifier!(
    /// An approval: one question to humans, and their answer.
    ApprovalId, "approval", "apr"
);
identifier!(
    /// A freeze: what an operator lifts again.
    FreezeId, "freeze", "frz"
);

impl GatewayId {
    /// The broker itself, where it opens a session for a trial. No certificate names it.
    pub const BROKER: Self = Self(0);
}
