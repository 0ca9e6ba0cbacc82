//! Issuers that move, fail, stall or lie, behind real HTTP servers and behind sources of the tests' own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use writ_core::time::Timestamp;

use super::support::*;
use crate::ca::CertificateAuthority;
use crate::identity::cache::{Fetched, Fetching, Source, freshness};
use crate::identity::config::{CacheConfig, IssuerConfig};
use crate::identity::jwks::KeySet;
use crate::identity::verify::Verifier;

/// What a server answers: by the request's path and the server's own address.
type Answer = fn(&str, &str) -> Response<Body>;

#[derive(Clone)]
struct Shop {
    address: String,
    answer: Answer,
    hits: Arc<AtomicUsize>,
}

async fn serve(State(shop): State<Shop>, uri: Uri) -> Response<Body> {
    shop.hits.fetch_add(1, Ordering::SeqCst);
    (shop.answer)(uri.path(), &shop.address)
}

async fn open(answer: Answer) -> Shop {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shop = Shop { address, answer, hits: Arc::default() };
    let router = Router::new().fallback(serve).with_state(shop.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    shop
}

fn answer(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

fn document(address: &str) -> Value {
    json!({"issuer": address, "jwks_uri": format!("{address}/keys")})
}

fn honest(path: &str, address: &str) -> Response<Body> {
    match path {
        "/.well-known/openid-configuration" => answer(200, document(address).to_string()),
        "/keys" => answer(200, jwks(&[EC.jwk("ec")])),
        _ => answer(404, "none"),
    }
}

fn fetched(issuer: &str) -> IssuerConfig {
    IssuerConfig { issuer: issuer.into(), jwks: None, allow_http_loopback: true, ..config() }
}

fn token_of(issuer: &str) -> String {
    token(&EC, &header(), &with(claims(), json!({ "iss": issuer })))
}

/// What becomes of a good token by an issuer that answers like this.
fn told(answer: Answer) -> String {
    wait(async {
        let shop = open(answer).await;
        let verifier = Verifier::new(&[fetched(&shop.address)], AUDIENCE, None).unwrap();
        match verifier.verify(&token_of(&shop.address), now()).await {
            Ok(_) => "accepted".to_owned(),
            Err(fault) => format!("{}: {fault}", fault.code()),
        }
    })
}

#[test]
fn keys_are_discovered() {
    assert_eq!(told(honest), "accepted");
}

#[test]
fn issuers_that_lead_elsewhere_are_refused() {
    let table: [(Answer, &str); 7] = [
        (|_, address| answer(200, document(&format!("{address}/")).to_string()), "names issuer"),
        (|_, _| answer(200, "{}"), "names issuer"),
        (|_, _| answer(200, "<html>"), "is not JSON"),
        (
            |_, address| {
                let elsewhere = json!({"issuer": address, "jwks_uri": "http://127.0.0.1:9/keys"});
                answer(200, elsewhere.to_string())
            },
            "neither the issuer's host nor in `jwks_hosts`",
        ),
        (
            |_, address| {
                let elsewhere = json!({"issuer": address, "jwks_uri": "file:///etc/passwd"});
                answer(200, elsewhere.to_string())
            },
            "neither the issuer's host nor in `jwks_hosts`",
        ),
        (
            |_, address| {
                Response::builder()
                    .status(302)
                    .header("location", format!("{address}/keys"))
                    .body(Body::empty())
                    .unwrap()
            },
            "answers with status 302",
        ),
        (|_, _| answer(200, vec![b' '; 1024 * 1024 + 1]), "answers with more than 1048576 bytes"),
    ];
    for (lie, words) in table {
        let told = told(lie);
        assert!(told.starts_with("identity.keys_unavailable: ") && told.contains(words), "{told}");
    }
}

#[test]
fn a_redirect_of_the_keys_is_not_followed() {
    let told = told(|path, address| match path {
        "/keys" => Response::builder().status(307).header("location", "/other").body(Body::empty()).unwrap(),
        "/other" => answer(200, jwks(&[EC.jwk("ec")])),
        _ => honest(path, address),
    });
    assert!(told.contains("answers with status 307"), "{told}");
}

#[test]
fn a_name_or_address_inside_is_not_called() {
    for issuer in
        ["https://127.0.0.1:1", "https://10.0.0.1", "https://169.254.169.254", "https://[::1]:1", "https://localhost:1"]
    {
        let config = IssuerConfig { allow_http_loopback: false, ..fetched(issuer) };
        let verifier = Verifier::new(&[config], AUDIENCE, None).unwrap();
        let fault = wait(verifier.verify(&token_of(issuer), now())).unwrap_err().to_string();
        assert!(fault.contains("has no address that may be called"), "{issuer}: {fault}");
    }
}

#[test]
fn an_issuer_that_stalls_is_left() {
    let stalled: Answer = |_, _| {
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Response::builder().status(200).body(Body::from_stream(never)).unwrap()
    };
    let told = wait(async {
        tokio::time::timeout(Duration::from_secs(50), tokio::task::spawn_blocking(move || told(stalled))).await
    });
    let told = told.unwrap().unwrap();
    assert!(told.starts_with("identity.keys_unavailable: "), "{told}");
}

/// The honest issuer over TLS, with a certificate by an authority of its own, under the name `localhost`.
async fn open_tls(authority: &CertificateAuthority) -> String {
    let identity = authority.issue_server(&["localhost".into()], Timestamp::now(), Duration::from_secs(600)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let shop = Shop { address: address.clone(), answer: honest, hits: Arc::default() };
    let router = Router::new().fallback(serve).with_state(shop);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

#[test]
fn an_internal_issuer_is_vouched_for_by_its_own_authority() {
    wait(async {
        let directory = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(directory.path(), &mut Vec::new()).unwrap();
        let issuer = open_tls(&authority).await;
        let trusting = IssuerConfig {
            allow_http_loopback: false,
            internal: true,
            ca_pem_file: Some(directory.path().join("ca.pem")),
            ..fetched(&issuer)
        };
        let unknown = IssuerConfig { ca_pem_file: None, ..trusting.clone() };
        let outside = IssuerConfig { internal: false, ..trusting.clone() };
        let verified = async |config: IssuerConfig| {
            let verifier = Verifier::new(&[config], AUDIENCE, None).unwrap();
            verifier.verify(&token_of(&issuer), now()).await.map(drop).map_err(|fault| fault.to_string())
        };
        assert_eq!(verified(trusting).await, Ok(()));
        assert!(verified(unknown).await.unwrap_err().contains("cannot be fetched"));
        assert!(verified(outside).await.unwrap_err().contains("has no address that may be called"));
    });
}

#[test]
fn keys_on_a_listed_host_are_fetched() {
    wait(async {
        let keys = open(honest).await;
        // The port stands in the path, so that one answer serves any pair of servers.
        let port = keys.address.rsplit_once(':').unwrap().1.to_owned();
        let shop = open(|path, address| {
            let (issuer, port) = path.trim_end_matches("/.well-known/openid-configuration").rsplit_once('/').unwrap();
            let named = format!("{address}{issuer}/{port}");
            answer(200, json!({"issuer": named, "jwks_uri": format!("http://127.0.0.1:{port}/keys")}).to_string())
        })
        .await;
        let issuer = format!("{}/{port}", shop.address);
        let listed = IssuerConfig { jwks_hosts: vec![format!("127.0.0.1:{port}")], ..fetched(&issuer) };
        for (config, accepted) in [(listed, true), (fetched(&issuer), false)] {
            let verifier = Verifier::new(&[config], AUDIENCE, None).unwrap();
            assert_eq!(verifier.verify(&token_of(&issuer), now()).await.is_ok(), accepted);
        }
        assert_eq!(keys.hits.load(Ordering::SeqCst), 1);
    });
}

/// A source whose answers a test sets.
#[derive(Debug, Clone, Default)]
struct Fake {
    keys: Arc<std::sync::Mutex<Option<String>>>,
    fetches: Arc<AtomicUsize>,
}

impl Source for Fake {
    fn fetch(&self) -> Fetching<'_> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        let keys = self.keys.lock().unwrap().clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let keys =
                KeySet::parse(keys.ok_or("the issuer is down")?.as_bytes()).map_err(|fault| fault.to_string())?;
            Ok(Fetched { keys, fresh: Some(Duration::from_secs(600)) })
        })
    }
}

impl Fake {
    fn holding(keys: &[Value]) -> Self {
        let fake = Self::default();
        fake.hold(keys);
        fake
    }

    fn hold(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = Some(jwks(keys));
    }

    fn fail(&self) {
        *self.keys.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> Verifier {
        verifier_of(config()).with_source(ISSUER, CacheConfig::default(), Box::new(self.clone()))
    }
}

/// A token by `pair` that is good at `seconds` after now, and what becomes of it.
fn then(verifier: &Verifier, pair: &Pair, kid: &str, seconds: i64) -> &'static str {
    let time = NOW + seconds;
    let claims = with(claims(), json!({"iat": time, "nbf": time, "exp": time + 60}));
    let token = token(pair, &with(header(), json!({ "kid": kid })), &claims);
    match wait(verifier.verify(&token, at(time))) {
        Ok(_) => "accepted",
        Err(fault) => fault.code(),
    }
}

#[test]
fn a_flood_of_key_names_costs_the_issuer_six_fetches_a_minute() {
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    for step in 0..600 {
        assert_eq!(then(&verifier, &FOREIGN, &format!("kid-{step}"), step / 10), "identity.unknown_key");
        if step % 100 == 0 {
            assert_eq!(then(&verifier, &EC, "ec", step / 10), "accepted");
        }
    }
    assert_eq!(fake.fetches(), 6);
}

#[test]
fn many_at_once_cause_one_fetch() {
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    let good = good();
    let all = wait(futures_util::future::join_all((0..64).map(|_| verifier.verify(&good, now()))));
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.fetches(), 1);
}

