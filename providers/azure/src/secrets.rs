//! A secret of Key Vault, asked for with the broker's own identity each time that it is needed. As for keys, the vault first says
//! for whom tokens must be, and is shown none that would be of use elsewhere. The writ's id stands in the `User-Agent`, which the
//! vault's log shows.

use core::fmt;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{AUTHORIZATION, USER_AGENT};
use serde::Deserialize;
use tokio::sync::OnceCell;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_calls::{Failed, plain, repeated, within};
use writ_provider_source::{Fetched, SecretSource};
use zeroize::Zeroize as _;

use crate::ambient::Ambient;
use crate::cloud::{Cloud, Scope};
use crate::config::{ConfigFault, origin, shown};
use crate::fault;
use crate::provider::bearer;
use crate::transport::{body, client};
use crate::vault::{VERSION, challenged};

/// How long a vault may take at most.
const LIMIT: Duration = Duration::from_secs(10);

/// The secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyVaultSecretConfig {
    /// Its identifier: `https://VAULT.vault.azure.net/secrets/NAME`, with `/VERSION` for one version.
    pub secret: String,
    /// Where the vault is dialled, if not at its own name.
    pub endpoint: Option<String>,
}

/// A secret's identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SecretId {
    /// Without a version.
    bare: String,
    path: String,
    version: Option<String>,
    cloud: Cloud,
    /// For whom tokens for the vault are.
    audience: String,
}

impl SecretId {
    fn parse(text: &str) -> Result<Self, ConfigFault> {
        let wrong = || {
            let example = "https://VAULT.vault.azure.net/secrets/NAME";
            ConfigFault::new(format!("`secret` is `{}`, no identifier of a secret: write `{example}`", shown(text)))
        };
        let rest = text.strip_prefix("https://").ok_or_else(wrong)?;
        let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
        let clouds = [Cloud::Public, Cloud::UsGovernment, Cloud::China];
        let mut ends = clouds.into_iter().map(|cloud| (cloud, cloud.vaults()[0]));
        let known = ends.find_map(|(cloud, end)| host.strip_suffix(end).map(|vault| (cloud, end, vault)));
        let (cloud, end, vault) = known.ok_or_else(wrong)?;
        let name = |text: &str| {
            (1..=127).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let hexadecimal = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (secret, version) = match path.split('/').collect::<Vec<_>>()[..] {
            ["secrets", secret] => (secret, None),
            ["secrets", secret, version] if hexadecimal(version) => (secret, Some(version.to_owned())),
            _ => return Err(wrong()),
        };
        if !name(vault) || !name(secret) {
            return Err(wrong());
        }
        let audience = format!("https://{}", end.trim_start_matches('.'));
        let bare = format!("https://{host}/secrets/{secret}");
        Ok(Self { bare, path: format!("/{path}"), version, cloud, audience })
    }

    fn origin(&self) -> &str {
        self.bare.split_once("/secrets/").map_or(&self.bare, |(origin, _)| origin)
    }
}

impl KeyVaultSecretConfig {
    /// Checks everything that can be checked without the vault.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        SecretId::parse(&self.secret)?;
        self.endpoint.as_deref().map(|endpoint| origin("endpoint", endpoint)).transpose().map(drop)
    }
}

/// Fetches one secret.
pub struct KeyVaultSecret {
    id: SecretId,
    url: String,
    client: Client,
    ambient: Ambient,
    challenged: OnceCell<()>,
}

