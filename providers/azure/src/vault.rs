//! The key of Writ's issuer in Azure Key Vault or a Managed HSM, which never gives it away.
//!
//! A signature is asked for with the broker's own identity, over the digest of what is to be signed. Before a token is shown to a
//! vault for the first time, the vault says for whom tokens must be (`WWW-Authenticate`): that has to be the service which its host
//! belongs to, or whoever answers there would get a token for somewhere else. What comes back is checked by the issuer against the
//! public key.

use core::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::assertion::AssertionSigner;
use writ_core::provider::{Pending, ProviderFault};
use writ_provider_calls::der::PublicKey;
use writ_provider_calls::signing::{self, Form};
use writ_provider_calls::{Failed, plain, repeated, within};

use crate::ambient::Ambient;
use crate::cloud::{Cloud, Scope};
use crate::config::{ConfigFault, origin, shown};
use crate::fault;
use crate::provider::bearer;
use crate::transport::{body, client};

/// How long a vault may take for one answer.
const LIMIT: Duration = Duration::from_secs(5);
/// The version of the vault's interface.
pub(crate) const VERSION: &str = "api-version=7.4";

/// A key's identifier, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyId {
    text: String,
    path: String,
    cloud: Cloud,
    /// For whom tokens for the vault are.
    audience: String,
}

impl KeyId {
    /// Reads it. Without a version it would be whichever is newest: whoever may add one would change the issuer's key.
    fn parse(text: &str) -> Result<Self, ConfigFault> {
        let wrong = |why: &str| {
            let example = "https://writ.vault.azure.net/keys/issuer/0123456789abcdef0123456789abcdef";
            ConfigFault::new(format!(
                "`{}` {why}: write the key's identifier with its version, `{example}`",
                shown(text)
            ))
        };
        let rest = text.strip_prefix("https://").ok_or_else(|| wrong("is no identifier of a key in a vault"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("is no identifier of a key in a vault"))?;
        let clouds = [Cloud::Public, Cloud::UsGovernment, Cloud::China];
        let mut ends = clouds.into_iter().flat_map(|cloud| cloud.vaults().map(|end| (cloud, end)));
        let known = ends.find_map(|(cloud, end)| host.strip_suffix(end).map(|vault| (cloud, end, vault)));
        let (cloud, end, vault) = known.ok_or_else(|| wrong("is in no vault of Azure's"))?;
        let name =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let ["keys", key, version] = path.split('/').collect::<Vec<_>>()[..] else {
            return Err(wrong("names no version of a key"));
        };
        let hexadecimal = version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !name(vault) || !name(key) || !hexadecimal {
            return Err(wrong("is no identifier of a key in a vault"));
        }
        let audience = format!("https://{}", end.trim_start_matches('.'));
        Ok(Self { text: text.to_owned(), path: format!("/{path}"), cloud, audience })
    }

    fn origin(&self) -> &str {
        self.text.strip_suffix(&self.path).unwrap_or(&self.text)
    }
}

/// Whether a key's identifier and an endpoint are well formed.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn check(key: &str, endpoint: Option<&str>) -> Result<(), ConfigFault> {
    KeyId::parse(key)?;
    endpoint.map(|endpoint| origin("kms_endpoint", endpoint)).transpose().map(drop)
}

/// Signs by one key in a vault.
pub struct KeyVaultSigner {
    vault: Vault,
    form: Form,
    public: Value,
}

struct Vault {
    client: Client,
    ambient: Ambient,
    key: KeyId,
    /// The key, where the vault is dialled.
    url: String,
}

#[derive(Deserialize)]
struct Bundle {
    key: Key,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(default)]
    key_ops: Vec<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Deserialize)]
struct Attributes {
    enabled: bool,
}

#[derive(Deserialize)]
struct Signed {
    kid: String,
    value: String,
}

impl fmt::Debug for KeyVaultSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyVaultSigner")
            .field("key", &self.vault.key.text)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

