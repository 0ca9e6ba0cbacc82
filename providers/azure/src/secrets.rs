//! A secret of Key Vault, asked for with the broker's own identity each time that it is needed, and given a new version
//! where its password is changed in turns. As for keys, the vault first says
//! for whom tokens must be, and is shown none that would be of use elsewhere. The writ's id stands in the `User-Agent`, which the
//! vault's log shows.

use core::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, USER_AGENT};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_calls::{Failed, plain, repeated, within};
use writ_provider_source::{Fetched, SecretKeeper, SecretSource};
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
#[serde(rename_all = "camelCase")]
struct Bundle {
    id: String,
    #[serde(default)]
    value: String,
    content_type: Option<String>,
    tags: Option<serde_json::Map<String, serde_json::Value>>,
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
        let found = repeated(&doing, limit, || self.called(&doing, &agent, Method::GET, None)).await?;
        let label = self.label(&doing, &found)?;
        if found.value.is_empty() {
            return Err(ProviderFault::Misconfigured(format!("{doing}: it has no value: set one")));
        }
        Ok(Fetched { value: Secret::new(found.value.as_bytes().to_vec()), label })
    }

    /// Sets a new version, which is the newest from then on, with the content type and the tags of the one before. Not asked twice: a
    /// second version would be none's.
    async fn set(&self, before: &Fetched, value: &Secret) -> Result<String, ProviderFault> {
        let doing = format!("writing {}", self.named());
        let text = core::str::from_utf8(value.expose())
            .map_err(|_| ProviderFault::Misconfigured(format!("{doing}: the secret is not text")))?;
        let hear = || challenged(&self.client, &self.url, &self.id.audience, &doing);
        self.challenged.get_or_try_init(hear).await?;
        let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
        let settled = |failed| match failed {
            Failed::Harmlessly(fault) | Failed::ForGood(fault) => fault,
        };
        let found = self.called(&doing, agent, Method::GET, None).await.map_err(settled)?;
        if self.label(&doing, &found)? != before.label {
            let text = format!("{doing}: it has a newer version of somebody else's, and is left as it is");
            return Err(ProviderFault::Refused(text));
        }
        let mut new = serde_json::Map::from_iter([("value".to_owned(), json!(text))]);
        new.extend(found.content_type.as_ref().map(|content_type| ("contentType".to_owned(), json!(content_type))));
        new.extend(found.tags.as_ref().map(|tags| ("tags".to_owned(), json!(tags))));
        let set = self.called(&doing, agent, Method::PUT, Some(&new)).await.map_err(settled);
        if let Some(serde_json::Value::String(text)) = new.get_mut("value") {
            text.zeroize();
        }
        self.label(&doing, &set?)
    }

    fn label(&self, doing: &str, found: &Bundle) -> Result<String, ProviderFault> {
        let version = found.id.strip_prefix(&self.id.bare).and_then(|rest| rest.strip_prefix('/'));
        let version = version.filter(|version| self.id.version.as_deref().is_none_or(|wanted| wanted == *version));
        let other = || ProviderFault::Refused(format!("{doing}: the vault answers for `{}`", shown(&found.id)));
        Ok(format!("azure-keyvault:{}@{}", self.id.bare, plain(version.ok_or_else(other)?)))
    }

    async fn called(
        &self,
        doing: &str,
        agent: &str,
        method: Method,
        new: Option<&serde_json::Map<String, serde_json::Value>>,
    ) -> Result<Bundle, Failed> {
        let writes = new.is_some();
        let scope = Scope::of_vault(&self.id.audience);
        let token = self.ambient.token(self.id.cloud, &scope).await.map_err(Failed::ForGood)?;
        let call = self.client.request(method, &self.url).header(USER_AGENT, agent);
        let call = call.header(AUTHORIZATION, bearer(&token).map_err(Failed::ForGood)?);
        let call = match new {
            Some(new) => call.json(new),
            None => call,
        };
        let answer = call.send().await.map_err(|error| again(fault::of_transport(doing, &error.without_url())))?;
        let status = answer.status().as_u16();
        let body = body(answer).await.ok_or_else(|| again(fault::cut_short(doing)))?;
        if status == 200 {
            // A parser's words may quote the secret.
            return serde_json::from_slice(&body).map_err(|_| again(fault::cut_short(doing)));
        }
        Err(again(self.refused(doing, writes, status, &body)))
    }

    /// Who is to blame for a no.
    fn refused(&self, doing: &str, writes: bool, status: u16, body: &[u8]) -> Failed {
        let said = crate::vault::said(doing, status, body);
        let disabled = said.contains("disabled") || said.contains("SecretDisabled");
        Failed::ForGood(match status {
            429 | 500.. => ProviderFault::Unreachable(said),
            401 => ProviderFault::Misconfigured(format!(
                "{said}: the vault does not take the token of the broker's own identity: it must be of the vault's tenant"
            )),
            403 if disabled => ProviderFault::Refused(format!("{said}: enable it, or name another")),
            403 if writes => ProviderFault::Misconfigured(format!(
                "{said}: let the broker's own identity write it: the role `Key Vault Secrets Officer` on the secret"
            )),
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

    fn keeper(&self) -> Result<&dyn SecretKeeper, ConfigFault> {
        match self.id.version {
            None => Ok(self),
            Some(_) => Err(ConfigFault::new(
                "`secret` names one version, and a rotated secret has a new one with each turn: leave `/VERSION` out",
            )),
        }
    }
}

impl SecretKeeper for KeyVaultSecret {
    fn replace<'a>(
        &'a self,
        _: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>> {
        Box::pin(within("writing a secret", limit.min(LIMIT), self.set(before, value)))
    }
}
