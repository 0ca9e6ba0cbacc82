//! What a bound token costs beside the two calls to the API server, which answers at once here, over TLS as it does. Prints
//! `name value unit`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_provider_kit::cost;
use writ_provider_kubernetes::{BearerSource, KubernetesConfig, KubernetesProvider, Seams};

const ROUNDS: usize = 2_000;
const UID: &str = "7c1f5a0e-0000-4000-8000-000000000000";

type Failure = Box<dyn core::error::Error + Send + Sync>;

#[derive(Debug)]
struct Bench;

impl BearerSource for Bench {
    fn named(&self) -> String {
        "a benchmark's token".to_owned()
    }

    fn bearer<'a>(&'a self, _: &'a TargetName, _: Option<&'a Intended>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { Ok(Secret::new(b"bench".to_vec())) })
    }
}

/// The API server: a Secret, or a token that is bound to the Secret that is named.
async fn answer(uri: Uri, body: Bytes) -> (axum::http::StatusCode, axum::Json<Value>) {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let made = if uri.path().ends_with("/token") {
        let end = after(Timestamp::now(), 600);
        let name = asked.pointer("/spec/boundObjectRef/name").cloned().unwrap_or_default();
        let claims = json!({
            "sub": "system:serviceaccount:apps:viewer", "exp": end.as_second(), "jti": "2a76f7db-cb03-447a-9003-559a3a748dbf",
            "kubernetes.io": {"secret": {"name": name, "uid": UID}},
        });
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": {"audiences": []},
            "status": {"token": token, "expirationTimestamp": Timestamp::from_second(end.as_second()).unwrap_or(end).to_string()},
        })
    } else {
        json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x", "uid": UID}})
    };
    (axum::http::StatusCode::CREATED, axum::Json(made))
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
    let address =
        Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem: Some(pem.clone()) };
    let config: KubernetesConfig<bool> =
        serde_json::from_value(json!({"service_account": "apps/viewer", "eks": true}))?;
    let provider =
        KubernetesProvider::new(&config, &address, Seams { eks: Some(Arc::new(Bench)), ..Seams::default() })?;
    let (name, kind) = (TargetName::new("kit")?, "kubernetes".to_owned());
    let target = Target { name, labels: BTreeMap::new(), protocol: Protocol::Kubernetes, address, provider: kind };
    let authority = reqwest::Certificate::from_pem(pem.as_bytes())?;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build()?;
    let base = format!("https://localhost:{port}/api/v1/namespaces/apps");
    let said = |error: reqwest::Error| error.to_string();
    let bare = async || {
        for path in ["secrets", "serviceaccounts/viewer/token"] {
            let sent =
                client.post(format!("{base}/{path}")).json(&json!({"kind": "bench"})).send().await.map_err(said)?;
            sent.bytes().await.map_err(said)?;
        }
        Ok(())
    };
    let intended = || writ_provider_kit::intended(&writ_provider_kit::writ(None, Duration::from_secs(600)));
    let cost = cost::of_mint(&provider, &target, ROUNDS, intended, bare).await?;
    println!("mint_kubernetes_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_kubernetes_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
