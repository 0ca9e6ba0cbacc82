//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::account::Account;

pub use writ_provider_source::ConfigFault;

/// Service accounts of one target at most: a probe asks for each.
const ACCOUNT_LIMIT: usize = 64;

/// The provider's settings. Exactly one of `kubeconfig`, `in_cluster`, `eks`, `aks`, `gke` and `assertion` says how the broker is
/// let in.
///
/// `E` is how an AWS identity becomes a token for an EKS cluster, `A` how one of Entra becomes one for an AKS cluster, and `G` how one
/// at Google does for a GKE cluster: whoever composes the broker has the code for that, and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig<E = NoEks, A = NoAks, G = NoGke> {
    /// The service account, `namespace/name`, whose token a writ gets where policy names none.
    pub service_account: Option<String>,
    /// The service accounts that policy may name (`@role`), besides that one.
    #[serde(default)]
    pub service_accounts: Vec<String>,
    /// The audience of the tokens; left out, the API server's own.
    pub audience: Option<String>,
    /// A kubeconfig file with the cluster's address and the broker's own token or client certificate.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; left out, its `current-context`.
    pub context: Option<String>,
    /// Whether the broker runs in the cluster, in a pod, and is let in by its service account.
    #[serde(default)]
    pub in_cluster: bool,
    /// The cluster is an EKS cluster that knows the broker by its AWS identity.
    pub eks: Option<E>,
    /// The cluster is an AKS cluster that knows the broker by a client of Entra's.
    pub aks: Option<A>,
    /// The cluster is a GKE cluster that knows the broker as a service account of Google's.
    pub gke: Option<G>,
    /// The cluster trusts Writ's own issuer.
    pub assertion: Option<AssertionConfig>,
    /// Longest time for one call of the broker's, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// Leftovers that one sweep removes at most, 1 to 10000; the next sweep takes the rest.
    #[serde(default = "defaults::sweep_limit")]
    pub sweep_limit: u32,
}

/// Where nothing makes tokens for EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEks {}

impl<'de> Deserialize<'de> for NoEks {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "nothing here makes tokens for EKS: write `assertion`, `in_cluster` or `kubeconfig`",
        ))
    }
}

/// Where nothing makes tokens for AKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAks {}

impl<'de> Deserialize<'de> for NoAks {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "nothing here makes tokens for AKS: write `assertion`, `in_cluster` or `kubeconfig`",
        ))
    }
}

/// Where nothing makes tokens for GKE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoGke {}

impl<'de> Deserialize<'de> for NoGke {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "nothing here makes tokens for GKE: write `assertion`, `in_cluster` or `kubeconfig`",
        ))
    }
}

/// What the cluster expects of Writ's own issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionConfig {
    /// The audience that its `AuthenticationConfiguration` lists for the issuer.
    pub audience: String,
}

mod defaults {
    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }

    pub(super) const fn sweep_limit() -> u32 {
        1_000
    }
}

impl<E, A, G> KubernetesConfig<E, A, G> {
    /// Checks everything that can be checked without the cluster.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.accounts()?;
        self.one_access()?;
        let texts = [
            ("audience", self.audience.as_deref()),
            ("context", self.context.as_deref()),
            ("assertion.audience", self.assertion.as_ref().map(|assertion| assertion.audience.as_str())),
        ];
        for (setting, text) in texts {
            if text.is_some_and(|text| text.trim().is_empty() || text.chars().any(char::is_control)) {
                return Err(ConfigFault::new(format!("`{setting}` is empty or not plain text: write its name")));
            }
        }
        if self.context.is_some() && self.kubeconfig.is_none() {
            return Err(ConfigFault::new("`context` is of a kubeconfig: write `kubeconfig`, or leave `context` out"));
        }
        within("call_timeout_ms", self.call_timeout_ms, 100, 60_000)?;
        within("sweep_limit", u64::from(self.sweep_limit), 1, 10_000)
    }

    /// Every account that a writ may get, the default one first.
    pub(crate) fn accounts(&self) -> Result<Vec<Account>, ConfigFault> {
        let mut accounts = Vec::new();
        for text in self.service_account.iter().chain(&self.service_accounts) {
            let account = Account::parse(text)?;
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        match accounts.len() {
            0 => Err(ConfigFault::new("no service account: write `service_account = \"namespace/name\"`")),
            1..=ACCOUNT_LIMIT => Ok(accounts),
            more => Err(ConfigFault::new(format!("{more} service accounts: write at most {ACCOUNT_LIMIT}"))),
        }
    }

    fn one_access(&self) -> Result<(), ConfigFault> {
        let ways = [
            self.kubeconfig.is_some(),
            self.in_cluster,
            self.eks.is_some(),
            self.aks.is_some(),
            self.gke.is_some(),
            self.assertion.is_some(),
        ];
        match ways.iter().filter(|way| **way).count() {
            1 => Ok(()),
            0 => Err(ConfigFault::new(
                "nothing says how the broker is let into the cluster: write `kubeconfig`, `in_cluster = true`, `eks`, \
                 `aks`, `gke` or `assertion`",
            )),
            _ => Err(ConfigFault::new(
                "more than one of `kubeconfig`, `in_cluster`, `eks`, `aks`, `gke` and `assertion`: write one and leave out the \
                 others",
            )),
        }
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

fn within(setting: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigFault> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigFault::new(format!("`{setting}` is {value}: write a number from {least} to {most}")))
    }
}
