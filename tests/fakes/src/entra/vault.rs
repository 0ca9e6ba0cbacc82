//! The part of Key Vault that shows a key's public half and signs by it, and the part that gives out secrets.
//!
//! <https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign>,
//! <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>,
//! <https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret/set-secret>

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::refusal::json_response;
use super::{Asked, Directory, TENANT, VaultKey, VaultSecret, held};
use crate::random_hex;

const VAULT: &str = "https://writ.vault.azure.net";
const AUDIENCE: &str = "https://vault.azure.net";

#[derive(Debug)]
pub(crate) struct Held {
    key: VaultKey,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

pub(super) fn make(directory: &Directory, name: &str, key: &VaultKey) -> Result<String, String> {
    let broken = |_| "cannot make a key".to_owned();
    let pair = if key.kind.starts_with("EC") {
        Pair::P256(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map_err(broken)?)
    } else {
        Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(broken)?)
    };
    let path = format!("{name}/{}", random_hex(16)?);
    held(&directory.vault).insert(path.clone(), Held { key: key.clone(), pair });
    Ok(format!("{VAULT}/keys/{path}"))
}

fn refused(status: u16, code: &str, words: &str) -> Response<Body> {
    json_response(status, &json!({ "error": { "code": code, "message": words } }))
}

fn challenge(words: &str) -> Response<Body> {
    let mut response = refused(401, "Unauthorized", words);
    let value = format!("Bearer authorization=\"https://login.microsoftonline.com/{TENANT}\", resource=\"{AUDIENCE}\"");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// The object id of whoever asks.
fn caller(directory: &Directory, query: &str, asked: &Asked) -> Result<String, Box<Response<Body>>> {
    if query != "api-version=7.4" {
        let words = "The request URI contains an invalid api-version.";
        return Err(Box::new(refused(400, "BadParameter", words)));
    }
    let Some(token) = asked.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return Err(Box::new(challenge("AKV10000: Request is missing a Bearer or PoP token.")));
    };
    let claims = directory.verify(token, AUDIENCE);
    let claims = claims.map_err(|why| Box::new(challenge(&format!("AKV10022: Invalid audience or token. {why}"))))?;
    Ok(claims.get("oid").and_then(Value::as_str).unwrap_or_default().to_owned())
}

pub(super) fn secret_id(name: &str) -> String {
    format!("{VAULT}/secrets/{name}")
}

/// The newest version of a secret, or the one that is named.
pub(super) fn secret(directory: &Directory, name: &str, rest: &[&str], query: &str, asked: &Asked) -> Response<Body> {
    held(&directory.vault_log).push(asked.clone());
    let object = match caller(directory, query, asked) {
        Ok(object) => object,
        Err(response) => return *response,
    };
    let secrets = held(&directory.secrets);
    let versions = secrets.get(name).map(Vec::as_slice).unwrap_or_default();
    let found = match rest {
        [] | [""] => versions.last(),
        [version] => versions.iter().find(|one| one.version == *version),
        _ => None,
    };
    let Some(found) = found else {
        let words = format!("A secret with (name/id) {name} was not found in this key vault.");
        return refused(404, "SecretNotFound", &words);
    };
    if !found.users.contains(&object) {
        return refused(403, "Forbidden", "Caller is not authorized to perform action on resource.");
    }
    if !found.enabled {
        return refused(403, "Forbidden", "Operation get is not allowed on a disabled secret.");
    }
    json_response(200, &bundle(name, found))
}

fn bundle(name: &str, found: &VaultSecret) -> Value {
    let attributes = json!({ "enabled": true, "created": 1_700_000_000, "updated": 1_700_000_000 });
    let id = format!("{}/{}", secret_id(name), found.version);
    let mut bundle = json!({ "value": found.value, "id": id, "attributes": attributes });
    if let Some(members) = bundle.as_object_mut() {
        members.extend(found.content_type.as_ref().map(|text| ("contentType".to_owned(), json!(text))));
        members.extend(found.tags.as_ref().map(|tags| ("tags".to_owned(), json!(tags))));
    }
    bundle
}

