//! Which part of the fake answers a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use serde_json::json;

use super::refusal::json_response;
use super::{Asked, Directory, TENANT, Trouble, arm, held, token, vault};
use crate::halves::cut_short;

const BODY_LIMIT: usize = 256 * 1024;

pub(super) fn router(directory: Arc<Directory>) -> Router {
    Router::new().fallback(serve).with_state(directory)
}

async fn serve(State(directory): State<Arc<Directory>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return json_response(413, &json!({})) };
    let headers: BTreeMap<String, String> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let line = format!("{} {}", parts.method, parts.uri.path());
    let asked = Asked { line, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let (path, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or_default().to_owned());
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (parts.method.as_str(), segments.as_slice()) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => {
            held(&directory.asked).push(asked.clone());
            let response = token::serve(&directory, tenant, &asked).await;
            if directory.trouble() == Some(Trouble::CutShort) { cut_short(response).await } else { response }
        }
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) if *tenant == TENANT => discovery(&directory),
        ("GET", [tenant, "discovery", "v2.0", "keys"]) if *tenant == TENANT => {
            json_response(200, &directory.signer.jwks())
        }
        ("GET", ["tenants"]) => arm::tenants(&directory, &asked, &query),
        ("GET", ["secrets", name, rest @ ..]) => vault::secret(&directory, name, rest, &query, &asked),
        ("PUT", ["secrets", name]) => vault::set_secret(&directory, name, &query, &asked),
        (method, ["keys", name, rest @ ..]) => vault::serve(&directory, method, name, rest, &query, &asked),
        _ => json_response(404, &json!({ "error": "not here" })),
    }
}

fn discovery(directory: &Directory) -> Response<Body> {
    let url = &directory.url;
    let document = json!({
        "token_endpoint": format!("{url}/{TENANT}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{url}/{TENANT}/oauth2/v2.0/authorize"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{url}/{TENANT}/discovery/v2.0/keys"),
        "issuer": format!("{url}/{TENANT}/v2.0"),
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": null,
    });
    json_response(200, &document)
}
