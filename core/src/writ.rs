//! The writ: the record of one issuance.

use serde::{Deserialize, Serialize};

use crate::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use crate::grant::{Obligations, PolicyHash};
use crate::id::{GatewayId, SessionId, WritId};
use crate::target::TargetName;
use crate::time::Timestamp;
use crate::workload::{Issuer, Subject};

/// Where a writ stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WritState {
    /// The intent is durable; the provider may or may not have been called.
    Intended,
    /// The credential was minted, logged and released to the gateway.
    Issued,
    /// The session ended and the credential is gone.
    Closed,
    /// Nothing was minted: the provider refused or could not be reached.
    Failed,
    /// A crash left the intent without an outcome; the janitor settled it.
    Abandoned,
    /// Revocation failed; it is retried, and the credential may live until its own end.
    Irrevocable,
}

/// The record that ties workload, target, grant, policy, credential and session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writ {
    /// Its identifier, which labels the credential at the target.
    pub id: WritId,
    /// The session that uses it. One writ, one session.
    pub session: SessionId,
    /// The gateway that asked for it.
    pub gateway: GatewayId,
    /// Who vouches for the workload.
    pub issuer: Issuer,
    /// The workload.
    pub subject: Subject,
    /// The target.
    pub target: TargetName,
    /// The kind of the provider that was to mint for it, as the configuration named it then: no other can take it back. Absent
    /// in what was written before it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What policy attached.
    pub obligations: Obligations,
    /// The policy set that decided.
    pub policy_hash: PolicyHash,
    /// The policies in it that permitted.
    pub policies: Vec<String>,
    /// Where it stands.
    pub state: WritState,
    /// When it was intended.
    pub opened: Timestamp,
    /// When the session ends at the latest.
    pub expires: Timestamp,
    /// What was minted, once it was.
    pub credential: Option<CredentialFacts>,
    /// When it was closed, failed or abandoned.
    pub closed: Option<Timestamp>,
}

/// What may be known of a credential: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialFacts {
    /// What kind it is.
    pub kind: CredentialKind,
    /// The user, role or principal that the target knows it by.
    pub principal: String,
    /// What the target's own audit calls it, where that is not the principal: the join key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<String>,
    /// How it can be taken back; absent in what was written before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation: Option<Revocation>,
    /// A public fingerprint.
    pub fingerprint: Fingerprint,
    /// Its end, as the target granted it; `None` where it does not end by itself.
    pub expires: Option<Timestamp>,
    /// Whether it outlives the writ: a static password that the provider read and did not mint.
    pub long_lived: bool,
}

impl CredentialFacts {
    /// What may be known of a credential.
    #[must_use]
    pub fn of(credential: &Credential, long_lived: bool) -> Self {
        Self {
            kind: credential.kind,
            principal: credential.principal.clone(),
            audit: (credential.audit != credential.principal).then(|| credential.audit.clone()),
            revocation: Some(credential.revocation),
            fingerprint: credential.fingerprint.clone(),
            expires: credential.expires,
            long_lived,
        }
    }
}
