//! What a token costs beside the call to GitHub, which answers at once here. Prints `name value unit`.

use std::sync::Arc;

use axum::Router;
use serde_json::json;
use writ_core::target::Protocol;
use writ_core::time::{Timestamp, after};
use writ_fakes::github::App;
use writ_provider_github::{GithubConfig, GithubProvider};
use writ_provider_kit::bench::{self, Failure};

const ROUNDS: usize = 2_000;

async fn answer() -> (axum::http::StatusCode, axum::Json<serde_json::Value>) {
    let end = after(Timestamp::now(), 3_600).as_second();
    let token = json!({
        "token": "ghs_0123456789abcdef0123456789abcdef0123", "expires_at": Timestamp::from_second(end).unwrap_or_default().to_string(),
        "permissions": { "contents": "read", "metadata": "read" }, "repository_selection": "selected",
        "repositories": [{ "id": 74, "name": "octo-repo", "full_name": "octo-org/octo-repo" }],
    });
    (axum::http::StatusCode::CREATED, axum::Json(token))
}

async fn run() -> Result<(), Failure> {
    let api = bench::plain(Router::new().fallback(answer)).await?;
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(key.path(), App::new(1, "Iv23liWritBench00001")?.pem()?)?;
    let config: GithubConfig = serde_json::from_value(json!({
        "app": "Iv23liWritBench00001", "installation": 1, "private_key_file": key.path(), "api": api, "default_scope": "read",
        "scopes": { "read": { "repositories": ["octo-repo"], "permissions": { "contents": "read" } } },
    }))?;
    let provider = GithubProvider::new(&config, Arc::default())?;
    let target = bench::target("github", Protocol::Github, bench::address(443, None))?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("{api}/app/installations/1/access_tokens");
    let bare = async || {
        let sent = client.post(&url).body(r#"{"repositories":["octo-repo"]}"#).send().await;
        sent.map_err(|error| error.to_string())?.bytes().await.map(drop).map_err(|error| error.to_string())
    };
    let cost = bench::of_mint(&provider, &target, ROUNDS, bench::intended, bare).await?;
    cost.print("github");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    bench::main(run())
}
