//! What the broker remembers, behind a narrow trait: SQLite here, any database with transactions elsewhere.
//!
//! Everything that changes goes through [`Store::commit`]: one transaction holds rows, ledger entries and the ledger's new head,
//! so that no row can say what the ledger does not. The store is trusted with being there, not with its content: the ledger's
//! head is signed, and what is read back is checked where it matters.

use std::fmt;

use writ_broker_api::admin::{Gateway, Segment, Session};
use writ_broker_api::sealed::SealingKey;
use writ_core::approval::Approval;
use writ_core::client::{ClientKey, Reason};
use writ_core::event::SessionEnd;
use writ_core::freeze::Freeze;
use writ_core::id::{ApprovalId, FreezeId, GatewayId, SessionId, WritId};
use writ_core::provider::Pending;
use writ_core::rotation::TurnRecord;
use writ_core::target::{Labels, TargetName};
use writ_core::time::Timestamp;
use writ_core::workload::{Issuer, Subject};
use writ_core::writ::{Writ, WritState};
use writ_ledger::Hash;

#[cfg(test)]
pub(crate) mod conformance;
pub mod sqlite;

/// How many approvals may be open, and how many are listed.
pub const MAX_APPROVALS: usize = 20_000;
/// How long settled approvals are kept, in seconds: 90 days. The ledger keeps what became of them.
pub const KEPT_APPROVALS: i64 = 90 * 86_400;
/// How many freezes may be in force.
pub const MAX_FREEZES: usize = 10_000;

/// The store failed. The detail is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreFault(pub String);

/// The ledger's head as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHead {
    /// How many entries there are.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// How many of them are applied to the tiles.
    pub applied: u64,
}

/// What must hold for a request to be taken. It is looked at inside the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A token has uses left, and its holder is the one that used it first; one is taken.
    Use {
        /// What tells the token from others.
        key: String,
        /// When the count may be forgotten, unless it was asked to be kept for longer before.
        expires: Timestamp,
        /// How many uses it has in all.
        uses: u32,
        /// The key that whoever uses it proved, if they did.
        holder: Option<ClientKey>,
    },
    /// A join token is there, has not ended and was not used; it is used up.
    JoinToken {
        /// SHA-256 over the token, in hexadecimal.
        digest: String,
        /// The time.
        now: Timestamp,
    },
    /// The gateway joined and was not revoked.
    GatewayGood(GatewayId),
    /// The session is open.
    SessionOpen(SessionId),
    /// The segment is not there yet.
    SegmentAbsent {
        /// The session.
        session: SessionId,
        /// The stream.
        stream: String,
        /// The number.
        sequence: u64,
    },
    /// The writ is in this state.
    WritIs(WritId, WritState),
    /// No freeze covers this workload at this target.
    NotFrozen {
        /// Who vouches for the workload.
        issuer: Issuer,
        /// The workload.
        subject: Subject,
        /// The target.
        target: TargetName,
    },
    /// The freeze is in force.
    Frozen(FreezeId),
    /// Nothing of the approval changed since it had this version.
    Approval {
        /// The approval.
        id: ApprovalId,
        /// Its version.
        version: u64,
    },
    /// Nobody wrote of the target's turns since the last had this version; 0 where there was none.
    Rotation {
        /// The target.
        target: TargetName,
        /// The version.
        version: u64,
    },
}

