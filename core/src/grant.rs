//! The grant: a policy decision to allow, with its obligations.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::verdict::HoldTerms;

/// SHA-256 over a policy set and its schema, in lower-case hexadecimal. Stands on every decision, so that a clone is a
/// count and not a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyHash(Arc<str>);

impl PolicyHash {
    /// Wraps a hash that the policy crate computed.
    #[must_use]
    pub fn new(hex: impl Into<String>) -> Self {
        Self(hex.into().into())
    }

    /// The hash as 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PolicyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PolicyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// How much of a session is recorded. Ordered: the fuller is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordLevel {
    /// Every command with its parameters and outcome.
    Commands,
    /// The same, and everything that flows back.
    Full,
}

/// What comes with a permission: the strictest of all policies that permitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligations {
    /// The session's longest life, in seconds from its opening.
    pub ttl_seconds: u64,
    /// The role at the target that the session acts as, where policy names one.
    pub role: Option<String>,
    /// The part of what the target's role may do that the session may do, where policy names one: a name that the target's
    /// provider knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How much is recorded.
    pub record: RecordLevel,
    /// How many sessions one workload token may open.
    pub uses: u32,
    /// How many connections the credential may hold at once, where the target can limit it; the provider's own number where
    /// policy names none.
    pub connection_limit: Option<u32>,
    /// What the session may do at most.
    #[serde(default)]
    pub limits: Box<SessionLimits>,
    /// The sets of masks that hold for what flows back, sorted: those of every policy that permitted. None masks nothing.
    #[serde(default)]
    pub masks: Vec<String>,
}

/// What a session may do at most; nothing is limited by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionLimits {
    /// Its transactions are read-only.
    pub read_only: bool,
    /// How long one statement may run, in seconds.
    pub statement_timeout_seconds: Option<u64>,
    /// How many rows it may read and change in all.
    pub rows: Option<u64>,
    /// How many bytes it may get in all.
    pub bytes: Option<u64>,
    /// How many statements it may have executed within any minute.
    pub statements_per_minute: Option<u32>,
}

impl SessionLimits {
    /// The stricter of each.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            [one, other].into_iter().flatten().min()
        }
        Self {
            read_only: self.read_only || other.read_only,
            statement_timeout_seconds: least(self.statement_timeout_seconds, other.statement_timeout_seconds),
            rows: least(self.rows, other.rows),
            bytes: least(self.bytes, other.bytes),
            statements_per_minute: least(self.statements_per_minute, other.statements_per_minute),
        }
    }
}

/// A policy decision to allow. Made by `writ_policy::connect` alone, which is why the fields are read-only here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grant {
    obligations: Obligations,
    policy_hash: PolicyHash,
    policies: Vec<String>,
    hold: Option<HoldTerms>,
}

impl Grant {
    /// Makes a grant. Only `writ_policy::connect` may call this; clippy's `disallowed-methods` holds everyone to it.
    #[must_use]
    pub fn decided(
        obligations: Obligations,
        policy_hash: PolicyHash,
        policies: Vec<String>,
        hold: Option<HoldTerms>,
    ) -> Self {
        Self { obligations, policy_hash, policies, hold }
    }

    /// The humans who have to approve first, if any.
    #[must_use]
    pub const fn hold(&self) -> Option<&HoldTerms> {
        self.hold.as_ref()
    }

    /// What comes with it.
    #[must_use]
    pub const fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// The policy set that decided.
    #[must_use]
    pub const fn policy_hash(&self) -> &PolicyHash {
        &self.policy_hash
    }

    /// The identifiers of the policies that permitted, sorted.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}
