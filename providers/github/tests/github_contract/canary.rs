//! No secret shows: not in what is logged at the finest level, not in what is printed of values and faults.

use serde_json::json;
use writ_core::provider::Provider as _;
use writ_fakes::github::Trouble;
use writ_provider_kit::canary::Log;

use crate::world::{DEADLINE, World, mint, target, writ};

#[tokio::test]
async fn neither_key_nor_jwt_nor_token_shows_anywhere() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let world = World::start();
    let provider = world.provider(json!({}));
    let sound = writ(None);
    let minted = mint(&provider, &sound).await.unwrap();
    let credential = minted.credential().unwrap();
    provider.present(&target(), credential, DEADLINE).await.unwrap();
    provider.probe(&target(), DEADLINE).await.unwrap();
    let mut shown = format!("{minted:?}{credential:?}{provider:?}");
    for trouble in [Trouble::Untrusted, Trouble::CutShort, Trouble::MorePermissions, Trouble::ServerError] {
        world.github.trouble(Some(trouble));
        let fault = mint(&provider, &writ(None)).await.unwrap_err();
        shown.push_str(&format!("{fault:?}{fault}{}", fault.detail()));
    }
    world.github.trouble(None);
    provider.revoke(&target(), &sound, DEADLINE).await.unwrap();
    tracing::trace!("the log is seen");
    let logged = log.text();
    assert!(logged.contains("the log is seen"));
    shown.push_str(&logged);
    let pem = std::fs::read_to_string(world.key()).unwrap();
    let mut secrets: Vec<String> = pem.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
    secrets.push(String::from_utf8(credential.secret.expose().to_vec()).unwrap());
    secrets.push("ghs_".to_owned());
    // Every JWT of RS256 begins so.
    secrets.push("eyJ0eXAiOiJKV1Qi".to_owned());
    for secret in secrets {
        assert!(!shown.contains(&secret), "`{secret}` shows: {shown}");
    }
}