/// Holds one key at first, then answers no more.
#[derive(Debug)]
struct Slow(Fake);

impl Source for Slow {
    fn fetch(&self) -> Fetching<'_> {
        if self.0.fetches() > 0 { Box::pin(std::future::pending()) } else { self.0.fetch() }
    }
}

#[tokio::test]
async fn few_wait_for_an_issuer_that_answers_slowly() {
    let verifier = verifier_of(config()).with_source(
        ISSUER,
        CacheConfig::default(),
        Box::new(Slow(Fake::holding(&[EC.jwk("ec")]))),
    );
    verifier.verify(&good(), now()).await.expect("the key is held");
    let time = NOW + 60;
    let claims = with(claims(), json!({"iat": time, "nbf": time, "exp": time + 60}));
    let unknown = token(&FOREIGN, &with(header(), json!({ "kid": "unknown" })), &claims);
    let mut all: futures_util::stream::FuturesUnordered<_> =
        (0..100).map(|_| verifier.verify(&unknown, at(time))).collect();
    let mut refused = 0;
    let most = tokio::time::timeout(Duration::from_secs(1), async {
        while let Some(outcome) = futures_util::StreamExt::next(&mut all).await {
            assert_eq!(outcome.expect_err("no such key").code(), "identity.unknown_key");
            refused += 1;
        }
    });
    assert!(most.await.is_err(), "the first ones wait for the fetch");
    assert_eq!(refused, 68, "the others are answered at once");
    let known = token(&EC, &with(header(), json!({ "kid": "ec" })), &claims);
    let held = tokio::time::timeout(Duration::from_secs(10), verifier.verify(&known, at(time)));
    held.await.expect("who shows a held key waits for nobody").expect("accepted");
}

