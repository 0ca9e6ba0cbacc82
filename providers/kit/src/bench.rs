//! What the providers' benchmarks have in common: a target that answers at once, and what a mint costs beside its calls to it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::workload::{TokenId, TokenKind, Workload};

/// Why a benchmark measured nothing.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long a mint may take.
const DEADLINE: Duration = Duration::from_secs(5);
const THREADS: usize = 2;

/// Runs a benchmark on two threads.
///
/// # Errors
/// What it says.
pub fn main(bench: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?.block_on(bench)
}

/// The URL of a target at loopback, without TLS.
///
/// # Errors
/// If it cannot listen.
pub async fn plain(router: Router) -> Result<String, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// The port of a target at `localhost`, over TLS, and the authority that vouches for it, in PEM.
///
/// # Errors
/// If it cannot listen.
pub async fn secured(router: Router) -> Result<(u16, String), Failure> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())?;
    let chain: Vec<CertificateDer<'static>> = vec![own.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key)?));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(router);
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok((port, own.cert.pem()))
}

/// Where a target is: `localhost`, by this port.
#[must_use]
pub fn address(port: u16, ca_pem: Option<String>) -> Address {
    Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem }
}

/// The target whose credentials are minted.
///
/// # Errors
/// None: its name is one.
pub fn target(provider: &str, protocol: Protocol, address: Address) -> Result<Target, Failure> {
    let name = TargetName::new("kit")?;
    Ok(Target { name, labels: BTreeMap::new(), protocol, address, provider: provider.to_owned() })
}

/// A writ that is intended, for ten minutes.
#[must_use]
pub fn intended() -> Intended {
    crate::intended(&crate::writ(None, Duration::from_secs(600)))
}

/// One for 15 minutes, with the workload and its token of so many bytes.
#[must_use]
pub fn asked(token: usize) -> Intended {
    let writ = crate::writ(None, Duration::from_secs(900));
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: BTreeMap::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("bench".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    let token = Secret::new("e".repeat(token).into_bytes());
    crate::intended(&writ).asked_by(Asker { workload, token })
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// What half of the mints cost at most beside their calls.
    pub p50: Duration,
    /// What 99 of 100 do.
    pub p99: Duration,
}

impl Cost {
    /// Prints it, as `name value unit`, for the provider of this name.
    #[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
    pub fn print(self, provider: &str) {
        println!("mint_{provider}_overhead_p50 {:.3} ms", self.p50.as_secs_f64() * 1e3);
        println!("mint_{provider}_overhead_p99 {:.3} ms", self.p99.as_secs_f64() * 1e3);
    }
}

/// Mints `rounds` times, each time beside `bare`: the same calls to the same target with nothing around them. The two take
/// turns, so that a noisy machine spoils both alike; their distributions are compared, not the single pairs.
///
/// # Errors
/// What the provider says, or what `bare` does.
pub async fn of_mint(
    provider: &dyn Provider,
    target: &Target,
    rounds: usize,
    mut intended: impl FnMut() -> Intended,
    mut bare: impl AsyncFnMut() -> Result<(), String>,
) -> Result<Cost, String> {
    let said = |fault: ProviderFault| format!("{fault:?}");
    let (mut minted, mut called) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    // The first pays for connections and whatever is made once.
    for round in 0..rounds.saturating_add(rounds / 10) {
        let ours = intended();
        let begun = Instant::now();
        drop(provider.mint(target, ours, DEADLINE).await.map_err(said)?);
        let mint = begun.elapsed();
        let begun = Instant::now();
        bare().await?;
        if round >= rounds / 10 {
            minted.push(mint);
            called.push(begun.elapsed());
        }
    }
    let at = |share: usize| quantile(&mut minted.clone(), share).saturating_sub(quantile(&mut called.clone(), share));
    Ok(Cost { p50: at(50), p99: at(99) })
}

fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
