//! The provider `static`: a password that somebody configured, for targets that can do no better.
//!
//! It mints nothing: it fetches the password anew for each writ, from wherever it is kept, so that a rotated one is taken up
//! without a restart: a file, an environment variable, or what [`SecretSource`] stands for. What it gives out outlives the writ
//! and cannot be taken back, and it says so: its description is `long_lived`, its credentials are of the kind `static_password`,
//! name no end, and carry a fingerprint of *where* the password was, in which version, never of the password, which may be
//! guessable.
//!
//! What this must never do: stand in when a minting provider fails, keep the password beyond the call, or put it into an
//! error or a log.

pub mod config;
mod field;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Target, TargetName};
use writ_core::writ::Writ;
use writ_provider_source::SecretSource;

pub use config::{ConfigFault, NoSource, StaticConfig};

/// Gives out one configured password.
pub struct StaticProvider {
    whom: Whom,
    field: Option<String>,
    source: Arc<dyn SecretSource>,
}

/// Whom the target knows by the password.
#[derive(Debug, Clone)]
enum Whom {
    Named(String),
    Field(String),
}

impl StaticProvider {
    /// Checks the configuration; a password on this machine is read once. One that is kept elsewhere is not: a service that is
    /// down must not keep the broker from starting. `elsewhere` is what `source` stands for.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new<S>(config: &StaticConfig<S>, elsewhere: Option<Arc<dyn SecretSource>>) -> Result<Self, ConfigFault> {
        config.validate()?;
        let source: Arc<dyn SecretSource> = match config.here()? {
            Some(here) => {
                let value = here.read()?;
                field::looked_at(config.field.as_deref(), &value, &here.to_string())?;
                Arc::new(here)
            }
            None => elsewhere.ok_or_else(|| ConfigFault::new("`source`: nothing here fetches from there"))?,
        };
        let whom = match (&config.user, &config.user_field) {
            (Some(user), _) => Whom::Named(user.clone()),
            (None, field) => Whom::Field(field.clone().unwrap_or_default()),
        };
        Ok(Self { whom, field: config.field.clone(), source })
    }

    /// The credential, as it is now.
    async fn read(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        limit: Duration,
    ) -> Result<Credential, ProviderFault> {
        let fetched = self.source.fetch(target, intended, limit).await?;
        let place = self.source.named();
        let fields = field::Fields::of(self.field.as_deref(), &fetched.value, &place)?;
        let user = match &self.whom {
            Whom::Named(user) => user.clone(),
            Whom::Field(name) => fields.text(name)?,
        };
        let secret = match &self.field {
            Some(name) => fields.secret(name)?,
            None => fetched.value,
        };
        Ok(Credential {
            kind: CredentialKind::StaticPassword,
            principal: user.clone(),
            secret,
            expires: None,
            fingerprint: Fingerprint::of_source(&fetched.label),
            audit: user,
            revocation: Revocation::None,
        })
    }
}

impl fmt::Debug for StaticProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticProvider").field("user", &self.whom).field("source", &self.source).finish()
    }
}

impl Provider for StaticProvider {
    fn describe(&self) -> Description {
        Description { kind: "static", long_lived: true, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            let credential = self.read(&target.name, Some(&intended), deadline).await?;
            Ok(Minted::new(intended, credential))
        })
    }

    /// Succeeds and changes nothing: there is nothing of the writ's own at the target.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    /// Whether the password can be read. Whether the target takes it shows at the first session.
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.read(&target.name, None, deadline).await.map(drop) })
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
