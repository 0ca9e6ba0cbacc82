//! How many sessions a broker opens each second, and how long one takes: real tokens, policy, SQLite, ledger and sealing; a
//! provider in memory. Load generator and broker share two threads. Prints `name value unit`.
//!
//! Two questions, apart. *Saturated*: as many sessions as can be opened by callers who each ask again when they have their
//! answer; what one takes then is the length of the queue. *Steady*: sessions asked for at a fixed share of that rate, by a
//! clock that waits for nobody, each timed from the moment at which it was due. `BENCH_DIR` says on which file system.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use writ_broker::broker::Claim;
use writ_broker::config::BrokerConfig;
use writ_broker::targets::{Served, Targets};
use writ_broker::{Broker, GatewayIdentity};
use writ_broker_api::gateway::{EnrolRequest, OpenRequest};
use writ_broker_api::sealed::OpeningKey;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{SystemClock, Timestamp};
use writ_core::writ::Writ;

/// Sessions that are opened at once.
const TASKS: usize = 64;
/// The steady rate, as a share of the saturated one.
const STEADY: f64 = 0.6;
const ISSUER: &str = "https://issuer.example";
const POLICY: &str = "@id(\"p\") @ttl(\"10m\") permit (principal is Writ::Workload, action in Writ::Action::\"use\", \
     resource is Writ::Target) when { resource.name == \"main\" };";

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// A provider that costs nothing.
#[derive(Debug)]
struct Memory;

impl Provider for Memory {
    fn describe(&self) -> Description {
        Description { kind: "memory", long_lived: false, revocable: true, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        _deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            let writ = intended.writ();
            let secret = Secret::new(writ.id.to_string().into_bytes());
            let fingerprint = Fingerprint::of_random(&secret);
            let (kind, expires) = (CredentialKind::DatabaseRole, Some(writ.expires));
            let (principal, audit, revocation) = (writ.id.to_string(), writ.id.to_string(), Revocation::Individual);
            let credential = Credential { kind, principal, secret, expires, fingerprint, audit, revocation };
            Ok(Minted::new(intended, credential))
        })
    }

    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Gone) })
    }

    fn probe<'a>(&'a self, _target: &'a Target, _deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async { Ok(()) })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }
}

fn config(state: &TempDir, issuer: &EcdsaKeyPair) -> Result<BrokerConfig<Value>, Failure> {
    let point = issuer.public_key().as_ref();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let jwks = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y}]}).to_string();
    let policies = state.path().join("policies");
    std::fs::create_dir(&policies)?;
    std::fs::write(policies.join("main.cedar"), POLICY)?;
    Ok(serde_json::from_value(json!({
        "listen": "127.0.0.1:0", "url": "https://broker.example", "audience": "bench",
        "state": state.path().join("state"), "policies": policies,
        "rates": {"sessions": 1_000_000},
        "issuer": [{"name": "ci", "issuer": ISSUER, "algorithms": ["ES256"], "jwks": jwks}],
    }))?)
}

fn tokens(count: usize, issuer: &EcdsaKeyPair) -> Result<Vec<String>, Failure> {
    let (now, random) = (Timestamp::now().as_second(), SystemRandom::new());
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"one"}"#);
    (0..count)
        .map(|number| {
            let claims = json!({
                "iss": ISSUER, "aud": "bench", "sub": "repo:acme/app:ref:refs/heads/main", "iat": now, "exp": now + 300,
                "jti": format!("t{number}"), "repository": "acme/app", "ref": "refs/heads/main", "actor": "someone",
            });
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let signature = issuer.sign(&random, signed.as_bytes()).map_err(|_| "the token cannot be signed")?;
            Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
        })
        .collect()
}

fn targets() -> Result<Targets, Failure> {
    let address = Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None };
    let (name, provider) = (TargetName::new("main")?, "memory".to_owned());
    let target = Target { name, labels: [].into(), protocol: Protocol::Postgres, address, provider };
    Ok([Served::new(target, Arc::new(Memory))].into_iter().collect())
}

