//! The provider: the code that mints credentials for a kind of target. The broker sees only `dyn Provider`.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use crate::credential::Credential;
use crate::proof::{Intended, Minted};
use crate::ssh::SshAuthority;
use crate::target::Target;
use crate::time::Timestamp;
use crate::writ::Writ;

/// A boxed future, so that the trait can be a `dyn`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a provider could not do what it was asked. Tells whose turn it is to act.
#[derive(Clone, PartialEq, Eq)]
pub enum ProviderFault {
    /// The target said no: it understood and refused.
    Refused(String),
    /// The target did not answer in time or not at all. Whether the call took effect is not known.
    Unreachable(String),
    /// Our configuration cannot work: the text says what to write instead.
    Misconfigured(String),
}

impl ProviderFault {
    /// A stable code for the ledger and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "provider.refused",
            Self::Unreachable(_) => "provider.unreachable",
            Self::Misconfigured(_) => "provider.misconfigured",
        }
    }

    /// The fault of a mint that failed for good, and could not take back what it had made, since `left`. The broker must come back
    /// for that, as it does where nobody knows whether a call took effect.
    #[must_use]
    pub fn leaving(self, left: &Self) -> Self {
        Self::Unreachable(format!("{}; what was made could not be taken back: {}", self.detail(), left.detail()))
    }

    /// What the operator must know. Never a secret; never sent to a workload.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Refused(detail) | Self::Unreachable(detail) | Self::Misconfigured(detail) => detail,
        }
    }
}

impl fmt::Debug for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.detail())
    }
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("the target refused"),
            Self::Unreachable(_) => f.write_str("the target cannot be reached"),
            Self::Misconfigured(_) => f.write_str("the provider is misconfigured"),
        }
    }
}

impl std::error::Error for ProviderFault {}

/// What a provider is, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The kind, as the configuration names it.
    pub kind: &'static str,
    /// Whether its credentials outlive the writ (static passwords do).
    pub long_lived: bool,
    /// Whether the target can take a credential back before its end.
    pub revocable: bool,
    /// Whether it knows scopes: a policy's `@scope` opens nothing where it does not.
    pub scoped: bool,
}

/// As whom a target saw a credential, by the target's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The user, role or principal: equal to the credential's principal, or the target took it for another.
    pub principal: String,
    /// What its audit calls the credential: equal to what the credential says of itself.
    pub audit: String,
}

/// What became of a credential that was to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It is gone, or there was none.
    Gone,
    /// It is not, and asking again is of no use: the target takes none back alone, or not this one. Nobody has it any more, and
    /// it lives until its own end.
    Left,
}

/// What became of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// How many leftovers were removed.
    pub removed: usize,
    /// How many could not be removed and stay for the next sweep.
    pub left: usize,
}

/// Mints credentials for one target. Each instance holds what its target needs; making it validates the configuration.
///
/// Every call ends within `deadline` (a duration from the call), whatever the target does.
pub trait Provider: Send + Sync + fmt::Debug {
    /// What it is.
    fn describe(&self) -> Description;

    /// Mints the least credential with the shortest life that serves the writ, labelled with the writ's id wherever
    /// the target's own audit can show it. One writ, one credential: a failed call leaves nothing behind that
    /// [`Self::revoke`] of the same writ does not find.
    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>>;

    /// Takes back whatever was minted for the writ, found by the writ's label. Succeeds if there is nothing. Says
    /// [`Revoked::Gone`] only of what it knows to be gone.
    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>>;

    /// Looks at the target with the provider's own identity: would a mint work?
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>>;

    /// Removes credentials of this provider at the target whose writ is not in `live` and whose own end has passed: what
    /// a crash left and nobody remembers. The end must have passed because `live` may come from a restored backup that
    /// does not know the newest writs; what the broker does remember it takes back with [`Self::revoke`].
    fn sweep<'a>(
        &'a self,
        target: &'a Target,
        live: &'a [crate::id::WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>>;

    /// Presents a credential that was minted a moment ago to the target, in the most harmless call that the target has, and
    /// says as whom it was seen. `None` where a target has no such call.
    ///
    /// A target that says another principal or another name in its audit than the credential has is a fault.
    fn present<'a>(
        &'a self,
        target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        let _ = (target, credential, deadline);
        Box::pin(async { Ok(None) })
    }

    /// Takes back everything that was minted before `before`, for every role of the target's: an operator's explicit act, for
    /// targets that cannot take back one credential alone. The broker writes it into the ledger.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] where a target has no such act.
    fn revoke_older<'a>(
        &'a self,
        target: &'a Target,
        before: Timestamp,
        deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        let _ = (before, deadline);
        let text = format!("credentials of `{}` are taken back one by one: revoke the writ", target.name);
        Box::pin(async { Err(ProviderFault::Misconfigured(text)) })
    }

    /// The authority that signs its certificates, where it mints SSH certificates. Hosts look up there what was taken back:
    /// [`Self::revoke`] of such a provider changes nothing at the target, and the broker lists the writs that ended.
    fn ssh(&self) -> Option<&dyn SshAuthority> {
        None
    }
}
