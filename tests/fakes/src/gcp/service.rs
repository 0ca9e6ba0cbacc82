//! One request: of which service, and what goes back and into the audit.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, header};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::{Cloud, Texts, Trouble, iam, info, kms, secrets, storage, sts};
use crate::{clock, random_hex};

const BODY_LIMIT: usize = 1024 * 1024;

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new().fallback(serve).with_state(cloud)
}

/// A request, as far as any service looks at it.
pub(super) struct Heard {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.header("x-goog-request-reason").map(str::to_owned)
    }

    /// The fields of a form, each once.
    pub(super) fn form(&self) -> Result<Texts, Refusal> {
        let kind = self.header("content-type").unwrap_or_default();
        if self.method != "POST" || !kind.starts_with("application/x-www-form-urlencoded") || !self.query.is_empty() {
            return Err(Refusal::request("What is posted must be a form, and in the body alone."));
        }
        let text = std::str::from_utf8(&self.body).map_err(|_| Refusal::request("The form is not UTF-8."))?;
        fields(text)
    }

    /// A JSON object with no member but these.
    pub(super) fn object(&self, members: &[&str]) -> Result<Value, Refusal> {
        let json = self.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let object = value.as_object().filter(|_| json && self.method == "POST" && self.query.is_empty());
        let object = object.ok_or_else(|| Refusal::argument("Invalid JSON payload received."))?;
        if let Some(unknown) = object.keys().find(|name| !members.contains(&name.as_str())) {
            let words = format!("Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field.");
            return Err(Refusal::argument(words));
        }
        Ok(value)
    }
}

/// The fields of a form or a query, each once.
pub(super) fn fields(text: &str) -> Result<Texts, Refusal> {
    let address = reqwest::Url::parse(&format!("http://form/?{text}")).map_err(|_| Refusal::request("No form."))?;
    let mut fields = Texts::new();
    for (name, value) in address.query_pairs() {
        if fields.insert(name.to_string(), value.into_owned()).is_some() {
            return Err(Refusal::request(format!("The parameter {name} is given twice.")));
        }
    }
    Ok(fields)
}

/// What is written of a call while it is served.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) service: &'static str,
    pub(super) method: &'static str,
    pub(super) resource: String,
    /// Whom Google sees: an address or a principal.
    pub(super) principal: String,
    pub(super) request: Value,
}

impl Entry {
    fn event(self, heard: &Heard, at: i64, id: &str, outcome: &Result<Value, Refusal>) -> Value {
        let who = if self.principal.starts_with("principal://") { "principalSubject" } else { "principalEmail" };
        let status = match outcome {
            Ok(_) => json!({}),
            Err(refusal) => json!({ "code": refusal.status, "message": refusal.body.to_string() }),
        };
        json!({
            "insertId": id,
            "timestamp": clock::iso(at),
            "protoPayload": {
                "serviceName": self.service,
                "methodName": self.method,
                "resourceName": self.resource,
                "authenticationInfo": { who: self.principal },
                "requestMetadata": {
                    "callerIp": "127.0.0.1",
                    "callerSuppliedUserAgent": heard.header("user-agent").unwrap_or_default(),
                    "requestAttributes": { "time": clock::iso(at), "reason": heard.reason() },
                },
                "request": self.request,
                "status": status,
            },
        })
    }
}

async fn serve(State(cloud): State<Arc<Cloud>>, request: Request) -> Response<Body> {
    let id = random_hex(8).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return answer(413, &json!({ "error": "request_too_large" }));
    };
    let heard = Heard {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let mut entry = Entry::default();
    let outcome = answered(&cloud, &heard, &mut entry).await;
    let tokens = matches!(entry.service, "sts.googleapis.com" | "iamcredentials.googleapis.com");
    if !entry.method.is_empty() {
        cloud.write(entry.event(&heard, cloud.clock.now(), &id, &outcome));
    }
    let response = match outcome {
        // Content alone.
        Ok(Value::String(content)) => Response::new(Body::from(content)),
        Ok(value) => answer(200, &value),
        Err(refusal) => answer(refusal.status, &refusal.body),
    };
    if tokens && cloud.trouble() == Some(Trouble::CutShort) {
        return crate::halves::cut_short(response).await;
    }
    response
}

fn answer(status: u16, value: &Value) -> Response<Body> {
    let built = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json; charset=UTF-8");
    built.body(Body::from(value.to_string())).unwrap_or_default()
}

async fn answered(cloud: &Cloud, heard: &Heard, entry: &mut Entry) -> Result<Value, Refusal> {
    let path = heard.path.as_str();
    if path == "/v1/token" {
        entry.service = "sts.googleapis.com";
        trouble(cloud).await?;
        return sts::serve(cloud, heard, entry).await;
    }
    if let Some(rest) = path.strip_prefix("/v1/projects/-/serviceAccounts/") {
        entry.service = "iamcredentials.googleapis.com";
        trouble(cloud).await?;
        return iam::serve(cloud, heard, rest, entry);
    }
    if path == "/tokeninfo" {
        return info::serve(cloud, heard);
    }
    if path == "/oauth2/v3/certs" {
        return cloud.google.keys_document().map_err(|why| Refusal::rpc(500, "INTERNAL", why));
    }
    if let Some(name) = path.strip_prefix("/v1/").filter(|name| name.contains("/cryptoKeys/")) {
        return kms::serve(cloud, heard, name, entry);
    }
    if let Some(name) = path.strip_prefix("/v1/").filter(|name| name.contains("/secrets/")) {
        return secrets::serve(cloud, heard, name, entry);
    }
    if path.starts_with("/storage/v1/b/") || path.starts_with("/upload/storage/v1/b/") {
        return storage::serve(cloud, heard, entry);
    }
    Err(Refusal::rpc(404, "NOT_FOUND", "The requested URL was not found on this server."))
}

/// The trouble that comes before anything is looked at.
async fn trouble(cloud: &Cloud) -> Result<(), Refusal> {
    match cloud.trouble() {
        Some(Trouble::Throttled) => Err(Refusal::rpc(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric.")),
        Some(Trouble::ServerError) => Err(Refusal::rpc(503, "UNAVAILABLE", "The service is currently unavailable.")),
        Some(Trouble::Silent) => std::future::pending().await,
        _ => Ok(()),
    }
}
