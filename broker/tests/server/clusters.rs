//! A real Kubernetes API server as an issuer: its service accounts' tokens, by its keys and by its own word (`TokenReview`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use writ_broker::identity::Verifier;
use writ_core::time::Timestamp;
use writ_world::kubernetes::{Kubernetes, Options};

use crate::world::AUDIENCE;

/// The issuer that the harness gives to its API servers.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// The API server remembers for ten seconds that a token was good; this is ten times as long.
const FORGETS: Duration = Duration::from_secs(100);
const OBJECTS: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "jobs"}},
  {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reporter", "namespace": "jobs"}},
  {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "run", "namespace": "jobs"}}]}"#;

fn said(cluster: &Kubernetes, arguments: &[&str]) -> String {
    let output = cluster.admin(arguments).expect("kubectl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn token(cluster: &Kubernetes, audience: &str) -> String {
    let bound = ["--bound-object-kind=Secret", "--bound-object-name=run"];
    let audience = format!("--audience={audience}");
    let asked = ["-n", "jobs", "create", "token", "reporter", "--duration=10m", &audience, bound[0], bound[1]];
    said(cluster, &asked)
}

fn verifier(cluster: &Kubernetes, at: &Path, changes: &[(&str, Value)]) -> Verifier {
    let (ca_file, token_file) = (at.join("ca.pem"), at.join("token"));
    std::fs::write(&ca_file, cluster.ca_pem()).expect("a file");
    std::fs::write(&token_file, cluster.admin_token()).expect("a file");
    std::fs::set_permissions(&token_file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut config = json!({
        "name": "cluster", "preset": "kubernetes", "issuer": ISSUER,
        "review": { "url": cluster.url(), "ca_file": ca_file, "token_file": token_file },
    });
    for (name, value) in changes {
        config[*name] = value.clone();
    }
    let config = serde_json::from_value(config).expect("a configuration");
    Verifier::new(&[config], AUDIENCE, None).expect("a verifier")
}

async fn outcome(verifier: &Verifier, token: &str) -> String {
    let verified = verifier.verify(token, Timestamp::now()).await;
    verified.map_or_else(|fault| fault.code().to_owned(), |_| "accepted".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workloads_token_is_refused_by_the_clusters_word_alone() {
    let cluster = Kubernetes::start(&Options::default()).expect("an API server");
    let at = tempfile::tempdir().expect("a directory");
    cluster.apply(OBJECTS).expect("objects");
    let keys = said(&cluster, &["get", "--raw", "/openid/v1/jwks"]);
    let by_keys = verifier(&cluster, at.path(), &[("jwks", json!(keys)), ("review", Value::Null)]);
    let both = verifier(&cluster, at.path(), &[("jwks", json!(keys))]);
    let mut review = json!({ "url": cluster.url(), "alone": true });
    review["ca_file"] = json!(at.path().join("ca.pem"));
    review["token_file"] = json!(at.path().join("token"));
    let alone = verifier(&cluster, at.path(), &[("review", review)]);

    let good = token(&cluster, AUDIENCE);
    for (name, verifier) in [("keys", &by_keys), ("keys and review", &both), ("review alone", &alone)] {
        assert_eq!(outcome(verifier, &good).await, "accepted", "{name}");
        assert_ne!(outcome(verifier, &token(&cluster, "another")).await, "accepted", "{name}");
    }
    let workload = both.verify(&good, Timestamp::now()).await.expect("a workload").into_inner();
    assert_eq!(workload.subject.as_str(), "system:serviceaccount:jobs:reporter");
    let uid = said(&cluster, &["-n", "jobs", "get", "serviceaccount", "reporter", "-o", "jsonpath={.metadata.uid}"]);
    assert_eq!(workload.claims["kubernetes"]["service_account_uid"], json!(uid));

    said(&cluster, &["-n", "jobs", "delete", "secret", "run"]);
    let begun = Instant::now();
    for (name, verifier) in [("keys and review", &both), ("review alone", &alone)] {
        while outcome(verifier, &good).await == "accepted" {
            assert!(begun.elapsed() < FORGETS, "{name}: a token that is bound to what was deleted is still good");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(outcome(&by_keys, &good).await, "accepted", "keys do not show what was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_let_the_broker_ask_lets_nobody_in() {
    let cluster = Kubernetes::start(&Options::default()).expect("an API server");
    let at = tempfile::tempdir().expect("a directory");
    cluster.apply(OBJECTS).expect("objects");
    let keys = said(&cluster, &["get", "--raw", "/openid/v1/jwks"]);
    let both = verifier(&cluster, at.path(), &[("jwks", json!(keys))]);
    let good = token(&cluster, AUDIENCE);
    // An account without the right to ask, and one that the server does not know.
    for own in [said(&cluster, &["-n", "jobs", "create", "token", "reporter"]), "unknown".to_owned()] {
        std::fs::write(at.path().join("token"), own).expect("a file");
        assert_ne!(outcome(&both, &good).await, "accepted");
    }
    std::fs::write(at.path().join("token"), cluster.admin_token()).expect("a file");
    assert_eq!(outcome(&both, &good).await, "accepted");
}
