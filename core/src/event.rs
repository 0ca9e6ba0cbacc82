//! The complete list of what can be evidence.
//!
//! One [`Entry`] is one leaf of the ledger: canonical JSON (RFC 8785: sorted names, no white space, no fractions), with
//! a version, so that every entry explains itself. New kinds of event are added; existing ones never change their
//! meaning. No field here can hold a secret: credentials appear as [`CredentialFacts`], tokens as [`TokenId`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::ApprovalState;
use crate::client::{ClientKey, Reason};
use crate::credential::Fingerprint;
use crate::freeze::FreezeScope;
use crate::grant::{Obligations, PolicyHash};
use crate::id::{ApprovalId, FreezeId, GatewayId, RequestId, SessionId, WritId};
use crate::rotation::{TurnFault, TurnState};
use crate::target::{Labels, TargetName};
use crate::time::Timestamp;
use crate::workload::{Delegate, Issuer, Subject, TokenId, TokenKind};
use crate::writ::CredentialFacts;

/// The version of [`Entry`]'s form.
pub const VERSION: u32 = 1;

/// One leaf of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`VERSION`].
    pub v: u32,
    /// When it happened, by the broker's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Entry {
    /// An entry of this version.
    #[must_use]
    pub const fn new(at: Timestamp, event: Event) -> Self {
        Self { v: VERSION, at, event }
    }

    /// The canonical bytes: what the ledger hashes.
    ///
    /// # Errors
    /// If a value cannot be written as JSON; no event of this version has such a value.
    pub fn to_canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = Vec::with_capacity(512);
        write_sorted(&serde_json::to_value(self)?, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads an entry and refuses bytes that are not its canonical form.
    ///
    /// # Errors
    /// If the bytes are not JSON of this form, or not canonical.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, NotCanonical> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| NotCanonical(error.to_string()))?;
        match entry.to_canonical() {
            Ok(again) if again == bytes => Ok(entry),
            _ => Err(NotCanonical("the bytes are not in canonical form".to_owned())),
        }
    }
}

/// Writes JSON with the names of every object sorted (RFC 8785, 3.2.3). The order in which `serde_json` keeps them is no
/// help: a dependency's feature can change it for the whole build.
fn write_sorted(value: &Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            out.push(b'{');
            for (place, (name, value)) in sorted.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                write_sorted(value, out)?;
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_sorted(item, out)?;
            }
            out.push(b']');
        }
        plain => serde_json::to_writer(&mut *out, plain)?,
    }
    Ok(())
}

/// Bytes that are not an entry in canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger entry: {0}")]
pub struct NotCanonical(String);

/// Who did something, where a human or an operator's tool did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Who vouches for the human; `writ` for a local admin token.
    pub issuer: Issuer,
    /// The human.
    pub subject: Subject,
}

/// The workload as evidence names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadFacts {
    /// Who vouches for it.
    pub issuer: Issuer,
    /// What the issuer calls it.
    pub subject: Subject,
    /// What kind of token it showed.
    pub token_kind: TokenKind,
    /// Which token.
    pub token_id: TokenId,
    /// Through whom it acts, where its token says so: the one that acts first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<Delegate>,
}

/// An operator's order that a password is changed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnOrder {
    /// Who ordered it.
    pub by: Actor,
    /// Why, as they said.
    pub reason: String,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The client left.
    Client,
    /// The target closed the connection.
    Target,
    /// The writ's time was over.
    Ttl,
    /// An operator revoked the writ or killed the session.
    Revoked,
    /// It was idle for longer than allowed.
    Idle,
    /// The gateway lost the broker for longer than its grace.
    BrokerLost,
    /// The gateway was shut down.
    Drained,
    /// A peer broke the protocol, or we failed.
    Fault,
    /// The gateway died; the session was closed from its spool.
    Crash,
    /// The session never became one: the target refused or could not be reached.
    NotOpened,
}

