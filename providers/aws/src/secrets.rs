//! A secret of AWS Secrets Manager, asked for with the broker's own identity each time that it is needed, and replaced there where
//! its password is changed in turns.
//!
//! The request is signed as every other; the writ's id stands in its `User-Agent`, which CloudTrail shows as `userAgent`.

use core::fmt;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use serde_json::json;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_calls::{Failed, plain, repeated};
use writ_provider_source::{Fetched, SecretKeeper, SecretSource};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ambient::Ambient;
use crate::client::{body, plain_client};
use crate::config::ConfigFault;
use crate::fault;
use crate::region::{self, Region, shown};

const JSON: &str = "application/x-amz-json-1.1";
const GET: &str = "secretsmanager:GetSecretValue";
const PUT: &str = "secretsmanager:PutSecretValue";
const STAGE: &str = "secretsmanager:UpdateSecretVersionStage";
/// The label of the version that is asked for where none is named.
const CURRENT: &str = "AWSCURRENT";
/// The label of a version that is to become it.
const PENDING: &str = "WRITPENDING";
/// How long Secrets Manager may take at most.
const LIMIT: Duration = Duration::from_secs(10);

/// The secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsManagerConfig {
    /// The region that the secret is in.
    pub region: String,
    /// Its name or ARN.
    pub secret: String,
    /// The version's id; left out, the one that `stage` names.
    pub version: Option<String>,
    /// The staging label of the version; left out, `AWSCURRENT`.
    pub stage: Option<String>,
    /// Where Secrets Manager is, if not where AWS has it.
    pub endpoint: Option<String>,
}

impl SecretsManagerConfig {
    /// Checks everything that can be checked without AWS.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<(Region, Url), ConfigFault> {
        let region = Region::parse(&self.region)?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-:!".contains(&byte);
        if self.secret.is_empty() || self.secret.len() > 2048 || !self.secret.bytes().all(named) {
            let text = format!("`secret` is `{}`, no secret's name: write its name or its ARN", shown(&self.secret));
            return Err(ConfigFault::new(text));
        }
        let other = |arn: &str| arn.split(':').nth(3) != Some(region.name());
        if self.secret.starts_with("arn:") && other(&self.secret) {
            return Err(ConfigFault::new("`secret` is in another region than `region`: write the same"));
        }
        if self.version.is_some() && self.stage.is_some() {
            let text = "both `version` and `stage`: write one of the two and leave out the other";
            return Err(ConfigFault::new(text));
        }
        for (setting, text, least) in [("version", &self.version, 32), ("stage", &self.stage, 1)] {
            let plain =
                |text: &String| (least..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
            if !text.as_ref().is_none_or(plain) {
                return Err(ConfigFault::new(format!("`{setting}` is none: write it as Secrets Manager lists it")));
            }
        }
        let own = format!("https://secretsmanager.{region}.{}", region.partition().suffix());
        let url = region::endpoint("endpoint", self.endpoint.as_deref().unwrap_or(&own))?;
        Ok((region, url))
    }
}

/// Fetches one secret.
pub struct SecretsManager {
    config: SecretsManagerConfig,
    region: Region,
    url: Url,
    client: Client,
    ambient: Ambient,
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManager").field("secret", &self.config.secret).finish_non_exhaustive()
    }
}

/// What Secrets Manager answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    #[serde(rename = "ARN")]
    arn: String,
    version_id: String,
    secret_string: Option<String>,
    secret_binary: Option<String>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.secret_string.zeroize();
        self.secret_binary.zeroize();
    }
}

/// What Secrets Manager is to keep.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewValue<'a> {
    secret_id: &'a str,
    client_request_token: &'a str,
    secret_string: &'a str,
    version_stages: [&'a str; 1],
}

/// What it says when it has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    #[serde(rename = "ARN")]
    arn: String,
    version_id: String,
}

#[derive(Deserialize, Default)]
struct Said {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl SecretsManager {
    /// Checks the configuration. The identity is looked for when it is first needed.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &SecretsManagerConfig) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, Ambient::found(&config.region))
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(config: &SecretsManagerConfig, ambient: Ambient) -> Result<Self, ConfigFault> {
        let (region, url) = config.read()?;
        Ok(Self { config: config.clone(), region, url, client: plain_client(LIMIT)?, ambient })
    }

