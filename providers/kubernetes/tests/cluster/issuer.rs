//! Writ's own issuer, at an address where an API server finds its keys.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::Assertions;
use writ_core::time::{Clock, SignedDuration, SystemClock, Timestamp};

use super::https::{Https, json};

pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) pem: String,
    /// As the cluster trusts it.
    pub(crate) trusted: Arc<dyn Assertions>,
    /// The same, an hour ago.
    pub(crate) late: Arc<dyn Assertions>,
    /// Another that says it is the same.
    pub(crate) impostor: Arc<dyn Assertions>,
    _keys: tempfile::TempDir,
    _server: Https,
}

#[derive(Debug)]
struct AnHourAgo;

impl Clock for AnHourAgo {
    fn now(&self) -> Timestamp {
        SystemClock.now() - SignedDuration::from_hours(1)
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
        let open = |directory: &str, clock: Arc<dyn Clock>| {
            let directory = keys.path().join(directory);
            Arc::new(OidcIssuer::open(&IssuingConfig::default(), &url, &directory, clock).unwrap())
        };
        let trusted = open("own", Arc::new(SystemClock));
        documents.set([trusted.discovery(), trusted.jwks()]).unwrap();
        let (late, impostor) = (open("own", Arc::new(AnHourAgo)), open("other", Arc::new(SystemClock)));
        Self { url, pem: server.pem.clone(), trusted, late, impostor, _keys: keys, _server: server }
    }
}
