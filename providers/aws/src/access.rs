//! How an EKS cluster knows the broker itself: tokens of the broker's own identity at AWS, each signed when it is asked for.

use serde::Deserialize;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::time::Timestamp;

use crate::ambient::Ambient;
use crate::config::ConfigFault;
use crate::eks;
use crate::region::Region;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EksAccessConfig {
    /// The region that the cluster is in.
    pub region: String,
    /// The cluster's name.
    pub cluster: String,
}

impl EksAccessConfig {
    /// Checks everything that can be checked without AWS.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Region, ConfigFault> {
        eks::check_cluster(&self.cluster)?;
        Region::parse(&self.region)
    }
}

/// Makes the broker's own tokens for one cluster.
#[derive(Debug)]
pub struct EksAccess {
    ambient: Ambient,
    region: Region,
    cluster: String,
}

impl EksAccess {
    /// Checks the configuration. The identity is looked for when it is first needed.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &EksAccessConfig) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, Ambient::found(&config.region))
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(config: &EksAccessConfig, ambient: Ambient) -> Result<Self, ConfigFault> {
        Ok(Self { ambient, region: config.read()?, cluster: config.cluster.clone() })
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// A token that the cluster takes for a quarter of an hour.
    ///
    /// # Errors
    /// [`ProviderFault`] if the broker has no identity at AWS.
    pub async fn token(&self) -> Result<Secret, ProviderFault> {
        eks::token(&self.ambient.credentials().await?, &self.region, &self.cluster, Timestamp::now())
    }
}
