//! Client assertions, and the federated credential that each must match to the letter.
//!
//! Own code on a signature primitive, apart from whatever makes the assertions: an issuer's mistake must not be this side's too.

use std::time::Duration;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{App, Federated, Refusal};

const FETCH_LIMIT: Duration = Duration::from_secs(5);
const BODY_LIMIT: usize = 128 * 1024;
/// The longest life of an assertion, in seconds.
const LONGEST: i64 = 3_600;
const HELP: &str = "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. \
                    https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

/// An assertion taken apart, nothing of it verified.
pub(super) struct Parsed {
    key_id: String,
    signed: String,
    signature: Vec<u8>,
    claims: Value,
}

fn malformed(what: &str) -> Refusal {
    Refusal::client(50_027, format!("JWT token is invalid or malformed. {what}"))
}

impl Parsed {
    pub(super) fn read(assertion: &str) -> Result<Self, Refusal> {
        let [header, payload, mac] = assertion.split('.').collect::<Vec<_>>()[..] else {
            return Err(malformed("It has not three parts."));
        };
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed("It is not base64url."));
        let object = |text: &str| {
            let value = serde_json::from_slice::<Value>(&part(text)?).ok().filter(Value::is_object);
            value.ok_or_else(|| malformed("A part is no JSON object."))
        };
        let (head, claims) = (object(header)?, object(payload)?);
        let text = |name: &str| head.get(name).and_then(Value::as_str);
        if text("alg") != Some("RS256") || head.get("crit").is_some() || head.get("jwk").is_some() {
            return Err(Refusal::client(
                5_002_723,
                "Invalid JWT token. The algorithm is not RS256, or the header has what is not known.",
            ));
        }
        let key_id = text("kid").ok_or_else(|| malformed("It has no `kid`."))?.to_owned();
        let signed = format!("{header}.{payload}");
        Ok(Self { key_id, signed, signature: part(mac)?, claims })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A federated credential of the app that names this issuer: by it the keys are found.
    pub(super) fn issuer<'a>(&self, app: &'a App) -> Result<&'a Federated, Refusal> {
        let issuer = self.text("iss").ok_or_else(|| malformed("It has no `iss`."))?;
        app.federated.iter().find(|one| one.issuer == issuer).ok_or_else(|| {
            let words = format!(
                "No matching federated identity record found for presented assertion issuer '{issuer}'. {HELP}"
            );
            Refusal::client(700_211, words)
        })
    }

    pub(super) fn verify_signature(&self, keys: &Value) -> Result<(), Refusal> {
        let words = |why: &str| {
            let key = &self.key_id;
            Refusal::client(
                700_027,
                format!("Client assertion failed signature validation. [Reason - {why}, key id '{key}'.]"),
            )
        };
        let list = keys.get("keys").and_then(Value::as_array).into_iter().flatten();
        let mut named = list.filter(|key| key.get("kid").and_then(Value::as_str) == Some(&self.key_id));
        let (Some(key), None) = (named.next(), named.next()) else { return Err(words("The key was not found")) };
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let fits = member("kty") == Some("RSA")
            && member("use").is_none_or(|purpose| purpose == "sig")
            && member("alg").is_none_or(|algorithm| algorithm == "RS256");
        let number = |name: &str| member(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let (Some(n), Some(e), true) = (number("n"), number("e"), fits) else {
            return Err(words("The key is of another kind"));
        };
        let key = PublicKeyComponents { n, e };
        let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, self.signed.as_bytes(), &self.signature);
        verified.map_err(|_| words("The key was found, but the signature is not by it"))
    }

    pub(super) fn verify_times(&self, now: i64) -> Result<(), Refusal> {
        let time = |name: &str| {
            let whole = self.claims.get(name).and_then(Value::as_i64).filter(|seconds| *seconds > 0);
            whole.ok_or_else(|| malformed(&format!("`{name}` is no whole number of seconds.")))
        };
        let (issued, begins, ends) = (time("iat")?, time("nbf")?, time("exp")?);
        let at = crate::clock::iso;
        let words = format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time of assertion {}.",
            at(now),
            at(begins),
            at(ends)
        );
        let within = begins <= now && issued <= now && now < ends;
        if !within || ends - issued.min(begins) > LONGEST {
            return Err(Refusal::client(700_024, words));
        }
        Ok(())
    }

    /// The credential of the app that matches in all three.
    pub(super) fn matching<'a>(&self, app: &'a App) -> Result<&'a Federated, Refusal> {
        let issuer = self.text("iss").unwrap_or_default();
        let subject = self.text("sub").ok_or_else(|| malformed("It has no `sub`."))?;
        let audience = self.text("aud").ok_or_else(|| malformed("Its `aud` is not one text."))?;
        let of_issuer: Vec<&Federated> = app.federated.iter().filter(|one| one.issuer == issuer).collect();
        if !of_issuer.iter().any(|one| one.audience == audience) {
            let words = format!(
                "No matching federated identity record found for presented assertion audience '{audience}'. {HELP}"
            );
            return Err(Refusal::client(700_212, words));
        }
        let found = of_issuer.iter().find(|one| one.audience == audience && one.subject == subject);
        found.copied().ok_or_else(|| {
            let start =
                format!("No matching federated identity record found for presented assertion subject '{subject}'.");
            let alike =
                of_issuer.iter().any(|one| one.audience == audience && one.subject.eq_ignore_ascii_case(subject));
            if alike {
                let words =
                    "The subject matches with case-insensitive comparison, but not with case-sensitive comparison.";
                return Refusal::client(7_002_138, format!("{start} {words} {HELP}"));
            }
            Refusal::client(700_213, format!("{start} {HELP}"))
        })
    }
}

