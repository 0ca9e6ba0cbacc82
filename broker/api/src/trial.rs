//! What a workload asks before it has a gateway for its protocol: would it get in, and as whom?

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::credential::{CredentialKind, Fingerprint, Revocation};
use writ_core::grant::PolicyHash;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;

/// What is tried. The workload's token comes as the bearer token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialRequest {
    /// The target's name.
    pub target: String,
    /// The role at the target, where policy leaves a choice.
    #[serde(default)]
    pub role: Option<String>,
}

/// What came of it. The credential itself never leaves the broker, and is taken back at once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TrialReply {
    /// The writ.
    #[schema(value_type = String)]
    pub writ: WritId,
    /// Its session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// The target.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// The policy set that decided.
    #[schema(value_type = String)]
    pub policy_hash: PolicyHash,
    /// What was minted.
    #[schema(value_type = String)]
    pub kind: CredentialKind,
    /// The user, role or principal that the target knows it by.
    pub principal: String,
    /// What the target's own audit calls it.
    pub audit: String,
    /// Its public fingerprint.
    #[schema(value_type = String)]
    pub fingerprint: Fingerprint,
    /// Its end, as the target granted it.
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// How it can be taken back.
    #[schema(value_type = String)]
    pub revocation: Option<Revocation>,
    /// Whether the broker presented it and the target saw it as said above; false where the target has no harmless call.
    pub presented: bool,
}
