//! Writ's own issuer, at an address where OpenBao finds its keys.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::Assertions;
use writ_core::time::{Clock, SignedDuration, SystemClock, Timestamp};

use crate::https::{Https, json};

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) pem: String,
    pub(crate) trusted: Arc<dyn Assertions>,
    /// Another that says it is the same.
    pub(crate) impostor: Arc<dyn Assertions>,
    keys: tempfile::TempDir,
    _server: Https,
}

/// A clock that is wrong by so much.
#[derive(Debug)]
struct Off(SignedDuration);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.0
    }

    fn monotonic(&self) -> std::time::Duration {
        SystemClock.monotonic()
    }
}

impl Issuer {
    pub(crate) fn start() -> Self {
        let documents: Arc<OnceLock<[Value; 2]>> = Arc::new(OnceLock::new());
        let served = Arc::clone(&documents);
        let server = Https::start(move |head, _| {
            let place = if head.starts_with("GET /.well-known/openid-configuration ") { 0 } else { 1 };
            json("200 OK", &served.get().unwrap()[place].to_string())
        });
        let (url, keys) = (format!("https://localhost:{}", server.port), tempfile::tempdir().unwrap());
        let trusted = open(&url, &keys, "own", SignedDuration::ZERO);
        documents.set([trusted.discovery(), trusted.jwks()]).unwrap();
        let impostor = open(&url, &keys, "other", SignedDuration::ZERO);
        Self { url, pem: server.pem.clone(), trusted, impostor, keys, _server: server }
    }

    /// The same, with a clock that is off by so many seconds.
    pub(crate) fn off_by(&self, seconds: i64) -> Arc<dyn Assertions> {
        open(&self.url, &self.keys, "own", SignedDuration::from_secs(seconds))
    }
}

fn open(url: &str, keys: &tempfile::TempDir, directory: &str, off: SignedDuration) -> Arc<OidcIssuer> {
    let directory = keys.path().join(directory);
    Arc::new(OidcIssuer::open(&IssuingConfig::default(), url, &directory, Arc::new(Off(off))).unwrap())
}
