//! What an access token of a service account costs beside the two calls to Google, which answers at once here. Prints
//! `name value unit`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{TokenId, TokenKind, Workload};
use writ_provider_gcp::{GcpConfig, GcpProvider};
use writ_provider_kit::cost;

const ROUNDS: usize = 3_000;
/// What Writ shows to STS is of about this size.
const TOKEN: usize = 1_200;

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// Google, which looks at nothing: a token for everybody.
async fn answer(uri: Uri, body: Bytes) -> Json<Value> {
    if uri.path() == "/v1/token" {
        return Json(json!({
            "access_token": "t".repeat(TOKEN), "token_type": "Bearer", "expires_in": 3600,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }));
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let seconds = asked.get("lifetime").and_then(Value::as_str).and_then(|text| text.strip_suffix('s'));
    let end = after(Timestamp::now(), seconds.and_then(|text| text.parse().ok()).unwrap_or(3_600));
    let end = Timestamp::from_second(end.as_second()).unwrap_or(end).to_string();
    Json(json!({ "accessToken": "t".repeat(TOKEN), "expireTime": end }))
}

async fn google() -> Result<String, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok(url)
}

fn target() -> Result<Target, Failure> {
    let address = Address { host: "localhost".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (name, provider) = (TargetName::new("kit")?, "gcp".to_owned());
    Ok(Target { name, labels: BTreeMap::new(), protocol: Protocol::Gcp, address, provider })
}

fn intended() -> Intended {
    let writ = writ_provider_kit::writ(None, Duration::from_secs(900));
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: BTreeMap::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("bench".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    let token = Secret::new("e".repeat(TOKEN).into_bytes());
    writ_provider_kit::intended(&writ).asked_by(Asker { workload, token })
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn run() -> Result<(), Failure> {
    let url = google().await?;
    let config: GcpConfig = serde_json::from_value(json!({
        "service_account": "bench@acme-prod.iam.gserviceaccount.com", "default_scope": "read",
        "scopes": {"read": {"oauth": ["https://www.googleapis.com/auth/devstorage.read_only"]}},
        "federation": {
            "by": "workload", "sts_endpoint": url, "iam_endpoint": url,
            "pool_provider": "projects/123456789012/locations/global/workloadIdentityPools/bench/providers/bench",
        },
    }))?;
    let provider = GcpProvider::new(&config, None)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let said = |error: reqwest::Error| error.to_string();
    let form =
        [("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", &"e".repeat(TOKEN))];
    let acting = format!("{url}/v1/projects/-/serviceAccounts/bench:generateAccessToken");
    let bare = async || {
        let sent = client.post(format!("{url}/v1/token")).form(&form).send().await.map_err(said)?;
        sent.bytes().await.map_err(said)?;
        let asked = client.post(&acting).bearer_auth("t".repeat(TOKEN)).json(&json!({ "lifetime": "900s" }));
        asked.send().await.map_err(said)?.bytes().await.map(drop).map_err(said)
    };
    let cost = cost::of_mint(&provider, &target()?, ROUNDS, intended, bare).await?;
    println!("mint_gcp_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_gcp_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