/// A change of rows.
#[derive(Debug, Clone)]
pub enum Change {
    /// A writ and its session begin.
    Open {
        /// The writ.
        writ: Writ,
        /// Its client.
        client: Client,
    },
    /// A writ's new form.
    Writ(Writ),
    /// A session ended.
    CloseSession {
        /// The session.
        session: SessionId,
        /// When.
        at: Timestamp,
        /// How.
        end: SessionEnd,
        /// How many commands it ran.
        commands: u64,
    },
    /// A segment was stored.
    Segment {
        /// The session.
        session: SessionId,
        /// The segment.
        segment: Segment,
    },
    /// A join token was made.
    JoinToken {
        /// SHA-256 over it, in hexadecimal.
        digest: String,
        /// When it ends.
        expires: Timestamp,
        /// The labels that a target must have for the gateway that joins with it.
        serves: Labels,
    },
    /// A gateway joined, or renewed. What it serves stays what it was when it joined.
    Gateway(EnrolledGateway),
    /// A gateway was heard.
    GatewaySeen {
        /// The gateway.
        gateway: GatewayId,
        /// When.
        at: Timestamp,
    },
    /// A gateway was revoked.
    RevokeGateway(GatewayId),
    /// A session must end.
    Order {
        /// The session.
        session: SessionId,
        /// Its gateway.
        gateway: GatewayId,
        /// Why.
        reason: String,
    },
    /// A credential is to be taken back, at or after a time.
    Revoke {
        /// The writ.
        writ: WritId,
        /// When to try.
        due: Timestamp,
        /// How often it was tried.
        attempts: u32,
    },
    /// A credential was taken back.
    Revoked(WritId),
    /// A freeze comes into force. In the same transaction each session under it that did not end gets its order, and each
    /// credential under it that may live is due to be taken back at once.
    Freeze(Freeze),
    /// A freeze is lifted.
    Unfreeze(FreezeId),
    /// How a token was used, or will have been by then, is not forgotten before a time: until then it may be shown.
    KeepUses {
        /// What [`Condition::Use`] calls its key.
        token: String,
        /// The time.
        until: Timestamp,
    },
    /// An approval's new form.
    Approval(Approval),
    /// The new form of a target's last turn.
    Rotation(TurnRecord),
}

/// What is kept of a session's client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its address, as the gateway saw it.
    pub address: String,
    /// The key that it proved, if it did.
    pub key: Option<ClientKey>,
    /// Why it connects, as it says.
    pub reason: Option<Reason>,
}

/// How a token was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// How often.
    pub used: u32,
    /// By whom: the key that was proved each time, or that there was none.
    pub holder: Option<ClientKey>,
}

/// A gateway as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledGateway {
    /// Its name.
    pub id: GatewayId,
    /// Its certificate's serial number.
    pub serial: String,
    /// The key to which credentials are sealed.
    pub sealing_key: SealingKey,
    /// When it joined.
    pub enrolled: Timestamp,
    /// When it was last heard.
    pub seen: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The labels that a target must have for it; none: every target.
    pub serves: Labels,
}

impl From<EnrolledGateway> for Gateway {
    fn from(gateway: EnrolledGateway) -> Self {
        Self {
            id: gateway.id,
            enrolled: gateway.enrolled,
            seen: gateway.seen,
            revoked: gateway.revoked,
            serves: gateway.serves,
        }
    }
}

/// One request of a commit: taken whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What must hold.
    pub conditions: Vec<Condition>,
    /// The ledger entries to append, in canonical form.
    pub entries: Vec<Vec<u8>>,
    /// The rows to change.
    pub changes: Vec<Change>,
}

/// Computes the new head over the entries that were taken, given the size before them.
pub type Seal = Box<dyn FnOnce(u64, &[Vec<u8>]) -> Result<Hash, StoreFault> + Send>;

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// For each request whether it was taken.
    pub taken: Vec<bool>,
    /// The entries that were appended, in order.
    pub entries: Vec<Vec<u8>>,
    /// The ledger's size before them.
    pub before: u64,
}

/// A credential that waits to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRevocation {
    /// The writ.
    pub writ: Writ,
    /// How often it was tried.
    pub attempts: u32,
}

/// Which rows of a list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows<T> {
    /// At most this many.
    pub limit: u32,
    /// Those after this one.
    pub after: Option<T>,
    /// Only what is live.
    pub live: bool,
}

