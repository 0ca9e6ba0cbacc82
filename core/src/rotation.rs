//! Rotation: a password that somebody configured is changed by Writ, from time to time, in turns of two users.
//!
//! Two users of a target have the same rights. The secret names one of them, the one in use; the other is due. A turn gives the
//! due one a fresh password, tries it at the target, and only then puts both into the secret. So the user in use keeps its
//! password until the turn after, and a turn that stops on its way has changed nothing that anybody uses.
//!
//! That rests on the secret: on what was read being what is there, and on its user being let in. Both are looked at before anything
//! is set.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::Fingerprint;
use crate::provider::{Pending, ProviderFault};
use crate::target::{Target, TargetName};
use crate::time::{Timestamp, after};

/// How far a turn has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// The secret was read: who is due is known.
    Begun,
    /// The due user has a fresh password at the target.
    Set,
    /// The target let the due user in with it.
    Verified,
    /// The secret has the due user and its password.
    Switched,
    /// It is over: whoever asks for the secret gets the new one.
    Ended,
    /// It stopped, and is begun anew later.
    Failed,
}

/// What a turn was doing when it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnStep {
    /// Reading the secret.
    Read,
    /// Setting the password at the target.
    Set,
    /// Logging in with it.
    Verify,
    /// Putting it into the secret.
    Switch,
}

impl TurnStep {
    /// What comes after a state; none after the last.
    #[must_use]
    pub const fn following(state: TurnState) -> Self {
        match state {
            TurnState::Begun => Self::Set,
            TurnState::Set => Self::Verify,
            TurnState::Verified => Self::Switch,
            TurnState::Switched | TurnState::Ended | TurnState::Failed => Self::Read,
        }
    }

    /// In words: `it stopped while` these.
    #[must_use]
    pub const fn doing(self) -> &'static str {
        match self {
            Self::Read => "reading the secret",
            Self::Set => "setting the password",
            Self::Verify => "trying the password",
            Self::Switch => "writing the secret",
        }
    }
}

/// Why a turn stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnFault {
    /// Where.
    pub step: TurnStep,
    /// Why, as a stable code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
}

/// The last turn at a target, as the broker remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnRecord {
    /// The target.
    pub target: TargetName,
    /// How often this record was written: whoever writes it next names the number before.
    pub version: u64,
    /// The user that was due; absent where the secret could not be read.
    pub user: Option<String>,
    /// How far it came.
    pub state: TurnState,
    /// When it began.
    pub begun: Timestamp,
    /// When it ended, well or not; absent while it goes on, and where a crash cut it off.
    pub ended: Option<Timestamp>,
    /// Until when nobody else begins one.
    pub claimed: Option<Timestamp>,
    /// When a turn came to its end last: the password in use is as old.
    pub turned: Option<Timestamp>,
    /// Where that put it, and in which version.
    pub fingerprint: Option<Fingerprint>,
    /// How many turns stopped since then.
    pub failures: u32,
    /// Why this one did.
    pub fault: Option<TurnFault>,
}

/// The wait after the first turn that stopped, in seconds; it doubles with each further one.
const FIRST_WAIT: u64 = 60;
/// The longest wait, in seconds.
const LONGEST_WAIT: u64 = 3600;
/// How long after a turn a place may give out what was there before it, in seconds.
const SETTLING: u64 = 600;

impl TurnRecord {
    /// When the next turn is due, where one is to be made `every` so often.
    #[must_use]
    pub fn due(&self, every: Duration) -> Timestamp {
        match (self.ended, &self.fault, self.turned) {
            (Some(ended), Some(_), _) => after(ended, wait(self.failures)),
            // A crash cut it off.
            (None, ..) => self.claimed.unwrap_or(self.begun),
            (Some(ended), None, turned) => after(turned.unwrap_or(ended), every.as_secs()),
        }
    }

    /// Whether somebody is about it, or was a moment ago.
    #[must_use]
    pub fn is_claimed(&self, now: Timestamp) -> bool {
        self.claimed.is_some_and(|until| now < until)
    }

    /// Whether a turn that did not come to its end may have put its user into the secret all the same: all but the last word of it
    /// was written down, and the secret names that user now. Somebody else may have put it there too: whether it did is told by
    /// the target, which lets the user in with what the secret says.
    #[must_use]
    pub fn may_have_switched(&self, in_use: &str) -> bool {
        self.state == TurnState::Verified && self.user.as_deref() == Some(in_use)
    }

    /// Whether the secret as it was read names another user than this record says, and is, or may be, older than what was put there
    /// last: its version is, where versions are numbers; else the last turn was so short a time ago that its place may not have taken
    /// it up. The user that is due by such a secret is the one in use.
    #[must_use]
    pub fn is_ahead_of(&self, found: &Fingerprint, in_use: &str, now: Timestamp) -> bool {
        // The due user of a turn that came to its end is in use since; of one that did not, the other is.
        let is_expected = (self.state == TurnState::Ended) == (self.user.as_deref() == Some(in_use));
        if is_expected {
            return false;
        }
        match self.fingerprint.as_ref().and_then(|put| versions(put, found)) {
            Some((put, found)) => found <= put,
            None => self.turned.is_some_and(|turned| now < after(turned, SETTLING)),
        }
    }
}

/// The versions of one place, where they are numbers.
fn versions(one: &Fingerprint, other: &Fingerprint) -> Option<(u64, u64)> {
    let (place, version) = one.as_str().rsplit_once('@')?;
    let (same, other) = other.as_str().rsplit_once('@')?;
    (place == same).then_some(())?;
    Some((version.parse().ok()?, other.parse().ok()?))
}

fn wait(failures: u32) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    doubled.saturating_mul(FIRST_WAIT).min(LONGEST_WAIT)
}

/// What one step of a turn came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// The due user has a fresh password at the target.
    Set,
    /// The target let it in.
    Verified,
    /// The secret has both. The fingerprint says where, and in which version.
    Switched(Fingerprint),
}

/// Changes the password of a target in turns. A provider whose configuration asks for it has one; the broker says when.
pub trait Rotation: Send + Sync + fmt::Debug {
    /// How often.
    fn every(&self) -> Duration;

    /// Reads the secret and finds out who is due, within `limit`. Changes nothing.
    ///
    /// # Errors
    /// [`ProviderFault`] if the secret cannot be read, or names neither of the two users.
    fn begin<'a>(
        &'a self,
        target: &'a Target,
        limit: Duration,
    ) -> Pending<'a, Result<Box<dyn Turn + 'a>, ProviderFault>>;
}

/// A turn that has begun. Dropped, it stops where it is, and harms nobody who uses the secret that it found.
pub trait Turn: Send + Sync {
    /// The user that the secret names.
    fn in_use(&self) -> &str;

    /// The other one.
    fn due(&self) -> &str;

    /// Where the secret is, and in which version it was read.
    fn found(&self) -> Fingerprint;

    /// Tries at the target, within `limit`, whether the user in use gets in with what the secret says. Changes nothing.
    ///
    /// # Errors
    /// [`ProviderFault::Unreachable`] if nobody knows; any other if it does not get in.
    fn try_in_use(&self, limit: Duration) -> Pending<'_, Result<(), ProviderFault>>;

    /// Takes the next step, within `limit`: sets, tries, switches, in this order and no other.
    ///
    /// # Errors
    /// [`ProviderFault`] if it cannot be taken. The turn is over then.
    fn step(&mut self, limit: Duration) -> Pending<'_, Result<Reached, ProviderFault>>;
}
