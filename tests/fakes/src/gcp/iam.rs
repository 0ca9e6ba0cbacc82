//! The IAM credentials service.
//!
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts>

use serde_json::{Value, json};

use super::project::Kind;
use super::refusal::Refusal;
use super::service::{Entry, Heard};
use super::{Cloud, Trouble, id_token};
use crate::clock;

const IAM: &str = "https://www.googleapis.com/auth/iam";
const PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";
const FAR: i64 = 10 * 365 * 24 * 3_600;

/// `EMAIL:method`, behind the project that must not be named.
pub(super) fn serve(cloud: &Cloud, heard: &Heard, rest: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    let (email, method) = rest.split_once(':').unwrap_or((rest, ""));
    let email = email.replace("%40", "@");
    entry.resource = format!("projects/-/serviceAccounts/{email}");
    match method {
        "generateAccessToken" => {
            entry.method = "google.iam.credentials.v1.IAMCredentials.GenerateAccessToken";
            access_token(cloud, heard, &email, entry)
        }
        "generateIdToken" => {
            entry.method = "google.iam.credentials.v1.IAMCredentials.GenerateIdToken";
            identity(cloud, heard, &email, entry)
        }
        _ => Err(Refusal::rpc(404, "NOT_FOUND", "The requested URL was not found on this server.")),
    }
}

fn access_token(cloud: &Cloud, heard: &Heard, email: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    let now = cloud.clock.now();
    let mut project = cloud.project();
    let caller = project.shown(heard.authorization(), now)?;
    caller.principal.clone_into(&mut entry.principal);
    if !caller.scopes.iter().any(|scope| scope == IAM || scope == PLATFORM) {
        return Err(Refusal::scope());
    }
    let asked = heard.object(&["delegates", "scope", "lifetime"])?;
    entry.request = asked.clone();
    let delegates = delegates(&asked)?;
    let scopes: Vec<String> = texts(&asked, "scope")?;
    if scopes.is_empty() || !scopes.iter().all(|scope| super::is_scope(scope)) {
        return Err(Refusal::argument("Request contains an invalid argument: scope."));
    }
    let lifetime = match asked.get("lifetime") {
        None => 3_600,
        Some(text) => {
            seconds(text).ok_or_else(|| Refusal::argument("Request contains an invalid argument: lifetime."))?
        }
    };
    let permission = "iam.serviceAccounts.getAccessToken";
    let account = project.acting(&caller, &delegates, email, permission, cloud.trouble())?;
    if lifetime > account.longest {
        let words = format!(
            "The access token lifetime cannot exceed {} seconds. To extend it, list the service account in \
             constraints/iam.allowServiceAccountCredentialLifetimeExtension.",
            account.longest
        );
        return Err(Refusal::argument(words));
    }
    let issued = project.of_account(email, Kind::Access, scopes, (now, now + lifetime));
    let mut issued = issued.ok_or_else(Refusal::unauthenticated)?;
    issued.reason = heard.reason();
    let token = project.give("ya29.c.", issued).map_err(|why| Refusal::rpc(500, "INTERNAL", why))?;
    let far = if cloud.trouble() == Some(Trouble::FarExpiry) { FAR } else { 0 };
    Ok(json!({ "accessToken": token, "expireTime": clock::iso(now + lifetime + far) }))
}

fn identity(cloud: &Cloud, heard: &Heard, email: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    let now = cloud.clock.now();
    let mut project = cloud.project();
    let caller = project.shown(heard.authorization(), now)?;
    caller.principal.clone_into(&mut entry.principal);
    if !caller.scopes.iter().any(|scope| scope == IAM || scope == PLATFORM) {
        return Err(Refusal::scope());
    }
    let asked = heard.object(&["delegates", "audience", "includeEmail"])?;
    entry.request = asked.clone();
    let delegates = delegates(&asked)?;
    let audience = asked.get("audience").and_then(Value::as_str).filter(|text| !text.is_empty());
    let audience = audience.ok_or_else(|| Refusal::argument("Request contains an invalid argument: audience."))?;
    let permission = "iam.serviceAccounts.getOpenIdToken";
    project.acting(&caller, &delegates, email, permission, cloud.trouble())?;
    let issued = project.of_account(email, Kind::Identity, Vec::new(), (now, now + 3_600));
    let mut issued = issued.ok_or_else(Refusal::unauthenticated)?;
    (issued.audience, issued.reason) = (Some(audience.to_owned()), heard.reason());
    let far = if cloud.trouble() == Some(Trouble::FarExpiry) { FAR } else { 0 };
    let mut claims = json!({
        "iss": "https://accounts.google.com", "aud": audience, "azp": issued.number, "sub": issued.number,
        "iat": now, "exp": now + 3_600 + far,
    });
    if asked.get("includeEmail").and_then(Value::as_bool) == Some(true)
        && let Some(members) = claims.as_object_mut()
    {
        members.insert("email".to_owned(), email.into());
        members.insert("email_verified".to_owned(), true.into());
    }
    let token = id_token(&cloud.google, &claims).map_err(|why| Refusal::rpc(500, "INTERNAL", why))?;
    project.tokens.insert(token.clone(), issued);
    Ok(json!({ "token": token }))
}

/// Whole seconds, as `3600s`.
fn seconds(text: &Value) -> Option<i64> {
    let digits = text.as_str()?.strip_suffix('s')?;
    let whole = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|seconds| whole && *seconds > 0)
}

fn texts(asked: &Value, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::argument(format!("Request contains an invalid argument: {name}."));
    // As in all of Google's JSON, null is as good as nothing.
    let Some(list) = asked.get(name).filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(wrong)?;
    list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

/// The delegates' addresses.
fn delegates(asked: &Value) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::argument("Request contains an invalid argument: delegates.");
    let named = texts(asked, "delegates")?;
    let address = |name: &String| name.strip_prefix("projects/-/serviceAccounts/").map(str::to_owned);
    named.iter().map(|name| address(name).ok_or_else(wrong)).collect()
}
