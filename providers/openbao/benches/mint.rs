//! What a dynamic secret costs beside the five calls to OpenBao, which answers at once here, over TLS as it does. Prints
//! `name value unit`.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use serde_json::{Value, json};
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::Protocol;
use writ_provider_kit::bench::{self, Failure};
use writ_provider_openbao::{OpenbaoConfig, OpenbaoProvider};

const ROUNDS: usize = 2_000;

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

async fn run() -> Result<(), Failure> {
    let (port, pem) = bench::secured(Router::new().fallback(answer)).await?;
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
    let address = bench::address(port, None);
    let target = bench::target("openbao", Protocol::Postgres, address)?;
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
    let cost = bench::of_mint(&provider, &target, ROUNDS, bench::intended, bare).await?;
    cost.print("openbao");
    Ok(())
}

fn main() -> Result<(), Failure> {
    bench::main(run())
}