/// What the broker remembers.
///
/// Every method is durable when it returns and sees what was durable before it was called. An implementation passes
/// the conformance suite in its tests.
pub trait Store: Send + Sync + fmt::Debug {
    /// Takes each request whose conditions hold, in order, all in one durable transaction. `expected` is the ledger's size as
    /// the caller knows it: if another broker appended since, nothing is taken and the call fails with [`StoreFault`].
    fn commit(&self, requests: Vec<Request>, expected: u64, seal: Seal) -> Pending<'_, Result<Committed, StoreFault>>;
    /// The ledger's head.
    fn head(&self) -> Pending<'_, Result<StoredHead, StoreFault>>;
    /// At most `limit` entries that are not yet applied to the tiles, from `from` on.
    fn entries(&self, from: u64, limit: u32) -> Pending<'_, Result<Vec<Vec<u8>>, StoreFault>>;
    /// Entries before `size` stand in the tiles, durably: they are not read again and may be forgotten, now or later.
    fn applied(&self, size: u64) -> Pending<'_, Result<(), StoreFault>>;
    /// One writ.
    fn writ(&self, writ: WritId) -> Pending<'_, Result<Option<Writ>, StoreFault>>;
    /// Writs.
    fn writs(&self, rows: Rows<WritId>) -> Pending<'_, Result<Vec<Writ>, StoreFault>>;
    /// One session.
    fn session(&self, session: SessionId) -> Pending<'_, Result<Option<Session>, StoreFault>>;
    /// Sessions; with a key those alone whose clients proved it.
    fn sessions(&self, rows: Rows<SessionId>, key: Option<&ClientKey>)
    -> Pending<'_, Result<Vec<Session>, StoreFault>>;
    /// Sessions of a gateway that did not end.
    fn open_sessions(&self, gateway: GatewayId) -> Pending<'_, Result<Vec<Session>, StoreFault>>;
    /// Writs that are intended since before a time, or whose session should have ended before it.
    fn overdue(
        &self,
        intended_before: Timestamp,
        expired_before: Timestamp,
    ) -> Pending<'_, Result<Vec<Writ>, StoreFault>>;
    /// Writs whose credential may live: what a sweep must keep.
    fn live_writs(&self) -> Pending<'_, Result<Vec<WritId>, StoreFault>>;
    /// Writs that expire after a time, whose SSH certificates must not count any more: their session ended, or their end was
    /// ordered, or no outcome is known of them. Where it is not known what was minted, it may have been a certificate.
    fn ended_certificates(&self, expire_after: Timestamp) -> Pending<'_, Result<Vec<WritId>, StoreFault>>;
    /// Revocations that are due.
    fn due_revocations(&self, now: Timestamp, limit: u32) -> Pending<'_, Result<Vec<DueRevocation>, StoreFault>>;
    /// How a token was used, by what [`Condition::Use`] calls its key; `None` if it was not, or that was forgotten.
    fn uses(&self, token: &str) -> Pending<'_, Result<Option<Uses>, StoreFault>>;
    /// What the gateway that joins with this token serves; `None` if there is no such token. Whether it is still good is for
    /// [`Condition::JoinToken`] to say.
    fn join_token(&self, digest: &str) -> Pending<'_, Result<Option<Labels>, StoreFault>>;
    /// One gateway.
    fn gateway(&self, gateway: GatewayId) -> Pending<'_, Result<Option<EnrolledGateway>, StoreFault>>;
    /// All gateways.
    fn gateways(&self) -> Pending<'_, Result<Vec<EnrolledGateway>, StoreFault>>;
    /// Sessions of a gateway that must end and did not, with the reasons.
    fn orders(&self, gateway: GatewayId) -> Pending<'_, Result<Vec<(SessionId, String)>, StoreFault>>;
    /// The freezes in force, newest first; at most [`MAX_FREEZES`].
    fn freezes(&self) -> Pending<'_, Result<Vec<Freeze>, StoreFault>>;
    /// The last turn of each target whose password was changed in turns.
    fn rotations(&self) -> Pending<'_, Result<Vec<TurnRecord>, StoreFault>>;
    /// One approval.
    fn approval(&self, id: ApprovalId) -> Pending<'_, Result<Option<Approval>, StoreFault>>;
    /// How many approvals are open.
    fn open_approvals(&self) -> Pending<'_, Result<u64, StoreFault>>;
    /// The approvals that are open (asked, or approved and not used), or all; newest first, at most [`MAX_APPROVALS`].
    fn approvals(&self, open: bool) -> Pending<'_, Result<Vec<Approval>, StoreFault>>;
    /// The approvals of a gateway's that were settled since.
    fn settled_approvals(&self, gateway: GatewayId, since: Timestamp)
    -> Pending<'_, Result<Vec<Approval>, StoreFault>>;
    /// The approvals whose windows are open.
    fn approval_windows(&self, now: Timestamp) -> Pending<'_, Result<Vec<Approval>, StoreFault>>;
    /// The number of a policy set: the same for the same hash, and one more than any before for a new one.
    fn policy_number(&self, policy_hash: &str) -> Pending<'_, Result<u64, StoreFault>>;
    /// Forgets what has ended: uses and join tokens before `now`, and approvals that were settled [`KEPT_APPROVALS`] before.
    fn prune(&self, now: Timestamp) -> Pending<'_, Result<(), StoreFault>>;
}