    async fn fetched(&self, intended: Option<&Intended>, limit: Duration) -> Result<Fetched, ProviderFault> {
        let doing = format!("asking for {}", self.named());
        let agent = match intended {
            Some(intended) => format!(concat!("writ/", env!("CARGO_PKG_VERSION"), " ({})"), intended.writ().id),
            None => concat!("writ/", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let value = repeated(&doing, limit.min(LIMIT), || self.asked(&doing, &agent)).await?;
        let label = format!("aws-secretsmanager:{}@{}", plain(&value.arn), plain(&value.version_id));
        self.read(&doing, &value).map(|value| Fetched { value, label })
    }

    fn read(&self, doing: &str, value: &Value) -> Result<Secret, ProviderFault> {
        let text = match (&value.secret_string, &value.secret_binary) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(binary)) => STANDARD
                .decode(binary)
                .map_err(|_| ProviderFault::Refused(format!("{doing}: its binary value is no Base64")))?,
            (None, None) => Vec::new(),
        };
        if text.is_empty() {
            return Err(ProviderFault::Misconfigured(format!("{doing}: it has no value: put one into it")));
        }
        Ok(Secret::new(text))
    }

    async fn asked(&self, doing: &str, agent: &str) -> Result<Value, Failed> {
        let asked = match (&self.config.version, &self.config.stage) {
            (Some(version), _) => json!({ "SecretId": self.config.secret, "VersionId": version }),
            (None, Some(stage)) => json!({ "SecretId": self.config.secret, "VersionStage": stage }),
            (None, None) => json!({ "SecretId": self.config.secret, "VersionStage": CURRENT }),
        };
        let answer = self.call(doing, agent, GET, asked.to_string().into_bytes()).await?;
        // A parser's words may quote the secret.
        serde_json::from_slice(&answer).map_err(|_| again(fault::cut_short(doing)))
    }

    /// Puts a new version there, and makes it the current one in place of `before`, if that still is. Nobody is given it until then.
    async fn put(&self, before: &Fetched, value: &Secret, limit: Duration) -> Result<String, ProviderFault> {
        let doing = format!("writing {}", self.named());
        let (_, version) = before.label.rsplit_once('@').unwrap_or_default();
        if version.is_empty() {
            let text = format!("{doing}: the version that it would replace is not known");
            return Err(ProviderFault::Refused(text));
        }
        let kept = self.pending(&doing, value, limit / 2).await?;
        let asked = json!({
            "SecretId": self.config.secret, "VersionStage": CURRENT,
            "MoveToVersionId": kept.version_id, "RemoveFromVersionId": version,
        });
        let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
        // Not asked twice: after a first time that was not heard, the second is a no.
        let moving = self.call(&doing, agent, STAGE, asked.to_string().into_bytes());
        let late = |_| ProviderFault::Unreachable(format!("{doing}: no answer within {} ms", limit.as_millis()));
        match tokio::time::timeout(limit.min(LIMIT) / 2, moving).await.map_err(late)? {
            Ok(_) => Ok(format!("aws-secretsmanager:{}@{}", plain(&kept.arn), plain(&kept.version_id))),
            Err(Failed::Harmlessly(fault) | Failed::ForGood(fault)) => Err(fault),
        }
    }

    /// A new version that nobody is given who does not ask for it. It bears the token of the request, so that asking again makes no
    /// second one.
    async fn pending(&self, doing: &str, value: &Secret, limit: Duration) -> Result<Kept, ProviderFault> {
        let text = core::str::from_utf8(value.expose())
            .map_err(|_| ProviderFault::Misconfigured(format!("{doing}: the secret is not text")))?;
        let token = token()?;
        let new = NewValue {
            secret_id: &self.config.secret,
            client_request_token: &token,
            secret_string: text,
            version_stages: [PENDING],
        };
        let wrong = |_| ProviderFault::Misconfigured(format!("{doing}: the request cannot be made"));
        // Of the right size from the start: what grows leaves its first bytes behind.
        let mut asked = Zeroizing::new(Vec::with_capacity(2 * text.len() + 4096));
        serde_json::to_writer(&mut *asked, &new).map_err(wrong)?;
        let agent = concat!("writ/", env!("CARGO_PKG_VERSION"));
        let kept: Kept = repeated(doing, limit.min(LIMIT), || async {
            let answer = self.call(doing, agent, PUT, asked.to_vec()).await?;
            serde_json::from_slice(&answer).map_err(|_| again(fault::cut_short(doing)))
        })
        .await?;
        if kept.version_id != token {
            let text = format!("{doing}: what it kept is another version: look at the secret's versions");
            return Err(ProviderFault::Refused(text));
        }
        Ok(kept)
    }

