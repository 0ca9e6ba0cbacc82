//! Web identity tokens, verified as AWS says that it does, and where it says nothing, more strictly.
//!
//! Own code on a signature primitive, apart from whatever makes the tokens: an issuer's mistake must not be this side's too.

use std::time::Duration;

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::account::{OidcProvider, without_scheme};
use super::policy::Context;
use super::refusal::Refusal;
use super::tags::{self, Tags};

const FETCH_LIMIT: Duration = Duration::from_secs(5);
const BODY_LIMIT: usize = 128 * 1024;
const TAGS: &str = "https://aws.amazon.com/tags";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";

/// A token taken apart, nothing of it verified.
#[derive(Debug)]
pub(super) struct Parsed {
    algorithm: String,
    key_id: String,
    signed: String,
    signature: Vec<u8>,
    claims: Value,
}

/// What a verified token says.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) tags: Tags,
    pub(super) source_identity: Option<String>,
    pub(super) methods: Vec<String>,
}

impl Claims {
    /// The condition keys of a trust policy that come from the token.
    pub(super) fn tell(&self, context: &mut Context) {
        let issuer = without_scheme(&self.issuer);
        context.set(&format!("{issuer}:aud"), self.audience.clone());
        context.set(&format!("{issuer}:sub"), self.subject.clone());
        context.set_all(&format!("{issuer}:amr"), self.methods.clone());
    }
}

fn not_a_token() -> Refusal {
    Refusal::token("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
}

impl Parsed {
    pub(super) fn read(token: &str) -> Result<Self, Refusal> {
        let [header, payload, mac] = token.split('.').collect::<Vec<_>>()[..] else { return Err(not_a_token()) };
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| not_a_token());
        let object = |text: &str| -> Result<Value, Refusal> {
            let value: Value = serde_json::from_slice(&part(text)?).map_err(|_| not_a_token())?;
            if value.is_object() { Ok(value) } else { Err(not_a_token()) }
        };
        let (head, claims) = (object(header)?, object(payload)?);
        if head.get("crit").is_some() {
            return Err(Refusal::token("critical header parameters are not understood"));
        }
        let text = |name: &str| head.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = text("alg").ok_or_else(not_a_token)?;
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            return Err(Refusal::token(format!("signature algorithm `{algorithm}` is not supported")));
        }
        let key_id = text("kid").ok_or_else(|| Refusal::token("the token's header names no key"))?;
        Ok(Self { algorithm, key_id, signed: format!("{header}.{payload}"), signature: part(mac)?, claims })
    }

    pub(super) fn issuer(&self) -> Result<&str, Refusal> {
        self.text("iss").ok_or_else(|| Refusal::token("Missing a required claim: iss"))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Seconds since 1970, as a whole number.
    fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(value) => {
                let whole = value.as_i64().filter(|seconds| *seconds > 0).map(Some);
                whole.ok_or_else(|| Refusal::token(format!("claim `{name}` is not a whole number of seconds")))
            }
        }
    }

    /// Verifies all but the signature, and then that.
    pub(super) fn verify(&self, provider: &OidcProvider, keys: &Value, now: i64) -> Result<Claims, Refusal> {
        self.verify_signature(keys)?;
        let missing = |name: &str| Refusal::token(format!("Missing a required claim: {name}"));
        let audience = self.audience()?;
        if !provider.client_ids.contains(&audience) {
            return Err(Refusal::token("Incorrect token audience"));
        }
        let subject = self.text("sub").ok_or_else(|| missing("sub"))?.to_owned();
        let expires = self.time("exp")?.ok_or_else(|| missing("exp"))?;
        let issued = self.time("iat")?.ok_or_else(|| missing("iat"))?;
        if now >= expires {
            let words = format!("Token expired: {now} is not before {expires}");
            return Err(Refusal::new(400, "ExpiredTokenException", words));
        }
        if issued > now || self.time("nbf")?.is_some_and(|from| from > now) {
            return Err(Refusal::token("the token is not valid yet"));
        }
        if issued >= expires {
            return Err(Refusal::token("the token ends before it was issued"));
        }
        let rejected = |words: String| Refusal::new(403, "IDPRejectedClaim", words);
        let flat = self
            .claims
            .as_object()
            .into_iter()
            .flatten()
            .any(|(name, _)| name.starts_with("https://aws.amazon.com/tags/"));
        if flat {
            return Err(rejected(format!("tags as single claims are not known here: use one claim `{TAGS}`")));
        }
        let tags = self.claims.get(TAGS).map(tags::from_claim).transpose().map_err(rejected)?.unwrap_or_default();
        let source_identity = match self.claims.get(SOURCE_IDENTITY) {
            None => None,
            Some(Value::String(text)) => Some(tags::source_identity(text).map_err(rejected)?),
            Some(_) => return Err(rejected(format!("claim `{SOURCE_IDENTITY}` is not a string"))),
        };
        let methods = self.claims.get("amr").and_then(Value::as_array).into_iter().flatten();
        let methods = methods.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Claims { issuer: self.issuer()?.to_owned(), subject, audience, tags, source_identity, methods })
    }

    /// The authorized party where there is one, as AWS has it; else the one audience. Several are not taken here.
    fn audience(&self) -> Result<String, Refusal> {
        if let Some(party) = self.claims.get("azp") {
            return party.as_str().map(str::to_owned).ok_or_else(|| Refusal::token("claim `azp` is not a string"));
        }
        match self.claims.get("aud") {
            Some(Value::String(one)) => Ok(one.clone()),
            Some(Value::Array(several)) => match several.as_slice() {
                [Value::String(one)] => Ok(one.clone()),
                _ => Err(Refusal::token("Incorrect token audience")),
            },
            _ => Err(Refusal::token("Missing a required claim: aud")),
        }
    }

    fn verify_signature(&self, keys: &Value) -> Result<(), Refusal> {
        let words = "Couldn't retrieve verification key from your identity provider";
        let no_key = || Refusal::token(words);
        let list = keys.get("keys").and_then(Value::as_array).ok_or_else(no_key)?;
        let mut named = list.iter().filter(|key| key.get("kid").and_then(Value::as_str) == Some(&self.key_id));
        let key = named.next().ok_or_else(no_key)?;
        if named.next().is_some() {
            return Err(Refusal::token("two keys of the identity provider have the same name"));
        }
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        if member("use").is_some_and(|purpose| purpose != "sig")
            || member("alg").is_some_and(|algorithm| algorithm != self.algorithm)
        {
            return Err(Refusal::token("the key is for another purpose or algorithm"));
        }
        let bytes = |name: &str| member(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(no_key);
        let (signed, mac) = (self.signed.as_bytes(), &self.signature);
        let verified = match member("kty") {
            Some("RSA") => {
                let parameters = match self.algorithm.as_str() {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => return Err(Refusal::token("the key is of another kind than the signature")),
                };
                RsaPublicKeyComponents { n: bytes("n")?, e: bytes("e")? }.verify(parameters, signed, mac)
            }
            Some("EC") => {
                let algorithm = match (self.algorithm.as_str(), member("crv")) {
                    ("ES256", Some("P-256")) => &signature::ECDSA_P256_SHA256_FIXED,
                    ("ES384", Some("P-384")) => &signature::ECDSA_P384_SHA384_FIXED,
                    ("ES512", Some("P-521")) => &signature::ECDSA_P521_SHA512_FIXED,
                    _ => return Err(Refusal::token("the key is of another kind than the signature")),
                };
                let point = [vec![4], bytes("x")?, bytes("y")?].concat();
                UnparsedPublicKey::new(algorithm, point).verify(signed, mac)
            }
            _ => return Err(no_key()),
        };
        verified.map_err(|_| Refusal::token("the token's signature is not by the identity provider's key"))
    }

    /// The issuer's keys, by discovery at the provider's URL; each time anew.
    pub(super) async fn keys(&self, provider: &OidcProvider) -> Result<Value, Refusal> {
        let client = client(provider)?;
        let url = format!("{}/.well-known/openid-configuration", provider.url.trim_end_matches('/'));
        let document = fetch(&client, provider, &url).await?;
        let broken = |what: &str| Refusal::token(format!("the identity provider's discovery document: {what}"));
        let has = |name: &str, value: &str| {
            let list = document.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).any(|known| known == value)
        };
        if document.get("issuer").and_then(Value::as_str) != Some(&provider.url) {
            return Err(broken("its `issuer` is another"));
        }
        if !has("response_types_supported", "id_token") || !has("subject_types_supported", "public") {
            return Err(broken("it lacks response_types_supported or subject_types_supported"));
        }
        if !has("id_token_signing_alg_values_supported", &self.algorithm) {
            return Err(broken("it does not name the token's algorithm"));
        }
        let keys = document.get("jwks_uri").and_then(Value::as_str).ok_or_else(|| broken("no `jwks_uri`"))?;
        fetch(&client, provider, keys).await
    }
}

