//! What a cluster says of tokens: an API server of the tests' own, which takes one question alone.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::support::*;
use crate::identity::config::IssuerConfig;
use crate::identity::verify::Verifier;

const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
const UID: &str = "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798";
const POD: (&str, &str) = ("reporter-x2x1z", "5e0bd49b-f040-43b0-99b7-22765a53f7f3");
const NODE: (&str, &str) = ("node-1", "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1");

fn pod() -> Value {
    json!({
        "iss": CLUSTER, "sub": "system:serviceaccount:payments:reporter", "aud": [AUDIENCE], "iat": NOW - 10,
        "nbf": NOW - 10, "exp": NOW + 590, "jti": "8a6a3b1c-0000-1111-2222-333344445555",
        "kubernetes.io": {
            "namespace": "payments", "node": {"name": NODE.0, "uid": NODE.1}, "pod": {"name": POD.0, "uid": POD.1},
            "serviceaccount": {"name": "reporter", "uid": UID},
        },
    })
}

fn pods_token() -> String {
    token(&RSA, &json!({"alg": "RS256", "kid": "rsa"}), &pod())
}

/// What an API server says of that token.
fn user() -> Value {
    let namespace = "system:serviceaccounts:payments";
    json!({
        "username": "system:serviceaccount:payments:reporter", "uid": UID,
        "groups": ["system:serviceaccounts", namespace, "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/credential-id": ["JTI=8a6a3b1c-0000-1111-2222-333344445555"],
            "authentication.kubernetes.io/node-name": [NODE.0], "authentication.kubernetes.io/node-uid": [NODE.1],
            "authentication.kubernetes.io/pod-name": [POD.0], "authentication.kubernetes.io/pod-uid": [POD.1],
        },
    })
}

fn status() -> Value {
    json!({"authenticated": true, "audiences": [AUDIENCE], "user": user()})
}

fn review(status: &Value) -> String {
    json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {"creationTimestamp": null},
        "spec": {"token": "x", "audiences": [AUDIENCE]}, "status": status,
    })
    .to_string()
}

