//! What an admin writes for the provider `gcp`, checked when it is read: each mistake says what to write instead.

use std::collections::BTreeMap;

use serde::Deserialize;
use writ_provider_calls::plain as shown;

use crate::federation::{By, FederationConfig};
use crate::names::AccountTable;
use crate::scope::{Scope, Scopes};

pub use writ_provider_source::ConfigFault;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GcpConfig {
    /// The service account of tokens for which policy names none.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Service accounts by the names that policies give them (`@role`).
    #[serde(default)]
    pub service_accounts: BTreeMap<String, String>,
    /// Whether tokens are of the pool's principal itself, and of no service account.
    #[serde(default)]
    pub direct: bool,
    /// Whom tokens are for: they are ID tokens then, which services behind Cloud Run and IAP take.
    #[serde(default)]
    pub id_token_audience: Option<String>,
    /// What tokens may do, by the names that policies give it (`@scope`).
    #[serde(default)]
    pub scopes: BTreeMap<String, Scope>,
    /// The scope of tokens for which policy names none.
    #[serde(default)]
    pub default_scope: Option<String>,
    /// How Google knows who asks.
    #[serde(default)]
    pub federation: FederationConfig,
}

/// What tokens are.
#[derive(Debug)]
pub(crate) enum Tokens {
    /// Access tokens of service accounts.
    Access { accounts: AccountTable, scopes: Scopes },
    /// ID tokens of service accounts, for somebody.
    Identity { accounts: AccountTable, audience: String },
    /// Access tokens of the pool's principal.
    Federated { scopes: Scopes },
    /// Access tokens of service accounts, for clusters of GKE.
    Cluster { accounts: AccountTable },
}

impl GcpConfig {
    /// Checks everything that can be checked without Google.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read()?;
        self.federation.validate()
    }

    pub(crate) fn read(&self) -> Result<Tokens, ConfigFault> {
        let accounts = || AccountTable::read(self.service_account.as_deref(), &self.service_accounts);
        let scopes = || Scopes::read(&self.scopes, self.default_scope.as_deref());
        match (&self.id_token_audience, self.direct) {
            (Some(_), true) => {
                Err(ConfigFault::new("`direct` and `id_token_audience`: ID tokens are of service accounts: keep one"))
            }
            (Some(audience), false) => {
                if !self.scopes.is_empty() || self.default_scope.is_some() {
                    let text = "`scopes` and `default_scope` are of access tokens: leave them out, or leave out \
                                `id_token_audience`";
                    return Err(ConfigFault::new(text));
                }
                if audience.is_empty() || audience.len() > 1024 || !audience.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    let text = format!("`id_token_audience` is `{}`: write the service's address", shown(audience));
                    return Err(ConfigFault::new(text));
                }
                Ok(Tokens::Identity { accounts: accounts()?, audience: audience.clone() })
            }
            (None, true) => {
                if self.service_account.is_some() || !self.service_accounts.is_empty() {
                    let text = "`direct = true` gives tokens of the pool's principal: leave `service_account` and \
                                `service_accounts` out, or `direct`";
                    return Err(ConfigFault::new(text));
                }
                if self.federation.by == By::Broker || !self.federation.delegates.is_empty() {
                    let text = "`direct = true` gives tokens of the pool's principal: write `by` as `issuer` or `workload`, and \
                                leave `delegates` out";
                    return Err(ConfigFault::new(text));
                }
                let scopes = scopes()?;
                if scopes.bounded() {
                    let text = "`boundary` is of service accounts' tokens: leave it out, or `direct`";
                    return Err(ConfigFault::new(text));
                }
                Ok(Tokens::Federated { scopes })
            }
            (None, false) => Ok(Tokens::Access { accounts: accounts()?, scopes: scopes()? }),
        }
    }
}

pub(crate) fn within(setting: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigFault> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigFault::new(format!("`{setting}` is {value}: write a number from {least} to {most}")))
    }
}
