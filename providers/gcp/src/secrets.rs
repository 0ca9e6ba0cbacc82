//! A secret of Secret Manager, asked for with the broker's own identity each time that it is needed, and given a new
//! version where its password is changed in turns. The request's reason is the writ, as in all of Google's; the value carries a checksum.

use core::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_calls::{Failed, plain, repeated, within};
use writ_provider_source::{Fetched, SecretKeeper, SecretSource};
use zeroize::Zeroize as _;

use crate::ambient::Ambient;
use crate::client::{self, REASON, at, endpoint, http_client};
use crate::config::ConfigFault;
use crate::crc32c::crc32c;
use crate::fault;

/// Where it is.
const OWN: &str = "https://secretmanager.googleapis.com";
/// How long it may take at most.
const LIMIT: Duration = Duration::from_secs(10);
/// The reason of requests that are for no writ.
const PROBE: &str = "writ-probe";
/// The reason of requests that put a new password there.
const ROTATION: &str = "writ-rotation";
/// The role that reads.
const ACCESSOR: &str = "roles/secretmanager.secretAccessor";
/// The role that adds versions.
const ADDER: &str = "roles/secretmanager.secretVersionAdder";

/// The secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretManagerConfig {
    /// Its resource name: `projects/PROJECT/secrets/NAME`.
    pub secret: String,
    /// The version's number; left out, the newest.
    pub version: Option<u64>,
    /// Where Secret Manager is, if not where Google has it.
    pub endpoint: Option<String>,
}

impl SecretManagerConfig {
    /// Checks everything that can be checked without Google.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        let project = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-:.".contains(&byte);
            (1..=63).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
        };
        let name = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=255).contains(&text.len()) && text.bytes().all(plain)
        };
        let parts: Vec<&str> = self.secret.split('/').collect();
        let sound = matches!(parts.as_slice(), ["projects", of, "secrets", secret] if project(of) && name(secret));
        if !sound {
            let shown = plain(&self.secret);
            let text = format!("`secret` is `{shown}`, no secret's name: write `projects/PROJECT/secrets/NAME`");
            return Err(ConfigFault::new(text));
        }
        if self.version == Some(0) {
            return Err(ConfigFault::new("`version` is 0: versions begin with 1; leave it out for the newest"));
        }
        endpoint("endpoint", self.endpoint.as_deref(), OWN).map(drop)
    }
}

/// Fetches one secret.
pub struct SecretManager {
    config: SecretManagerConfig,
    endpoint: Url,
    client: Client,
    ambient: Ambient,
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretManager").field("secret", &self.config.secret).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Version {
    name: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    #[serde(default)]
    data: String,
    data_crc32c: Option<String>,
}

/// A version that was added.
#[derive(Deserialize)]
struct Added {
    name: String,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.data.zeroize();
    }
}

impl SecretManager {
    /// Checks the configuration. The identity is looked for when it is first needed.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &SecretManagerConfig) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, Ambient::found())
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(config: &SecretManagerConfig, ambient: Ambient) -> Result<Self, ConfigFault> {
        config.validate()?;
        let endpoint = endpoint("endpoint", config.endpoint.as_deref(), OWN)?;
        Ok(Self { config: config.clone(), endpoint, client: http_client(LIMIT)?, ambient })
    }

    async fn fetched(&self, intended: Option<&Intended>, limit: Duration) -> Result<Fetched, ProviderFault> {
        let doing = format!("asking for {}", self.named());
        let reason = intended.map_or_else(|| PROBE.to_owned(), |intended| intended.writ().id.to_string());
        let token = self.ambient.token().await?;
        let wanted = self.config.version.map_or_else(|| "latest".to_owned(), |version| version.to_string());
        let address = at(&self.endpoint, &format!("/v1/{}/versions/{wanted}:access", self.config.secret));
        let found: Version = repeated(&doing, limit, || async {
            let request = self.client.get(&address).bearer_auth(token.as_str()).header(REASON, &reason);
            let answer = client::send(&doing, request).await.map_err(again)?;
            if answer.status != 200 {
                return Err(again(self.no(&doing, ACCESSOR, answer.status, &answer.body)));
            }
            // A parser's words may quote the secret.
            serde_json::from_slice(&answer.body).map_err(|_| again(fault::cut_short(&doing)))
        })
        .await?;
        self.read(&doing, &found)
    }