impl KeyVaultSigner {
    /// The signer by the key with this identifier, whose public half is asked for.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] if the key is none that signs ES256 or RS256, else as the vault says.
    pub async fn open(key: &str, endpoint: Option<&str>) -> Result<Self, ProviderFault> {
        Self::open_with(key, endpoint, None, Ambient::found()).await
    }

    /// The same, with the authorities that vouch for the endpoint in PEM, and an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_with(
        key: &str,
        endpoint: Option<&str>,
        authorities: Option<&str>,
        ambient: Ambient,
    ) -> Result<Self, ProviderFault> {
        let key = KeyId::parse(key).map_err(misconfigured)?;
        let endpoint = endpoint.map(|endpoint| origin("kms_endpoint", endpoint)).transpose().map_err(misconfigured)?;
        let origin = endpoint.unwrap_or_else(|| key.origin().to_owned());
        let authorities = authorities.map(|pem| ("kms_endpoint", pem.as_bytes()));
        let client = client(LIMIT, authorities).map_err(misconfigured)?;
        let vault = Vault { client, ambient, url: format!("{origin}{}", key.path), key };
        let (form, public) = vault.public().await?;
        Ok(Self { vault, form, public })
    }
}

impl Vault {
    async fn public(&self) -> Result<(Form, Value), ProviderFault> {
        let doing = format!("asking for the public half of `{}`", self.key.text);
        let asking = async {
            challenged(&self.client, &format!("{}?{VERSION}", self.url), &self.key.audience, &doing).await?;
            let ask = || self.client.get(format!("{}?{VERSION}", self.url));
            repeated(&doing, LIMIT, || self.answer::<Bundle>(&doing, ask())).await
        };
        let Bundle { key, attributes } = within(&doing, LIMIT, asking).await?;
        self.same(&doing, &key.kid)?;
        let misfit = || {
            ProviderFault::Misconfigured(format!(
                "`{}` cannot sign assertions: make an enabled key for `sign`, of the kind `EC` and the curve `P-256`, or `RSA` of 2048 \
                 bits and longer",
                self.key.text
            ))
        };
        if !attributes.enabled || !key.key_ops.iter().any(|operation| operation == "sign") {
            return Err(misfit());
        }
        jwk(&key).ok_or_else(misfit)
    }

    async fn signature(&self, form: Form, message: &[u8]) -> Result<Vec<u8>, ProviderFault> {
        let doing = format!("signing by `{}`", self.key.text);
        let value = URL_SAFE_NO_PAD.encode(digest(&SHA256, message));
        let asked = json!({ "alg": form.algorithm(), "value": value });
        let ask = || self.client.post(format!("{}/sign?{VERSION}", self.url)).json(&asked);
        let signing = repeated(&doing, LIMIT, || self.answer::<Signed>(&doing, ask()));
        let signed = within(&doing, LIMIT, signing).await?;
        self.same(&doing, &signed.kid)?;
        let unreadable = |_| fault::settled(fault::cut_short(&doing));
        URL_SAFE_NO_PAD.decode(signed.value.trim_end_matches('=')).map_err(unreadable)
    }

    /// What the vault answers to a call that is made as the broker itself.
    async fn answer<T: for<'de> Deserialize<'de>>(&self, doing: &str, call: RequestBuilder) -> Result<T, Failed> {
        let scope = Scope::of_vault(&self.key.audience);
        let token = self.ambient.token(self.key.cloud, &scope).await.map_err(Failed::ForGood)?;
        let call = call.header(AUTHORIZATION, bearer(&token).map_err(Failed::ForGood)?);
        let answer = call.send().await.map_err(|error| fault::of_transport(doing, &error.without_url()))?;
        let status = answer.status().as_u16();
        let body = body(answer).await.ok_or_else(|| fault::cut_short(doing))?;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|_| fault::cut_short(doing));
        }
        Err(refused(doing, status, &body))
    }

    fn same(&self, doing: &str, key: &str) -> Result<(), ProviderFault> {
        if key == self.key.text {
            return Ok(());
        }
        Err(ProviderFault::Refused(format!("{doing}: the vault answers for `{}`", shown(key))))
    }
}

