//! S3 and the other services: what is asked for is named, the caller's policies are held to it, and moto answers.
//!
//! Of S3 only what is named below passes, in path style. Of other services the resource is not known here, so that a policy which
//! names resources does not allow them; but a secret of Secrets Manager that is asked for by its ARN is.

use axum::body::Body;
use axum::http::Response;

use super::account::{Caller, context_of};
use super::audit::Entry;
use super::query::Params;
use super::refusal::Refusal;
use super::{Cloud, answer};
use crate::sigv4::{Heard, decode, pairs};

/// An action of S3 and the ARN that it is on.
fn s3(heard: &Heard<'_>) -> Result<(&'static str, String), Refusal> {
    let unknown =
        || Refusal::new(501, "NotImplemented", "the fake knows objects and lists of objects alone, in path style");
    let path = decode(heard.path).ok_or_else(|| Refusal::new(400, "InvalidURI", "the path is not percent-encoded"))?;
    // A client of HTTP would normalise them away, and moto would be asked for something else.
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(unknown());
    }
    let query = pairs(heard.query).ok_or_else(unknown)?;
    let queried = query.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("X-Amz-"));
    let queried: Vec<&str> = queried.collect();
    let only = |known: &[&str]| queried.iter().all(|name| known.contains(name) || *name == "x-id");
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let arn = if key.is_empty() { format!("arn:aws:s3:::{bucket}") } else { format!("arn:aws:s3:::{bucket}/{key}") };
    let action = match (heard.method, bucket.is_empty(), key.is_empty()) {
        ("GET", true, _) if only(&[]) => return Ok(("s3:ListAllMyBuckets", "*".to_owned())),
        ("GET", false, true) if only(&LISTING) => "s3:ListBucket",
        ("HEAD", false, true) if only(&[]) => "s3:ListBucket",
        ("GET" | "HEAD", false, false) if only(&[]) => "s3:GetObject",
        ("PUT", false, false) if only(&[]) && heard.header("x-amz-copy-source").is_none() => "s3:PutObject",
        ("DELETE", false, false) if only(&[]) => "s3:DeleteObject",
        _ => return Err(unknown()),
    };
    Ok((action, arn))
}

const LISTING: [&str; 8] = [
    "list-type",
    "prefix",
    "delimiter",
    "max-keys",
    "continuation-token",
    "start-after",
    "encoding-type",
    "fetch-owner",
];

/// An action of another service: the Query protocol's `Action`, or the JSON protocols' target.
fn other(service: &str, heard: &Heard<'_>) -> Result<(String, String), Refusal> {
    let unknown = || Refusal::new(501, "NotImplemented", "the fake knows the Query and JSON protocols alone");
    let action = match heard.header("x-amz-target") {
        Some(target) => target.rsplit('.').next().map(str::to_owned),
        None => std::str::from_utf8(heard.body).ok().and_then(|form| Params::parse(form).ok()?.optional("Action")),
    };
    let resource = (service == "secretsmanager").then(|| secret(heard.body)).flatten();
    Ok((format!("{service}:{}", action.ok_or_else(unknown)?), resource.unwrap_or_else(|| "*".to_owned())))
}

/// The ARN of the secret that is asked for, where it is asked for by that.
fn secret(body: &[u8]) -> Option<String> {
    let asked: serde_json::Value = serde_json::from_slice(body).ok()?;
    asked.get("SecretId")?.as_str().filter(|id| id.starts_with("arn:")).map(str::to_owned)
}

pub(super) async fn serve(
    cloud: &Cloud,
    caller: &Caller,
    service: &str,
    heard: &Heard<'_>,
    entry: &mut Entry,
) -> Result<Response<Body>, Refusal> {
    let (action, resource) = match service {
        "s3" => s3(heard).map(|(action, arn)| (action.to_owned(), arn))?,
        _ => other(service, heard)?,
    };
    entry.name = action.split_once(':').map(|(_, name)| name.to_owned()).unwrap_or_default();
    entry.parameter("resource", resource.clone());
    let mut context = context_of(caller, cloud.clock.now());
    if let Some((_, prefix)) = pairs(heard.query).unwrap_or_default().into_iter().find(|(name, _)| name == "prefix") {
        context.set("s3:prefix", prefix);
    }
    cloud.account().may(caller, &action, &resource, &context)?;
    forward(cloud, heard).await.map_err(|what| Refusal::new(500, "InternalError", what))
}

/// Sends the request on as it is, its host included: that is what was signed, and moto checks it too.
async fn forward(cloud: &Cloud, heard: &Heard<'_>) -> Result<Response<Body>, String> {
    let question = if heard.query.is_empty() { "" } else { "?" };
    let url = format!("http://{}{}{question}{}", cloud.emulator.address, heard.path, heard.query);
    let method = heard.method.parse::<reqwest::Method>().map_err(|error| error.to_string())?;
    let mut request = cloud.http.request(method, url).body(heard.body.to_vec());
    for (name, value) in heard.headers.iter().filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let said = |error: reqwest::Error| format!("moto: {error}");
    let response = request.send().await.map_err(said)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut answer = answer::respond(status, "application/octet-stream", String::new(), "");
    *answer.body_mut() = Body::from(response.bytes().await.map_err(said)?);
    *answer.headers_mut() = headers;
    for name in HOP_BY_HOP {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}

const HOP_BY_HOP: [&str; 4] = ["connection", "transfer-encoding", "keep-alive", "expect"];
