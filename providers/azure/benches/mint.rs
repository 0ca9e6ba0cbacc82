//! What an access token costs beside the call to Entra, which answers at once here, over TLS as it does. Prints `name value unit`.

use std::sync::Arc;

use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::Protocol;
use writ_core::time::{Timestamp, after};
use writ_provider_azure::{AzureConfig, AzureProvider};
use writ_provider_kit::bench::{self, Failure};

const ROUNDS: usize = 2_000;
const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

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

async fn run() -> Result<(), Failure> {
    let (port, pem) = bench::secured(Router::new().fallback(answer)).await?;
    let directory = tempfile::tempdir()?;
    let authority = directory.path().join("authority.pem");
    std::fs::write(&authority, &pem)?;
    let address = bench::address(port, None);
    let url = format!("https://localhost:{port}");
    let config: AzureConfig = serde_json::from_value(json!({
        "tenant_id": TENANT, "client_id": CLIENT, "resource": "storage",
        "entra": { "authority": url, "authority_ca_file": authority },
    }))?;
    let assertion = format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), "c".repeat(600), "s".repeat(342));
    let assertions: Arc<dyn Assertions> = Arc::new(Bench(assertion.clone()));
    let provider = AzureProvider::new(&config, &address, Some(&assertions))?;
    let target = bench::target("azure", Protocol::Azure, address)?;
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
    let cost = bench::of_mint(&provider, &target, ROUNDS, bench::intended, bare).await?;
    cost.print("azure");
    Ok(())
}

fn main() -> Result<(), Failure> {
    bench::main(run())
}
