//! Where the passwords of the provider `static` may be kept: each kind with the crate that fetches from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_provider_aws::{SecretsManager, SecretsManagerConfig};
use writ_provider_azure::{KeyVaultSecret, KeyVaultSecretConfig};
use writ_provider_gcp::{SecretManager, SecretManagerConfig};
use writ_provider_kubernetes::{KubernetesSecret, KubernetesSecretConfig};
use writ_provider_source::{ConfigFault, SecretSource, Source};

/// One place, as a table named after its kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum SourceTable {
    /// A file that holds the secret and nothing else.
    File(PathBuf),
    /// An environment variable, by its name.
    Env(String),
    /// A secret of AWS Secrets Manager.
    AwsSecretsmanager(SecretsManagerConfig),
    /// A secret of Google's Secret Manager.
    GcpSecretmanager(SecretManagerConfig),
    /// A secret of Azure Key Vault.
    AzureKeyvault(KeyVaultSecretConfig),
    /// A key of a Secret of Kubernetes.
    KubernetesSecret(KubernetesSecretConfig),
}

impl SourceTable {
    /// Checks the settings without fetching anything.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub(crate) fn validate(&self) -> Result<(), ConfigFault> {
        match self {
            Self::File(path) => Source::chosen(Some(path), None).map(drop),
            Self::Env(name) => Source::chosen(None, Some(name)).map(drop),
            Self::AwsSecretsmanager(settings) => settings.validate(),
            Self::GcpSecretmanager(settings) => settings.validate(),
            Self::AzureKeyvault(settings) => settings.validate(),
            Self::KubernetesSecret(settings) => settings.validate(),
        }
    }

    /// What fetches from there.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn open(&self, assertions: Option<&Arc<dyn Assertions>>) -> Result<Arc<dyn SecretSource>, ConfigFault> {
        Ok(match self {
            Self::File(path) => Arc::new(Source::chosen(Some(path), None)?),
            Self::Env(name) => Arc::new(Source::chosen(None, Some(name))?),
            Self::AwsSecretsmanager(settings) => Arc::new(SecretsManager::new(settings)?),
            Self::GcpSecretmanager(settings) => Arc::new(SecretManager::new(settings)?),
            Self::AzureKeyvault(settings) => Arc::new(KeyVaultSecret::new(settings)?),
            Self::KubernetesSecret(settings) => Arc::new(KubernetesSecret::new(settings, assertions.cloned())?),
        })
    }

    /// Whether it is the same place as another, as far as their settings say.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => {
                let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
                real(one) == real(other)
            }
            (Self::AwsSecretsmanager(one), Self::AwsSecretsmanager(other)) => {
                one.region == other.region
                    && one.endpoint == other.endpoint
                    && is_same_secret(&one.secret, &other.secret)
            }
            (Self::GcpSecretmanager(one), Self::GcpSecretmanager(other)) => {
                (&one.secret, &one.endpoint) == (&other.secret, &other.endpoint)
            }
            (Self::AzureKeyvault(one), Self::AzureKeyvault(other)) => {
                one.secret.eq_ignore_ascii_case(&other.secret) && one.endpoint == other.endpoint
            }
            (Self::KubernetesSecret(one), Self::KubernetesSecret(other)) => {
                let cluster = |of: &KubernetesSecretConfig| {
                    (of.kubeconfig.clone(), of.context.clone(), of.in_cluster, of.server.clone())
                };
                (&one.secret, &one.key) == (&other.secret, &other.key) && cluster(one) == cluster(other)
            }
            _ => false,
        }
    }

    /// The files that it names.
    pub(crate) fn files(&self) -> Vec<&Path> {
        match self {
            Self::File(path) => vec![path],
            Self::KubernetesSecret(settings) => {
                settings.kubeconfig.iter().chain(&settings.ca_file).map(PathBuf::as_path).collect()
            }
            Self::Env(_) | Self::AwsSecretsmanager(_) | Self::GcpSecretmanager(_) | Self::AzureKeyvault(_) => {
                Vec::new()
            }
        }
    }
}

/// Whether two names, or ARNs, are of one secret of AWS: an ARN ends with the name, a hyphen and six characters of AWS's own.
fn is_same_secret(one: &str, other: &str) -> bool {
    let name = |text: &str| text.split(':').nth(6).map(str::to_owned);
    let is_of = |arn: &str, plain: &str| {
        let bare = name(arn).and_then(|name| name.rsplit_once('-').map(|(bare, _)| bare.to_owned()));
        bare.as_deref() == Some(plain) || name(arn).as_deref() == Some(plain)
    };
    one == other || is_of(one, other) || is_of(other, one)
}
