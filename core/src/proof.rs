//! The chain of trust: values that exist only because a step was taken.
//!
//! Each is made in exactly one function. Where maker and user can see each other the type lives beside its maker; the
//! ones here cross crates, so their constructors are public and clippy's `disallowed-methods` forbids them everywhere
//! but in the maker, which carries the one `#[expect]` with its reason.

use crate::credential::{Credential, Secret};
use crate::grant::PolicyHash;
use crate::workload::Workload;
use crate::writ::Writ;

/// A value that was verified against the issuer. Made by `broker::identity::verify`.
#[derive(Debug, Clone)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Only `broker::identity::verify` may call this.
    pub const fn by_identity(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The value, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A writ whose intent is durable in the ledger: commit point A. Made by `broker::evidence::intend`. A provider mints
/// for nothing less.
#[derive(Debug)]
pub struct Intended {
    writ: Writ,
    asker: Option<Asker>,
}

/// For whom a credential is minted: what a provider may put into it, or pass on to the target.
#[derive(Debug)]
pub struct Asker {
    /// The workload.
    pub workload: Workload,
    /// The token that it showed, for targets that trust its issuer themselves.
    pub token: Secret,
}

impl Intended {
    /// Only `broker::evidence` may call this, after the intent is durable.
    #[must_use]
    pub const fn durable(writ: Writ) -> Self {
        Self { writ, asker: None }
    }

    /// Names the workload, and the token that it showed.
    #[must_use]
    pub fn asked_by(self, asker: Asker) -> Self {
        Self { asker: Some(asker), ..self }
    }

    /// The writ.
    #[must_use]
    pub const fn writ(&self) -> &Writ {
        &self.writ
    }

    /// The workload, where the broker knows one.
    #[must_use]
    pub const fn asker(&self) -> Option<&Asker> {
        self.asker.as_ref()
    }
}

/// A credential that a provider minted for an intended writ. Dropped before it is logged, it calls back, so that its
/// revocation is queued: nothing minted is forgotten.
pub struct Minted {
    writ: Option<Writ>,
    credential: Option<Credential>,
    abandoned: Option<Box<dyn FnOnce(Writ) + Send>>,
}

impl Minted {
    /// Ties what was minted to its writ. Providers call this.
    #[must_use]
    pub fn new(intended: Intended, credential: Credential) -> Self {
        Self { writ: Some(intended.writ), credential: Some(credential), abandoned: None }
    }

    /// Names whom to call if this is dropped unlogged. The broker sets it as soon as the provider returns.
    #[must_use]
    pub fn on_abandon(mut self, call: impl FnOnce(Writ) + Send + 'static) -> Self {
        self.abandoned = Some(Box::new(call));
        self
    }

    /// The writ, unless it was taken.
    #[must_use]
    pub const fn writ(&self) -> Option<&Writ> {
        self.writ.as_ref()
    }

    /// What was minted, unless it was taken.
    #[must_use]
    pub const fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// Takes both out, after the outcome is durable. Only `broker::evidence::issued` may call this.
    #[must_use]
    pub fn logged(mut self) -> Option<Logged> {
        self.abandoned = None;
        Some(Logged { writ: self.writ.take()?, credential: self.credential.take()? })
    }
}

impl Drop for Minted {
    fn drop(&mut self) {
        if let (Some(call), Some(writ)) = (self.abandoned.take(), self.writ.take()) {
            call(writ);
        }
    }
}

impl core::fmt::Debug for Minted {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Minted").field("writ", &self.writ.as_ref().map(|writ| writ.id)).finish_non_exhaustive()
    }
}

/// A credential whose issuance is durable in the ledger: commit point B. Only this may be sealed and released.
#[derive(Debug)]
pub struct Logged {
    writ: Writ,
    credential: Credential,
}

impl Logged {
    /// The writ.
    #[must_use]
    pub const fn writ(&self) -> &Writ {
        &self.writ
    }

    /// The credential.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The writ, once the credential was sealed: the secret is zeroized here.
    #[must_use]
    pub fn into_writ(self) -> Writ {
        self.writ
    }
}

/// Policy's permission for one command. Made by `writ_policy::command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearance {
    policy_hash: PolicyHash,
}

impl Clearance {
    /// Only `writ_policy::command` may call this.
    #[must_use]
    pub const fn by_policy(policy_hash: PolicyHash) -> Self {
        Self { policy_hash }
    }

    /// The policy set that decided.
    #[must_use]
    pub const fn policy_hash(&self) -> &PolicyHash {
        &self.policy_hash
    }
}

/// A permission whose command the spool has taken. Made by `plugin::gate`. A machine releases bytes for nothing less.
#[derive(Debug)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// Only `plugin::gate` may call this, after the spool took the record.
    pub const fn by_spool(value: T) -> Self {
        Self(value)
    }

    /// What was recorded.
    pub const fn get(&self) -> &T {
        &self.0
    }
}
