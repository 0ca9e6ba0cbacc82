//! The part of Azure Resource Manager that every token for it may call.
//!
//! <https://learn.microsoft.com/rest/api/resources/tenants/list>

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::refusal::json_response;
use super::{Asked, Directory, TENANT};

pub(super) fn tenants(directory: &Directory, asked: &Asked, query: &str) -> Response<Body> {
    let refused = |status: u16, code: &str, words: &str| {
        json_response(status, &json!({ "error": { "code": code, "message": words } }))
    };
    if query != "api-version=2022-12-01" {
        return refused(400, "InvalidApiVersionParameter", "The api-version is invalid.");
    }
    let Some(token) = asked.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer ")) else {
        return refused(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.");
    };
    match directory.verify(token, "https://management.azure.com") {
        Ok(_) => json_response(
            200,
            &json!({ "value": [{
                "id": format!("/tenants/{TENANT}"), "tenantId": TENANT, "tenantCategory": "Home", "displayName": "Contoso",
            }]}),
        ),
        Err(why) => refused(401, "InvalidAuthenticationToken", &why),
    }
}
