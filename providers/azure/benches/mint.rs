//! What an access token costs beside the call to Entra, which answers at once here, over TLS as it does. Prints `name value unit`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_provider_azure::{AzureConfig, AzureProvider};
use writ_provider_kit::cost;

const ROUNDS: usize = 2_000;
const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// The signature is the issuer's cost, and measured there.
#[derive(Debug)]
struct Bench(String);

impl Assertions for Bench {
    fn issuer(&self) -> &str {
        "https://issuer.bench"
    }

    fn assert<'a>(&'a self, _: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { Ok(Secret::new(self.0.as_bytes().to_vec())) })
    }
}

fn token() -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let end = after(Timestamp::now(), 3_600).as_second();
    let claims =
        json!({ "tid": TENANT, "appid": CLIENT, "oid": CLIENT, "uti": "bench", "exp": end, "wids": ["x".repeat(600)] });
    format!("{}.{}.{}", part(&json!({ "alg": "RS256" })), part(&claims), "s".repeat(342))
}

async fn answer() -> axum::Json<Value> {
    axum::Json(json!({ "token_type": "Bearer", "expires_in": 3_599, "ext_expires_in": 3_599, "access_token": token() }))
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
    let directory = tempfile::tempdir()?;
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, &pem)?;
    let address = Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let url = format!("https://localhost:{port}");
    let config: AzureConfig = serde_json::from_value(json!({
        "tenant_id": TENANT, "client_id": CLIENT, "resource": "storage",
        "entra": { "authority": url, "authority_ca_file": authority },
    }))?;
    let assertion = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), "c".repeat(600), "s".repeat(342));
    let assertions: Arc<dyn Assertions> = Arc::new(Bench(assertion.clone()));
    let provider = AzureProvider::new(&config, &address, Some(&assertions))?;
    let (name, kind) = (TargetName::new("kit")?, "azure".to_owned());
    let target = Target { name, labels: BTreeMap::new(), protocol: Protocol::Azure, address, provider: kind };
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes())?])
        .build()?;
    let said = |error: reqwest::Error| error.to_string();
    let form = [
        ("client_assertion", assertion.as_str()),
        ("client_id", CLIENT),
        ("scope", "https://storage.azure.com/.default"),
    ];
    let bare = async || {
        let sent = client.post(format!("{url}/{TENANT}/oauth2/v2.0/token")).form(&form).send().await.map_err(said)?;
        sent.bytes().await.map_err(said)?;
        Ok(())
    };
    let intended = || writ_provider_kit::intended(&writ_provider_kit::writ(None, Duration::from_secs(600)));
    let cost = cost::of_mint(&provider, &target, ROUNDS, intended, bare).await?;
    println!("mint_azure_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_azure_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
