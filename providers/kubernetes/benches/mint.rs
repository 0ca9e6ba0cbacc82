//! What a bound token costs beside the two calls to the API server, which answers at once here, over TLS as it does. Prints
//! `name value unit`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Protocol, TargetName};
use writ_core::time::{Timestamp, after};
use writ_provider_kit::bench::{self, Failure};
use writ_provider_kubernetes::{BearerSource, KubernetesConfig, KubernetesProvider, Seams};

const ROUNDS: usize = 2_000;
const UID: &str = "7c1f5a0e-0000-4000-8000-000000000000";

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

async fn run() -> Result<(), Failure> {
    let (port, pem) = bench::secured(Router::new().fallback(answer)).await?;
    let address = bench::address(port, Some(pem.clone()));
    let config: KubernetesConfig<bool> =
        serde_json::from_value(json!({"service_account": "apps/viewer", "eks": true}))?;
    let provider =
        KubernetesProvider::new(&config, &address, Seams { eks: Some(Arc::new(Bench)), ..Seams::default() })?;
    let target = bench::target("kubernetes", Protocol::Kubernetes, address)?;
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
    let cost = bench::of_mint(&provider, &target, ROUNDS, bench::intended, bare).await?;
    cost.print("kubernetes");
    Ok(())
}

fn main() -> Result<(), Failure> {
    bench::main(run())
}
