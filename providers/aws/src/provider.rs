//! The provider `aws`: one session of a role for each writ.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::ambient::Ambient;
use crate::assume::Assumer;
use crate::config::{AwsConfig, ConfigFault, RoleTable};
use crate::region::shown;
use crate::scope::Scopes;
use crate::session::Session;

/// Mints sessions of roles at one target.
pub struct AwsProvider {
    assumer: Assumer,
    roles: RoleTable,
    scopes: Scopes,
}

impl AwsProvider {
    /// Checks the configuration and reads the scopes. Asks AWS nothing: an AWS that is down must not keep the broker from
    /// starting.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: &AwsConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, assertions, Ambient::found(&config.region))
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &AwsConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let (region, roles, scopes) = config.read()?;
        Ok(Self { assumer: Assumer::new(&config.assume, &region, assertions, ambient)?, roles, scopes })
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let (role, policy) = (self.roles.of(intended.writ())?, self.scopes.of(intended.writ())?);
        let session = self.assumer.session(&intended, role, policy, deadline).await?;
        let credential = Credential {
            kind: CredentialKind::AwsSession,
            principal: session.arn.clone(),
            secret: session.to_secret()?,
            expires: Some(session.expires),
            fingerprint: key_fingerprint(&session.key),
            audit: session.arn.clone(),
            revocation: Revocation::WholeRole,
        };
        Ok(Minted::new(intended, credential))
    }

    async fn presented(&self, credential: &Credential, deadline: Duration) -> Result<Option<Presented>, ProviderFault> {
        let seen = self.assumer.caller(&Session::of(credential)?, deadline).await?;
        presented(credential, seen).map(Some)
    }
}

/// An access key's id is public, unique, and in every entry of CloudTrail.
pub(crate) fn key_fingerprint(key: &str) -> Fingerprint {
    Fingerprint::of_public("aws-access-key", key)
}

/// What AWS says of a credential, unless it says another than it gave.
pub(crate) fn presented(credential: &Credential, seen: String) -> Result<Presented, ProviderFault> {
    if seen != credential.principal {
        let text = format!("AWS gave a session of `{}` and sees `{}`", credential.principal, shown(&seen));
        return Err(ProviderFault::Refused(text));
    }
    Ok(Presented { principal: seen, audit: credential.audit.clone() })
}

impl fmt::Debug for AwsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsProvider")
            .field("assumer", &self.assumer)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Provider for AwsProvider {
    fn describe(&self) -> Description {
        Description { kind: "aws", long_lived: false, revocable: false, scoped: true }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(intended, deadline))
    }

    /// Succeeds and changes nothing: AWS takes no session back alone. It ends by itself, and the gateway ends its use.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.assumer.probe(target, &self.roles.all(), deadline).await })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }

    fn present<'a>(
        &'a self,
        _target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        Box::pin(self.presented(credential, deadline))
    }

    fn revoke_older<'a>(
        &'a self,
        target: &'a Target,
        before: Timestamp,
        deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.assumer.revoke_older(target, &self.roles.all(), before, deadline).await })
    }
}