#[test]
fn a_new_key_is_found_and_an_old_one_forgotten() {
    let next = Pair::fresh();
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    assert_eq!(then(&verifier, &EC, "ec", 0), "accepted");
    fake.hold(&[EC.jwk("ec"), next.jwk("next")]);
    assert_eq!(then(&verifier, &next, "next", 11), "accepted");
    assert_eq!(then(&verifier, &EC, "ec", 12), "accepted");
    fake.hold(&[next.jwk("next")]);
    assert_eq!(then(&verifier, &EC, "ec", 600), "accepted");
    assert_eq!(then(&verifier, &EC, "ec", 612), "identity.unknown_key");
    assert_eq!(then(&verifier, &next, "next", 613), "accepted");
}

#[test]
fn stale_keys_serve_until_their_bound_and_no_longer() {
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    assert_eq!(then(&verifier, &EC, "ec", 0), "accepted");
    fake.fail();
    let bound = 6 * 3600;
    assert_eq!(then(&verifier, &EC, "ec", 700), "accepted");
    assert_eq!(then(&verifier, &EC, "ec", bound - 1), "accepted");
    assert_eq!(then(&verifier, &EC, "ec", bound), "identity.keys_unavailable");
    fake.hold(&[EC.jwk("ec")]);
    assert_eq!(then(&verifier, &EC, "ec", bound + 5), "identity.keys_unavailable");
    assert_eq!(then(&verifier, &EC, "ec", bound + 11), "accepted");
}

