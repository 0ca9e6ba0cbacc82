//! How an AKS cluster whose users Entra knows lets the broker itself in: by a token of an application or managed identity that
//! trusts Writ's own issuer.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use writ_core::assertion::{AssertedSubject, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;

use crate::cloud::Scope;
use crate::config::{ClientId, ConfigFault, EntraConfig, tenant};
use crate::entra::Entra;

/// Whom the cluster lets in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AksAccessConfig {
    /// The tenant's id, a GUID.
    pub tenant_id: String,
    /// The client id, of an application or a user-assigned managed identity, that the cluster lets in.
    pub client_id: String,
    /// How Entra is asked.
    #[serde(default)]
    pub entra: EntraConfig,
}

impl AksAccessConfig {
    /// Checks everything that can be checked without Entra.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        tenant(&self.tenant_id)?;
        self.client().map(drop)?;
        if self.entra.subject != AssertedSubject::Target {
            let text = "`subject`: the broker acts at the cluster for itself, and there is no workload then: write `\"target\"`, or \
                        leave it out";
            return Err(ConfigFault::new(text));
        }
        self.entra.validate()
    }

    fn client(&self) -> Result<ClientId, ConfigFault> {
        ClientId::parse("client_id", &self.client_id)
    }
}

/// Asks for the broker's own tokens for AKS clusters.
#[derive(Debug)]
pub struct AksAccess {
    entra: Entra,
    client: ClientId,
    scope: Scope,
    limit: Duration,
}

impl AksAccess {
    /// Checks the configuration. Entra is asked when a token is first needed.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &AksAccessConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        config.validate()?;
        let entra = Entra::new(&config.tenant_id, &config.entra, assertions)?;
        Ok(Self { entra, client: config.client()?, scope: Scope::of_aks(), limit: config.entra.call_timeout() })
    }

    /// The client that the cluster lets in.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client.as_str()
    }

    /// A token for what is about to be done at the target: for a writ, or for the broker itself.
    ///
    /// # Errors
    /// [`ProviderFault`] as Entra says.
    pub async fn token(&self, target: &TargetName, intended: Option<&Intended>) -> Result<Secret, ProviderFault> {
        let granted = self.entra.token(&self.client, &self.scope, target, intended, self.limit).await?;
        Ok(granted.token)
    }
}
