//! What no API server should say, said by one: each is a fault with a name, in bounded time and memory.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "nothing is sent on here")]
#[path = "cluster/https.rs"]
mod https;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use https::{Https, json};
use serde_json::json;
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_kit as kit;
use writ_provider_kubernetes::{BearerSource, KubernetesConfig, KubernetesProvider, Seams};

const DEADLINE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Token(&'static str);

impl BearerSource for Token {
    fn named(&self) -> String {
        "a test's token".to_owned()
    }

    fn bearer<'a>(&'a self, _: &'a TargetName, _: Option<&'a Intended>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { Ok(Secret::new(self.0.as_bytes().to_vec())) })
    }
}

struct Said {
    requests: Arc<Mutex<Vec<String>>>,
    server: Https,
}

/// A server that gives the same answer to everything.
fn saying(answer: Vec<u8>) -> Said {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let server = Https::start(move |head, _| {
        seen.lock().unwrap().push(head.to_owned());
        answer.clone()
    });
    Said { requests, server }
}

fn provider(server: &Https, token: &'static str) -> (KubernetesProvider, Target) {
    let address = Address {
        host: "localhost".to_owned(),
        port: server.port,
        tls: UpstreamTls::VerifyFull,
        ca_pem: Some(server.pem.clone()),
    };
    let config: KubernetesConfig<bool> =
        serde_json::from_value(json!({ "service_account": "apps/viewer", "eks": true })).unwrap();
    let seams = Seams { eks: Some(Arc::new(Token(token))), ..Seams::default() };
    let provider = KubernetesProvider::new(&config, &address, seams).unwrap();
    let target = Target {
        name: TargetName::new("cluster").unwrap(),
        labels: BTreeMap::new(),
        protocol: Protocol::Kubernetes,
        address,
        provider: "kubernetes".to_owned(),
    };
    (provider, target)
}

async fn mint(said: &Said, token: &'static str) -> ProviderFault {
    let (provider, target) = provider(&said.server, token);
    let writ = kit::writ(None, Duration::from_secs(300));
    provider.mint(&target, kit::intended(&writ), DEADLINE).await.unwrap_err()
}

#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    let elsewhere = saying(json("200 OK", "{}"));
    let location = format!("https://localhost:{}/", elsewhere.server.port);
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let fault = mint(&saying(answer.into_bytes()), "canary").await;
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("307")), "{fault:?}");
    assert!(elsewhere.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_has_an_end() {
    let long = format!("{{\"metadata\":{{\"name\":\"{}\"}}}}", "a".repeat(5 * 1024 * 1024));
    let fault = mint(&saying(json("201 Created", &long)), "canary").await;
    assert!(matches!(&fault, ProviderFault::Unreachable(text) if text.contains("longer than")), "{fault:?}");
}

#[tokio::test]
async fn what_is_no_answer_of_kubernetes_is_no_yes() {
    for (status, body) in [
        ("200 OK", "<html>log in</html>"),
        ("200 OK", "null"),
        ("201 Created", "{}"),
        ("201 Created", r#"{"metadata":{"uid":""}}"#),
        ("204 No Content", ""),
    ] {
        let said = saying(json(status, body));
        let fault = mint(&said, "canary").await;
        assert!(matches!(&fault, ProviderFault::Unreachable(_)), "{status} {body}: {fault:?}");
        assert!(!format!("{fault:?}").contains("canary"));
        let requests = said.requests.lock().unwrap();
        let made = requests.iter().filter(|head| head.starts_with("POST ")).count();
        assert_eq!(made, 1, "what may have been made is not asked for again");
        let deleted = requests.iter().any(|head| head.starts_with("DELETE /api/v1/namespaces/apps/secrets/writ-"));
        assert!(deleted, "and is taken back");
    }
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_words_stay_on_their_line() {
    let busy = saying(json("429 Too Many Requests", r#"{"message":"later\nERROR forged"}"#));
    let fault = mint(&busy, "canary").await;
    assert!(matches!(&fault, ProviderFault::Unreachable(text) if text.contains("later ERROR forged")), "{fault:?}");
    let requests = busy.requests.lock().unwrap();
    assert_eq!(requests.iter().filter(|head| head.starts_with("POST ")).count(), 3);
}

#[tokio::test]
async fn a_token_is_one_header() {
    let said = saying(json("401 Unauthorized", r#"{"message":"Unauthorized"}"#));
    let fault = mint(&said, "canary\r\nimpersonate-user: admin").await;
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("is no token")), "{fault:?}");
    assert!(said.requests.lock().unwrap().is_empty() && !format!("{fault:?}").contains("canary"));
    let fault = mint(&said, "canary").await;
    assert!(
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("does not know a test's token")),
        "{fault:?}"
    );
    assert!(said.requests.lock().unwrap()[0].to_ascii_lowercase().contains("authorization: bearer canary"));
}