/// A new version of a secret that is there, which takes nothing from the one before but who may do what.
pub(super) fn set_secret(directory: &Directory, name: &str, query: &str, asked: &Asked) -> Response<Body> {
    held(&directory.vault_log).push(asked.clone());
    let object = match caller(directory, query, asked) {
        Ok(object) => object,
        Err(response) => return *response,
    };
    let mut secrets = held(&directory.secrets);
    let Some(versions) = secrets.get_mut(name) else {
        return refused(403, "Forbidden", "Caller is not authorized to perform action on resource.");
    };
    let Some(newest) = versions.last().filter(|newest| newest.writers.contains(&object)).cloned() else {
        return refused(403, "Forbidden", "Caller is not authorized to perform action on resource.");
    };
    let members = serde_json::from_str::<serde_json::Map<String, Value>>(&asked.body).unwrap_or_default();
    let known = members.keys().all(|name| ["value", "contentType", "tags", "attributes"].contains(&name.as_str()));
    let (Some(value), true) = (members.get("value").and_then(Value::as_str), known) else {
        return refused(400, "BadParameter", "The parameter value is required, and others are not known.");
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let tags = members.get("tags").and_then(|tags| serde_json::from_value(tags.clone()).ok());
    let Ok(version) = random_hex(16) else { return refused(500, "InternalError", "no random numbers") };
    let set = VaultSecret { version, value: value.to_owned(), content_type: text("contentType"), tags, ..newest };
    let answer = bundle(name, &set);
    versions.push(set);
    json_response(200, &answer)
}

pub(super) fn serve(
    directory: &Directory,
    method: &str,
    name: &str,
    rest: &[&str],
    query: &str,
    asked: &Asked,
) -> Response<Body> {
    let object = match caller(directory, query, asked) {
        Ok(object) => object,
        Err(response) => return *response,
    };
    let [version, operation @ ..] = rest else { return refused(404, "KeyNotFound", "a version must be named here") };
    let path = format!("{name}/{version}");
    let vault = held(&directory.vault);
    let Some(held) = vault.get(&path) else {
        return refused(404, "KeyNotFound", &format!("A key with (name/id) {path} was not found in this key vault."));
    };
    if !held.key.users.contains(&object) {
        return refused(403, "Forbidden", "Caller is not authorized to perform action on resource.");
    }
    let id = format!("{VAULT}/keys/{path}");
    match (method, operation) {
        ("GET", []) => json_response(200, &shown(held, &id)),
        ("POST", ["sign"]) => sign(held, &id, asked).unwrap_or_else(|words| refused(400, "BadParameter", &words)),
        _ => refused(405, "MethodNotAllowed", "not here"),
    }
}

fn shown(held: &Held, id: &str) -> Value {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let VaultKey { kind, operations, enabled, .. } = &held.key;
    let mut key = json!({ "kid": id, "kty": kind, "key_ops": operations });
    let own = match &held.pair {
        Pair::P256(pair) => {
            let (x, y) = pair.public_key().as_ref().get(1..).unwrap_or_default().split_at(32);
            json!({ "crv": "P-256", "x": number(x), "y": number(y) })
        }
        Pair::Rsa(pair) => {
            let public = pair.public_key();
            let (n, e) = (public.modulus(), public.exponent());
            json!({ "n": number(n.big_endian_without_leading_zero()), "e": number(e.big_endian_without_leading_zero()) })
        }
    };
    if let (Some(key), Value::Object(own)) = (key.as_object_mut(), own) {
        key.extend(own);
    }
    json!({ "key": key, "attributes": { "enabled": enabled, "created": 1_700_000_000, "updated": 1_700_000_000 } })
}

/// Signs a digest. The vault is given the digest, and the primitives here want the message: so the digest is signed as it is.
fn sign(held: &Held, id: &str, asked: &Asked) -> Result<Response<Body>, String> {
    if !held.key.enabled || !held.key.operations.contains(&"sign") {
        return Ok(refused(403, "Forbidden", "Operation sign is not permitted on this key."));
    }
    let asked: Value = serde_json::from_str(&asked.body).map_err(|error| error.to_string())?;
    let members = asked.as_object().ok_or("no object")?;
    if members.keys().map(String::as_str).collect::<Vec<_>>() != ["alg", "value"] {
        return Err("`alg` and `value`, and nothing else".to_owned());
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or_else(|| format!("no `{name}`"));
    let digest = URL_SAFE_NO_PAD.decode(text("value")?).map_err(|error| error.to_string())?;
    if digest.len() != 32 {
        return Err("not a SHA-256 digest".to_owned());
    }
    let digest = aws_lc_rs::digest::Digest::import_less_safe(&digest, &aws_lc_rs::digest::SHA256);
    let digest = digest.map_err(|_| "not a digest".to_owned())?;
    let broken = |_| "cannot sign".to_owned();
    let value = match (&held.pair, text("alg")?) {
        (Pair::P256(pair), "ES256") => pair.sign_digest(&digest).map_err(broken)?.as_ref().to_vec(),
        (Pair::Rsa(pair), "RS256") => {
            let mut mac = vec![0; pair.public_modulus_len()];
            pair.sign_digest(&signature::RSA_PKCS1_SHA256, &digest, &mut mac).map_err(broken)?;
            mac
        }
        _ => return Err("an algorithm that is not the key's".to_owned()),
    };
    Ok(json_response(200, &json!({ "kid": id, "value": URL_SAFE_NO_PAD.encode(value) })))
}