#[test]
fn an_empty_set_does_not_replace_a_good_one() {
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    assert_eq!(then(&verifier, &EC, "ec", 0), "accepted");
    fake.hold(&[]);
    assert_eq!(then(&verifier, &EC, "ec", 700), "accepted");
}

#[test]
fn a_clock_that_was_set_back_does_not_make_keys_younger() {
    let fake = Fake::holding(&[EC.jwk("ec")]);
    let verifier = fake.verifier();
    assert_eq!(then(&verifier, &EC, "ec", 0), "accepted");
    fake.fail();
    assert_eq!(then(&verifier, &EC, "ec", -7 * 3600), "identity.keys_unavailable");
}

#[test]
fn cache_control_is_read() {
    let seconds = |text| freshness(text).map(|fresh| fresh.as_secs());
    assert_eq!(seconds("public, max-age=300, must-revalidate"), Some(300));
    assert_eq!(seconds("Max-Age=\"7\""), Some(7));
    assert_eq!(seconds("max-age=300, no-cache"), Some(0));
    assert_eq!(seconds("no-store"), Some(0));
    assert_eq!(seconds("public"), None);
    assert_eq!(seconds("max-age=soon"), None);
}

fn bundle_with_hint(hint: &str) -> Response<Body> {
    let key = with(EC.jwk("ec"), json!({"use": "jwt-svid"}));
    let bundle = format!(r#"{{"keys": [{key}], "spiffe_sequence": 7, "spiffe_refresh_hint": {hint}}}"#);
    let response = Response::builder().header("cache-control", "max-age=5");
    response.body(Body::from(bundle)).unwrap()
}

/// How often the bundle is fetched for tokens at these times.
fn fetches(answer: Answer, times: &[i64]) -> Vec<usize> {
    wait(async {
        let shop = open(answer).await;
        let config = json!({
            "name": "prod", "preset": "spiffe", "tenant": "prod.example", "jwks_url": format!("{}/bundle", shop.address),
            "allow_http_loopback": true,
        });
        let verifier = Verifier::new(&[serde_json::from_value(config).unwrap()], AUDIENCE, None).unwrap();
        let mut seen = Vec::new();
        for time in times {
            let lasting =
                json!({"sub": "spiffe://prod.example/job", "aud": AUDIENCE, "iat": NOW + time, "exp": NOW + time + 60});
            let svid = token(&EC, &json!({"alg": "ES256", "kid": "ec"}), &lasting);
            verifier.verify(&svid, at(NOW + time)).await.unwrap();
            seen.push(shop.hits.load(Ordering::SeqCst));
        }
        seen
    })
}

#[test]
fn a_bundle_is_fetched_again_as_often_as_it_says_within_bounds() {
    assert_eq!(fetches(|_, _| bundle_with_hint("300"), &[0, 299, 300, 599, 601]), [1, 1, 2, 2, 3]);
    assert_eq!(fetches(|_, _| bundle_with_hint("1"), &[0, 59, 60]), [1, 1, 2], "not sooner than `min_fresh`");
    assert_eq!(
        fetches(|_, _| bundle_with_hint("999999999"), &[0, 3599, 3600]),
        [1, 1, 2],
        "not later than `max_fresh`"
    );
    for nothing in ["\"300\"", "-1", "null", "1.5"] {
        let answer: Answer = match nothing {
            "-1" => |_, _| bundle_with_hint("-1"),
            "null" => |_, _| bundle_with_hint("null"),
            "1.5" => |_, _| bundle_with_hint("1.5"),
            _ => |_, _| bundle_with_hint("\"300\""),
        };
        assert_eq!(fetches(answer, &[0, 59, 61]), [1, 1, 2], "{nothing} says nothing, HTTP does");
    }
}