impl fmt::Debug for KeyVaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVaultSecret").field("secret", &self.id.bare).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Bundle {
    id: String,
    #[serde(default)]
    value: String,
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl KeyVaultSecret {
    /// Checks the configuration. The identity is looked for when it is first needed.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &KeyVaultSecretConfig) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, None, Ambient::found())
    }

    /// The same, with the authorities that vouch for the endpoint in PEM, and an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &KeyVaultSecretConfig,
        authorities: Option<&str>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let id = SecretId::parse(&config.secret)?;
        let endpoint = config.endpoint.as_deref().map(|endpoint| origin("endpoint", endpoint)).transpose()?;
        let origin = endpoint.unwrap_or_else(|| id.origin().to_owned());
        let client = client(LIMIT, authorities.map(|pem| ("endpoint", pem.as_bytes())))?;
        Ok(Self { url: format!("{origin}{}?{VERSION}", id.path), id, client, ambient, challenged: OnceCell::new() })
    }

    async fn fetched(&self, intended: Option<&Intended>, limit: Duration) -> Result<Fetched, ProviderFault> {
        let doing = format!("asking for {}", self.named());
        let agent = match intended {
            Some(intended) => format!(concat!("writ/", env!("CARGO_PKG_VERSION"), " ({})"), intended.writ().id),
            None => concat!("writ/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let hear = || challenged(&self.client, &self.url, &self.id.audience, &doing);
        self.challenged.get_or_try_init(hear).await?;
        let found = repeated(&doing, limit, || self.asked(&doing, &agent)).await?;
        let version = found.id.strip_prefix(&self.id.bare).and_then(|rest| rest.strip_prefix('/'));
        let version = version.filter(|version| self.id.version.as_deref().is_none_or(|wanted| wanted == *version));
        let other = || ProviderFault::Refused(format!("{doing}: the vault answers for `{}`", shown(&found.id)));
        let label = format!("azure-keyvault:{}@{}", self.id.bare, plain(version.ok_or_else(other)?));
        if found.value.is_empty() {
            return Err(ProviderFault::Misconfigured(format!("{doing}: it has no value: set one")));
        }
        Ok(Fetched { value: Secret::new(found.value.as_bytes().to_vec()), label })
    }

    async fn asked(&self, doing: &str, agent: &str) -> Result<Bundle, Failed> {
        let scope = Scope::of_vault(&self.id.audience);
        let token = self.ambient.token(self.id.cloud, &scope).await.map_err(Failed::ForGood)?;
        let call = self.client.get(&self.url).header(USER_AGENT, agent);
        let call = call.header(AUTHORIZATION, bearer(&token).map_err(Failed::ForGood)?);
        let answer = call.send().await.map_err(|error| again(fault::of_transport(doing, &error.without_url())))?;
        let status = answer.status().as_u16();
        let body = body(answer).await.ok_or_else(|| again(fault::cut_short(doing)))?;
        if status == 200 {
            // A parser's words may quote the secret.
            return serde_json::from_slice(&body).map_err(|_| again(fault::cut_short(doing)));
        }
        Err(again(self.refused(doing, status, &body)))
    }

    /// Who is to blame for a no.
    fn refused(&self, doing: &str, status: u16, body: &[u8]) -> Failed {
        let said = crate::vault::said(doing, status, body);
        let disabled = said.contains("disabled") || said.contains("SecretDisabled");
        Failed::ForGood(match status {
            429 | 500.. => ProviderFault::Unreachable(said),
            401 => ProviderFault::Misconfigured(format!(
                "{said}: the vault does not take the token of the broker's own identity: it must be of the vault's tenant"
            )),
            403 if disabled => ProviderFault::Refused(format!("{said}: enable it, or name another")),
            403 => ProviderFault::Misconfigured(format!(
                "{said}: let the broker's own identity read it: the role `Key Vault Secrets User` on the secret"
            )),
            404 => {
                ProviderFault::Refused(format!("{said}: there is no such secret, or no such version: correct `secret`"))
            }
            _ => ProviderFault::Refused(said),
        })
    }
}

/// Nothing changes by asking: it may be asked again.
fn again(failed: Failed) -> Failed {
    match failed {
        Failed::ForGood(fault @ ProviderFault::Unreachable(_)) => Failed::Harmlessly(fault),
        other => other,
    }
}

impl SecretSource for KeyVaultSecret {
    fn named(&self) -> String {
        format!("the secret `{}`", self.id.bare)
    }

    fn fetch<'a>(
        &'a self,
        _: &'a TargetName,
        intended: Option<&'a Intended>,
        limit: Duration,
    ) -> Pending<'a, Result<Fetched, ProviderFault>> {
        let limit = limit.min(LIMIT);
        Box::pin(within("asking for a secret", limit, self.fetched(intended, limit)))
    }
}