/// What can be evidence. Closed: what is not on this list cannot be written down, and what is cannot be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The broker started, with this configuration.
    BrokerStarted {
        /// Its version.
        version: String,
        /// SHA-256 over the effective configuration, in hexadecimal.
        config_hash: String,
    },
    /// A policy set came into force.
    PolicyLoaded {
        /// Its hash.
        policy_hash: PolicyHash,
        /// Its number; bundles never go back.
        number: u64,
        /// The policies' text as it stands in the files, so that an auditor reads what decided. SHA-256 in hexadecimal
        /// where it is too long for an entry.
        text: String,
    },
    /// The configuration was reloaded, or a reload was refused.
    ConfigReloaded {
        /// SHA-256 over the configuration in force afterwards.
        config_hash: String,
        /// Whether the new one was taken.
        accepted: bool,
    },
    /// A key came into use.
    KeyIntroduced {
        /// What it is for: `ca`, `ledger`, `session-token`, `bundle`, `recording`, `issuer`, `ssh-authority`; `issuer-signer` for
        /// one that a key management service keeps, which is written at each start.
        purpose: String,
        /// Its public part, or its identifier where it has none; the thumbprint (RFC 7638) of an `issuer-signer`.
        public: String,
    },
    /// A gateway joined.
    GatewayEnrolled {
        /// The gateway.
        gateway: GatewayId,
        /// Its certificate's serial number, in hexadecimal.
        serial: String,
        /// When that certificate ends.
        expires: Timestamp,
        /// The labels that a target must have for it; absent: every target.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        serves: Labels,
    },
    /// A gateway's certificate was renewed.
    GatewayRenewed {
        /// The gateway.
        gateway: GatewayId,
        /// The new certificate's serial number.
        serial: String,
        /// When it ends.
        expires: Timestamp,
    },
    /// A gateway's certificate was revoked.
    GatewayRevoked {
        /// The gateway.
        gateway: GatewayId,
        /// Who did it.
        by: Actor,
    },
    /// A join token was made.
    JoinTokenMade {
        /// Who made it.
        by: Actor,
        /// SHA-256 over the token, in hexadecimal.
        digest: String,
        /// The labels that a target must have for the gateway that joins with it; absent: every target.
        #[serde(default, skip_serializing_if = "Labels::is_empty")]
        serves: Labels,
    },
    /// A workload exchanged its token for a session token.
    TokenExchanged {
        /// The request.
        request: RequestId,
        /// The workload.
        workload: WorkloadFacts,
        /// The target that the session token is for.
        target: TargetName,
        /// The key thumbprint that it is bound to (RFC 7638), if any.
        bound_key: Option<String>,
        /// When it ends.
        expires: Timestamp,
    },
    /// A request was refused.
    Refused {
        /// The request: what the client was told.
        request: RequestId,
        /// The gateway that asked, if one did.
        gateway: Option<GatewayId>,
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        detail: String,
        /// The issuer that the token names. Verified only where the code says that the token was.
        issuer: Option<Issuer>,
        /// The subject that the token names.
        subject: Option<Subject>,
        /// The target that was asked for, as asked.
        target: Option<String>,
        /// The policy set, where policy refused.
        policy_hash: Option<PolicyHash>,
    },
    /// A credential is about to be minted: commit point A.
    WritIntended {
        /// The request.
        request: RequestId,
        /// The writ.
        writ: WritId,
        /// Its session.
        session: SessionId,
        /// The gateway that asked.
        gateway: GatewayId,
        /// The workload.
        workload: WorkloadFacts,
        /// The target.
        target: TargetName,
        /// The database, or other part of the target, that the client asked for, as the gateway said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// The client's address as the gateway saw it.
        client: String,
        /// The key that the client proved to the gateway, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_key: Option<ClientKey>,
        /// Why it connects, as it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// What policy attached.
        obligations: Box<Obligations>,
        /// The policy set.
        policy_hash: PolicyHash,
        /// The policies in it that permitted.
        policies: Vec<String>,
        /// When the session ends at the latest.
        expires: Timestamp,
        /// The approval by which it is opened, where policy asks for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Box<ApprovalId>>,
    },
    /// A credential was minted and may be released: commit point B.
    WritIssued {
        /// The writ.
        writ: WritId,
        /// What was minted.
        credential: CredentialFacts,
    },
    /// Nothing was minted.
    WritFailed {
        /// The writ.
        writ: WritId,
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        detail: String,
    },
    /// A crash left the intent without an outcome, and the janitor settled it.
    WritAbandoned {
        /// The writ.
        writ: WritId,
    },
    /// The broker presented a credential to its target, in a trial.
    CredentialPresented {
        /// The writ.
        writ: WritId,
        /// As whom the target saw it.
        principal: String,
        /// What the target's audit calls it.
        audit: String,
    },
    /// The target did not take the credential that was presented, or took it for another.
    CredentialNotPresented {
        /// The writ.
        writ: WritId,
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        detail: String,
    },
    /// An operator ordered that everything which was minted at a target until then is taken back.
    OlderRevocationOrdered {
        /// The target.
        target: TargetName,
        /// What was minted before this.
        before: Timestamp,
        /// Who ordered it.
        by: Actor,
        /// Why, as they said.
        reason: String,
    },
    /// It was.
    OlderRevoked {
        /// The target.
        target: TargetName,
        /// What was minted before this.
        before: Timestamp,
    },
    /// It could not be, or nobody knows.
    OlderRevocationFailed {
        /// The target.
        target: TargetName,
        /// What was minted before this.
        before: Timestamp,
        /// Why, as a stable code.
        code: String,
        /// Why, in words.
        detail: String,
    },
    /// A turn of a target's password came so far: another user's password is set, tried, and put where the secret is kept.
    CredentialTurned {
        /// The target.
        target: TargetName,
        /// The user whose turn it is; absent where the secret could not be read.
        user: Option<String>,
        /// How far it came.
        state: TurnState,
        /// Where the secret is, and in which version; absent before it is written there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
        /// Who ordered it and why, with its beginning; absent where it was due by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order: Option<Box<TurnOrder>>,
        /// Why it stopped, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Box<TurnFault>>,
    },
    /// A certificate of an SSH host was signed. It left the broker after this was written.
    HostCertified {
        /// The target whose authority signs.
        target: TargetName,
        /// The fingerprint of the host's key, as OpenSSH shows it.
        key: String,
        /// The names that it vouches for.
        names: Vec<String>,
        /// Its serial number, in decimal.
        serial: String,
        /// When it ends.
        expires: Timestamp,
        /// Who ordered it.
        by: Actor,
    },
    /// The credential was taken back, or had ended.
    CredentialRevoked {
        /// The writ.
        writ: WritId,
    },
    /// The credential was not taken back, since its target takes back none alone: nobody has it any more, and it lives until
    /// its own end.
    CredentialLeft {
        /// The writ.
        writ: WritId,
        /// Its end, as the target granted it; `None` where it has none, or where nobody knows what was minted.
        ends: Option<Timestamp>,
    },
    /// The credential could not be taken back. It is retried.
    RevocationFailed {
        /// The writ.
        writ: WritId,
        /// How many times it was tried.
        attempts: u32,
        /// Why, in words.
        detail: String,
    },
    /// A writ was revoked or a session killed by an operator.
    RevocationOrdered {
        /// The writ.
        writ: WritId,
        /// Its session.
        session: SessionId,
        /// Who ordered it.
        by: Actor,
        /// Why, as they said.
        reason: String,
    },
    /// An operator froze something: what it covers is cut, and nothing is opened for it until the freeze is lifted.
    Frozen {
        /// The freeze.
        freeze: FreezeId,
        /// What it covers.
        scope: FreezeScope,
        /// Who ordered it.
        by: Actor,
        /// Why, as they said.
        reason: String,
    },
    /// A freeze was lifted.
    Unfrozen {
        /// The freeze.
        freeze: FreezeId,
        /// What it covered.
        scope: FreezeScope,
        /// Who lifted it.
        by: Actor,
        /// Why, as they said.
        reason: String,
    },
    /// Humans are asked about a command that policy holds.
    ApprovalAsked {
        /// The approval.
        approval: ApprovalId,
        /// The session whose command it is.
        session: SessionId,
        /// Its writ.
        writ: WritId,
        /// SHA-256 over all that is asked about, in hexadecimal.
        digest: String,
        /// The policies that hold it.
        policies: Vec<String>,
        /// The policy set that decided.
        policy_hash: PolicyHash,
        /// The groups of whose members any may answer; empty: every approver.
        groups: Vec<String>,
        /// How many have to approve.
        needed: u32,
    },
    /// A human answered.
    ApprovalVoted {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        by: Actor,
        /// Whether they approve.
        approve: bool,
        /// Why, as they said.
        reason: String,
        /// The digest of what they saw.
        digest: String,
    },
    /// One human let what was asked about go on alone, in an emergency.
    GlassBroken {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        by: Actor,
        /// Why, as they said.
        reason: String,
        /// The digest of what they saw.
        digest: String,
    },
    /// Another human reviewed that.
    GlassReviewed {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        by: Actor,
        /// Whether it was right.
        justified: bool,
        /// Why, as they said.
        reason: String,
        /// How many reviews are still due.
        due: u32,
    },
    /// An approval is settled, or was used.
    ApprovalSettled {
        /// The approval.
        approval: ApprovalId,
        /// What it came to.
        state: ApprovalState,
        /// The approval whose window it was approved by, where no human was asked anew.
        window: Option<ApprovalId>,
    },
    /// A segment of a recording was sealed.
    SegmentSealed {
        /// The session.
        session: SessionId,
        /// Its number within the session's stream, from 0.
        sequence: u64,
        /// Which stream: `commands` or `rows`.
        stream: String,
        /// SHA-256 over the segment's bytes as stored, in hexadecimal.
        digest: String,
        /// Their length.
        bytes: u64,
        /// The newest checkpoint that the gateway had seen: its tree size.
        seen_size: u64,
        /// And its root hash, in hexadecimal.
        seen_root: String,
    },
    /// Segments are missing.
    SegmentGap {
        /// The session.
        session: SessionId,
        /// Which stream.
        stream: String,
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
        /// Why, as far as is known.
        detail: String,
    },
    /// A session ended.
    SessionClosed {
        /// The session.
        session: SessionId,
        /// Its writ.
        writ: WritId,
        /// How it ended.
        end: SessionEnd,
        /// Why, as a stable code, where a fault ended it.
        code: Option<String>,
        /// How many commands it ran.
        commands: u64,
        /// How many segments of commands were sealed.
        command_segments: u64,
        /// How many segments of rows were sealed.
        row_segments: u64,
    },
    /// Somebody read or replayed a recording.
    RecordingRead {
        /// The session.
        session: SessionId,
        /// Who read it.
        by: Actor,
    },
    /// A human logged in.
    HumanLogin {
        /// Who.
        by: Actor,
    },
    /// The broker's clock stepped by more than is allowed.
    ClockStepped {
        /// By how many milliseconds, positive forwards.
        by_milliseconds: i64,
    },
}

