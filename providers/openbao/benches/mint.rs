//! What a dynamic secret costs beside the five calls to OpenBao, which answers at once here, over TLS as it does. Prints
//! `name value unit`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_kit::cost;
use writ_provider_openbao::{OpenbaoConfig, OpenbaoProvider};

const ROUNDS: usize = 2_000;

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// Its assertions are the writ's id.
#[derive(Debug)]
struct Bench;

impl Assertions for Bench {
    fn issuer(&self) -> &str {
        "https://issuer.bench"
    }

    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        let writ = assertion.intended.map(Intended::writ).map(|writ| writ.id.to_string()).unwrap_or_default();
        Box::pin(async move { Ok(Secret::new(writ.into_bytes())) })
    }
}

/// OpenBao: a token, a note, a secret, and whatever is renewed for as long as is asked.
async fn answer(uri: Uri, body: Bytes) -> axum::Json<Value> {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let auth = |writ: &Value, seconds: u64| {
        json!({
            "client_token": "s.0123456789abcdefghijklmn", "accessor": "0123456789abcdefghijklmn", "token_type": "service",
            "metadata": writ.is_string().then(|| json!({ "writ": writ })), "lease_duration": seconds, "renewable": true, "num_uses": 0,
        })
    };
    let seconds = |value: Option<&Value>| {
        let text = value.map(|value| value.to_string().replace(['"', 's'], "")).unwrap_or_default();
        text.parse::<u64>().unwrap_or(0)
    };
    axum::Json(match uri.path() {
        "/v1/auth/jwt/login" => json!({ "auth": auth(asked.get("jwt").unwrap_or(&Value::Null), 60) }),
        "/v1/auth/token/renew-self" => json!({ "auth": auth(&Value::Null, seconds(asked.get("increment"))) }),
        "/v1/sys/leases/renew" => json!({ "lease_id": "a/b", "lease_duration": seconds(asked.get("increment")) }),
        "/v1/database/creds/bench" => json!({
            "lease_id": "database/creds/bench/0123456789abcdefghijklmn", "lease_duration": 60, "renewable": true,
            "data": { "username": "v-bench", "password": "bench" },
        }),
        _ => json!({ "data": { "version": 1 } }),
    })
}

/// Its port, and the authority that vouches for it.
async fn server() -> Result<(u16, String), Failure> {
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
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = TowerToHyperService::new(Router::new().fallback(answer));
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok((port, own.cert.pem()))
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn run() -> Result<(), Failure> {
    let (port, pem) = server().await?;
    let files = tempfile::tempdir()?;
    let ca_file = files.path().join("ca.pem");
    std::fs::write(&ca_file, &pem)?;
    let config: OpenbaoConfig = serde_json::from_value(json!({
        "address": format!("https://localhost:{port}"), "ca_file": ca_file, "role": "bench", "audience": "bench",
        "user_field": "username", "password_field": "password",
        "dynamic": { "path": "database/creds/bench", "notes": "writ" },
    }))?;
    let assertions: Arc<dyn Assertions> = Arc::new(Bench);
    let provider = OpenbaoProvider::new(&config, Some(&assertions))?;
    let address = Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (name, kind) = (TargetName::new("kit")?, "openbao".to_owned());
    let target = Target { name, labels: BTreeMap::new(), protocol: Protocol::Postgres, address, provider: kind };
    let authority = reqwest::Certificate::from_pem(pem.as_bytes())?;
    let client = reqwest::Client::builder().no_proxy().http1_only().tls_certs_only([authority]).build()?;
    let said = |error: reqwest::Error| error.to_string();
    let call = async |path: &str| {
        let url = format!("https://localhost:{port}/v1/{path}");
        let sent = client.post(url).json(&json!({ "increment": 600 })).send().await.map_err(said)?;
        sent.bytes().await.map(drop).map_err(said)
    };
    let bare = async || {
        for path in ["auth/jwt/login", "writ/data/writ", "database/creds/bench"] {
            call(path).await?;
        }
        tokio::try_join!(call("sys/leases/renew"), call("auth/token/renew-self")).map(drop)
    };
    let intended = || writ_provider_kit::intended(&writ_provider_kit::writ(None, Duration::from_secs(600)));
    let cost = cost::of_mint(&provider, &target, ROUNDS, intended, bare).await?;
    println!("mint_openbao_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_openbao_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
