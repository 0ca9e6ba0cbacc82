//! What an access token of a service account costs beside the two calls to Google, which answers at once here. Prints
//! `name value unit`.

use axum::body::Bytes;
use axum::http::Uri;
use axum::{Json, Router};
use serde_json::{Value, json};
use writ_core::target::Protocol;
use writ_core::time::{Timestamp, after};
use writ_provider_gcp::{GcpConfig, GcpProvider};
use writ_provider_kit::bench::{self, Failure};

const ROUNDS: usize = 3_000;
/// What Writ shows to STS is of about this size.
const TOKEN: usize = 1_200;

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

async fn run() -> Result<(), Failure> {
    let url = bench::plain(Router::new().fallback(answer)).await?;
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
    let target = bench::target("gcp", Protocol::Gcp, bench::address(443, None))?;
    let cost = bench::of_mint(&provider, &target, ROUNDS, || bench::asked(TOKEN), bare).await?;
    cost.print("gcp");
    Ok(())
}

fn main() -> Result<(), Failure> {
    bench::main(run())
}