/// The issuer's keys, by discovery; each time anew.
pub(super) async fn keys(credential: &Federated) -> Result<Value, Refusal> {
    let client = client(credential)?;
    let url = format!("{}/.well-known/openid-configuration", credential.issuer.trim_end_matches('/'));
    let document = fetch(&client, credential, &url).await?;
    if document.get("issuer").and_then(Value::as_str) != Some(&credential.issuer) {
        return Err(unreachable("the document's `issuer` is another"));
    }
    let keys = document.get("jwks_uri").and_then(Value::as_str).ok_or_else(|| unreachable("no `jwks_uri`"))?;
    fetch(&client, credential, keys).await
}

fn unreachable(what: impl std::fmt::Display) -> Refusal {
    Refusal::request(50_166, format!("Request to External OIDC endpoint failed. {what}"))
}

fn client(credential: &Federated) -> Result<reqwest::Client, Refusal> {
    let builder = reqwest::Client::builder().timeout(FETCH_LIMIT).no_proxy();
    let mut builder = builder.redirect(reqwest::redirect::Policy::none());
    if let Some(pem) = &credential.ca_pem {
        let authority = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(unreachable)?;
        builder = builder.tls_certs_only([authority]);
    }
    if let (Some(address), Ok(url)) = (credential.at, reqwest::Url::parse(&credential.issuer)) {
        builder = builder.resolve(url.host_str().unwrap_or_default(), address);
    }
    builder.build().map_err(unreachable)
}

async fn fetch(client: &reqwest::Client, credential: &Federated, url: &str) -> Result<Value, Refusal> {
    let parsed = reqwest::Url::parse(url).map_err(unreachable)?;
    let loopback = credential.issuer.starts_with("http://") && parsed.host_str() == Some("127.0.0.1");
    if parsed.scheme() != "https" && !loopback {
        return Err(unreachable(format!("`{url}` is not https")));
    }
    let mut response = client.get(parsed).send().await.map_err(|error| unreachable(error.without_url()))?;
    if !response.status().is_success() {
        return Err(unreachable(format!("it answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(error.without_url()))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT {
            return Err(unreachable("the answer is too long"));
        }
    }
    serde_json::from_slice(&body).map_err(|_| unreachable("the answer is not JSON"))
}
