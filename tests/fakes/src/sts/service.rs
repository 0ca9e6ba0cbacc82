//! One request: who asks, of which service, and what goes back and into the audit.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, header};

use super::answer::Shape;
use super::audit::Entry;
use super::query::Params;
use super::refusal::Refusal;
use super::trouble::Trouble;
use super::{Cloud, answer, assume, authenticate, iam, identity, pass, web_identity};
use crate::halves::cut_short;
use crate::sigv4::{Claim, Heard, Wrong};
use crate::{clock, random_hex};

const BODY_LIMIT: usize = 16 * 1024 * 1024;

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new().fallback(serve).with_state(cloud)
}

async fn serve(State(cloud): State<Arc<Cloud>>, request: Request) -> Response<Body> {
    let id = random_hex(16).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return answer::refused(Shape::Sts, &Refusal::new(413, "RequestEntityTooLarge", "too long"), &id);
    };
    let Some(headers) = headers(&parts) else {
        return answer::refused(Shape::Sts, &Refusal::validation("a header is not text"), &id);
    };
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let heard = Heard { method: parts.method.as_str(), path, query, headers: &headers, body: &body };
    let mut entry = Entry::default();
    let (shape, outcome) = answered(&cloud, &heard, &mut entry, &id).await;
    let agent = heard.header("user-agent").unwrap_or_default();
    cloud.trail.write(entry, cloud.clock.now(), &id, agent, outcome.as_ref().err());
    let mut response = outcome.unwrap_or_else(|refusal| answer::refused(shape, &refusal, &id));
    // Clients learn from it that their clocks differ.
    if let Ok(date) = clock::http(cloud.clock.now()).parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    match cloud.trouble() {
        Some(Trouble::CutShort) if matches!(shape, Shape::Sts | Shape::Iam) => cut_short(response).await,
        _ => response,
    }
}

/// The headers in lower case; the host of HTTP/2 is where HTTP/1 has it.
fn headers(parts: &axum::http::request::Parts) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        headers.push((name.as_str().to_owned(), value.to_str().ok()?.to_owned()));
    }
    if let Some(authority) = parts.uri.authority().filter(|_| !parts.headers.contains_key(header::HOST)) {
        headers.push(("host".to_owned(), authority.to_string()));
    }
    Some(headers)
}

type Outcome = Result<Response<Body>, Refusal>;

async fn answered(cloud: &Cloud, heard: &Heard<'_>, entry: &mut Entry, id: &str) -> (Shape, Outcome) {
    let claim = match Claim::of(heard) {
        Ok(claim) => Some(claim),
        // A web identity signs nothing.
        Err(Wrong::Missing) if heard.method == "POST" && heard.path == "/" => None,
        Err(wrong) => return (Shape::Sts, Err(wrong.into())),
    };
    let service = claim.as_ref().map_or("sts", |claim| claim.service.as_str());
    entry.source = format!("{service}.amazonaws.com");
    let shape = match service {
        "sts" => Shape::Sts,
        "iam" => Shape::Iam,
        "s3" => Shape::S3,
        _ if heard.header("x-amz-target").is_some() => Shape::Json,
        _ => Shape::Sts,
    };
    if matches!(service, "sts" | "iam") {
        if let Err(refusal) = trouble(cloud).await {
            return (shape, Err(refusal));
        }
        return (shape, query(cloud, heard, claim, shape, entry, id).await);
    }
    let Some(claim) = claim else { return (shape, Err(Wrong::Missing.into())) };
    let caller = match authenticate::caller(cloud, &claim, heard) {
        Ok(caller) => caller,
        Err(refusal) => return (shape, Err(refusal)),
    };
    entry.caller(&caller);
    (shape, pass::serve(cloud, &caller, &claim.service, heard, entry).await)
}

/// The trouble that comes before anything is looked at.
async fn trouble(cloud: &Cloud) -> Result<(), Refusal> {
    match cloud.trouble() {
        Some(Trouble::Throttled) => Err(Refusal::new(400, "Throttling", "Rate exceeded")),
        Some(Trouble::ServerError) => Err(Refusal::new(503, "ServiceUnavailable", "Service is unavailable")),
        Some(Trouble::Silent) => std::future::pending().await,
        _ => Ok(()),
    }
}

/// STS and IAM.
async fn query(
    cloud: &Cloud,
    heard: &Heard<'_>,
    claim: Option<Claim>,
    shape: Shape,
    entry: &mut Entry,
    id: &str,
) -> Outcome {
    let caller = claim.as_ref().map(|claim| authenticate::caller(cloud, claim, heard)).transpose()?;
    if let Some(caller) = &caller {
        entry.caller(caller);
    }
    let mut params = parameters(heard)?;
    let missing = || Refusal::new(400, "MissingAction", "Could not find operation without Action");
    let action = params.optional("Action").ok_or_else(missing)?;
    entry.name = action.clone();
    let version = params.optional("Version").unwrap_or_else(|| "NO_VERSION_SPECIFIED".to_owned());
    let known = if shape == Shape::Iam { "2010-05-08" } else { "2011-06-15" };
    let unknown = || {
        let words = format!("Could not find operation {action} for version {version}");
        Refusal::new(400, "InvalidAction", words)
    };
    if version != known {
        return Err(unknown());
    }
    let signed = || caller.as_ref().ok_or_else(|| Refusal::from(Wrong::Missing));
    let result = match (shape, action.as_str()) {
        (Shape::Sts, "AssumeRoleWithWebIdentity") if claim.is_none() => {
            web_identity::serve(cloud, params, entry).await?
        }
        (Shape::Sts, "AssumeRoleWithWebIdentity") => {
            return Err(Refusal::validation(
                "AssumeRoleWithWebIdentity is not signed: AWS passes over the signature, this fake does not",
            ));
        }
        (Shape::Sts, "AssumeRole") => assume::serve(cloud, signed()?, params, entry).await?,
        (Shape::Sts, "GetCallerIdentity") => {
            let caller = signed()?;
            params.finish()?;
            if heard.header("accept").is_some_and(|accept| accept.contains("application/json")) {
                return Ok(answer::respond(200, "application/json", identity::json(caller, id), id));
            }
            identity::answer(caller)
        }
        (Shape::Iam, action) if iam::ACTIONS.contains(&action) => iam::serve(cloud, signed()?, action, params, entry)?,
        _ => return Err(unknown()),
    };
    Ok(answer::success(shape, &action, &result, id))
}

/// A form that is posted, or the query of what was presigned.
fn parameters(heard: &Heard<'_>) -> Result<Params, Refusal> {
    if heard.path != "/" {
        return Err(Refusal::new(404, "UnknownOperationException", "there is nothing but `/`"));
    }
    match heard.method {
        "GET" => Params::parse(&identity::unsigned(heard.query)),
        "POST" => {
            let kind = heard.header("content-type").unwrap_or_default();
            if !kind.starts_with("application/x-www-form-urlencoded") || !heard.query.is_empty() {
                return Err(Refusal::validation("what is posted must be a form, and in the body alone"));
            }
            let form = std::str::from_utf8(heard.body).map_err(|_| Refusal::validation("the form is not UTF-8"))?;
            Params::parse(form)
        }
        other => Err(Refusal::new(405, "MethodNotAllowed", format!("{other} is neither GET nor POST"))),
    }
}
