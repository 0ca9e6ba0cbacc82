//! No secret shows: not in what is logged at the finest level, not in what is printed of values and faults.

use serde_json::json;
use writ_core::provider::Provider as _;
use writ_provider_kit::canary::Log;
use writ_world::sshd::split;

use crate::world::{DEADLINE, World, mint, minted, secret, target, writ_off};

#[tokio::test]
async fn neither_key_shows_anywhere() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let world = World::start();
    let provider = world.provider(json!({}));
    let (writ, minted) = minted(&provider).await;
    let fault = mint(&provider, &writ_off(-301)).await.unwrap_err();
    provider.probe(&target(), DEADLINE).await.unwrap();
    provider.revoke(&target(), &writ, DEADLINE).await.unwrap();
    tracing::trace!("the log is seen");
    let logged = log.text();
    assert!(logged.contains("the log is seen"));
    let credential = minted.credential().unwrap();
    let shown = format!("{logged}{minted:?}{credential:?}{provider:?}{fault:?}{fault}{:?}", world.authority("web"));
    let (key, _) = split(secret(&minted)).unwrap();
    let body: Vec<&str> = std::str::from_utf8(key).unwrap().lines().filter(|line| !line.starts_with('-')).collect();
    assert!(body.len() > 3 && body.iter().all(|line| !shown.contains(line)), "{shown}");
    let seed = std::fs::read(world.state.path().join("ssh-authority-web.key.new")).unwrap();
    let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!shown.contains(&hex) && !shown.contains(&format!("{seed:?}")), "{shown}");
}
