//! What a gateway says to the broker, over mTLS but for [`EnrolRequest`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::client::{ClientKey, Reason};
use writ_core::event::SessionEnd;
use writ_core::grant::{Obligations, PolicyHash};
use writ_core::id::{ApprovalId, GatewayId, SessionId, WritId};
use writ_core::target::{Protocol, Target};
use writ_core::time::Timestamp;
use writ_core::workload::Workload;

use crate::sealed::{Base64, Sealed, SealingKey};

/// A gateway joins. The connection is TLS with the broker's certificate alone; the join token is used up.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct EnrolRequest {
    /// The single-use join token.
    pub join_token: String,
    /// A certificate signing request (PEM) for the key that the gateway made.
    pub csr_pem: String,
    /// The key to which credentials are sealed.
    pub sealing_key: SealingKey,
}

/// What a gateway pins from then on.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnrolReply {
    /// Its name from now on.
    #[schema(value_type = String)]
    pub gateway: GatewayId,
    /// Its certificate, short-lived (PEM).
    pub certificate_pem: String,
    /// The authority of gateways and brokers (PEM).
    pub ca_pem: String,
    /// The ledger's verifier key, in the form of C2SP signed-note.
    pub ledger_key: String,
    /// The key that signs policy bundles: Ed25519, 32 bytes.
    #[schema(value_type = String)]
    pub bundle_key: Base64,
    /// The checkpoint of this moment, a signed note: the first that the gateway has seen.
    pub checkpoint: String,
}

/// A gateway renews its certificate, or changes the key to which credentials are sealed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewRequest {
    /// A certificate signing request (PEM).
    pub csr_pem: String,
    /// The key to which credentials are sealed from now on.
    pub sealing_key: SealingKey,
}

/// The renewed certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewReply {
    /// The certificate (PEM).
    pub certificate_pem: String,
}

/// A gateway asks to open a session.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct OpenRequest {
    /// The token that the client gave.
    pub token: String,
    /// The target's name as the client gave it.
    pub target: String,
    /// What the client speaks. A target that speaks something else is not opened.
    #[serde(default)]
    #[schema(value_type = String)]
    pub protocol: Protocol,
    /// The role at the target that the client asks for, if it does.
    pub role: Option<String>,
    /// The database or other part of the target that the client asks for.
    pub database: Option<String>,
    /// The client's address, as the gateway saw it.
    pub client: String,
    /// The key that the client proved to the gateway in its handshake, if it did: a JWK thumbprint (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub client_key: Option<ClientKey>,
    /// Why the client connects, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
    /// The approval that was given for this opening, where one was asked for: all else is as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub approval: Option<ApprovalId>,
}

/// A session may begin. Everything but the sealed values may be logged.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OpenReply {
    /// The session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// The writ.
    #[schema(value_type = String)]
    pub writ: WritId,
    /// When the session ends at the latest.
    #[schema(value_type = String)]
    pub expires: Timestamp,
    /// The seconds until then, by the broker's clock: what the gateway counts on its own monotonic clock.
    pub remaining_seconds: u64,
    /// What policy attached.
    #[schema(value_type = Object)]
    pub obligations: Obligations,
    /// The policy set that decided.
    #[schema(value_type = String)]
    pub policy_hash: PolicyHash,
    /// The workload, for verdicts on its commands.
    #[schema(value_type = Object)]
    pub workload: Workload,
    /// The target.
    #[schema(value_type = Object)]
    pub target: Target,
    /// The credential, for this gateway alone.
    pub credential: Sealed,
    /// The recording's data key, for this gateway alone.
    pub data_key: Sealed,
    /// The key of the keyed masks, for this gateway alone; there where the obligations name masks.
    #[serde(default)]
    pub mask_key: Option<Sealed>,
    /// The data key wrapped by the recording key: goes into each segment, for auditors.
    #[schema(value_type = String)]
    pub wrapped_data_key: Base64,
}

/// A gateway reports that a session ended. Sent again until it is acknowledged; the broker takes it once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CloseRequest {
    /// How it ended.
    #[schema(value_type = String)]
    pub end: SessionEnd,
    /// Why, as a stable code, where a fault ended it.
    pub code: Option<String>,
    /// How many commands it ran.
    pub commands: u64,
    /// How many segments of commands were sealed.
    pub command_segments: u64,
    /// How many segments of rows were sealed.
    pub row_segments: u64,
}

/// What comes with a sealed segment, as query parameters; the body is the segment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SegmentFacts {
    /// SHA-256 over the body, in lower-case hexadecimal.
    pub digest: String,
    /// The newest checkpoint that the gateway had seen when it sealed: its tree size.
    pub seen_size: u64,
    /// And its root hash, in lower-case hexadecimal.
    pub seen_root: String,
}

/// A gateway tells, on each connection of its stream and now and then, which sessions live.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SyncRequest {
    /// The sessions that live or whose end was not yet acknowledged.
    #[schema(value_type = Vec<String>)]
    pub sessions: Vec<SessionId>,
    /// Whether the gateway has just started and asked for no session yet: then none is on its way to it, however young.
    #[serde(default)]
    pub started: bool,
}

/// What the broker answers to that.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SyncReply {
    /// The sessions that must end.
    pub kill: Vec<Kill>,
}

/// A session must end now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kill {
    /// The session.
    #[schema(value_type = String)]
    pub session: SessionId,
    /// Why, for the client: one of the operator's words, or `expired`.
    pub reason: String,
}

/// What a gateway says when it asks for its stream, as query parameters.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct StreamQuery {
    /// The size of the newest checkpoint that the gateway has seen: the first one on the stream is proved to continue it. Left
    /// out, nothing was seen.
    #[serde(default)]
    pub seen: u64,
}

/// One line of the stream (newline-delimited JSON).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamMessage {
    /// The broker is there. Sent at least once a second.
    Heartbeat {
        /// The broker's time.
        #[schema(value_type = String)]
        at: Timestamp,
    },
    /// The policy bundle in force; the first line of each stream, and again on each change.
    Bundle {
        /// The bundle.
        bundle: SignedBundle,
    },
    /// A session must end.
    Kill(Kill),
    /// What a question of this gateway's to humans came to.
    Settled(crate::approval::ApprovalReply),
    /// A newer checkpoint, with the proof that it continues the one before it on this stream.
    Checkpoint {
        /// The signed note.
        checkpoint: String,
        /// The consistency proof from the size named.
        from_size: u64,
        /// Its hashes, in order.
        #[schema(value_type = Vec<String>)]
        proof: Vec<Base64>,
    },
}

/// A policy bundle and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedBundle {
    /// The bundle's bytes: what is signed, and what `writ_policy` reads.
    #[schema(value_type = String)]
    pub bytes: Base64,
    /// Ed25519 over `writ bundle v1`, a zero byte, and the bytes.
    #[schema(value_type = String)]
    pub signature: Base64,
}