    fn read(&self, doing: &str, found: &Version) -> Result<Fetched, ProviderFault> {
        let refused = |why: &str| ProviderFault::Refused(format!("{doing}: {why}"));
        let version = self.version_of(&found.name);
        let version = version.filter(|version| self.config.version.is_none_or(|wanted| wanted == *version));
        let version = version.ok_or_else(|| refused(&format!("it answers for `{}`", plain(&found.name))))?;
        let value = STANDARD.decode(&found.payload.data).map(Secret::new);
        let value = value.map_err(|_| refused("its value is no Base64"))?;
        if found.payload.data_crc32c.as_deref().is_some_and(|sum| sum != crc32c(value.expose()).to_string()) {
            return Err(refused("the value was changed on its way: its checksum is another"));
        }
        if value.expose().is_empty() {
            return Err(ProviderFault::Misconfigured(format!("{doing}: it has no value: add a version with one")));
        }
        Ok(Fetched { value, label: format!("gcp-secretmanager:{}@{version}", self.config.secret) })
    }

    /// The version that a resource's name ends with, if it is one of this secret. The project stands there by its number.
    fn version_of(&self, name: &str) -> Option<u64> {
        let (_, secret) = self.config.secret.split_once("/secrets/").unwrap_or_default();
        let (_, rest) = name.strip_prefix("projects/")?.split_once("/secrets/")?;
        rest.strip_prefix(secret)?.strip_prefix("/versions/")?.parse().ok()
    }

    /// Adds a version, which is the newest from then on: if the one that was read still is, a moment before. Not asked twice: a second
    /// version would be none's.
    async fn add(&self, before: &Fetched, value: &Secret, limit: Duration) -> Result<String, ProviderFault> {
        let doing = format!("writing {}", self.named());
        let now = self.fetched(None, limit).await?;
        if now.label != before.label || now.value != before.value {
            let text = format!("{doing}: it has a newer version of somebody else's, and is left as it is");
            return Err(ProviderFault::Refused(text));
        }
        let token = self.ambient.token().await?;
        let address = at(&self.endpoint, &format!("/v1/{}:addVersion", self.config.secret));
        let mut encoded = STANDARD.encode(value.expose());
        let sum = crc32c(value.expose()).to_string();
        let mut new = json!({ "payload": { "data": encoded.as_str(), "dataCrc32c": sum } });
        encoded.zeroize();
        let request = self.client.post(&address).bearer_auth(token.as_str()).header(REASON, ROTATION).json(&new);
        if let Some(Value::String(data)) = new.pointer_mut("/payload/data") {
            data.zeroize();
        }
        let answer = client::send(&doing, request).await.map_err(client::settled)?;
        if answer.status != 200 {
            return Err(client::settled(self.no(&doing, ADDER, answer.status, &answer.body)));
        }
        let added: Added =
            serde_json::from_slice(&answer.body).map_err(|_| client::settled(fault::cut_short(&doing)))?;
        let version = self.version_of(&added.name);
        let version = version.ok_or_else(|| client::settled(fault::cut_short(&doing)))?;
        Ok(format!("gcp-secretmanager:{}@{version}", self.config.secret))
    }

    /// Who is to blame for a no.
    fn no(&self, doing: &str, role: &str, status: u16, body: &[u8]) -> Failed {
        match (status, fault::of_status(doing, status, body)) {
            (403, Failed::ForGood(fault)) => Failed::ForGood(ProviderFault::Misconfigured(format!(
                "{}: give the broker's own identity `{role}` on `{}`",
                words(&fault, status),
                self.config.secret
            ))),
            (404, Failed::ForGood(fault)) => Failed::ForGood(ProviderFault::Refused(format!(
                "{}: there is no such secret, or no such version: correct `secret` or `version`",
                words(&fault, status)
            ))),
            (400, Failed::ForGood(fault)) if fault.detail().contains("FAILED_PRECONDITION") => {
                Failed::ForGood(ProviderFault::Refused(format!(
                    "{}: the version is disabled or destroyed: enable it, or name another",
                    words(&fault, status)
                )))
            }
            (_, failed) => failed,
        }
    }
}

/// What Google said, without advice that is for other services.
fn words(fault: &ProviderFault, status: u16) -> String {
    let end = format!(", status {status})");
    let said = fault.detail().split_once(&end).map(|(said, _)| format!("{said}{end}"));
    said.unwrap_or_else(|| fault.detail().to_owned())
}

/// Nothing changes by asking: it may be asked again.
fn again(failed: Failed) -> Failed {
    match failed {
        Failed::ForGood(fault @ ProviderFault::Unreachable(_)) => Failed::Harmlessly(fault),
        other => other,
    }
}

impl SecretSource for SecretManager {
    fn named(&self) -> String {
        format!("the secret `{}`", self.config.secret)
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
        match self.config.version {
            None => Ok(self),
            Some(_) => Err(ConfigFault::new(
                "`version` names one version, and a rotated secret has a new one with each turn: leave it out",
            )),
        }
    }
}

impl SecretKeeper for SecretManager {
    fn replace<'a>(
        &'a self,
        _: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>> {
        let limit = limit.min(LIMIT);
        Box::pin(within("writing a secret", limit, self.add(before, value, limit)))
    }
}