    /// One signed request. It is made such that it may be asked again.
    async fn call(&self, doing: &str, agent: &str, action: &str, asked: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let identity = self.ambient.credentials().await.map_err(Failed::ForGood)?;
        let operation = action.replace(':', ".");
        let unsigned = |error: &dyn core::error::Error| {
            let text = format!("{doing}: the request cannot be signed: {}", plain(&error.to_string()));
            Failed::ForGood(ProviderFault::Misconfigured(text))
        };
        let headers = [("content-type", JSON), ("x-amz-target", operation.as_str())];
        let signed = {
            let identity = identity.into();
            let parameters = v4::SigningParams::builder()
                .identity(&identity)
                .region(self.region.name())
                .name("secretsmanager")
                .time(SystemTime::now())
                .settings(SigningSettings::default())
                .build()
                .map_err(|error| unsigned(&error))?
                .into();
            let body = SignableBody::Bytes(&asked);
            let request = SignableRequest::new("POST", self.url.as_str(), headers.into_iter(), body);
            sign(request.map_err(|error| unsigned(&error))?, &parameters)
                .map_err(|error| unsigned(&error))?
                .into_parts()
                .0
        };
        let mut request = self.client.post(self.url.clone()).header("user-agent", agent);
        for (name, value) in headers.into_iter().chain(signed.headers()) {
            request = request.header(name, value);
        }
        let sent = request.body(asked).send().await;
        let response = sent.map_err(|error| again(fault::of_transport(doing, &error)))?;
        let status = response.status().as_u16();
        let answer = body(response).await.ok_or_else(|| again(fault::cut_short(doing)))?;
        if status == 200 {
            return Ok(answer);
        }
        let said: Said = serde_json::from_slice(&answer).unwrap_or_default();
        let code = said.code.rsplit('#').next().unwrap_or_default();
        Err(again(self.no(doing, action, code, &said.message, status)))
    }

    /// Who is to blame for a no.
    fn no(&self, doing: &str, action: &str, code: &str, message: &str, status: u16) -> Failed {
        let text = format!("{doing}: {} ({}, status {status})", plain(message), plain(code));
        match code {
            "ResourceNotFoundException" => Failed::ForGood(ProviderFault::Refused(format!(
                "{text}: there is no such secret, or no such version: correct `secret`, `version` or `stage`"
            ))),
            "AccessDeniedException" => {
                let needed = json!({
                    "Effect": "Allow", "Action": action, "Resource": self.config.secret,
                });
                Failed::ForGood(ProviderFault::Misconfigured(format!(
                    "{text}: give the broker's own identity this permission, with the secret's ARN: {needed}, and the use of its \
                     key (`kms:Decrypt`, to write it `kms:GenerateDataKey` too) where that is not AWS's own"
                )))
            }
            "InvalidRequestException" => Failed::ForGood(ProviderFault::Refused(format!(
                "{text}: it is about to be deleted, or not in use: restore it, or name another"
            ))),
            "InvalidParameterException" if action == STAGE => Failed::ForGood(ProviderFault::Refused(format!(
                "{text}: it was changed by somebody else meanwhile, and is left as it is"
            ))),
            "ResourceExistsException" => Failed::ForGood(ProviderFault::Refused(format!(
                "{text}: there is another version of this name: look at the secret's versions"
            ))),
            "EncryptionFailure" => Failed::ForGood(ProviderFault::Misconfigured(format!(
                "{text}: let the broker's own identity use the secret's key (`kms:GenerateDataKey`), and see that it is enabled"
            ))),
            "DecryptionFailure" => Failed::ForGood(ProviderFault::Misconfigured(format!(
                "{text}: let the broker's own identity use the secret's key (`kms:Decrypt`)"
            ))),
            _ => fault::of_answer(doing, code, message, status),
        }
    }
}

impl SecretSource for SecretsManager {
    fn named(&self) -> String {
        format!("the secret `{}` of AWS Secrets Manager", self.config.secret)
    }

    fn fetch<'a>(
        &'a self,
        _: &'a TargetName,
        intended: Option<&'a Intended>,
        limit: Duration,
    ) -> Pending<'a, Result<Fetched, ProviderFault>> {
        Box::pin(self.fetched(intended, limit))
    }

    fn keeper(&self) -> Result<&dyn SecretKeeper, ConfigFault> {
        if self.config.version.is_some() || self.config.stage.as_ref().is_some_and(|stage| stage != CURRENT) {
            let text = "`version` or `stage` names one version, and a rotated secret has a new one with each turn: leave it out";
            return Err(ConfigFault::new(text));
        }
        Ok(self)
    }
}

impl SecretKeeper for SecretsManager {
    fn replace<'a>(
        &'a self,
        _: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>> {
        Box::pin(self.put(before, value, limit))
    }
}

/// Asking changes nothing, and putting the same again nothing more.
fn again(failed: Failed) -> Failed {
    match failed {
        Failed::ForGood(fault @ ProviderFault::Unreachable(_)) => Failed::Harmlessly(fault),
        other => other,
    }
}

/// A name for a new version, which nobody else gives.
fn token() -> Result<String, ProviderFault> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| ProviderFault::Refused("this machine gives no random numbers".to_owned()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
