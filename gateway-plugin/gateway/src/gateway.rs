//! Start, accept, reload, drain, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use writ_core::fault::{Blame, Fault};
use writ_wire_postgres::startup::{AuthMethod, LoginSettings, OAuth};

use crate::cancel::Registry;
use crate::catalog::Catalogs;
use crate::config::{self, Auth, GatewayConfig, Listener};
use crate::evidence::Evidence;
use crate::login::{Door, Limits};
use crate::proxy::Peers;
use crate::tls;
use crate::worker::{self, Arrived, Common, Counted, Phase};

/// How long an acceptor waits after an error such as too many open files.
const BREATHE: Duration = Duration::from_millis(50);

/// A running gateway. Dropping it stops the accepting and ends its sessions.
#[derive(Debug)]
pub struct Gateway {
    addresses: Vec<SocketAddr>,
    acceptors: JoinSet<()>,
    workers: Vec<JoinHandle<()>>,
    phase: watch::Sender<Phase>,
    sessions: Arc<AtomicU32>,
    fronts: Vec<watch::Sender<Arc<Front>>>,
    registry: Registry,
    /// What is in force.
    config: GatewayConfig,
}

/// How a listener takes new connections at present.
#[derive(Debug)]
struct Front {
    door: Arc<Door>,
    proxies: Vec<Peers>,
    max_pending: u32,
}

/// A configuration that was checked whole: its certificates are read, its listeners can be served. Putting it in force cannot
/// fail.
#[derive(Debug)]
pub struct Prepared {
    fronts: Vec<(usize, Arc<Front>)>,
    config: GatewayConfig,
    restart: Vec<String>,
}

struct Lane {
    sender: mpsc::Sender<Arrived>,
    load: Arc<AtomicU32>,
}

struct Hall {
    lanes: Vec<Lane>,
    pending: Arc<AtomicU32>,
}

impl Gateway {
    /// Binds the listeners and starts the workers.
    ///
    /// # Errors
    /// An address cannot be bound, a certificate cannot be used, or a worker cannot open its spool.
    pub async fn start<E: Evidence>(config: &GatewayConfig, evidence: Arc<E>) -> Result<Self, Fault> {
        let (phase, watched) = watch::channel(Phase::Open);
        let sessions = Arc::new(AtomicU32::new(0));
        let registry = Registry::new(evidence.gateway(), config.cancel_rate);
        let (sessions_of, catalogs) = (Arc::clone(&sessions), Catalogs::default());
        let common = Arc::new(Common { evidence, registry, sessions: sessions_of, phase: watched, catalogs });
        let count = config.workers.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
        });
        let (mut lanes, mut workers) = (Vec::new(), Vec::new());
        for index in 0..count.max(1) {
            let (lane, worker) = start_worker(index, &common, config.max_pending)?;
            lanes.push(lane);
            workers.push(worker);
        }
        let pending = Arc::new(AtomicU32::new(0));
        let hall = Arc::new(Hall { lanes, pending });
        let (mut addresses, mut acceptors, mut fronts) = (Vec::new(), JoinSet::new(), Vec::new());
        for listener in &config.listeners {
            let (front, present) = watch::channel(Arc::new(front(listener, config)?));
            let bound = TcpListener::bind(listener.listen).await.map_err(|error| unbound(listener.listen, &error))?;
            addresses.push(bound.local_addr().map_err(|error| unbound(listener.listen, &error))?);
            acceptors.spawn(accept(bound, present, Arc::clone(&hall)));
            fronts.push(front);
        }
        let registry = common.registry.clone();
        Ok(Self { addresses, acceptors, workers, phase, sessions, fronts, registry, config: config.clone() })
    }

    /// Checks a new configuration without changing anything.
    ///
    /// # Errors
    /// A certificate cannot be used, or a listener cannot be served.
    pub fn prepare(&self, config: &GatewayConfig) -> Result<Prepared, Fault> {
        let (mut fronts, mut restart, mut config) = (Vec::new(), Vec::new(), config.clone());
        for (index, old) in self.config.listeners.iter().enumerate() {
            let same = |new: &&Listener| new.listen == old.listen;
            let new = config.listeners.get(index).filter(same).or_else(|| config.listeners.iter().find(same));
            match new {
                Some(new) => fronts.push((index, Arc::new(front(new, &config)?))),
                None => restart.push(format!("the listener on `{}` was taken out and still listens", old.listen)),
            }
        }
        for new in &config.listeners {
            if !self.config.listeners.iter().any(|old| old.listen == new.listen) {
                restart.push(format!("the listener on `{}` is new and does not listen yet", new.listen));
            }
        }
        if config.workers != self.config.workers {
            restart.push("`gateway.workers` was changed and the threads are as many as before".to_owned());
        }
        config.workers = self.config.workers;
        config.listeners.clone_from(&self.config.listeners);
        Ok(Prepared { fronts, config, restart })
    }

    /// Puts a configuration in force for connections from now on; sessions go on as they began. Gives what a restart alone
    /// can change, and what stays as it is until then.
    pub fn apply(&mut self, prepared: Prepared) -> Vec<String> {
        for (index, front) in prepared.fronts {
            if let Some(sender) = self.fronts.get(index) {
                sender.send_replace(front);
            }
        }
        self.registry.limit(prepared.config.cancel_rate);
        self.config = prepared.config;
        prepared.restart
    }

    /// Where it listens, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many sessions run.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Takes no more connections, lets sessions finish their transaction until the drain time is over, ends the rest.
    pub async fn drain(self) {
        let limit = self.config.drain_timeout;
        self.stop(limit).await;
    }

    /// The same at once, without waiting for transactions.
    pub async fn shutdown(self) {
        self.stop(Duration::ZERO).await;
    }

    async fn stop(mut self, limit: Duration) {
        self.acceptors.shutdown().await;
        self.phase.send_replace(Phase::Draining(Instant::now() + limit));
        let workers = std::mem::take(&mut self.workers);
        let joined = tokio::task::spawn_blocking(move || workers.into_iter().all(|worker| worker.join().is_ok()));
        if !joined.await.unwrap_or(false) {
            tracing::error!("a worker ended badly");
        }
    }
}

