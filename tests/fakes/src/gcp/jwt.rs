//! JWTs that are shown to STS, verified as Google says that it does, and where it says nothing, more strictly.
//!
//! Own code on a signature primitive, apart from whatever makes the tokens: an issuer's mistake must not be this side's too.

use std::time::Duration;

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::project::PoolProvider;
use super::refusal::Refusal;

const BODY_LIMIT: usize = 128 * 1024;
const LIMIT: Duration = Duration::from_secs(5);
/// The longest life of a token, in seconds.
const LIFE: i64 = 24 * 3_600;

/// A token taken apart, nothing of it verified.
pub(super) struct Parsed {
    algorithm: String,
    key_id: String,
    signed: String,
    signature: Vec<u8>,
    claims: Value,
}

impl Parsed {
    pub(super) fn read(token: &str) -> Result<Self, Refusal> {
        let malformed = || Refusal::grant("Unable to parse the ID Token.");
        let [header, payload, mac] = token.split('.').collect::<Vec<_>>()[..] else { return Err(malformed()) };
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed());
        let object = |text: &str| -> Result<Value, Refusal> {
            let value: Value = serde_json::from_slice(&part(text)?).map_err(|_| malformed())?;
            if value.is_object() { Ok(value) } else { Err(malformed()) }
        };
        let (head, claims) = (object(header)?, object(payload)?);
        if head.get("crit").is_some() {
            return Err(malformed());
        }
        let text = |name: &str| head.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = text("alg").filter(|algorithm| matches!(algorithm.as_str(), "RS256" | "ES256"));
        let algorithm =
            algorithm.ok_or_else(|| Refusal::grant("The signature algorithm of the ID Token is not supported."))?;
        let key_id = text("kid").ok_or_else(|| Refusal::grant("The ID Token names no key (kid)."))?;
        Ok(Self { algorithm, key_id, signed: format!("{header}.{payload}"), signature: part(mac)?, claims })
    }

    /// Verifies all of it; gives what it claims.
    pub(super) async fn verify(
        self,
        http: &reqwest::Client,
        provider: &PoolProvider,
        audiences: &[String],
        now: i64,
    ) -> Result<Value, Refusal> {
        let text = |name: &str| self.claims.get(name).and_then(Value::as_str);
        let issuer = text("iss").unwrap_or_default();
        if issuer != provider.issuer {
            return Err(Refusal::grant(format!(
                "The issuer in ID Token {issuer} does not match the expected ones: [{}].",
                provider.issuer
            )));
        }
        let keys = keys(http, provider).await?;
        self.verify_signature(&keys)?;
        let audience: Vec<&str> = match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !audience.iter().any(|audience| audiences.iter().any(|known| known == audience)) {
            return Err(Refusal::grant(format!(
                "The audience in ID Token [{}] does not match the expected audience.",
                audience.join(", ")
            )));
        }
        let time = |name: &str| {
            let found = self.claims.get(name).and_then(Value::as_i64);
            found.ok_or_else(|| Refusal::grant(format!("The ID Token has no `{name}`.")))
        };
        let (issued, expires) = (time("iat")?, time("exp")?);
        if expires <= now {
            return Err(Refusal::grant(format!("ID Token issued at {issued} is stale to sign-in.")));
        }
        if issued > now || self.claims.get("nbf").and_then(Value::as_i64).is_some_and(|from| from > now) {
            return Err(Refusal::grant(format!("ID Token issued at {issued} is issued in the future.")));
        }
        if expires - issued > LIFE || expires <= issued {
            return Err(Refusal::grant("The ID Token's lifetime is longer than 24 hours."));
        }
        if text("sub").is_none() {
            return Err(Refusal::grant("The ID Token has no `sub`."));
        }
        Ok(self.claims)
    }

    fn verify_signature(&self, keys: &Value) -> Result<(), Refusal> {
        let no_key = || Refusal::grant("No key of the issuer matches the ID Token's (kid).");
        let list = keys.get("keys").and_then(Value::as_array).ok_or_else(no_key)?;
        let mut named = list.iter().filter(|key| key.get("kid").and_then(Value::as_str) == Some(&self.key_id));
        let key = named.next().ok_or_else(no_key)?;
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let fits = member("use").is_none_or(|purpose| purpose == "sig")
            && member("alg").is_none_or(|algorithm| algorithm == self.algorithm);
        if named.next().is_some() || !fits {
            return Err(no_key());
        }
        let bytes = |name: &str| member(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or_else(no_key);
        let (signed, mac) = (self.signed.as_bytes(), &self.signature);
        let verified = match (member("kty"), self.algorithm.as_str(), member("crv")) {
            (Some("RSA"), "RS256", _) => RsaPublicKeyComponents { n: bytes("n")?, e: bytes("e")? }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                signed,
                mac,
            ),
            (Some("EC"), "ES256", Some("P-256")) => {
                let point = [vec![4], bytes("x")?, bytes("y")?].concat();
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(signed, mac)
            }
            _ => return Err(no_key()),
        };
        verified.map_err(|_| Refusal::grant("The signature of the ID Token is invalid."))
    }
}

/// The issuer's keys, by discovery at its address; each time anew.
async fn keys(http: &reqwest::Client, provider: &PoolProvider) -> Result<Value, Refusal> {
    let url = format!("{}/.well-known/openid-configuration", provider.issuer.trim_end_matches('/'));
    let document = fetch(http, provider, &url).await?;
    if document.get("issuer").and_then(Value::as_str) != Some(&provider.issuer) {
        return Err(unreachable());
    }
    let keys = document.get("jwks_uri").and_then(Value::as_str).ok_or_else(unreachable)?;
    fetch(http, provider, keys).await
}

fn unreachable() -> Refusal {
    Refusal::grant("Error connecting to the given credential's issuer.")
}

async fn fetch(http: &reqwest::Client, provider: &PoolProvider, url: &str) -> Result<Value, Refusal> {
    let parsed = reqwest::Url::parse(url).map_err(|_| unreachable())?;
    // Google demands HTTPS; an issuer of a test's own may be at loopback.
    let loopback = provider.issuer.starts_with("http://127.0.0.1:") && parsed.host_str() == Some("127.0.0.1");
    if parsed.scheme() != "https" && !loopback {
        return Err(unreachable());
    }
    let client = match (&provider.ca_pem, provider.at) {
        (None, None) => http.clone(),
        (pem, at) => {
            let mut builder = reqwest::Client::builder().timeout(LIMIT).no_proxy();
            builder = builder.redirect(reqwest::redirect::Policy::none());
            if let Some(pem) = pem {
                let authority = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(|_| unreachable())?;
                builder = builder.tls_certs_only([authority]);
            }
            if let Some(at) = at {
                builder = builder.resolve(parsed.host_str().unwrap_or_default(), at);
            }
            builder.build().map_err(|_| unreachable())?
        }
    };
    let mut response = client.get(parsed).send().await.map_err(|_| unreachable())?;
    if !response.status().is_success() {
        return Err(unreachable());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| unreachable())? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err(unreachable());
        }
    }
    serde_json::from_slice(&body).map_err(|_| unreachable())
}
