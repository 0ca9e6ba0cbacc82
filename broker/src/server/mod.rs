//! The API: axum over the broker's own listener. Handlers only carry: what they know of the caller to the broker, and the
//! broker's answer back. Who may call what is in `tests/server/matrix.txt`, which a test drives.

mod admin;
mod approvals;
pub mod caller;
mod gateways;
pub mod listener;
pub mod openapi;
mod public;
mod respond;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};
use writ_broker_api::paths;

use crate::broker::Broker;

pub use listener::{Limits, Listener, ListenerFault};

/// The longest body of a request that anybody may send, in bytes: the longest token, and what is said around it.
const MAX_BODY: usize = crate::identity::header::MAX_TOKEN_BYTES + 16 * 1024;
/// The longest body that names a gateway's sessions: as many as the broker takes, and the JSON around them.
const MAX_SYNC_BODY: usize = 4 * 1024 * 1024;
/// The longest answer of a channel, in bytes.
const MAX_CHANNEL_BODY: usize = 64 * 1024;
/// How long a request may take, but for the stream.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    broker: Arc<Broker>,
    metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
}

/// The API's routes. `metrics` renders what the process counts.
pub fn routes(broker: Arc<Broker>, metrics: Option<metrics_exporter_prometheus::PrometheusHandle>) -> Router {
    let segment_limit = broker.settings.max_segment_bytes;
    let app = App { broker, metrics };
    let limited = Router::new()
        .route(paths::HEALTHZ, get(public::healthz))
        .route(paths::READYZ, get(public::readyz))
        .route(paths::OPENAPI, get(public::openapi))
        .route(paths::LOGIN, get(public::login))
        .route(paths::DISCOVERY, get(public::discovery))
        .route(paths::JWKS, get(public::jwks))
        .route(paths::TOKEN, post(public::token))
        .route(paths::TRIALS, post(public::trial))
        .route(paths::TARGETS, get(admin::targets))
        .route(paths::TARGET_PROBE, post(admin::probe_target))
        .route(paths::TARGET_REVOKE_OLDER, post(admin::revoke_older))
        .route(paths::TARGET_ROTATE, post(admin::rotate_target))
        .route(paths::TARGET_SSH, get(admin::ssh))
        .route(paths::TARGET_SSH_HOSTS, post(admin::certify_ssh_host))
        .route(paths::SSH_REVOCATIONS, get(public::ssh_revocations))
        .route(paths::CHECKPOINT, get(public::checkpoint))
        .route(paths::LEDGER_TILE, get(public::tile))
        .route(paths::LEDGER_ENTRIES, get(admin::entries))
        .route(paths::METRICS, get(admin::metrics))
        .route(paths::ME, get(admin::me))
        .route(paths::WRITS, get(admin::writs))
        .route(paths::WRIT, get(admin::writ))
        .route(paths::WRIT_REVOKE, post(admin::revoke_writ))
        .route(paths::SESSIONS, get(admin::sessions).post(gateways::open))
        .route(paths::SESSION, get(admin::session))
        .route(paths::SESSION_KILL, post(admin::kill_session))
        .route(paths::RECORDING_KEY, post(admin::recording_key))
        .route(paths::GATEWAY_APPROVALS, post(approvals::ask))
        .route(paths::GATEWAY_APPROVAL, get(approvals::stands).delete(approvals::withdraw))
        .route(paths::GATEWAY_APPROVAL_USE, post(approvals::take))
        .route(paths::APPROVALS, get(approvals::list))
        .route(paths::APPROVAL, get(approvals::show))
        .route(paths::APPROVAL_VOTES, post(approvals::vote))
        .route(paths::APPROVAL_BREAK_GLASS, post(approvals::break_glass))
        .route(paths::APPROVAL_REVIEWS, post(approvals::review))
        .route(paths::WEBHOOK_ANSWERS, post(approvals::channel).layer(DefaultBodyLimit::max(MAX_CHANNEL_BODY)))
        .route(paths::FREEZES, get(admin::freezes).post(admin::freeze))
        .route(paths::FREEZE, delete(admin::unfreeze))
        .route(paths::JOIN_TOKENS, post(admin::make_join_token))
        .route(paths::GATEWAYS, get(admin::gateways))
        .route(paths::GATEWAY_REVOKE, post(admin::revoke_gateway))
        .route(paths::GATEWAY_ENROL, post(gateways::enrol))
        .route(paths::GATEWAY_RENEW, post(gateways::renew))
        .route(paths::GATEWAY_SYNC, post(gateways::sync).layer(DefaultBodyLimit::max(MAX_SYNC_BODY)))
        .route(paths::SESSION_CLOSE, post(gateways::close))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route(
            paths::SEGMENT,
            put(gateways::put_segment).get(admin::segment).layer(DefaultBodyLimit::max(segment_limit)),
        )
        .layer(tower_http::timeout::TimeoutLayer::with_status_code(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            REQUEST_LIMIT,
        ));
    let unlimited = Router::new().route(paths::GATEWAY_STREAM, get(stream::stream));
    limited
        .merge(unlimited)
        .fallback(public::not_found)
        .method_not_allowed_fallback(public::not_allowed)
        .layer(axum::middleware::map_response(respond::as_problem))
        .with_state(app)
}