const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];

fn unreachable(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(400, "IDPCommunicationError", format!("cannot reach the identity provider: {what}"))
}

fn client(provider: &OidcProvider) -> Result<reqwest::Client, Refusal> {
    let builder = reqwest::Client::builder().timeout(FETCH_LIMIT).no_proxy();
    let mut builder = builder.redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = &provider.ca_pem {
        let authority = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(unreachable)?;
        builder = builder.tls_certs_only([authority]);
    }
    if let (Some(address), Ok(url)) = (provider.at, reqwest::Url::parse(&provider.url)) {
        builder = builder.resolve(url.host_str().unwrap_or_default(), address);
    }
    builder.build().map_err(unreachable)
}

async fn fetch(client: &reqwest::Client, provider: &OidcProvider, url: &str) -> Result<Value, Refusal> {
    let parsed = reqwest::Url::parse(url).map_err(unreachable)?;
    let loopback = provider.url.starts_with("http://") && matches!(parsed.host_str(), Some("127.0.0.1" | "localhost"));
    if parsed.scheme() != "https" && !loopback {
        return Err(Refusal::token(format!("`{url}` of the identity provider is not https")));
    }
    let mut response = client.get(parsed).send().await.map_err(|error| unreachable(error.without_url()))?;
    if !response.status().is_success() {
        return Err(unreachable(format!("it answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(error.without_url()))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err(Refusal::token("the identity provider's answer is too long"));
        }
    }
    serde_json::from_slice(&body).map_err(|_| Refusal::token("the identity provider's answer is not JSON"))
}
