//! The approval: what humans are asked about one held command, or one connection, and what they answered.
//!
//! It is bound to a digest of exactly what will run, or be opened, is good for one execution within its time, and each change of it is one
//! step of its version, so that two answers at once cannot both be the last.

use serde::{Deserialize, Serialize};

use crate::event::Actor;
use crate::grant::PolicyHash;
use crate::id::{ApprovalId, GatewayId, SessionId, WritId};
use crate::statement::Fingerprint;
use crate::target::TargetName;
use crate::time::{SignedDuration, Timestamp};
use crate::workload::{Issuer, Subject};

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Humans are asked.
    Asked,
    /// Enough approved; it was not used yet.
    Approved,
    /// One denied.
    Denied,
    /// Nobody answered in time, or it was not used in time.
    Expired,
    /// Whoever asked does not wait any more.
    Withdrawn,
    /// The command went on by it.
    Used,
}

impl ApprovalState {
    /// The state as it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Used => "used",
        }
    }
}

/// What waits for humans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// A command of a session.
    #[default]
    Command,
    /// A session's opening: there is no session yet, nor a credential.
    Connection,
}

/// One human's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: Actor,
    /// Whether they approve.
    pub approve: bool,
    /// Why, as they said.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// For what else, where they approve more than this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
}

/// For how long, and how often, one human approves statements like it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// For how long, in seconds.
    pub seconds: u64,
    /// How often, this one not counted.
    pub times: u32,
}

/// That one human let it go on alone, in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenGlass {
    /// Who.
    pub by: Actor,
    /// Why, as they said.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// What others said of it later.
    pub reviews: Vec<Review>,
    /// How many reviews are still due.
    pub due: u32,
}

impl BrokenGlass {
    /// How many others have to review it.
    pub const REVIEWS: u32 = 2;
}

/// What one human said later of a glass that another broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Who.
    pub by: Actor,
    /// Whether it was right.
    pub justified: bool,
    /// Why, as they said.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// One parameter as it will be bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedParameter {
    /// Its type's OID; 0 where the client leaves it to the server.
    pub type_id: u32,
    /// Whether it is in the type's binary form: then `value` is in hexadecimal.
    pub binary: bool,
    /// Its value; absent for NULL.
    pub value: Option<String>,
}

/// For how long, and how often, statements like it are approved without another question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Until when.
    pub until: Timestamp,
    /// How many more.
    pub left: u32,
}

/// What humans are asked, and what they answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// Counted up with each change.
    pub version: u64,
    /// What waits for it.
    #[serde(default)]
    pub waits: Waits,
    /// The gateway where it waits.
    pub gateway: GatewayId,
    /// The session; the one to be opened, where that is what waits.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// Who vouches for the workload.
    pub issuer: Issuer,
    /// The workload.
    pub subject: Subject,
    /// The target.
    pub target: TargetName,
    /// The role that the session acts as there, where policy names one.
    pub role: Option<String>,
    /// The database.
    #[serde(default)]
    pub database: String,
    /// The schemas in which the server looks for names that state none.
    #[serde(default)]
    pub schemas: Vec<String>,
    /// The statement, as it will run; of a connection what it would be, in words.
    pub statement: String,
    /// Its parameters.
    pub parameters: Vec<AskedParameter>,
    /// What it is, its literals apart; zero where these say more than values, or it is several statements: no window covers it.
    pub fingerprint: Fingerprint,
    /// SHA-256 over all of that and the policy set, in hexadecimal.
    pub digest: String,
    /// The policies that hold it.
    pub policies: Vec<String>,
    /// The policy set that decided.
    pub policy_hash: PolicyHash,
    /// The groups of whose members any may answer; empty: every approver.
    pub groups: Vec<String>,
    /// How many have to approve.
    pub needed: u32,
    /// When it was asked.
    pub asked: Timestamp,
    /// Until when it may be answered and used.
    pub expires: Timestamp,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was settled.
    pub settled: Option<Timestamp>,
    /// The answers.
    pub votes: Vec<Vote>,
    /// Who let it go on alone, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Box<BrokenGlass>>,
    /// What its approval covers beyond itself.
    pub window: Option<Window>,
    /// The approval whose window it was approved by.
    pub by_window: Option<ApprovalId>,
}

impl Approval {
    /// How long it may be used once it was given, in seconds: its gateway waits for it.
    pub const USE_WITHIN: i64 = 60;

    /// Whether it may be used now.
    ///
    /// # Errors
    /// Why it may not.
    pub fn may_be_used(&self, now: Timestamp) -> Result<(), &'static str> {
        let until = self.settled.and_then(|at| at.checked_add(SignedDuration::from_secs(Self::USE_WITHIN)).ok());
        match (self.state, until) {
            (ApprovalState::Approved, Some(until)) if now <= until => Ok(()),
            (ApprovalState::Approved, _) => Err("the approval was not used in time"),
            (ApprovalState::Used, _) => Err("the approval was used already"),
            _ => Err("the approval is not there to be used"),
        }
    }

    /// What all who approved have approved beyond this once: the least of what they said.
    #[must_use]
    pub fn offered(&self) -> Option<Offer> {
        let offers: Option<Vec<Offer>> = self.votes.iter().filter(|vote| vote.approve).map(|vote| vote.offer).collect();
        let least = |one: Offer, other: Offer| Offer {
            seconds: one.seconds.min(other.seconds),
            times: one.times.min(other.times),
        };
        offers?.into_iter().reduce(least)
    }

    /// How many reviews are still due, since one human let it go on alone.
    #[must_use]
    pub fn reviews_due(&self) -> u32 {
        self.broken.as_ref().map_or(0, |broken| broken.due)
    }

    /// Whether this one's window covers another question.
    #[must_use]
    pub fn covers(&self, other: &Self, now: Timestamp) -> bool {
        let open = self.window.as_ref().is_some_and(|window| window.left > 0 && now < window.until);
        let same = (&self.issuer, &self.subject, &self.target, &self.role, &self.policy_hash)
            == (&other.issuer, &other.subject, &other.target, &other.role, &other.policy_hash);
        let place = (&self.database, &self.schemas) == (&other.database, &other.schemas);
        open && same
            && place
            && self.waits == other.waits
            && self.fingerprint == other.fingerprint
            && self.fingerprint != Fingerprint::default()
    }
}
