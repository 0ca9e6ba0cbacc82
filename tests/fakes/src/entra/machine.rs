//! The metadata service of a machine at Azure, as far as it gives tokens of the machine's managed identity. Over http, as there.
//!
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use serde_json::json;

use super::refusal::json_response;
use super::{App, Directory, Entra, held};
use crate::background::{Background, listen, serve};

struct Service {
    directory: Arc<Directory>,
    identity: App,
}

/// A running metadata service. It ends when it is dropped.
#[derive(Debug)]
pub struct Machine {
    url: String,
    _background: Background,
}

impl Machine {
    /// Starts it, for a machine that has this identity alone.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start(entra: &Entra, identity: App) -> Result<Self, String> {
        let background = Background::start()?;
        let (listener, address) = background.run(listen())?;
        let service = Arc::new(Service { directory: entra.directory(), identity });
        background.spawn(serve(listener, None, Router::new().fallback(answer).with_state(service)));
        Ok(Self { url: format!("http://{address}"), _background: background })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response<Body> {
    let refused = |status: u16, error: &str, words: &str| {
        json_response(status, &json!({ "error": error, "error_description": words }))
    };
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header("metadata") != Some("true") || header("x-forwarded-for").is_some() {
        return refused(400, "invalid_request", "Required metadata header not specified");
    }
    if request.uri().path() != "/metadata/identity/oauth2/token" || request.method() != "GET" {
        return refused(404, "not_found", "not here");
    }
    let pairs = crate::sigv4::pairs(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let value = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if !matches!(value("api-version"), Some("2018-02-01" | "2019-08-01")) {
        return refused(400, "invalid_request", "The api-version is not known");
    }
    let Service { directory, identity } = &*service;
    if value("client_id").is_some_and(|id| id != identity.client_id) {
        return refused(400, "invalid_request", "Identity not found");
    }
    let resource = value("resource").unwrap_or_default().trim_end_matches('/');
    if !held(&directory.resources).iter().any(|known| known == resource) {
        return refused(400, "invalid_resource", "AADSTS500011: The resource principal was not found");
    }
    let Ok(given) = directory.give(identity, resource) else { return refused(500, "unknown", "cannot sign") };
    let now = directory.clock.now();
    json_response(
        200,
        &json!({
            "access_token": given.token, "client_id": identity.client_id, "token_type": "Bearer", "resource": resource,
            "expires_in": given.life.to_string(), "expires_on": (now + given.life).to_string(), "not_before": now.to_string(),
            "ext_expires_in": given.life.to_string(),
        }),
    )
}
