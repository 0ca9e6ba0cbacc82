//! The key of Writ's issuer behind Google's key management service, which never gives it away.
//!
//! A signature is asked for with the broker's own identity, over the digest of what is to be signed. Digest and signature carry
//! checksums both ways, and what comes back is checked by the issuer against the public key.

use core::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use writ_core::assertion::AssertionSigner;
use writ_core::provider::{Pending, ProviderFault};
use writ_provider_calls::der;
use writ_provider_calls::signing::{Form, of_der};
use writ_provider_calls::{Failed, plain as shown, repeated, within};

use crate::ambient::Ambient;
use crate::client::{self, at, endpoint, http_client};
use crate::config::ConfigFault;
use crate::crc32c::crc32c;
use crate::fault;

/// Where it is.
const OWN: &str = "https://cloudkms.googleapis.com";
/// How long KMS may take for one answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether a text begins as the name of a key here does.
#[must_use]
pub fn is_key(text: &str) -> bool {
    text.starts_with("projects/")
}

/// The name of a key's version. The key alone is none: whoever may change which version is its primary would change the issuer's key.
fn version(text: &str) -> Result<&str, ConfigFault> {
    let id = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'))
    };
    let parts: Vec<&str> = text.split('/').collect();
    let sound = matches!(parts.as_slice(),
        ["projects", project, "locations", location, "keyRings", ring, "cryptoKeys", key, "cryptoKeyVersions", version]
            if [project, location, ring, key].into_iter().all(|part| id(part) && !part.starts_with('.'))
                && !version.is_empty() && version.len() <= 19 && version.bytes().all(|byte| byte.is_ascii_digit()));
    if sound {
        return Ok(text);
    }
    let example = "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY/cryptoKeyVersions/1";
    let text = format!("`{}` is no version of a key: write its resource name, `{example}`", shown(text));
    Err(ConfigFault::new(text))
}

/// Whether the name of a key's version and an endpoint are well formed.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn check(key: &str, at: Option<&str>) -> Result<(), ConfigFault> {
    version(key)?;
    endpoint("kms_endpoint", at, OWN).map(drop)
}

/// Signs by one key in KMS.
pub struct KmsSigner {
    client: Client,
    endpoint: Url,
    ambient: Ambient,
    key: String,
    form: Form,
    public: Value,
}

impl fmt::Debug for KmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KmsSigner").field("key", &self.key).field("form", &self.form).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Public {
    name: String,
    algorithm: String,
    pem: String,
    pem_crc32c: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    name: String,
    signature: String,
    signature_crc32c: Number,
    #[serde(default)]
    verified_digest_crc32c: bool,
}

/// A number of 64 bits, which Google writes as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Number(u64),
}

impl Number {
    fn is(&self, sum: u32) -> bool {
        match self {
            Self::Text(text) => *text == sum.to_string(),
            Self::Number(number) => *number == u64::from(sum),
        }
    }
}

impl KmsSigner {
    /// The signer by this version of a key, whose public half is asked for.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] if the key is none that signs ES256 or RS256, else as KMS says.
    pub async fn open(key: &str, at: Option<&str>) -> Result<Self, ProviderFault> {
        Self::open_with(key, at, Ambient::found()).await
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(key: &str, at: Option<&str>, ambient: Ambient) -> Result<Self, ProviderFault> {
        let key = version(key).map_err(misconfigured)?.to_owned();
        let endpoint = endpoint("kms_endpoint", at, OWN).map_err(misconfigured)?;
        let client = http_client(LIMIT).map_err(misconfigured)?;
        let (form, public) = (Form::P256, Value::Null);
        let opened = Self { client, endpoint, ambient, key, form, public };
        let (form, public) = opened.asked_public().await?;
        Ok(Self { form, public, ..opened })
    }

    async fn asked_public(&self) -> Result<(Form, Value), ProviderFault> {
        let doing = format!("asking for the public half of `{}`", self.key);
        let address = at(&self.endpoint, &format!("/v1/{}/publicKey", self.key));
        let found: Public = self.ask(&doing, || self.client.get(&address)).await?;
        let misfit = || {
            ProviderFault::Misconfigured(format!(
                "`{}` cannot sign assertions: make a key for `ASYMMETRIC_SIGN` of the algorithm `EC_SIGN_P256_SHA256`, or of \
                 `RSA_SIGN_PKCS1_2048_SHA256` and longer",
                self.key
            ))
        };
        if found.name != self.key {
            let text = format!("{doing}: KMS answers for `{}`", shown(&found.name));
            return Err(ProviderFault::Refused(text));
        }
        if !found.pem_crc32c.is(crc32c(found.pem.as_bytes())) {
            let text = format!("{doing}: the key was changed on its way: its checksum is another");
            return Err(ProviderFault::Refused(text));
        }
        let (form, public) = of_pem(&found.pem).ok_or_else(misfit)?;
        let signs = match form {
            Form::P256 => found.algorithm == "EC_SIGN_P256_SHA256",
            Form::Rsa => found.algorithm.starts_with("RSA_SIGN_PKCS1_") && found.algorithm.ends_with("_SHA256"),
        };
        if signs { Ok((form, public)) } else { Err(misfit()) }
    }

    async fn signature(&self, message: &[u8]) -> Result<Vec<u8>, ProviderFault> {
        let doing = format!("signing by `{}`", self.key);
        let digest = digest(&SHA256, message);
        let body = json!({
            "digest": { "sha256": STANDARD.encode(digest.as_ref()) },
            "digestCrc32c": crc32c(digest.as_ref()).to_string(),
        });
        let address = at(&self.endpoint, &format!("/v1/{}:asymmetricSign", self.key));
        let signed: Signed = self.ask(&doing, || self.client.post(&address).json(&body)).await?;
        let refused = |why: &str| Err(ProviderFault::Refused(format!("{doing}: {why}")));
        let Ok(signature) = STANDARD.decode(&signed.signature) else {
            return Err(client::settled(fault::cut_short(&doing)));
        };
        if signed.name != self.key {
            return refused(&format!("KMS signed by `{}`", shown(&signed.name)));
        }
        if !signed.verified_digest_crc32c {
            return refused("KMS did not check what it was given to sign");
        }
        if !signed.signature_crc32c.is(crc32c(&signature)) {
            return refused("the signature was changed on its way: its checksum is another");
        }
        match self.form {
            Form::P256 => der::p256_signature(&signature).ok_or_else(|| client::settled(fault::cut_short(&doing))),
            Form::Rsa => Ok(signature),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        doing: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, ProviderFault> {
        let asking = async {
            let token = self.ambient.token().await?;
            repeated(doing, LIMIT, || async {
                let answer = client::send(doing, request().bearer_auth(token.as_str())).await?;
                if answer.status != 200 {
                    return Err(fault::of_status(doing, answer.status, &answer.body));
                }
                serde_json::from_slice(&answer.body).map_err(|_| fault::cut_short(doing)) as Result<T, Failed>
            })
            .await
        };
        within(doing, LIMIT, asking).await
    }
}

/// A public key in PEM as a JWK (RFC 7517).
fn of_pem(pem: &str) -> Option<(Form, Value)> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    of_der(&STANDARD.decode(body).ok()?)
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