/// Opens one session for each token, and returns how long each took.
async fn load(
    broker: &Arc<Broker>,
    gateway: &GatewayIdentity,
    tokens: Arc<Vec<String>>,
) -> Result<Vec<Duration>, Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let (broker, gateway, tokens, next) = (broker.clone(), gateway.clone(), tokens.clone(), next.clone());
        running.spawn(async move {
            let mut took = Vec::new();
            while let Some(token) = tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
                let open = ask(token.clone());
                let begun = Instant::now();
                broker.open(&gateway, &open).await.map_err(|refusal| format!("{refusal:?}"))?;
                took.push(begun.elapsed());
            }
            Ok::<_, Failure>(took)
        });
    }
    let mut took = Vec::with_capacity(tokens.len());
    while let Some(ended) = running.join_next().await {
        took.extend(ended??);
    }
    Ok(took)
}

/// Opens sessions at a steady rate, however long each takes: what a client sees of a broker that is not saturated. The clock
/// is a thread of its own: a timer of the runtime wakes on whole milliseconds alone.
async fn paced(
    broker: &Arc<Broker>,
    gateway: &GatewayIdentity,
    tokens: Vec<String>,
    pace: Duration,
) -> Result<Vec<Duration>, Failure> {
    let (asks, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let clock = std::thread::spawn(move || {
        let begun = Instant::now();
        for (number, token) in (0_u32..).zip(tokens) {
            let due = begun + pace * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if asks.send((due, token)).is_err() {
                return;
            }
        }
    });
    let mut running = tokio::task::JoinSet::new();
    while let Some((due, token)) = asked.recv().await {
        let (broker, gateway) = (broker.clone(), gateway.clone());
        running.spawn(async move {
            broker.open(&gateway, &ask(token)).await.map_err(|refusal| format!("{refusal:?}"))?;
            Ok::<_, Failure>(due.elapsed())
        });
    }
    clock.join().map_err(|_| "the clock's thread failed")?;
    let mut took = Vec::new();
    while let Some(ended) = running.join_next().await {
        took.push(ended??);
    }
    Ok(took)
}

fn ask(token: String) -> OpenRequest {
    let (target, client) = ("main".to_owned(), "192.0.2.7:4711".to_owned());
    OpenRequest {
        token,
        target,
        protocol: Protocol::Postgres,
        role: None,
        database: None,
        client,
        client_key: None,
        reason: None,
        approval: None,
    }
}

async fn enrolled(broker: &Broker) -> Result<GatewayIdentity, Failure> {
    let sealing_key = OpeningKey::generate()?.1;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let csr_pem = rcgen::CertificateParams::default().serialize_request(&key)?.pem()?;
    let token = broker.join_token_for_this_process().await.map_err(|refusal| format!("{refusal:?}"))?;
    let request = EnrolRequest { join_token: token.join_token, csr_pem, sealing_key };
    let gateway = broker.enrol(&request).await.map_err(|refusal| format!("{refusal:?}"))?.gateway;
    broker.identify(Some(&(gateway, String::new()))).await.map_err(|refusal| format!("{refusal:?}").into())
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn run(count: usize) -> Result<(), Failure> {
    let state = TempDir::new_in(std::env::var_os("BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into()))?;
    let issuer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| "no key can be made")?;
    let config = config(&state, &issuer)?;
    let (broker, tasks) =
        Broker::start(Claim::take(&config.state)?, &config, targets()?, Arc::new(SystemClock), String::new()).await?;
    let gateway = enrolled(&broker).await?;
    let mut all = tokens(count + 2 * (count / 4), &issuer)?;
    let steady = all.split_off(count + count / 4);
    let warm = all.split_off(count);
    load(&broker, &gateway, Arc::new(warm)).await?;
    let begun = Instant::now();
    let took = load(&broker, &gateway, Arc::new(all)).await?;
    let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
    println!("open_sessions_per_second {rate:.0} 1/s");
    print("open_saturated", took);
    let rate = rate * STEADY;
    println!("open_steady_rate {rate:.0} 1/s");
    print("open_steady", paced(&broker, &gateway, steady, Duration::from_secs_f64(1.0 / rate)).await?);
    tasks.stop(broker).await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn print(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    for (share, label) in [(500, "p50"), (990, "p99"), (999, "p999")] {
        let at = took.get(took.len() * share / 1000).copied().unwrap_or_default();
        println!("{name}_{label} {:.2} ms", at.as_secs_f64() * 1e3);
    }
}

fn main() -> Result<(), Failure> {
    let count = std::env::var("BENCH_SESSIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(30_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(count))
}
