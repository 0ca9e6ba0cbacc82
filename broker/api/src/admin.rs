//! What humans and their tools ask.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::client::{ClientKey, Reason};
use writ_core::event::SessionEnd;
use writ_core::freeze::FreezeScope;
use writ_core::id::{GatewayId, SessionId};
use writ_core::rotation::TurnRecord;
use writ_core::target::{Protocol, TargetName};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::sealed::Base64;

/// One session with its writ.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The session.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// Its writ.
    #[schema(value_type = Object)]
    pub writ: Writ,
    /// The client's address, as the gateway saw it.
    pub client: String,
    /// The key that the client proved to the gateway, if it did: a JWK thumbprint (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub client_key: Option<ClientKey>,
    /// Why the client connected, as it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
    /// When it ended, if it did.
    #[schema(value_type = Option<String>)]
    pub closed: Option<Timestamp>,
    /// How it ended.
    #[schema(value_type = Option<String>)]
    pub end: Option<SessionEnd>,
    /// How many commands it ran, once it ended.
    pub commands: Option<u64>,
    /// The segments of its recording that are stored.
    pub segments: Vec<Segment>,
}

/// One stored segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// `commands` or `rows`.
    pub stream: String,
    /// Its number within the stream, from 0.
    pub sequence: u64,
    /// SHA-256 over its bytes, in hexadecimal.
    pub digest: String,
    /// Their length.
    pub bytes: u64,
}

/// A page of a list. `next` asks for what follows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Pass it as `after` for the next page; absent on the last.
    pub next: Option<String>,
}

/// Query parameters of a list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ListQuery {
    /// At most this many rows: 1 to 1,000, default 100.
    pub limit: Option<u32>,
    /// Rows after this one.
    pub after: Option<String>,
    /// Only what is live.
    pub live: Option<bool>,
}

/// Query parameters of the list of sessions.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SessionsQuery {
    /// At most this many rows: 1 to 1,000, default 100.
    pub limit: Option<u32>,
    /// Rows after this one.
    pub after: Option<String>,
    /// Only what is live.
    pub live: Option<bool>,
    /// Only those whose client proved the key with this thumbprint (RFC 7638).
    #[schema(value_type = Option<String>)]
    pub key: Option<ClientKey>,
}

/// Why an operator ends something.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Why, in the operator's words; it goes to the ledger and to the client. 1 to 200 characters.
    pub reason: String,
}

/// A target, and what mints for it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TargetFacts {
    /// Its name.
    #[schema(value_type = String)]
    pub name: TargetName,
    /// What it speaks.
    #[schema(value_type = String)]
    pub protocol: Protocol,
    /// What mints for it.
    pub provider: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether what is minted outlives the writ: a password that somebody configured.
    pub long_lived: bool,
    /// Whether the target can take one credential back before its end.
    pub revocable: bool,
    /// Whether policies can name a scope.
    pub scoped: bool,
    /// For how many seconds it is left alone because it does not answer.
    pub resting_seconds: Option<u64>,
    /// How its password is changed in turns, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationFacts>,
}

/// How a target's password is changed, in turns of two users.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RotationFacts {
    /// How often.
    pub every_seconds: u64,
    /// When the next turn is due.
    #[schema(value_type = String)]
    pub due: Timestamp,
    /// The last turn, if there was one.
    #[schema(value_type = Option<Object>)]
    pub last: Option<TurnRecord>,
}

/// What was taken back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OlderRevoked {
    /// The target.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// What was minted before this.
    #[schema(value_type = String)]
    pub before: Timestamp,
}

/// What SSH hosts must know of a target's authority.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SshFacts {
    /// The target.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// Lines for the file that sshd's `TrustedUserCAKeys` names.
    pub trusted: Vec<String>,
    /// Where the list for sshd's `RevokedKeys` is fetched.
    pub revocation_list: String,
}

/// What an admin has signed for an SSH host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostCertificateRequest {
    /// The host's public key, as a line of OpenSSH.
    pub key: String,
    /// The names and addresses by which clients reach it.
    pub names: Vec<String>,
    /// How long the certificate lives, in seconds.
    pub life_seconds: u64,
}

/// A certificate of an SSH host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HostCertificateReply {
    /// The certificate, as a line of OpenSSH.
    pub certificate: String,
    /// When it ends.
    #[schema(value_type = String)]
    pub expires: Timestamp,
}

/// What an operator freezes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeRequest {
    /// What: `{"kind": "workload", "issuer": ..., "subject": ...}` (without `issuer`: the subject of every issuer),
    /// `{"kind": "target", "target": ...}` or `{"kind": "all"}`.
    #[schema(value_type = Object)]
    pub scope: FreezeScope,
    /// Why, in the operator's words; it goes to the ledger and to the clients. 1 to 200 characters.
    pub reason: String,
}

/// Query parameters of the lifting of a freeze.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UnfreezeQuery {
    /// Why, in the operator's words; it goes to the ledger. 1 to 200 characters.
    pub reason: String,
}

/// What a join token is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenRequest {
    /// The gateway that joins with it opens sessions at targets that have all these labels; without any, at every target.
    #[serde(default)]
    pub serves: BTreeMap<String, String>,
}

/// A join token, shown once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct JoinToken {
    /// The token.
    pub join_token: String,
    /// Until when it can be used.
    #[schema(value_type = String)]
    pub expires: Timestamp,
}

/// One gateway.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    /// Its name.
    #[schema(value_type = String)]
    pub id: GatewayId,
    /// When it joined.
    #[schema(value_type = String)]
    pub enrolled: Timestamp,
    /// When it was last heard.
    #[schema(value_type = Option<String>)]
    pub seen: Option<Timestamp>,
    /// Whether its certificate was revoked.
    pub revoked: bool,
    /// The labels that a target must have for it; without any, it serves every target.
    pub serves: BTreeMap<String, String>,
}

/// The key to one session's recording, for an auditor.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RecordingKey {
    /// The data key: 32 bytes.
    #[schema(value_type = String)]
    pub data_key: Base64,
}

/// How humans log in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Login {
    /// The OIDC issuer.
    pub issuer: String,
    /// The public client's id there.
    pub client_id: String,
    /// What the token must be for.
    pub audience: String,
}

/// Who the caller is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// Who vouches.
    pub issuer: String,
    /// The human.
    pub subject: String,
    /// What it may do: of `admin`, `approve`, `audit`, `view`.
    pub may: Vec<String>,
}
