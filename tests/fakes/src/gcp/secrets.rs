//! The part of Secret Manager that gives out a version's value, and adds versions.
//!
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>,
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/addVersion>

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::project::Project;
use super::refusal::Refusal;
use super::service::{Entry, Heard};
use super::{Cloud, NUMBER};

/// A secret: its versions, oldest first, and who may do what.
pub(crate) struct Stored {
    pub(crate) versions: Vec<Option<Vec<u8>>>,
    pub(crate) bindings: Vec<(String, String)>,
}

pub(super) fn serve(cloud: &Cloud, heard: &Heard, name: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    entry.service = "secretmanager.googleapis.com";
    let mut project = cloud.project();
    let caller = project.shown(heard.authorization(), cloud.clock.now())?;
    caller.principal.clone_into(&mut entry.principal);
    if !caller.scopes.iter().any(|scope| scope == "https://www.googleapis.com/auth/cloud-platform") {
        return Err(Refusal::scope());
    }
    if let Some(secret) = name.strip_suffix(":addVersion") {
        return add(&mut project, heard, secret, &caller.members, entry);
    }
    let unknown = || Refusal::rpc(404, "NOT_FOUND", "The requested URL was not found on this server.");
    let version = name.strip_suffix(":access").ok_or_else(unknown)?;
    if heard.method != "GET" || !heard.query.is_empty() || !heard.body.is_empty() {
        return Err(Refusal::argument("A version's value is asked for by a GET without a query."));
    }
    (entry.method, entry.resource) = ("AccessSecretVersion", version.to_owned());
    let (secret, version) = version.split_once("/versions/").ok_or_else(unknown)?;
    // Who may not see a secret is not told whether it is there.
    let stored = project.secrets.get(secret);
    let may = |stored: &&Stored| {
        let held = |(role, member): &(String, String)| {
            role == "roles/secretmanager.secretAccessor" && caller.members.contains(member)
        };
        stored.bindings.iter().any(held)
    };
    let stored = stored.filter(may);
    let stored = stored.ok_or_else(|| Refusal::permission("secretmanager.versions.access", version))?;
    let newest = stored.versions.len();
    let number = if version == "latest" { newest } else { version.parse().unwrap_or(0) };
    let found = number.checked_sub(1).and_then(|at| stored.versions.get(at));
    let found = found.ok_or_else(|| {
        Refusal::rpc(404, "NOT_FOUND", format!("Secret Version [{secret}/versions/{version}] not found."))
    })?;
    let value = found.as_ref().ok_or_else(|| {
        let words = format!("Secret Version [{secret}/versions/{number}] is in DISABLED state.");
        Refusal::rpc(400, "FAILED_PRECONDITION", words)
    })?;
    let own = secret.split_once("/secrets/").map(|(_, own)| own).unwrap_or_default();
    let mut sum = super::kms::sum(value);
    if project.spoilt == Some(super::Spoilt::Secret) {
        sum ^= 1;
    }
    Ok(json!({
        "name": format!("projects/{NUMBER}/secrets/{own}/versions/{number}"),
        "payload": { "data": STANDARD.encode(value), "dataCrc32c": sum.to_string() },
    }))
}

/// A new version: its value in Base64, with its checksum, and nothing else.
fn add(
    project: &mut Project,
    heard: &Heard,
    secret: &str,
    members: &BTreeSet<String>,
    entry: &mut Entry,
) -> Result<Value, Refusal> {
    (entry.method, entry.resource) = ("AddSecretVersion", secret.to_owned());
    if heard.method != "POST" || !heard.query.is_empty() {
        return Err(Refusal::argument("A version is added by a POST without a query."));
    }
    let stored = project.secrets.get_mut(secret).filter(|stored| {
        let held = |(role, member): &(String, String)| {
            role == "roles/secretmanager.secretVersionAdder" && members.contains(member)
        };
        stored.bindings.iter().any(held)
    });
    let stored = stored.ok_or_else(|| Refusal::permission("secretmanager.versions.add", secret))?;
    let asked: Value = serde_json::from_slice(heard.body.as_ref()).unwrap_or_default();
    let payload = asked.get("payload").and_then(Value::as_object);
    let whole = asked.as_object().is_some_and(|asked| asked.len() == 1) && payload.is_some_and(|of| of.len() == 2);
    let text = |name: &str| payload.and_then(|payload| payload.get(name)).and_then(Value::as_str).unwrap_or_default();
    let value = STANDARD.decode(text("data")).ok().filter(|value| whole && !value.is_empty());
    let value = value.ok_or_else(|| Refusal::argument("The payload has data in Base64 and its checksum."))?;
    if text("dataCrc32c") != super::kms::sum(&value).to_string() {
        return Err(Refusal::argument("The checksum is another than the data's."));
    }
    stored.versions.push(Some(value));
    let own = secret.split_once("/secrets/").map(|(_, own)| own).unwrap_or_default();
    let number = stored.versions.len();
    Ok(json!({ "name": format!("projects/{NUMBER}/secrets/{own}/versions/{number}"), "state": "ENABLED" }))
}
