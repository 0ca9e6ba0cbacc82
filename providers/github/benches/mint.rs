//! What a token costs beside the call to GitHub, which answers at once here. Prints `name value unit`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::json;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_fakes::github::App;
use writ_provider_github::{GithubConfig, GithubProvider};
use writ_provider_kit::cost;

const ROUNDS: usize = 2_000;

type Failure = Box<dyn core::error::Error + Send + Sync>;

async fn answer() -> (axum::http::StatusCode, axum::Json<serde_json::Value>) {
    let end = after(Timestamp::now(), 3_600).as_second();
    let token = json!({
        "token": "ghs_0123456789abcdef0123456789abcdef0123", "expires_at": Timestamp::from_second(end).unwrap_or_default().to_string(),
        "permissions": { "contents": "read", "metadata": "read" }, "repository_selection": "selected",
        "repositories": [{ "id": 74, "name": "octo-repo", "full_name": "octo-org/octo-repo" }],
    });
    (axum::http::StatusCode::CREATED, axum::Json(token))
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn run() -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let api = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        let _ = axum::serve(listener, Router::new().fallback(answer)).await;
    });
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(key.path(), App::new(1, "Iv23liWritBench00001")?.pem()?)?;
    let config: GithubConfig = serde_json::from_value(json!({
        "app": "Iv23liWritBench00001", "installation": 1, "private_key_file": key.path(), "api": api, "default_scope": "read",
        "scopes": { "read": { "repositories": ["octo-repo"], "permissions": { "contents": "read" } } },
    }))?;
    let provider = GithubProvider::new(&config, Arc::default())?;
    let address = Address { host: "api.github.com".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (name, labels, protocol) = (TargetName::new("kit")?, BTreeMap::new(), Protocol::Github);
    let target = Target { name, labels, protocol, address, provider: "github".to_owned() };
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{api}/app/installations/1/access_tokens");
    let bare = async || {
        let sent = client.post(&url).body(r#"{"repositories":["octo-repo"]}"#).send().await;
        sent.map_err(|error| error.to_string())?.bytes().await.map(drop).map_err(|error| error.to_string())
    };
    let intended = || writ_provider_kit::intended(&writ_provider_kit::writ(None, Duration::from_secs(600)));
    let cost = cost::of_mint(&provider, &target, ROUNDS, intended, bare).await?;
    println!("mint_github_overhead_p50 {:.3} ms", cost.p50.as_secs_f64() * 1e3);
    println!("mint_github_overhead_p99 {:.3} ms", cost.p99.as_secs_f64() * 1e3);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}
