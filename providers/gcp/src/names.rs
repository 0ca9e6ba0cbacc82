//! Names as Google writes them: service accounts, and providers of workload identity pools.

use core::fmt;
use std::collections::BTreeMap;

use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;
use writ_provider_calls::plain as shown;

use crate::config::ConfigFault;

/// What every service account's address ends in.
const DOMAIN: &str = ".gserviceaccount.com";

/// A service account, by its address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceAccount(String);

impl ServiceAccount {
    /// Reads an address: `NAME@PROJECT.iam.gserviceaccount.com`, and those of Google's own making beside it.
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Self, ConfigFault> {
        let label = |part: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&part.len()) && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
        };
        let sound = |(name, domain): (&str, &str)| {
            label(name) && domain.strip_suffix(DOMAIN).is_some_and(|rest| rest.split('.').all(label))
        };
        if text.len() <= 254 && text.split_once('@').is_some_and(sound) {
            return Ok(Self(text.to_owned()));
        }
        let text = format!(
            "`{setting}`: `{}` is no service account's address: write `NAME@PROJECT.iam.gserviceaccount.com`",
            shown(text)
        );
        Err(ConfigFault::new(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its name as a user of PostgreSQL at Cloud SQL: the address without the end that all have.
    pub(crate) fn database_user(&self) -> &str {
        self.0.strip_suffix(DOMAIN).unwrap_or(&self.0)
    }

    /// As IAM's requests name it. The project is never written: Google finds it by the address.
    pub(crate) fn resource(&self) -> String {
        format!("projects/-/serviceAccounts/{}", self.0)
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The service accounts that tokens can be of.
#[derive(Debug)]
pub(crate) struct AccountTable {
    default: Option<ServiceAccount>,
    named: BTreeMap<String, ServiceAccount>,
}

impl AccountTable {
    /// Checks accounts; there must be one.
    pub(crate) fn read(default: Option<&str>, named: &BTreeMap<String, String>) -> Result<Self, ConfigFault> {
        let default = default.map(|address| ServiceAccount::parse("service_account", address)).transpose()?;
        let one = |(name, address): (&String, &String)| {
            ServiceAccount::parse(&format!("service_accounts.{}", shown(name)), address)
                .map(|account| (name.clone(), account))
        };
        let named: BTreeMap<String, ServiceAccount> = named.iter().map(one).collect::<Result<_, _>>()?;
        if default.is_none() && named.is_empty() {
            return Err(ConfigFault::new(
                "no service account: write `service_account`, or `service_accounts` with the names that policies give them",
            ));
        }
        Ok(Self { default, named })
    }

    /// The account that policy's `@role` names, else the default. What is not in the table is refused.
    pub(crate) fn of(&self, writ: &Writ) -> Result<&ServiceAccount, ProviderFault> {
        let Some(name) = writ.obligations.role.as_deref() else {
            return self.default.as_ref().ok_or_else(|| {
                let text = "no service account: write `@role` in the policy that permits, or `service_account` in the provider";
                ProviderFault::Misconfigured(text.to_owned())
            });
        };
        self.named.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.named.keys().map(String::as_str).collect();
            ProviderFault::Refused(format!(
                "policy names the role `{}`, and the provider knows `{}`: correct `@role`, or add it to `service_accounts`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }

    /// Each account once.
    pub(crate) fn all(&self) -> Vec<&ServiceAccount> {
        let mut all: Vec<&ServiceAccount> = self.default.iter().chain(self.named.values()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// A provider of a workload identity pool: what Google is told of whose token it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolProvider {
    name: String,
    pool: String,
}

impl PoolProvider {
    /// Reads its resource name, with the project's number.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigFault> {
        let wrong = |why: &str| {
            let example = "projects/123456789012/locations/global/workloadIdentityPools/POOL/providers/PROVIDER";
            let text = format!("`pool_provider`: `{}` {why}: write `{example}`", shown(text));
            ConfigFault::new(text)
        };
        let parts: Vec<&str> = text.split('/').collect();
        let ["projects", number, "locations", "global", "workloadIdentityPools", pool, "providers", provider] =
            parts.as_slice()
        else {
            return Err(wrong("is no provider of a workload identity pool"));
        };
        if number.is_empty() || number.len() > 19 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("names the project by something else than its number"));
        }
        let id = |text: &str| {
            let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (4..=32).contains(&text.len()) && text.bytes().all(inner)
        };
        if !id(pool) || !id(provider) {
            return Err(wrong("has an id that no pool or provider can have"));
        }
        let pool = format!("projects/{number}/locations/global/workloadIdentityPools/{pool}");
        Ok(Self { name: text.to_owned(), pool })
    }

    /// As STS is told whose token it is shown.
    pub(crate) fn audience(&self) -> String {
        format!("//iam.googleapis.com/{}", self.name)
    }

    /// Whom tokens are for unless the provider lists others.
    pub(crate) fn token_audience(&self) -> String {
        format!("https://iam.googleapis.com/{}", self.name)
    }

    /// As Google's policies and audit logs name a subject of the pool.
    pub(crate) fn principal(&self, subject: &str) -> String {
        format!("principal://iam.googleapis.com/{}/subject/{subject}", self.pool)
    }
}

impl fmt::Display for PoolProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
