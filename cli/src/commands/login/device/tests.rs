use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::super::{client, discover};
use super::*;

type Fields = BTreeMap<String, String>;

fn error(word: &str) -> Said {
    Said::Error(word.to_owned())
}

fn after(pace: &Pace, now: Instant) -> u64 {
    (pace.next().expect("there is time") - now).as_secs()
}

#[test]
fn the_issuer_is_asked_no_more_often_than_it_allows() {
    let now = Instant::now();
    let mut pace = Pace::new(None, 600, now).expect("a pace");
    assert_eq!(after(&pace, now), 5);
    for (said, interval) in [
        (error("authorization_pending"), 5),
        (error("slow_down"), 10),
        (error("authorization_pending"), 10),
        (error("slow_down"), 15),
        (Said::Nothing, 30),
        (Said::Nothing, 60),
        (Said::Nothing, 60),
        (error("slow_down"), 65),
        (Said::Nothing, 65),
    ] {
        assert!(pace.heard(said, now).expect("goes on").is_none());
        assert_eq!(after(&pace, now), interval);
    }
}

#[test]
fn an_interval_of_nothing_is_a_second() {
    let now = Instant::now();
    assert_eq!(after(&Pace::new(Some(0), 600, now).expect("a pace"), now), 1);
}

#[test]
fn nobody_is_asked_after_the_code_ran_out() {
    let now = Instant::now();
    let mut pace = Pace::new(Some(1), 10, now).expect("a pace");
    assert!(pace.heard(error("authorization_pending"), now + Duration::from_secs(9)).expect("goes on").is_none());
    assert!(pace.next().expect_err("over").to_string().contains("ran out"));
    // However long a life the issuer gives, and however rarely it would be asked.
    let mut pace = Pace::new(Some(1), u64::MAX, now).expect("a pace");
    assert!(pace.heard(error("slow_down"), now + PATIENCE).expect("goes on").is_none());
    assert!(pace.next().is_err());
    for (interval, life) in [(Some(60), 60), (Some(u64::MAX), u64::MAX), (None, 0)] {
        let failure = Pace::new(interval, life, now).expect_err("never");
        assert!(failure.to_string().contains("runs out before"), "{failure}");
    }
}

#[test]
fn a_refusal_ends_it() {
    let now = Instant::now();
    let long = "x".repeat(1000);
    for (word, words) in [
        ("access_denied", "declined"),
        ("expired_token", "ran out"),
        ("invalid_client", "refused: `invalid_client`"),
        (long.as_str(), "xxx`"),
    ] {
        let mut pace = Pace::new(None, 600, now).expect("a pace");
        let failure = pace.heard(error(word), now).err().expect("refused").to_string();
        assert!(failure.contains(words) && failure.len() < 150, "{failure}");
    }
}

/// An issuer that begins with `begun`, then answers each question with the next of `answers`.
async fn issuer(begun: Value, answers: Vec<Response>, lie: fn(&mut Value)) -> Named {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut document = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "device_authorization_endpoint": format!("{url}/device"),
    });
    lie(&mut document);
    let text = begun.to_string().replace("ISSUER", &url);
    let begin = move |Form(form): Form<Fields>| async move {
        assert_eq!((form["client_id"].as_str(), form["scope"].as_str()), ("writ-cli", "openid"));
        ([("content-type", "application/json")], text)
    };
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let own = url.clone();
    let token = move |Form(form): Form<Fields>| async move {
        assert_eq!((form["grant_type"].as_str(), form["device_code"].as_str()), (GRANT, "the-device-code"));
        let scripted = answers.lock().expect("a lock").next();
        scripted.unwrap_or_else(|| {
            let claims = json!({ "iss": own, "sub": "ada", "aud": "writ-cli", "exp": 4_000_000_000_i64 });
            let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
            Json(json!({ "id_token": token, "access_token": "x" })).into_response()
        })
    };
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(|| async move { Json(document) }))
        .route("/device", post(begin))
        .route("/token", post(token));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Named { issuer: url, client_id: "writ-cli".to_owned(), audience: "writ-cli".to_owned() }
}

fn begun() -> Value {
    json!({
        "device_code": "the-device-code", "user_code": "ABCD-EFGH", "verification_uri": "ISSUER/page",
        "expires_in": 600, "interval": 1,
    })
}

fn refusal(word: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": word }))).into_response()
}

async fn obtained(named: &Named) -> Result<(Zeroizing<String>, String), Failure> {
    let client = client(None).expect("a client");
    let found = discover(&client, named).await.expect("an issuer");
    let mut shown = String::new();
    let token = obtain(&client, named, &found, |page, code| shown = format!("{page} {code}")).await?;
    Ok((token, shown))
}

#[tokio::test]
async fn the_token_comes_once_the_code_was_entered() {
    let trouble = StatusCode::BAD_GATEWAY.into_response();
    let named = issuer(begun(), vec![refusal("authorization_pending"), trouble], |_| ()).await;
    let (token, shown) = obtained(&named).await.expect("a token");
    assert!(token.starts_with("e30.") && token.ends_with(".c2ln"));
    assert_eq!(shown, format!("{}/page ABCD-EFGH", named.issuer));
}

#[tokio::test]
async fn a_human_who_declines_is_believed() {
    let named = issuer(begun(), vec![refusal("access_denied")], |_| ()).await;
    let failure = obtained(&named).await.expect_err("declined").to_string();
    assert!(failure.contains("declined"), "{failure}");
}

#[tokio::test]
async fn an_issuer_without_a_device_flow_is_named() {
    let without = |document: &mut Value| {
        drop(document.as_object_mut().expect("an object").remove("device_authorization_endpoint"))
    };
    let named = issuer(begun(), Vec::new(), without).await;
    let failure = obtained(&named).await.expect_err("none").to_string();
    assert!(failure.contains("has no device flow") && failure.contains("leave `--device` out"), "{failure}");
}

#[tokio::test]
async fn what_a_human_should_not_be_shown_is_refused() {
    for (member, value, words) in [
        ("verification_uri", json!("http://login.test/page"), "is not https"),
        ("verification_uri", json!("javascript:alert(1)"), "is not https"),
        ("user_code", json!("AB\u{1b}[2J"), "a human could enter"),
        ("user_code", json!("A".repeat(65)), "a human could enter"),
        ("user_code", json!(""), "a human could enter"),
        ("expires_in", json!(0), "runs out before"),
        ("expires_in", json!("600"), "not what a login needs"),
    ] {
        let mut begun = begun();
        begun[member] = value;
        let named = issuer(begun, Vec::new(), |_| ()).await;
        let failure = obtained(&named).await.expect_err("refused").to_string();
        assert!(failure.contains(words), "{member}: {failure}");
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let claims = |issuer: &str| json!({ "iss": issuer, "sub": "ada", "aud": "other", "exp": 4_000_000_000_i64 });
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims("https://else.test").to_string()));
    let answers = vec![Json(json!({ "id_token": token })).into_response()];
    let failure = obtained(&issuer(begun(), answers, |_| ()).await).await.expect_err("refused").to_string();
    assert!(failure.contains("from another issuer") && !failure.contains("e30."), "{failure}");
    let answers = vec![Json(json!({ "access_token": "only" })).into_response()];
    let failure = obtained(&issuer(begun(), answers, |_| ()).await).await.expect_err("refused").to_string();
    assert!(failure.contains("an answer without an ID token") && !failure.contains("only"), "{failure}");
}
