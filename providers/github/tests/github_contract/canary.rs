//! No secret shows: not in what is logged at the finest level, not in what is printed of values and faults.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use writ_core::provider::Provider as _;
use writ_fakes::github::Trouble;

use crate::world::{DEADLINE, World, mint, target, writ};

/// Everything that is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

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
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
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
