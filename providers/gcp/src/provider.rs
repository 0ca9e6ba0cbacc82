//! The providers `gcp` and `gke`: one token for each writ.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::writ::Writ;
use writ_provider_calls::plain;

use crate::ambient::Ambient;
use crate::config::{ConfigFault, GcpConfig, Tokens};
use crate::federation::Federation;
use crate::gke::{CLUSTER, GkeConfig};
use crate::names::{AccountTable, ServiceAccount};
use crate::scope::{EMAIL, Granted};
use crate::token::{Form, Token};

/// Mints tokens at one target.
pub struct GcpProvider {
    federation: Federation,
    tokens: Tokens,
}

impl GcpProvider {
    /// Checks the configuration. Asks Google nothing: a Google that is down must not keep the broker from starting.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: &GcpConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, assertions, Ambient::found())
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &GcpConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let tokens = config.read()?;
        Ok(Self { federation: Federation::new(&config.federation, assertions, ambient)?, tokens })
    }

    /// The provider `gke`: tokens for clusters.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn for_clusters(config: &GkeConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        Self::for_clusters_with_ambient(config, assertions, Ambient::found())
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn for_clusters_with_ambient(
        config: &GkeConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let tokens = Tokens::Cluster { accounts: config.accounts()? };
        Ok(Self { federation: Federation::new(&config.federation, assertions, ambient)?, tokens })
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let (form, token, principal) = match &self.tokens {
            Tokens::Access { accounts, scopes } => {
                let (account, scope) = (accounts.of(intended.writ())?, scopes.of(intended.writ())?);
                let (form, token) = self.access(&intended, account, scope, deadline).await?;
                (form, token, account.to_string())
            }
            Tokens::Cluster { accounts } => {
                let account = accounts.of(intended.writ())?;
                let scopes = [CLUSTER.to_owned(), EMAIL.to_owned()];
                let token = self.federation.access_token(&intended, account, &scopes, u64::MAX, deadline).await?;
                (Form::Access, token, account.to_string())
            }
            Tokens::Identity { accounts, audience } => {
                let account = accounts.of(intended.writ())?;
                let token = self.federation.id_token(&intended, account, audience, deadline).await?;
                (Form::Identity, token, account.to_string())
            }
            Tokens::Federated { scopes } => {
                if let Some(role) = &intended.writ().obligations.role {
                    let text = format!(
                        "policy names the role `{}`, and the provider's tokens are of no service account: remove `@role`, or \
                         `direct`",
                        plain(role)
                    );
                    return Err(ProviderFault::Refused(text));
                }
                let oauth = &scopes.of(intended.writ())?.oauth;
                let (token, principal) = self.federation.federated(&intended, oauth, deadline).await?;
                (Form::Federated, token, principal)
            }
        };
        let credential = token.credential(CredentialKind::GcpToken, form, principal, intended.writ());
        Ok(Minted::new(intended, credential))
    }

    async fn access(
        &self,
        intended: &Intended,
        account: &ServiceAccount,
        scope: &Granted,
        deadline: Duration,
    ) -> Result<(Form, Token), ProviderFault> {
        let token = self.federation.access_token(intended, account, &scope.oauth, u64::MAX, deadline).await?;
        match &scope.boundary {
            None => Ok((Form::Access, token)),
            Some(options) => {
                let bounded = self.federation.bounded(intended, &token, options, deadline).await?;
                Ok((Form::Bounded, bounded))
            }
        }
    }

    /// Whose Google says that the token is. Of tokens of a pool's principal and of those behind a boundary it says nothing.
    async fn presented(&self, credential: &Credential, deadline: Duration) -> Result<Option<Presented>, ProviderFault> {
        let parameter = match Form::of(credential) {
            Some(Form::Access) => "access_token",
            Some(Form::Identity) => "id_token",
            Some(Form::Bounded | Form::Federated) => return Ok(None),
            None => return Err(ProviderFault::Refused("the credential is no token of Google's".to_owned())),
        };
        let seen = self.federation.whose(parameter, credential.secret.expose(), deadline).await?;
        if seen != credential.principal {
            let text = format!("Google gave a token of `{}` and sees `{}`", credential.principal, plain(&seen));
            return Err(ProviderFault::Refused(text));
        }
        Ok(Some(Presented { principal: seen, audit: credential.audit.clone() }))
    }

    fn accounts(&self) -> Option<&AccountTable> {
        match &self.tokens {
            Tokens::Access { accounts, .. } | Tokens::Identity { accounts, .. } | Tokens::Cluster { accounts } => {
                Some(accounts)
            }
            Tokens::Federated { .. } => None,
        }
    }
}

impl fmt::Debug for GcpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpProvider")
            .field("federation", &self.federation)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl Provider for GcpProvider {
    fn describe(&self) -> Description {
        let (kind, scoped) = match self.tokens {
            Tokens::Access { .. } | Tokens::Federated { .. } => ("gcp", true),
            Tokens::Identity { .. } => ("gcp", false),
            Tokens::Cluster { .. } => ("gke", false),
        };
        Description { kind, long_lived: false, revocable: false, scoped }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(writ_provider_calls::within("minting", deadline, self.minted(intended, deadline)))
    }

    /// Succeeds and changes nothing: Google takes no token of a service account back. It ends by itself, and the gateway ends its use.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move {
            let accounts = self.accounts().map(AccountTable::all).unwrap_or_default();
            self.federation.probe(target, &accounts, deadline).await
        })
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
}