impl Event {
    /// The event's type as it stands in the entry.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BrokerStarted { .. } => "broker_started",
            Self::PolicyLoaded { .. } => "policy_loaded",
            Self::ConfigReloaded { .. } => "config_reloaded",
            Self::KeyIntroduced { .. } => "key_introduced",
            Self::GatewayEnrolled { .. } => "gateway_enrolled",
            Self::GatewayRenewed { .. } => "gateway_renewed",
            Self::GatewayRevoked { .. } => "gateway_revoked",
            Self::JoinTokenMade { .. } => "join_token_made",
            Self::TokenExchanged { .. } => "token_exchanged",
            Self::Refused { .. } => "refused",
            Self::WritIntended { .. } => "writ_intended",
            Self::WritIssued { .. } => "writ_issued",
            Self::WritFailed { .. } => "writ_failed",
            Self::WritAbandoned { .. } => "writ_abandoned",
            Self::CredentialPresented { .. } => "credential_presented",
            Self::CredentialNotPresented { .. } => "credential_not_presented",
            Self::OlderRevocationOrdered { .. } => "older_revocation_ordered",
            Self::OlderRevoked { .. } => "older_revoked",
            Self::OlderRevocationFailed { .. } => "older_revocation_failed",
            Self::CredentialTurned { .. } => "credential_turned",
            Self::HostCertified { .. } => "host_certified",
            Self::CredentialRevoked { .. } => "credential_revoked",
            Self::CredentialLeft { .. } => "credential_left",
            Self::RevocationFailed { .. } => "revocation_failed",
            Self::RevocationOrdered { .. } => "revocation_ordered",
            Self::Frozen { .. } => "frozen",
            Self::Unfrozen { .. } => "unfrozen",
            Self::ApprovalAsked { .. } => "approval_asked",
            Self::ApprovalVoted { .. } => "approval_voted",
            Self::GlassBroken { .. } => "glass_broken",
            Self::GlassReviewed { .. } => "glass_reviewed",
            Self::ApprovalSettled { .. } => "approval_settled",
            Self::SegmentSealed { .. } => "segment_sealed",
            Self::SegmentGap { .. } => "segment_gap",
            Self::SessionClosed { .. } => "session_closed",
            Self::RecordingRead { .. } => "recording_read",
            Self::HumanLogin { .. } => "human_login",
            Self::ClockStepped { .. } => "clock_stepped",
        }
    }
}
