//! The freeze: an operator's word that nothing more is opened for a workload, at a target, or at all, until it is lifted.
//!
//! A freeze names exactly what it covers: there are no patterns, so that nobody has to guess in an emergency what one catches.

use serde::{Deserialize, Serialize};

use crate::event::Actor;
use crate::id::FreezeId;
use crate::target::TargetName;
use crate::time::Timestamp;
use crate::workload::{Issuer, Subject};

/// What a freeze covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FreezeScope {
    /// A workload, at every target.
    Workload {
        /// Who vouches for it; absent: the subject of every issuer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Issuer>,
        /// The whole subject, byte by byte.
        subject: Subject,
    },
    /// A target, for every workload.
    Target {
        /// Its name.
        target: TargetName,
    },
    /// Every workload at every target.
    All,
}

impl FreezeScope {
    /// Whether it covers this workload at this target.
    #[must_use]
    pub fn covers(&self, issuer: &Issuer, subject: &Subject, target: &TargetName) -> bool {
        match self {
            Self::Workload { issuer: of, subject: named } => {
                of.as_ref().is_none_or(|of| of == issuer) && named == subject
            }
            Self::Target { target: named } => named == target,
            Self::All => true,
        }
    }
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Its name: what lifts it.
    pub id: FreezeId,
    /// What it covers.
    pub scope: FreezeScope,
    /// Why, as the operator said: clients are told.
    pub reason: String,
    /// Who ordered it.
    pub by: Actor,
    /// Since when.
    pub at: Timestamp,
}

impl Freeze {
    /// What a client is told whose session it ends or refuses.
    #[must_use]
    pub fn words(&self) -> String {
        format!("access is frozen: {}", self.reason)
    }
}
