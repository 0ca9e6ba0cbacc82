//! What anybody may call: health, the document of the API, the ledger, and the exchange of tokens.

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use writ_broker_api::token::{ExchangeError, ExchangeRequest};
use writ_broker_api::trial::{TrialReply, TrialRequest};
use writ_core::id::RequestId;

use super::App;
use super::caller::{Bearer, Peer};
use super::respond::Checked;
use crate::identity::exchange::Shown;
use crate::issuer::OidcIssuer;
use crate::rates::Caller;
use crate::refusal::Refusal;

/// The longest path of a tile: a level, and 64 bits in groups of three digits.
const MAX_TILE_PATH: usize = 64;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): State<App>) -> Response {
    match app.broker.is_ready() {
        true => "ready\n".into_response(),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, "the ledger cannot be written, the clock was set, or a task broke off\n")
                .into_response()
        }
    }
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi::document()).into_response()
}

pub(super) async fn login(State(app): State<App>) -> Response {
    app.broker.login().map(Json).into_response()
}

pub(super) async fn not_found() -> Refusal {
    Refusal::not_found("path in this API")
}

pub(super) async fn not_allowed() -> Refusal {
    Refusal { status: 405, ..Refusal::malformed("this path does not take that method") }
}

/// RFC 8693, and client credentials of an X.509-SVID. Refused in OAuth's own form, never cached.
pub(super) async fn token(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    form: Result<Form<ExchangeRequest>, FormRejection>,
) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    if let Err(refusal) = app.broker.admit(Caller::exchanges(peer.address.ip())).await {
        let error = ExchangeError {
            error: "temporarily_unavailable".to_owned(),
            error_description: "too many requests: try again in a second".to_owned(),
            request: refusal.request.to_string(),
        };
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        return (status, no_store, Json(error)).into_response();
    }
    let Ok(Form(request)) = form else {
        let error = ExchangeError {
            error: "invalid_request".to_owned(),
            error_description: "send the parameters of RFC 8693 as a form, each at most once".to_owned(),
            request: RequestId::fresh().to_string(),
        };
        return (StatusCode::BAD_REQUEST, no_store, Json(error)).into_response();
    };
    let proofs: Vec<&str> = headers.get_all("dpop").iter().map(|value| value.to_str().unwrap_or("malformed")).collect();
    let shown = Shown { proofs: &proofs, certificates: &peer.workload };
    match app.broker.exchange(request, shown, &peer.address.ip().to_string()).await {
        Ok(reply) => (no_store, Json(reply)).into_response(),
        Err((request, refusal)) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
            (status, no_store, Json(refusal.body(request))).into_response()
        }
    }
}

/// Whether the workload whose token this is would get in. Never cached.
pub(super) async fn trial(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Bearer(token): Bearer,
    Checked(Json(trial)): Checked<Json<TrialRequest>>,
) -> Result<([(header::HeaderName, &'static str); 1], Json<TrialReply>), Refusal> {
    app.broker.admit(Caller::exchanges(peer.address.ip())).await?;
    if token.is_empty() {
        return Err(Refusal::unauthenticated());
    }
    let reply = app.broker.try_out(token, trial, peer.address.to_string()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(reply)))
}

/// OpenID Connect Discovery 1.0, 4: of the broker as an issuer, where it is one.
pub(super) async fn discovery(State(app): State<App>) -> Response {
    issued(&app, OidcIssuer::discovery)
}

/// The keys of the broker as an issuer (RFC 7517).
pub(super) async fn jwks(State(app): State<App>) -> Response {
    issued(&app, OidcIssuer::jwks)
}

fn issued(app: &App, document: fn(&OidcIssuer) -> serde_json::Value) -> Response {
    let loaded = app.broker.loaded.load();
    match loaded.targets.issuer() {
        Some(issuer) => ([(header::CACHE_CONTROL, "public, max-age=900")], Json(document(issuer))).into_response(),
        None => Refusal::not_found("issuer here: the configuration has no `[broker.issues]`").into_response(),
    }
}

/// What was taken back of an SSH authority's, for hosts. Whoever knows its key may know.
pub(super) async fn ssh_revocations(State(app): State<App>, Path(authority): Path<String>) -> Response {
    match app.broker.ssh_revocations(&authority).await {
        Ok(list) => {
            let head = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-cache")];
            (head, list).into_response()
        }
        Err(refusal) => refusal.into_response(),
    }
}

pub(super) async fn checkpoint(State(app): State<App>) -> Response {
    let note = app.broker.evidence.published().borrow().note.clone();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], note).into_response()
}

/// Hashes alone: what is said in the entries is for those who may see it.
pub(super) async fn tile(State(app): State<App>, Path(path): Path<String>) -> Response {
    tile_file(&app, "tile", &path).await
}

/// The tile of this path below `folder`.
pub(super) async fn tile_file(app: &App, folder: &'static str, path: &str) -> Response {
    if !is_tile(path) {
        return Refusal::not_found("tile").into_response();
    }
    let (ledger, file) = (app.broker.ledger.clone(), format!("{folder}/{path}"));
    let read = tokio::task::spawn_blocking(move || ledger.file(&file)).await;
    match read {
        Ok(Ok(Some(bytes))) => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
        Ok(Ok(None)) => Refusal::not_found("tile").into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether a path can name a tile (C2SP tlog-tiles): then it cannot name another file, half written or elsewhere.
fn is_tile(path: &str) -> bool {
    let numbers = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'x' | b'p' | b'.'));
    path.len() <= MAX_TILE_PATH && path.split('/').all(|part| !part.is_empty() && part != ".." && numbers(part))
}