/// An API server that knows one token of the broker's own.
#[derive(Clone)]
struct Server {
    url: String,
    own: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Server {
    async fn open(answer: (u16, String)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = Arc::new(Mutex::new("brokers-own".to_owned()));
        let server = Self { url, own, asked: Arc::default(), answer: Arc::new(Mutex::new(answer)) };
        let router = Router::new().fallback(serve).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    fn says(&self, status: &Value) {
        *self.answer.lock().unwrap() = (201, review(status));
    }

    fn questions(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    server.asked.fetch_add(1, Ordering::SeqCst);
    let answer = |status: u16, body: String| {
        let builder = Response::builder().status(status).header("content-type", "application/json");
        builder.header("location", "/elsewhere").body(Body::from(body)).unwrap()
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if (method, uri.to_string().as_str()) != (Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews") {
        return answer(404, "{}".to_owned());
    }
    if header("authorization") != format!("Bearer {}", server.own.lock().unwrap()) {
        return answer(401, "{}".to_owned());
    }
    let question: Value = serde_json::from_slice(&body).unwrap();
    let expected = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": question["spec"]["token"], "audiences": [AUDIENCE]},
    });
    if question != expected || header("content-type") != "application/json" {
        return answer(400, "{}".to_owned());
    }
    let (status, body) = server.answer.lock().unwrap().clone();
    answer(status, body)
}

struct House {
    server: Server,
    directory: tempfile::TempDir,
}

impl House {
    async fn open(answer: (u16, String)) -> Self {
        let house = Self { server: Server::open(answer).await, directory: tempfile::tempdir().unwrap() };
        std::fs::write(house.token_file(), "brokers-own\n").unwrap();
        house
    }

    async fn good() -> Self {
        Self::open((201, review(&status()))).await
    }

    fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    fn config(&self, review: Value, changes: Value) -> IssuerConfig {
        let review = with(json!({"url": self.server.url, "token_file": self.token_file()}), review);
        let config = json!({
            "name": "cluster", "preset": "kubernetes", "issuer": CLUSTER, "allow_http_loopback": true, "review": review,
        });
        serde_json::from_value(with(config, changes)).unwrap()
    }

    /// With keys, and with the cluster's word for the signature alone.
    fn verifiers(&self) -> [Verifier; 2] {
        let keys = self.config(json!({}), json!({"jwks": jwks(&[RSA.jwk("rsa"), EC.jwk("ec")])}));
        [keys, self.config(json!({"alone": true}), json!({}))].map(verifier_of)
    }
}

async fn code(verifier: &Verifier, token: &str) -> String {
    match verifier.verify(token, now()).await {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => format!("{}: {fault}", fault.code()),
    }
}

#[test]
fn a_cluster_confirms_its_own_tokens() {
    wait(async {
        let house = House::good().await;
        for verifier in house.verifiers() {
            let workload = verifier.verify(&pods_token(), now()).await.unwrap().into_inner();
            assert_eq!(workload.subject.as_str(), "system:serviceaccount:payments:reporter");
            assert_eq!(workload.claims["kubernetes"]["pod"], POD.0);
        }
        assert_eq!(house.server.questions(), 2, "it is asked each time");
    });
}

#[test]
fn what_a_cluster_does_not_confirm_is_refused() {
    let of_user = |changes: Value| with(status(), json!({"user": with(user(), changes)}));
    let extra = |changes: Value| of_user(json!({"extra": with(user()["extra"].clone(), changes)}));
    let table: Vec<(Value, &str)> = vec![
        (with(status(), json!({"authenticated": false})), "not authenticated"),
        (with(status(), json!({"authenticated": "true"})), "not authenticated"),
        (with(status(), json!({"error": "the pod is gone"})), "the pod is gone"),
        (with(status(), json!({"error": {}})), "unreadable"),
        (without(status(), "authenticated"), "not authenticated"),
        (with(status(), json!({"audiences": []})), "the audience"),
        (without(status(), "audiences"), "the audience"),
        (with(status(), json!({"audiences": ["https://kubernetes.default.svc"]})), "the audience"),
        (with(status(), json!({"audiences": [AUDIENCE, "https://kubernetes.default.svc"]})), "the audience"),
        (with(status(), json!({"audiences": AUDIENCE})), "the audience"),
        (without(status(), "user"), "another user"),
        (of_user(json!({"username": "system:serviceaccount:payments:other"})), "another user"),
        (of_user(json!({"uid": "00000000-a7e2-420f-9f9a-dbc4507c3798"})), "made anew"),
        (of_user(json!({"uid": null})), "made anew"),
        (of_user(json!({"groups": ["system:authenticated"]})), "groups"),
        (of_user(json!({"groups": ["system:serviceaccounts", "system:serviceaccounts:other"]})), "groups"),
        (of_user(json!({"groups": null})), "groups"),
        (of_user(json!({"extra": {}})), "pod-name"),
        (extra(json!({"authentication.kubernetes.io/pod-name": ["other"]})), "pod-name"),
        (extra(json!({"authentication.kubernetes.io/pod-name": [POD.0, "other"]})), "pod-name"),
        (extra(json!({"authentication.kubernetes.io/pod-uid": ["00000000-f040-43b0-99b7-22765a53f7f3"]})), "pod-uid"),
        (extra(json!({"authentication.kubernetes.io/node-name": ["node-2"]})), "node-name"),
        (extra(json!({"authentication.kubernetes.io/credential-id": ["JTI=other"]})), "credential-id"),
    ];
    wait(async {
        let house = House::good().await;
        for (status, words) in table {
            house.server.says(&status);
            for verifier in house.verifiers() {
                let found = code(&verifier, &pods_token()).await;
                assert!(found.starts_with("identity.unconfirmed: ") && found.contains(words), "{status}: {found}");
            }
        }
    });
}

#[test]
fn what_a_cluster_need_not_say_is_not_asked_for() {
    let unbound =
        with(pod(), json!({"kubernetes.io": without(without(pod()["kubernetes.io"].clone(), "pod"), "node")}));
    let token = token(&RSA, &json!({"alg": "RS256", "kid": "rsa"}), &unbound);
    wait(async {
        let house = House::good().await;
        let [verifier, _] = house.verifiers();
        assert!(code(&verifier, &token).await.contains("pod-name"), "it says more than the token");
        house.server.says(&with(status(), json!({"user": with(user(), json!({"extra": {}}))})));
        assert_eq!(code(&verifier, &token).await, "accepted");
        let pod_alone = json!({
            "authentication.kubernetes.io/pod-name": [POD.0], "authentication.kubernetes.io/pod-uid": [POD.1],
        });
        house.server.says(&with(status(), json!({"user": with(user(), json!({"extra": pod_alone}))})));
        assert_eq!(code(&verifier, &pods_token()).await, "accepted", "older servers name no node");
    });
}

#[test]
fn an_api_server_that_misbehaves_is_not_believed() {
    let other = |from: &str, to: &str| review(&status()).replace(from, to);
    let table: Vec<((u16, String), &str)> = vec![
        ((500, review(&status())), "status 500"),
        ((302, review(&status())), "status 302"),
        ((403, review(&status())), "system:auth-delegator"),
        ((201, "<html>".to_owned()), "not a JSON object"),
        ((201, "[]".to_owned()), "not a JSON object"),
        ((201, " ".repeat(256 * 1024 + 1)), "more than 262144 bytes"),
        ((201, other("\"authenticated\":true", "\"authenticated\":false,\"authenticated\":true")), "not a JSON object"),
        ((201, other("TokenReview", "SubjectAccessReview")), "no TokenReview"),
        ((201, other("authentication.k8s.io/v1", "authentication.k8s.io/v1beta1")), "no TokenReview"),
        ((201, "{}".to_owned()), "no TokenReview"),
    ];
    wait(async {
        for (answer, words) in table {
            let house = House::open(answer).await;
            for verifier in house.verifiers() {
                let found = code(&verifier, &pods_token()).await;
                assert!(found.contains(words) && !found.contains("accepted"), "{words}: {found}");
                assert!(!found.contains(&pods_token()) && !found.contains("brokers-own"), "{found}");
            }
        }
    });
}

#[test]
fn nobody_is_asked_about_what_is_refused_here() {
    wait(async {
        let house = House::good().await;
        let [keys, alone] = house.verifiers();
        let rs = json!({"alg": "RS256", "kid": "rsa"});
        for (token, code_of_alone) in [
            (token(&RSA, &rs, &with(pod(), json!({"aud": ["other"]}))), "identity.audience"),
            (token(&RSA, &rs, &with(pod(), json!({"exp": NOW - 100, "iat": NOW - 200}))), "identity.expired"),
            (token(&RSA, &rs, &with(pod(), json!({"exp": NOW + 365 * 86_400}))), "identity.lifetime"),
            (token(&RSA, &rs, &with(pod(), json!({"sub": "system:serviceaccount:payments:other"}))), "identity.shape"),
            (token(&RSA, &rs, &with(pod(), json!({"iss": "https://other.cluster"}))), "identity.unknown_issuer"),
            (raw(&RSA, "RS256", r#"{"alg":"none"}"#, &pod().to_string()), "identity.algorithm"),
            (raw(&RSA, "RS256", r#"{"alg":"HS256"}"#, &pod().to_string()), "identity.algorithm"),
        ] {
            for verifier in [&keys, &alone] {
                let found = code(verifier, &token).await;
                assert!(found.starts_with(code_of_alone), "{code_of_alone}: {found}");
            }
        }
        let forged = token(&FOREIGN, &json!({"alg": "ES256", "kid": "ec"}), &pod());
        assert!(code(&keys, &forged).await.starts_with("identity.signature"));
        assert_eq!(house.server.questions(), 0);
        // Where its word stands for the signature, the cluster is asked, and says no.
        house.server.says(&json!({"authenticated": false, "error": "invalid signature"}));
        assert!(code(&alone, &forged).await.starts_with("identity.unconfirmed"));
    });
}

#[test]
fn the_brokers_own_token_is_read_anew() {
    wait(async {
        let house = House::good().await;
        let [verifier, _] = house.verifiers();
        assert_eq!(code(&verifier, &pods_token()).await, "accepted");
        *house.server.own.lock().unwrap() = "brokers-next".to_owned();
        assert!(code(&verifier, &pods_token()).await.contains("does not know the broker's own token"));
        std::fs::write(house.token_file(), "brokers-next").unwrap();
        assert_eq!(code(&verifier, &pods_token()).await, "accepted");
        for (text, words) in [("", "holds no token"), ("a\nb", "holds no token")] {
            std::fs::write(house.token_file(), text).unwrap();
            let found = code(&verifier, &pods_token()).await;
            assert!(found.starts_with("identity.unavailable") && found.contains(words), "{found}");
        }
        std::fs::write(house.token_file(), "x".repeat(70_000)).unwrap();
        assert!(code(&verifier, &pods_token()).await.contains("holds no token"));
        std::fs::remove_file(house.token_file()).unwrap();
        assert!(code(&verifier, &pods_token()).await.contains("cannot be read"));
    });
}

#[test]
fn its_configuration_says_where_and_as_whom_to_ask() {
    let problem = |review: Value, changes: Value| {
        let review = with(json!({"url": "https://10.0.0.1:6443", "token_file": "token"}), review);
        let config = json!({"name": "cluster", "preset": "kubernetes", "issuer": CLUSTER, "review": review});
        let config: IssuerConfig = serde_json::from_value(with(config, changes)).unwrap();
        config.validate().map_or_else(|fault| fault.problem, |()| "good".to_owned())
    };
    assert_eq!(problem(json!({}), json!({})), "good");
    assert_eq!(problem(json!({"url": "https://kubernetes.default.svc/"}), json!({})), "good");
    for (review, changes, expected) in [
        (json!({"url": "http://10.0.0.1"}), json!({}), "not an https address"),
        (json!({"url": "http://127.0.0.1"}), json!({}), "not an https address"),
        (json!({"url": "10.0.0.1"}), json!({}), "is no address"),
        (json!({"url": "https://10.0.0.1/apis"}), json!({}), "has a path"),
        (json!({"url": "https://a:b@10.0.0.1"}), json!({}), "user name or password"),
        (json!({"alone": true}), json!({"jwks": "{}"}), "leaves no use for keys"),
        (json!({}), json!({"preset": "gitlab"}), "for the preset `kubernetes` alone"),
    ] {
        let found = problem(review.clone(), changes);
        assert!(found.contains(expected), "{review}: {found}");
    }
    let missing = json!({"url": "https://10.0.0.1", "token_file": "t", "ca_file": "/nowhere/ca.crt"});
    let config = json!({"name": "cluster", "preset": "kubernetes", "issuer": CLUSTER, "review": missing});
    let fault = Verifier::new(&[serde_json::from_value(config).unwrap()], AUDIENCE, None).unwrap_err();
    assert!(fault.problem.contains("`review.ca_file` `/nowhere/ca.crt` cannot be read"), "{fault}");
}
