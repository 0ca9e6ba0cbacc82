//! Health and metrics in plain HTTP, for probes and scrapers beside the process: a gateway on its own has no other API.
//!
//! It answers three paths and reads nothing of a request but those. It is for loopback or an inner network: whoever reaches
//! it may read what is counted, which names nobody.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use writ_broker::broker::Broker;
use writ_plugin::Plugin;

use crate::failure::{Doing as _, Failure};

/// How many may ask at once.
const CONNECTIONS: usize = 32;
/// How long a request may take to arrive, and a connection to be of use.
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(30);

/// Where health and metrics are served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TelemetryConfig {
    /// Where `/healthz`, `/readyz` and `/metrics` listen, `address:port`: loopback, or an inner network.
    pub listen: SocketAddr,
}

/// What is asked.
#[derive(Clone)]
pub(crate) struct Parts {
    /// The broker, where it runs here.
    pub broker: Option<Weak<Broker>>,
    /// The gateway, where it runs here.
    pub plugin: Option<Weak<Plugin>>,
    /// What is counted.
    pub metrics: Option<PrometheusHandle>,
    /// Whether the process is on its way out.
    pub leaving: Arc<AtomicBool>,
}

impl Parts {
    /// Why nothing should be sent here now; `None` where it should.
    fn hindrance(&self) -> Option<&'static str> {
        if self.leaving.load(Ordering::Relaxed) {
            return Some("shutting down\n");
        }
        let ready = |broker: &Weak<Broker>| broker.upgrade().is_some_and(|broker| broker.is_ready());
        if self.broker.as_ref().is_some_and(|broker| !ready(broker)) {
            return Some("the broker's ledger cannot be written, its clock was set, or a task of it broke off\n");
        }
        let hears = |plugin: &Weak<Plugin>| plugin.upgrade().is_some_and(|plugin| plugin.ready());
        let deaf = self.plugin.as_ref().is_some_and(|plugin| !hears(plugin));
        deaf.then_some("the gateway does not hear its broker\n")
    }
}

/// A listener that serves; dropping it ends it.
pub(crate) struct Health(JoinHandle<()>);

impl Health {
    /// Binds and serves.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub(crate) async fn start(config: &TelemetryConfig, parts: Parts) -> Result<Self, Failure> {
        let bound = TcpListener::bind(config.listen).await;
        let bound = bound.doing(format!("`telemetry.listen` `{}` cannot be listened on", config.listen))?;
        let address = bound.local_addr().doing("the address of health and metrics is not known")?;
        tracing::info!(%address, "health and metrics are served");
        let routes = Router::new()
            .route("/healthz", get(async || "ok\n"))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(parts);
        Ok(Self(tokio::spawn(serve(bound, routes))))
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn ready(State(parts): State<Parts>) -> (StatusCode, &'static str) {
    match parts.hindrance() {
        None => (StatusCode::OK, "ready\n"),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn metrics(State(parts): State<Parts>) -> String {
    parts.metrics.map(|metrics| metrics.render()).unwrap_or_default()
}

async fn serve(bound: TcpListener, routes: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let Ok((socket, _)) = bound.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            drop(tokio::time::timeout(CONNECTION, answer(socket, routes)).await);
            drop(permit);
        });
    }
}

async fn answer(socket: TcpStream, routes: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    // Whoever leaves early misses nothing that was promised.
    drop(connection.await);
}
