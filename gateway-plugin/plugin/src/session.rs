//! A session that the broker admitted: what its driver needs, and nothing that can be logged by accident.

use std::sync::Arc;
use std::time::Instant;

use writ_core::credential::Secret;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::Obligations;
use writ_core::id::{SessionId, WritId};
use writ_core::target::Target;
use writ_core::workload::{Claims, Issuer, Subject};
use writ_policy::SessionPolicy;
use writ_record::DataKey;
use writ_record::spool::SessionMeta;

use crate::masks::Masking;
use crate::plugin::Plugin;

/// That a session was admitted and nobody has taken it yet. Dropped, its end is told to the broker, which takes the credential
/// back: a client may leave while the broker answers.
pub struct Claim(Option<(Arc<Plugin>, SessionId, WritId)>);

impl Claim {
    pub(crate) const fn new(plugin: Arc<Plugin>, session: SessionId, writ: WritId) -> Self {
        Self(Some((plugin, session, writ)))
    }

    /// Whoever calls sees to its end.
    pub fn take(mut self) {
        self.0 = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((plugin, session, writ)) = self.0.take() {
            let why = Fault::new("login.abandoned", Blame::Peer, "the client left during the login");
            plugin.give_up(session, writ, &why);
        }
    }
}

/// An admitted session.
pub struct Admitted {
    /// To be taken by whoever sees to its end.
    pub claim: Claim,
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
