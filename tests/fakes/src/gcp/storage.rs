//! Objects of Cloud Storage by the JSON API: to read one, and to write one. What a token may do there is what its principal's roles at
//! the bucket, its OAuth scopes and its boundary all allow.

use serde_json::{Value, json};

use super::Cloud;
use super::cel::{Expression, Scope};
use super::project::Issued;
use super::refusal::Refusal;
use super::service::{Entry, Heard, fields};

const READERS: [&str; 3] = ["roles/storage.objectViewer", "roles/storage.objectAdmin", "roles/storage.objectUser"];
const WRITERS: [&str; 3] = ["roles/storage.objectCreator", "roles/storage.objectAdmin", "roles/storage.objectUser"];
const AUTH: &str = "https://www.googleapis.com/auth/";

pub(super) fn serve(cloud: &Cloud, heard: &Heard, entry: &mut Entry) -> Result<Value, Refusal> {
    entry.service = "storage.googleapis.com";
    let query = fields(&heard.query)?;
    let not_found = || Refusal::rpc(404, "NOT_FOUND", "The specified bucket or object does not exist.");
    let now = cloud.clock.now();
    let mut project = cloud.project();
    let caller = project.shown(heard.authorization(), now)?;
    caller.principal.clone_into(&mut entry.principal);
    let writes = heard.path.starts_with("/upload/");
    let rest = heard.path.trim_start_matches("/upload").strip_prefix("/storage/v1/b/").unwrap_or_default();
    let (bucket, object) = rest.split_once("/o").ok_or_else(not_found)?;
    let object = if writes {
        query.get("name").cloned().unwrap_or_default()
    } else {
        object.trim_start_matches('/').replace("%2F", "/").replace("%2f", "/")
    };
    (entry.method, entry.resource) = (
        if writes { "storage.objects.create" } else { "storage.objects.get" },
        format!("projects/_/buckets/{bucket}/objects/{object}"),
    );
    let known = project.buckets.get(bucket).ok_or_else(not_found)?;
    let roles = if writes { WRITERS } else { READERS };
    let held =
        known.bindings.iter().filter(|(_, member)| caller.members.contains(member)).map(|(role, _)| role.as_str());
    if !held.clone().any(|role| roles.contains(&role)) {
        return Err(denied(&caller, entry));
    }
    let scopes: &[&str] = if writes {
        &["cloud-platform", "devstorage.read_write", "devstorage.full_control"]
    } else {
        &["cloud-platform", "devstorage.read_only", "devstorage.read_write", "devstorage.full_control"]
    };
    let scoped = caller.scopes.iter().filter_map(|scope| scope.strip_prefix(AUTH));
    if !scoped.clone().any(|scope| scopes.contains(&scope)) {
        return Err(Refusal::scope());
    }
    if !within(&caller, bucket, &entry.resource, &roles) {
        return Err(denied(&caller, entry));
    }
    if writes {
        let content = String::from_utf8_lossy(&heard.body).into_owned();
        if let Some(bucket) = project.buckets.get_mut(bucket) {
            bucket.objects.insert(object.clone(), content);
        }
        return Ok(json!({ "kind": "storage#object", "bucket": bucket, "name": object }));
    }
    let content = known.objects.get(&object).cloned().ok_or_else(not_found)?;
    match query.get("alt").map(String::as_str) {
        Some("media") => Ok(Value::String(content)),
        _ => Ok(json!({ "kind": "storage#object", "bucket": bucket, "name": object })),
    }
}

/// Whether a rule of the token's boundary makes one of the roles available there.
fn within(caller: &Issued, bucket: &str, resource: &str, roles: &[&str]) -> bool {
    let Some(rules) = &caller.boundary else { return true };
    let named =
        json!({ "name": resource, "service": "storage.googleapis.com", "type": "storage.googleapis.com/Object" });
    let scope = Scope::from([("resource".to_owned(), named)]);
    rules.as_array().into_iter().flatten().any(|rule| {
        let here = rule.get("availableResource").and_then(Value::as_str)
            == Some(&format!("//storage.googleapis.com/projects/_/buckets/{bucket}"));
        let permissions = rule.get("availablePermissions").and_then(Value::as_array).into_iter().flatten();
        let available = permissions.filter_map(Value::as_str).filter_map(|text| text.strip_prefix("inRole:"));
        let condition = rule.pointer("/availabilityCondition/expression").and_then(Value::as_str);
        let holds = condition
            .is_none_or(|text| Expression::parse(text).and_then(|expression| expression.holds(&scope)) == Ok(true));
        here && holds && available.clone().any(|role| roles.contains(&role))
    })
}

fn denied(caller: &Issued, entry: &Entry) -> Refusal {
    let words = format!(
        "{} does not have {} access to the Google Cloud Storage object. Permission '{}' denied on resource (or it may not exist).",
        caller.principal, entry.method, entry.method
    );
    Refusal::rpc(403, "PERMISSION_DENIED", words)
}
