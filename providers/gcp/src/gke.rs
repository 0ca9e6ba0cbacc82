//! Clusters of GKE: the provider `gke`, whose tokens are for their API servers, and how such a cluster knows the broker itself.
//!
//! A cluster asks Google whose an access token is. What it looks at tokens by is the scope of everything, so that what an account may do
//! elsewhere in Google Cloud its tokens may too: accounts for clusters have no other roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use writ_core::assertion::{AssertedSubject, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;

use crate::ambient::Ambient;
use crate::config::ConfigFault;
use crate::federation::{By, Federation, FederationConfig};
use crate::names::{AccountTable, ServiceAccount};
use crate::scope::EMAIL;

/// What clusters look at tokens by. With [`EMAIL`] the user is the account's address, and not a number.
pub(crate) const CLUSTER: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long one errand's token lives, in seconds.
const LIFE: u64 = 300;

/// The settings of the provider `gke`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GkeConfig {
    /// The service account of tokens for which policy names none. The cluster's rules say what it may do there.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Service accounts by the names that policies give them (`@role`).
    #[serde(default)]
    pub service_accounts: BTreeMap<String, String>,
    /// How Google knows who asks.
    #[serde(default)]
    pub federation: FederationConfig,
}

impl GkeConfig {
    /// Checks everything that can be checked without Google.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.accounts()?;
        self.federation.validate()
    }

    pub(crate) fn accounts(&self) -> Result<AccountTable, ConfigFault> {
        AccountTable::read(self.service_account.as_deref(), &self.service_accounts)
    }
}

/// As whom the broker goes to a GKE cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GkeAccessConfig {
    /// The service account whose rights the broker has in the cluster.
    pub service_account: String,
    /// How Google knows who asks: by `issuer` or `broker`.
    #[serde(default)]
    pub federation: FederationConfig,
}

impl GkeAccessConfig {
    /// Checks everything that can be checked without Google.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.account()?;
        if self.federation.by == By::Workload || self.federation.subject == AssertedSubject::Workload {
            let text = "`gke`: the broker goes to the cluster as itself, to take tokens back too: write `by` as `issuer` or \
                        `broker`, and leave `subject` out";
            return Err(ConfigFault::new(text));
        }
        self.federation.validate()
    }

    fn account(&self) -> Result<ServiceAccount, ConfigFault> {
        ServiceAccount::parse("gke.service_account", &self.service_account)
    }
}

/// Makes the broker's own tokens for clusters.
#[derive(Debug)]
pub struct GkeAccess {
    account: ServiceAccount,
    federation: Federation,
}

impl GkeAccess {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &GkeAccessConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, assertions, Ambient::found())
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &GkeAccessConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        config.validate()?;
        Ok(Self { account: config.account()?, federation: Federation::new(&config.federation, assertions, ambient)? })
    }

    /// The service account's address.
    #[must_use]
    pub fn account(&self) -> &str {
        self.account.as_str()
    }

    /// A token that the cluster takes for some minutes.
    ///
    /// # Errors
    /// [`ProviderFault`] if Google gives none.
    pub async fn token(&self, target: &TargetName, intended: Option<&Intended>) -> Result<Secret, ProviderFault> {
        let scopes = [CLUSTER.to_owned(), EMAIL.to_owned()];
        let token = self.federation.errand(target, intended, &self.account, &scopes, LIFE).await?;
        Ok(Secret::new(token.text.as_bytes().to_vec()))
    }
}
