//! The key of Writ's issuer behind AWS's key management service, which never gives it away.
//!
//! A signature is asked for with the broker's own identity, over the digest of what is to be signed: KMS takes messages of 4096
//! bytes at most. What comes back is checked by the issuer against the public key.

use core::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{
    BehaviorVersion, Builder, IdentityCache, Region as SdkRegion, StalledStreamProtectionConfig,
};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyUsageType, MessageType, SigningAlgorithmSpec};
use serde_json::Value;
use writ_core::assertion::AssertionSigner;
use writ_core::provider::{Pending, ProviderFault};
use writ_provider_calls::der;
use writ_provider_calls::signing::{Form, of_der};
use writ_provider_calls::{repeated, within};

use crate::ambient::Ambient;
use crate::client::{CONNECT, http_client};
use crate::config::ConfigFault;
use crate::fault;
use crate::region::{self, Region, shown};

/// How long KMS may take for one answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A key's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyArn {
    text: String,
    region: Region,
}

impl KeyArn {
    /// Reads it. An alias is none: whoever may change what it stands for would change the issuer's key.
    fn parse(text: &str) -> Result<Self, ConfigFault> {
        let wrong = |why: &str| {
            let example = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
            ConfigFault::new(format!("`{}` {why}: write the key's ARN, `{example}`", shown(text)))
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts.as_slice() else {
            return Err(wrong("is no ARN of a key"));
        };
        let region = Region::parse(region).map_err(|_| wrong("names no region that is known here"))?;
        let id = resource.strip_prefix("key/").ok_or_else(|| wrong("names no key but something else"))?;
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if *partition != region.partition().name() || !digits || !plain {
            return Err(wrong("is no ARN of a key"));
        }
        Ok(Self { text: text.to_owned(), region })
    }
}

/// Whether a key's ARN and an endpoint are well formed.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn check(key: &str, endpoint: Option<&str>) -> Result<(), ConfigFault> {
    KeyArn::parse(key)?;
    endpoint.map(|endpoint| region::endpoint("kms_endpoint", endpoint)).transpose().map(drop)
}

/// Signs by one key in KMS.
pub struct KmsSigner {
    client: Client,
    ambient: Ambient,
    key: KeyArn,
    form: Form,
    public: Value,
}

/// What KMS calls how such a key signs.
const fn specified(form: Form) -> SigningAlgorithmSpec {
    match form {
        Form::P256 => SigningAlgorithmSpec::EcdsaSha256,
        Form::Rsa => SigningAlgorithmSpec::RsassaPkcs1V15Sha256,
    }
}

impl fmt::Debug for KmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsSigner").field("key", &self.key.text).field("form", &self.form).finish_non_exhaustive()
    }
}

impl KmsSigner {
    /// The signer by the key with this ARN, whose public half is asked for.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] if the key is none that signs ES256 or RS256, else as KMS says.
    pub async fn open(key: &str, endpoint: Option<&str>) -> Result<Self, ProviderFault> {
        let region = KeyArn::parse(key).map_err(misconfigured)?.region;
        Self::open_with(key, endpoint, Ambient::found(region.name())).await
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(key: &str, endpoint: Option<&str>, ambient: Ambient) -> Result<Self, ProviderFault> {
        let key = KeyArn::parse(key).map_err(misconfigured)?;
        let endpoint = endpoint.map(|endpoint| region::endpoint("kms_endpoint", endpoint)).transpose();
        let own = || format!("https://kms.{}.{}", key.region, key.region.partition().suffix());
        let endpoint = endpoint.map_err(misconfigured)?.map_or_else(own, String::from);
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(LIMIT).build();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(SdkRegion::new(key.region.name().to_owned()))
            .endpoint_url(endpoint)
            .http_client(http_client())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .build();
        let client = Client::from_conf(config);
        let (form, public) = public(&client, &ambient, &key).await?;
        Ok(Self { client, ambient, key, form, public })
    }

    async fn signature(&self, message: &[u8]) -> Result<Vec<u8>, ProviderFault> {
        let doing = format!("signing by `{}`", self.key.text);
        let digest = digest(&SHA256, message);
        let signing = async {
            let identity = self.ambient.credentials().await?;
            repeated(&doing, LIMIT, || async {
                let call = self.client.sign().key_id(&self.key.text).message(Blob::new(digest.as_ref()));
                let call = call.message_type(MessageType::Digest).signing_algorithm(specified(self.form)).customize();
                let whom = Builder::new().credentials_provider(identity.clone());
                let out = call.config_override(whom).send().await.map_err(|error| fault::of_sdk(&doing, &error))?;
                let ours = out.key_id() == Some(self.key.text.as_str());
                let signature = out.signature.filter(|_| ours).ok_or_else(|| fault::cut_short(&doing))?.into_inner();
                match self.form {
                    Form::P256 => der::p256_signature(&signature).ok_or_else(|| fault::cut_short(&doing)),
                    Form::Rsa => Ok(signature),
                }
            })
            .await
        };
        within(&doing, LIMIT, signing).await
    }
}

async fn public(client: &Client, ambient: &Ambient, key: &KeyArn) -> Result<(Form, Value), ProviderFault> {
    let doing = format!("asking for the public half of `{}`", key.text);
    let asking = async {
        let identity = ambient.credentials().await?;
        repeated(&doing, LIMIT, || async {
            let whom = Builder::new().credentials_provider(identity.clone());
            let call = client.get_public_key().key_id(&key.text).customize().config_override(whom);
            call.send().await.map_err(|error| fault::of_sdk(&doing, &error))
        })
        .await
    };
    let out = within(&doing, LIMIT, asking).await?;
    let misfit = || {
        ProviderFault::Misconfigured(format!(
            "`{}` cannot sign assertions: make a key for `SIGN_VERIFY` of the spec `ECC_NIST_P256`, or of `RSA_2048` and longer",
            key.text
        ))
    };
    if out.key_id() != Some(key.text.as_str()) {
        let text = format!("{doing}: KMS answers for `{}`", shown(out.key_id().unwrap_or_default()));
        return Err(ProviderFault::Refused(text));
    }
    let der = out.public_key().map(Blob::as_ref).unwrap_or_default();
    let (form, public) = of_der(der).ok_or_else(misfit)?;
    let signs = out.key_usage() == Some(&KeyUsageType::SignVerify);
    if !signs || !out.signing_algorithms().contains(&specified(form)) {
        return Err(misfit());
    }
    Ok((form, public))
}

fn misconfigured(fault: ConfigFault) -> ProviderFault {
    ProviderFault::Misconfigured(fault.to_string())
}

impl AssertionSigner for KmsSigner {
    fn algorithm(&self) -> &'static str {
        self.form.algorithm()
    }

    fn public(&self) -> Value {
        self.public.clone()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        Box::pin(self.signature(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_arn_and_by_nothing_else() {
        let key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        check(key, Some("https://vpce-1.kms.eu-west-1.vpce.amazonaws.com")).unwrap();
        for wrong in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-west-1:123456789012:alias/writ",
            "arn:aws-cn:kms:eu-west-1:123456789012:key/1234abcd",
            "arn:aws:kms:eu-west-1:1234:key/1234abcd",
            "arn:aws:kms::123456789012:key/1234abcd",
            "arn:aws:kms:eu-west-1:123456789012:key/",
        ] {
            let said = check(wrong, None).unwrap_err().to_string();
            assert!(said.contains("write the key's ARN"), "{said}");
        }
        let said = check(key, Some("http://kms.example")).unwrap_err().to_string();
        assert!(said.contains("kms_endpoint") && said.contains("in the clear"), "{said}");
    }
}
