//! Access tokens: how they are signed, and how a resource verifies one.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{App, Directory, TENANT, held};
use crate::random_hex;

/// The tenant's signing key.
#[derive(Debug)]
pub(crate) struct Signer {
    key: RsaKeyPair,
    id: String,
}

impl Signer {
    pub(crate) fn make() -> Result<Self, String> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "cannot make a key".to_owned())?;
        Ok(Self { key, id: random_hex(20)? })
    }

    pub(crate) fn jwks(&self) -> Value {
        let public = self.key.public_key();
        let (n, e) =
            (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "kid": self.id, "x5t": self.id, "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
        }]})
    }

    fn sign(&self, claims: &Value) -> Result<String, String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5t": self.id, "kid": self.id });
        let text = format!("{}.{}", part(&header), part(claims));
        let mut mac = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut mac);
        signed.map_err(|_| "cannot sign".to_owned())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac)))
    }

    fn verified(&self, token: &str) -> Result<Value, String> {
        let [header, payload, mac] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err("not a JWT".to_owned());
        };
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "not base64url".to_owned());
        let head: Value = serde_json::from_slice(&part(header)?).map_err(|_| "no header".to_owned())?;
        if head.get("alg") != Some(&json!("RS256")) || head.get("kid") != Some(&json!(self.id)) {
            return Err("another algorithm or key".to_owned());
        }
        let public = self.key.public_key();
        let key = PublicKeyComponents {
            n: public.modulus().big_endian_without_leading_zero(),
            e: public.exponent().big_endian_without_leading_zero(),
        };
        let signed = format!("{header}.{payload}");
        let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &part(mac)?);
        verified.map_err(|_| "a wrong signature".to_owned())?;
        serde_json::from_slice(&part(payload)?).map_err(|_| "no claims".to_owned())
    }
}

/// A token, its id, and how long it lives.
pub(super) struct Given {
    pub(super) token: String,
    pub(super) uti: String,
    pub(super) life: i64,
}

impl Directory {
    /// A token of the app for a resource: of version 2 for an application's own, else of version 1.
    pub(super) fn give(&self, app: &App, resource: &str) -> Result<Given, String> {
        let now = self.clock.now();
        let life = held(&self.life).unwrap_or(3_600 + random_below(1_800)?);
        let uti = URL_SAFE_NO_PAD.encode(random_hex(11)?);
        let App { client_id, object_id, .. } = app;
        let common = json!({
            "aud": resource, "iat": now, "nbf": now, "exp": now + life, "idtyp": "app", "oid": object_id, "sub": object_id,
            "tid": TENANT, "uti": uti,
        });
        let own = if resource.starts_with("api://") {
            json!({ "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "ver": "2.0", "azp": client_id,
                "azpacr": "2" })
        } else {
            json!({ "iss": format!("https://sts.windows.net/{TENANT}/"), "ver": "1.0", "appid": client_id, "appidacr": "2" })
        };
        let mut claims = common;
        if let (Some(claims), Value::Object(own)) = (claims.as_object_mut(), own) {
            claims.extend(own);
        }
        Ok(Given { token: self.signer.sign(&claims)?, uti, life })
    }

    /// What a resource asks of a token: signature, issuer, tenant, audience, times.
    pub(crate) fn verify(&self, token: &str, audience: &str) -> Result<Value, String> {
        let claims = self.signer.verified(token)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let issuers =
            [format!("https://sts.windows.net/{TENANT}/"), format!("https://login.microsoftonline.com/{TENANT}/v2.0")];
        if !issuers.iter().any(|issuer| issuer == text("iss")) || text("tid") != TENANT {
            return Err("another tenant's token".to_owned());
        }
        if text("aud") != audience {
            return Err(format!("a token for `{}`", text("aud")));
        }
        let (now, time) = (self.clock.now(), |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default());
        if now >= time("exp") || now < time("nbf") {
            return Err("a token that has ended or not begun".to_owned());
        }
        Ok(claims)
    }
}

fn random_below(most: i64) -> Result<i64, String> {
    let digits = random_hex(4)?;
    let number = i64::from_str_radix(&digits, 16).map_err(|error| error.to_string())?;
    Ok(number % most)
}