/// Hears for whom the vault wants tokens, before it is shown one.
pub(crate) async fn challenged(client: &Client, url: &str, own: &str, doing: &str) -> Result<(), ProviderFault> {
    let answer = repeated(doing, LIMIT, || async {
        let call = client.get(url).send().await;
        call.map_err(|error| fault::of_transport(doing, &error.without_url()))
    });
    let answer = answer.await?;
    let status = answer.status().as_u16();
    if status == 429 || status >= 500 {
        return Err(ProviderFault::Unreachable(format!("{doing}: the vault answers with status {status}")));
    }
    let wanted = audience(answer.headers());
    if status == 401 && wanted.as_deref() == Some(own) {
        return Ok(());
    }
    let wanted = wanted.map_or_else(|| "nothing".to_owned(), |wanted| format!("`{}`", shown(&wanted)));
    Err(ProviderFault::Refused(format!(
        "{doing}: what answers there (status {status}) wants a token for {wanted}, and a vault of this host one for `{own}`: no token \
         was shown to it"
    )))
}

/// What a vault said, in its own words.
pub(crate) fn said(doing: &str, status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        code: String,
        #[serde(default)]
        message: String,
    }
    let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.error);
    said.map_or_else(
        |_| format!("{doing}: status {status}"),
        |Said { code, message }| format!("{doing}: {} ({}, status {status})", plain(&message), plain(&code)),
    )
}

/// Why a vault said no.
fn refused(doing: &str, status: u16, body: &[u8]) -> Failed {
    let said = said(doing, status, body);
    match status {
        429 => Failed::Harmlessly(ProviderFault::Unreachable(said)),
        500.. => Failed::ForGood(ProviderFault::Unreachable(said)),
        401 => Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{said}: the vault does not take the token of the broker's own identity: it must be of the vault's tenant"
        ))),
        403 => Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{said}: let the broker's own identity read the key and sign with it: the role `Key Vault Crypto User` on the key"
        ))),
        404 => Failed::ForGood(ProviderFault::Misconfigured(format!(
            "{said}: there is no such version of such a key in the vault: correct `kms_key`"
        ))),
        _ => Failed::ForGood(ProviderFault::Refused(said)),
    }
}

/// For whom tokens must be, by a bearer challenge (RFC 6750, 3, with the members of Key Vault's).
fn audience(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let member = |part: &str, name: &str| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    };
    let find = |name: &str| challenge.split([',', ' ']).find_map(|part| member(part, name));
    let told = find("resource").or_else(|| find("scope"))?;
    let url = Url::parse(told.trim_end_matches("/.default")).ok()?;
    (url.scheme() == "https" && url.path() == "/").then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// A public key as a JWK (RFC 7517), if it is one that can sign assertions.
fn jwk(key: &Key) -> Option<(Form, Value)> {
    let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?.trim_end_matches('=')).ok();
    match (key.kty.as_str(), key.crv.as_deref()) {
        ("EC" | "EC-HSM", Some("P-256")) => signing::jwk(&PublicKey::P256 { x: &number(&key.x)?, y: &number(&key.y)? }),
        ("RSA" | "RSA-HSM", None) => signing::jwk(&PublicKey::Rsa { n: &number(&key.n)?, e: &number(&key.e)? }),
        _ => None,
    }
}

fn misconfigured(fault: ConfigFault) -> ProviderFault {
    ProviderFault::Misconfigured(fault.to_string())
}

impl AssertionSigner for KeyVaultSigner {
    fn algorithm(&self) -> &'static str {
        self.form.algorithm()
    }

    fn public(&self) -> Value {
        self.public.clone()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        Box::pin(self.vault.signature(self.form, message))
    }
}