fn unbound(address: SocketAddr, error: &std::io::Error) -> Fault {
    Fault::new("gateway.listen", Blame::Ours, format!("the gateway cannot listen on `{address}`: {error}"))
}

fn front(listener: &Listener, config: &GatewayConfig) -> Result<Front, Fault> {
    let limits = Limits {
        login_timeout: config.login_timeout,
        idle_timeout: config.idle_timeout,
        max_sessions: config.max_sessions,
    };
    let door = Arc::new(door(listener, limits)?);
    Ok(Front { door, proxies: listener.proxy_protocol_from.clone(), max_pending: config.max_pending })
}

fn door(listener: &Listener, limits: Limits) -> Result<Door, Fault> {
    let tls = listener.certificate.as_ref().map(tls::server).transpose()?.map(TlsAcceptor::from);
    let auth = match listener.auth {
        Auth::Password => AuthMethod::Password,
        Auth::OAuthBearer => AuthMethod::OAuthBearer,
    };
    if let Some((setting, problem)) = listener.mistake() {
        let what = format!("the listener on `{}` cannot be used: `{setting}`: {problem}", listener.listen);
        return Err(Fault::new("gateway.listener", Blame::Ours, what));
    }
    let told = |oauth: &config::OAuth| OAuth { discovery_url: oauth.discovery_url(), scope: oauth.scope.clone() };
    let login = Arc::new(LoginSettings { tls: tls.is_some(), auth, oauth: listener.oauth.as_ref().map(told) });
    Ok(Door { login, tls, allow_plain_loopback: listener.allow_plain_loopback, limits })
}

fn start_worker<E: Evidence>(index: u32, common: &Arc<Common<E>>, queue: u32) -> Result<(Lane, JoinHandle<()>), Fault> {
    let failed =
        |detail: String| Fault::new("gateway.worker", Blame::Ours, "a worker could not be started").detail(detail);
    let (sender, arrivals) = mpsc::channel(usize::try_from(queue.max(1)).unwrap_or(1));
    let (ready, told) = std::sync::mpsc::sync_channel(1);
    let common = Arc::clone(common);
    let thread = std::thread::Builder::new()
        .name(format!("writ-worker-{index}"))
        .spawn(move || worker::run(index, common, arrivals, ready))
        .map_err(|error| failed(error.to_string()))?;
    told.recv().map_err(|error| failed(error.to_string()))??;
    Ok((Lane { sender, load: Arc::new(AtomicU32::new(0)) }, thread))
}

async fn accept(bound: TcpListener, present: watch::Receiver<Arc<Front>>, hall: Arc<Hall>) {
    loop {
        let (socket, mut peer) = match bound.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHE).await;
                continue;
            }
        };
        let front = Arc::clone(&present.borrow());
        let Some(pending) = Counted::below(&hall.pending, front.max_pending) else {
            metrics::counter!("writ_gateway_connections_dropped_total").increment(1);
            continue;
        };
        let Ok(socket) = socket.into_std() else { continue };
        let Some(lane) = hall.lanes.iter().min_by_key(|lane| lane.load.load(Ordering::Relaxed)) else { continue };
        let Some(load) = Counted::below(&lane.load, u32::MAX) else { continue };
        // IPv4 that came in over IPv6 is the same client to policy.
        peer.set_ip(peer.ip().to_canonical());
        let proxied = front.proxies.iter().any(|listed| listed.contains(peer.ip()));
        let arrived = Arrived { socket, peer, door: Arc::clone(&front.door), proxied, pending, load };
        if lane.sender.try_send(arrived).is_err() {
            metrics::counter!("writ_gateway_connections_dropped_total").increment(1);
        }
    }
}
