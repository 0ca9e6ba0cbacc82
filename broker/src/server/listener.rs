//! The listener: TLS with the broker's own certificate, a client certificate where the caller has one, a bounded number of
//! connections, and an orderly end.
//!
//! A certificate that names a workload by its SPIFFE ID is not held against any authority here: its trust domain's are fetched,
//! and a handshake does not wait for that. Its caller is anonymous until `/v1/token` verifies it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use writ_core::time::Timestamp;

use super::caller::{Peer, Stopping};
use crate::ca::{CaFault, CertificateAuthority, gateway_of};
use crate::identity::svid;

/// The longest head of a request, in bytes.
const MAX_HEAD: u32 = 64 * 1024;

/// What bounds the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections there may be at once; more wait in the kernel's queue.
    pub connections: usize,
    /// How many of them may be of callers without a gateway's certificate; more are closed after the handshake.
    pub anonymous: usize,
    /// How long such a connection may last before it takes no more requests.
    pub anonymous_age: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the head of a request may take to arrive, the first one after the handshake too.
    pub head: Duration,
    /// How long open requests may take to end at shutdown.
    pub drain: Duration,
    /// The life of the listener's own certificate; it is renewed at half of it.
    pub certificate_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            anonymous: 3072,
            anonymous_age: Duration::from_secs(300),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            certificate_life: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Why the listener cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ListenerFault {
    /// The address cannot be listened on.
    #[error("`{address}` cannot be listened on: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate cannot be made.
    #[error("the listener's certificate cannot be made: {0}")]
    Certificate(#[from] CaFault),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// The listener's certificate, replaced while it runs.
#[derive(Debug)]
struct Certificate {
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// A bound listener.
pub struct Listener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    authority: Arc<CertificateAuthority>,
    names: Vec<String>,
    limits: Limits,
}

impl Listener {
    /// Binds `address` and makes a certificate for `names`.
    ///
    /// # Errors
    /// [`ListenerFault`] if the address is taken or the certificate cannot be made.
    pub async fn bind(
        address: SocketAddr,
        authority: Arc<CertificateAuthority>,
        names: Vec<String>,
        limits: Limits,
    ) -> Result<Self, ListenerFault> {
        let bind = |source| ListenerFault::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(bind)?;
        let key = certified_key(&authority, &names, limits.certificate_life)?;
        let certificate = Arc::new(Certificate { current: ArcSwap::new(key) });
        let config = tls_config(&authority, certificate.clone())?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { socket, acceptor, certificate, authority, names, limits })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// If the socket does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves `routes` until `stop` changes, then lets open requests end.
    pub async fn serve(self, routes: Router, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let anonymous = Arc::new(Semaphore::new(self.limits.anonymous));
        let mut renewal = tokio::time::interval(self.limits.certificate_life / 2);
        renewal.tick().await;
        loop {
            let permit = tokio::select! {
                _ = stop.changed() => break,
                _ = renewal.tick() => { self.renew(); continue; }
                permit = permits.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                _ = stop.changed() => break,
                accepted = self.socket.accept() => accepted,
            };
            let Ok((socket, address)) = accepted else {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let connection = Connection {
                acceptor: self.acceptor.clone(),
                routes: routes.clone(),
                limits: self.limits,
                anonymous: anonymous.clone(),
                stop: stop.clone(),
            };
            tokio::spawn(async move {
                connection.serve(socket, address).await;
                drop(permit);
            });
        }
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.limits.drain, permits.acquire_many(all)).await;
    }

    fn renew(&self) {
        match certified_key(&self.authority, &self.names, self.limits.certificate_life) {
            Ok(key) => self.certificate.current.store(key),
            Err(fault) => tracing::error!(%fault, "the listener's certificate was not renewed"),
        }
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    routes: Router,
    limits: Limits,
    anonymous: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(mut self, socket: TcpStream, address: SocketAddr) {
        let _ = socket.set_nodelay(true);
        let handshake = tokio::time::timeout(self.limits.handshake, self.acceptor.accept(socket)).await;
        let Ok(Ok(stream)) = handshake else { return };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let (gateway, workload) = match chain.first() {
            Some(leaf) if svid::names_workload(leaf) => (None, Arc::from(chain)),
            leaf => (leaf.and_then(gateway_of), Arc::default()),
        };
        // Callers that anybody may be take no place that a gateway needs.
        let place = match gateway {
            Some(_) => None,
            None => match self.anonymous.try_acquire() {
                Ok(place) => Some(place),
                Err(_) => {
                    metrics::counter!("writ_broker_connections_dropped_total").increment(1);
                    return;
                }
            },
        };
        let peer = Peer { address, gateway, workload };
        let routes = TowerToHyperService::new(self.routes);
        let began = Arc::new(AtomicBool::new(false));
        let (begins, stopping) = (began.clone(), Stopping(self.stop.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            begins.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(stopping.clone());
            routes.call(request)
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.head).max_buf_size(MAX_HEAD as usize);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_streams(256);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // Until there is a request, no other limit holds: the version of HTTP is still being read, or HTTP/2's preface.
        let first = tokio::time::sleep(self.limits.head);
        tokio::pin!(first);
        let age = tokio::time::sleep(self.limits.anonymous_age);
        tokio::pin!(age);
        let mut waits = true;
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                _ = self.stop.changed() => break,
                () = age.as_mut(), if place.is_some() => break,
                () = first.as_mut(), if waits => match began.load(Ordering::Relaxed) {
                    true => waits = false,
                    false => return,
                },
            }
        }
        // Who is only too old may finish what was asked in as long again.
        connection.as_mut().graceful_shutdown();
        let stopping = async {
            drop(self.stop.wait_for(|stop| *stop).await);
            tokio::time::sleep(self.limits.drain).await;
        };
        tokio::select! {
            _ = connection => {}
            () = stopping => {}
            () = tokio::time::sleep(self.limits.anonymous_age) => {}
        }
        drop(place);
    }
}

fn certified_key(
    authority: &CertificateAuthority,
    names: &[String],
    life: Duration,
) -> Result<Arc<CertifiedKey>, ListenerFault> {
    let identity = authority.issue_server(names, Timestamp::now(), life)?;
    let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&identity.key)
        .map_err(|error| ListenerFault::Tls(error.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(identity.chain, key)))
}

fn tls_config(
    authority: &CertificateAuthority,
    certificate: Arc<Certificate>,
) -> Result<rustls::ServerConfig, ListenerFault> {
    let tls = |error: &dyn std::fmt::Display| ListenerFault::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).map_err(|error| tls(&error))?;
    roots.add(root).map_err(|error| tls(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let gateways = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| tls(&error))?;
    let verifier = Arc::new(ClientCertificates { gateways });
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Tells gateways' certificates, which are held against Writ's own authority, from workloads', which only have to be their
/// caller's own. In both cases the handshake proves the key.
#[derive(Debug)]
struct ClientCertificates {
    gateways: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for ClientCertificates {
    fn client_auth_mandatory(&self) -> bool {
        self.gateways.client_auth_mandatory()
    }

    /// None: a client that has a certificate of an authority which is not named would not show it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if svid::names_workload(leaf) {
            return Ok(ClientCertVerified::assertion());
        }
        self.gateways.verify_client_cert(leaf, between, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.gateways.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.gateways.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.gateways.supported_verify_schemes()
    }
}
