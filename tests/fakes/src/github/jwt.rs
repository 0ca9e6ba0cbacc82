//! The App's JWT, as GitHub checks it: RS256, `iat` in the past, `exp` within ten minutes, `iss` the client id or the number.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::account::App;
use super::answer::Answer;

/// How far in the future a JWT may end, in seconds.
const LONGEST: i64 = 600;

pub(super) fn check(jwt: &str, app: &App, now: i64) -> Result<(), Answer> {
    let undecoded = || Answer::error(401, "A JSON web token could not be decoded");
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(undecoded()) };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let object = |part: &str| serde_json::from_slice::<Map<String, Value>>(&decoded(part)?).ok();
    let (header, named) = (object(header).ok_or_else(undecoded)?, format!("{header}.{claims}"));
    let claims = object(claims).ok_or_else(undecoded)?;
    if header.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(undecoded());
    }
    let whole = |name: &str| claims.get(name).and_then(Value::as_i64);
    let issuer = match claims.get("iss") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(undecoded()),
    };
    if issuer != app.client_id && issuer != app.id.to_string() {
        return Err(Answer::error(404, "Integration not found"));
    }
    let signature = decoded(signature).ok_or_else(undecoded)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, app.public());
    key.verify(named.as_bytes(), &signature).map_err(|_| undecoded())?;
    let issued = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    if whole("iat").is_none_or(|issued| issued > now) {
        return Err(Answer::error(401, issued));
    }
    let expires = "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the \
                   assertion expires";
    let end = whole("exp").filter(|end| *end > now).ok_or_else(|| Answer::error(401, expires))?;
    if end > now + LONGEST {
        return Err(Answer::error(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    // Stricter: whatever else it claims was not asked for.
    match claims.keys().find(|name| !["iat", "exp", "iss"].contains(&name.as_str())) {
        Some(name) => Err(Answer::error(401, &format!("the claim `{name}` is none of an App's"))),
        None => Ok(()),
    }
}
