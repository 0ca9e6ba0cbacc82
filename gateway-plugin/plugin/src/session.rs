//! A session that the broker admitted: what its driver needs, and nothing that can be logged by accident.

use std::time::Instant;

use writ_core::credential::Secret;
use writ_core::grant::Obligations;
use writ_core::id::{SessionId, WritId};
use writ_core::target::Target;
use writ_core::workload::{Claims, Issuer, Subject};
use writ_policy::SessionPolicy;
use writ_record::DataKey;
use writ_record::spool::SessionMeta;

use crate::masks::Masking;

/// An admitted session.
pub struct Admitted {
    /// The session.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// Who vouches for the workload.
    pub issuer: Issuer,
    /// The workload.
    pub subject: Subject,
    /// Where it goes.
    pub target: Target,
    /// Whom to log in as there.
    pub principal: String,
    /// With what.
    pub secret: Secret,
    /// When it ends, by the monotonic clock.
    pub deadline: Instant,
    /// What the token claims, for the recording.
    pub claims: Claims,
    /// What policy attached.
    pub obligations: Obligations,
    /// Verdicts on its commands.
    pub policy: SessionPolicy,
    /// What its recording says of it.
    pub meta: SessionMeta,
    /// Its recording's key.
    pub key: DataKey,
    /// How its replies are masked, where policy asks for masks.
    pub masking: Option<Masking>,
}

impl core::fmt::Debug for Admitted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Admitted").field("session", &self.session).field("writ", &self.writ).finish_non_exhaustive()
    }
}
