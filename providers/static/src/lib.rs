//! The provider `static`: a password that somebody configured, for targets that can do no better.
//!
//! It mints nothing: it reads the password anew for each writ, from a file or an environment variable, so that a rotated
//! one is taken up without a restart. What it gives out outlives the writ and cannot be taken back, and it says so: its
//! description is `long_lived`, its credentials are of the kind `static_password`, name no end, and carry a fingerprint
//! of *where* the password was read, never of the password, which may be guessable.
//!
//! What this must never do: stand in when a minting provider fails, keep the password beyond the call, or put it into an
//! error or a log.

pub mod config;

use std::fmt;
use std::time::Duration;

use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Swept};
use writ_core::target::Target;
use writ_core::writ::Writ;
use writ_provider_source::Source;

pub use config::{ConfigFault, StaticConfig};

/// Gives out one configured password.
pub struct StaticProvider {
    user: String,
    source: Source,
}

impl StaticProvider {
    /// Checks the configuration, and that the password can be read now.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &StaticConfig) -> Result<Self, ConfigFault> {
        config.validate()?;
        let source = config.source()?;
        source.read()?;
        Ok(Self { user: config.user.clone(), source })
    }

    /// Reads off the runtime's threads: a file may be on a disk that does not answer.
    async fn read(&self, deadline: Duration) -> Result<writ_core::credential::Secret, ProviderFault> {
        let source = self.source.clone();
        let reading = tokio::task::spawn_blocking(move || source.read());
        match tokio::time::timeout(deadline, reading).await {
            Ok(Ok(Ok(secret))) => Ok(secret),
            Ok(Ok(Err(fault))) => Err(ProviderFault::Misconfigured(fault.to_string())),
            Ok(Err(_)) => Err(ProviderFault::Unreachable(format!("reading {} was given up", self.source))),
            Err(_) => {
                let text = format!("reading {}: no answer within {} ms", self.source, deadline.as_millis());
                Err(ProviderFault::Unreachable(text))
            }
        }
    }
}

impl fmt::Debug for StaticProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticProvider").field("user", &self.user).field("source", &self.source).finish()
    }
}

impl Provider for StaticProvider {
    fn describe(&self) -> Description {
        Description { kind: "static", long_lived: true, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            let credential = Credential {
                kind: CredentialKind::StaticPassword,
                principal: self.user.clone(),
                secret: self.read(deadline).await?,
                expires: None,
                fingerprint: Fingerprint::of_source(&self.source.label()),
                audit: self.user.clone(),
                revocation: Revocation::None,
            };
            Ok(Minted::new(intended, credential))
        })
    }

    /// Succeeds and changes nothing: there is nothing of the writ's own at the target.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether the password can be read. Whether the target takes it shows at the first session.
    fn probe<'a>(&'a self, _target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.read(deadline).await.map(drop) })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }
}
