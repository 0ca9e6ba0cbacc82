//! Answers that Google would not give, or not often: nothing of them is taken that was not asked for, and nothing of them shows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended, Minted};
use writ_core::provider::{Provider as _, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{TokenId, TokenKind, Workload};

use writ_provider_gcp::{GcpConfig, GcpProvider};

const ACCOUNT: &str = "reports@acme-prod.iam.gserviceaccount.com";
const SHOWN: &str = "e30.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJl";
const CANARY: &str = "ya29.canary-canary-canary";

/// What was asked of it: path, reason and body.
type Asked = Arc<Mutex<Vec<(String, String, String)>>>;
type Answer = Arc<dyn Fn(&str) -> Response<Body> + Send + Sync>;

/// A Google that answers as it is told.
async fn google(answer: Answer) -> (String, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let reason = headers.get("x-goog-request-reason").and_then(|text| text.to_str().ok()).unwrap_or_default();
        let entry = (uri.path().to_owned(), reason.to_owned(), String::from_utf8_lossy(&body).into_owned());
        seen.lock().unwrap().push(entry);
        let response = answer(uri.path());
        async move { response }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

fn said(status: u16, body: impl Into<String>) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.into())).unwrap()
}

fn federated() -> Value {
    json!({
        "access_token": CANARY, "token_type": "Bearer", "expires_in": 3600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    })
}

fn access() -> Value {
    let end = Timestamp::from_second(after(Timestamp::now(), 300).as_second()).unwrap();
    json!({ "accessToken": CANARY, "expireTime": end.to_string() })
}

fn provider(url: &str, change: fn(&mut Value)) -> GcpProvider {
    let mut settings = json!({
        "service_account": ACCOUNT, "default_scope": "read",
        "scopes": { "read": { "oauth": ["https://www.googleapis.com/auth/devstorage.read_only"] } },
        "federation": {
            "by": "workload", "sts_endpoint": url, "iam_endpoint": url, "tokeninfo_endpoint": url, "call_timeout_ms": 30_000,
            "pool_provider": "projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ",
        },
    });
    change(&mut settings);
    let config: GcpConfig = serde_json::from_value(settings).unwrap();
    GcpProvider::new(&config, None).unwrap()
}

fn target() -> Target {
    let address = Address { host: "localhost".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let name = TargetName::new("kit").unwrap();
    Target {
        name,
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Gcp,
        address,
        provider: "gcp".to_owned(),
    }
}

fn intended() -> Intended {
    let writ = writ_provider_kit::writ(None, Duration::from_secs(300));
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: std::collections::BTreeMap::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("jti".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    writ_provider_kit::intended(&writ).asked_by(Asker { workload, token: Secret::new(SHOWN.as_bytes().to_vec()) })
}

async fn minted(
    answer: Answer,
    change: fn(&mut Value),
) -> (Result<Minted, ProviderFault>, Vec<(String, String, String)>) {
    let (url, asked) = google(answer).await;
    let minted = provider(&url, change).mint(&target(), intended(), Duration::from_secs(30)).await;
    let shown = format!("{minted:?}");
    assert!(!shown.contains("canary") && !shown.contains(SHOWN), "{shown}");
    let asked = asked.lock().unwrap().clone();
    (minted, asked)
}

/// Answers of STS, and then sound ones of the IAM credentials service.
fn at_sts(answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Answer {
    Arc::new(move |path| if path == "/v1/token" { answer() } else { said(200, access().to_string()) })
}

/// Sound answers of STS, and then others of the IAM credentials service.
fn at_iam(answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Answer {
    Arc::new(move |path| if path == "/v1/token" { said(200, federated().to_string()) } else { answer() })
}

#[tokio::test]
async fn sound_answers_are_taken() {
    let (minted, asked) = minted(at_sts(|| said(200, federated().to_string())), |_| ()).await;
    let minted = minted.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.principal.as_str(), credential.secret.expose()), (ACCOUNT, CANARY.as_bytes()));
    let id = minted.writ().unwrap().id.to_string();
    assert!(asked.len() == 2 && asked.iter().all(|(_, reason, _)| *reason == id), "{asked:?}");
    // The form, to the letter.
    let provider = "%2F%2Fiam.googleapis.com%2Fprojects%2F123456789012%2Flocations%2Fglobal%2FworkloadIdentityPools%2Fwrit%2Fproviders%2Fwrit";
    assert_eq!(
        asked[0].2,
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience={provider}\
             &scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={SHOWN}"
        )
    );
    assert_eq!(asked[1].0, format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"));
}

/// What is done with a token, and what that is called.
const REFUSED: &str = "provider.refused";
const UNREACHABLE: &str = "provider.unreachable";

#[tokio::test]
async fn what_sts_did_not_say_is_not_taken() {
    let changed = |member: &'static str, value: Value| {
        at_sts(move || {
            let mut answer = federated();
            answer[member] = value.clone();
            said(200, answer.to_string())
        })
    };
    for (answer, code, words) in [
        (changed("token_type", json!("mac")), REFUSED, "asked was an access token"),
        (
            changed("issued_token_type", json!("urn:ietf:params:oauth:token-type:jwt")),
            REFUSED,
            "asked was an access token",
        ),
        (changed("expires_in", json!(315_360_000)), REFUSED, "which none lives"),
        (changed("expires_in", json!("3600")), UNREACHABLE, "cannot be read"),
        (changed("access_token", json!(format!("{CANARY}\r\nHost: x"))), UNREACHABLE, "cannot be read"),
        (changed("access_token", json!("short")), UNREACHABLE, "cannot be read"),
        (changed("access_token", json!([CANARY])), UNREACHABLE, "cannot be read"),
        (at_sts(|| said(200, format!("<html>{CANARY}</html>"))), UNREACHABLE, "cannot be read"),
        (at_sts(|| said(200, "x".repeat(70_000))), UNREACHABLE, "cannot be read"),
        (at_sts(|| said(404, format!("<html>{CANARY}</html>"))), UNREACHABLE, "cannot be read"),
        (at_sts(|| said(204, "")), UNREACHABLE, "cannot be read"),
        (at_sts(|| said(502, CANARY)), UNREACHABLE, "status 502"),
        (
            at_sts(|| {
                said(400, json!({ "error": "invalid_grant", "error_description": "no", "echo": CANARY }).to_string())
            }),
            REFUSED,
            "no (invalid_grant, status 400)",
        ),
        (
            at_sts(|| said(403, json!({ "error": "something_new", "error_description": "x\ny" }).to_string())),
            REFUSED,
            "x y (something_new, status 403)",
        ),
    ] {
        let (minted, asked) = minted(answer, |_| ()).await;
        let fault = minted.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "`{words}` is not in {fault:?}");
        assert_eq!(asked.len(), 1, "{fault:?}: asked once, and no further");
    }
}

#[tokio::test]
async fn what_the_iam_service_did_not_say_is_not_taken() {
    let changed = |member: &'static str, value: Value| {
        at_iam(move || {
            let mut answer = access();
            answer[member] = value.clone();
            said(200, answer.to_string())
        })
    };
    for (answer, code, words) in [
        (changed("expireTime", json!("2099-01-01T00:00:00Z")), REFUSED, "set the clock of the broker's machine"),
        (changed("expireTime", json!("2020-01-01T00:00:00Z")), REFUSED, "set the clock of the broker's machine"),
        (changed("expireTime", json!("soon")), UNREACHABLE, "cannot be read"),
        (changed("accessToken", json!("")), UNREACHABLE, "cannot be read"),
        (at_iam(|| said(200, "{}")), UNREACHABLE, "cannot be read"),
        (
            at_iam(|| {
                said(401, json!({ "error": { "code": 401, "message": "no", "status": "UNAUTHENTICATED" } }).to_string())
            }),
            REFUSED,
            "does not take the token",
        ),
        (
            at_iam(|| {
                let detail = json!({ "reason": "SERVICE_DISABLED" });
                said(
                    403,
                    json!({ "error": { "message": "off", "status": "PERMISSION_DENIED", "details": [detail] } })
                        .to_string(),
                )
            }),
            "provider.misconfigured",
            "must have this API enabled",
        ),
    ] {
        let (minted, asked) = minted(answer, |_| ()).await;
        let fault = minted.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "`{words}` is not in {fault:?}");
        assert_eq!(asked.len(), 2, "{fault:?}");
    }
}

/// What was shown goes to nobody else.
#[tokio::test]
async fn redirects_are_not_followed() {
    let (elsewhere, seen) = google(Arc::new(|_| said(200, federated().to_string()))).await;
    let to = Arc::new(elsewhere);
    for status in [301, 302, 303, 307, 308] {
        let to = Arc::clone(&to);
        let answer = at_sts(move || {
            let built = Response::builder().status(status).header("location", format!("{to}/v1/token"));
            built.body(Body::empty()).unwrap()
        });
        let (minted, _) = minted(answer, |_| ()).await;
        assert_eq!(minted.unwrap_err().code(), UNREACHABLE);
    }
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn only_who_was_turned_away_comes_back() {
    let busy = |status: u16| {
        let count = Arc::new(Mutex::new(0));
        at_sts(move || {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == 1 { said(status, "{}") } else { said(200, federated().to_string()) }
        })
    };
    let (turned_away, asked) = minted(busy(429), |_| ()).await;
    turned_away.unwrap();
    assert_eq!(asked.len(), 3);
    for status in [500, 503] {
        let (failed, asked) = minted(busy(status), |_| ()).await;
        assert_eq!((failed.unwrap_err().code(), asked.len()), (UNREACHABLE, 1));
    }
}

#[tokio::test]
async fn an_id_token_of_anybody_else_is_not_taken() {
    let token = |audience: &str, email: &str, life: i64| {
        let end = Timestamp::now().as_second() + life;
        let claims = json!({ "aud": audience, "email": email, "exp": end });
        format!("e30.{}.Y2FuYXJ5", URL_SAFE_NO_PAD.encode(claims.to_string()))
    };
    let identity = |settings: &mut Value| {
        settings["id_token_audience"] = json!("https://a.example");
        settings.as_object_mut().unwrap().remove("scopes");
        settings.as_object_mut().unwrap().remove("default_scope");
    };
    let answer = |token: String| at_iam(move || said(200, json!({ "token": token }).to_string()));
    let (sound, _) = minted(answer(token("https://a.example", ACCOUNT, 3_600)), identity).await;
    sound.unwrap();
    for (token, words) in [
        (token("https://b.example", ACCOUNT, 3_600), "for `https://b.example`"),
        (token("https://a.example", "other@p.iam.gserviceaccount.com", 3_600), "of `other@p.iam.gserviceaccount.com`"),
        (token("https://a.example", ACCOUNT, 86_400), "set the clock"),
        ("e30.e30".repeat(4), "cannot be read"),
    ] {
        let (other, _) = minted(answer(token), identity).await;
        let fault = other.unwrap_err();
        assert!(fault.detail().contains(words), "`{words}` is not in {fault:?}");
    }
}

/// A boundary that Google passed over, or a token that outlives the one that it was made of.
#[tokio::test]
async fn a_token_is_behind_its_boundary_or_is_not_taken() {
    let bounded = |settings: &mut Value| {
        settings["scopes"]["read"]["boundary"] = json!([{
            "resource": "//storage.googleapis.com/projects/_/buckets/reports", "permissions": ["inRole:roles/storage.objectViewer"],
        }]);
    };
    let (same, asked) = minted(at_sts(|| said(200, federated().to_string())), bounded).await;
    let fault = same.unwrap_err();
    assert!(fault.detail().contains("Google gave the token back as it was"), "{fault:?}");
    assert_eq!(asked.len(), 3);
    let count = Arc::new(Mutex::new(0));
    let another = at_sts(move || {
        let mut count = count.lock().unwrap();
        *count += 1;
        let mut answer = federated();
        answer["access_token"] = json!(format!("{CANARY}-{count}"));
        said(200, answer.to_string())
    });
    let (narrow, asked) = minted(another, bounded).await;
    let narrow = narrow.unwrap();
    let credential = narrow.credential().unwrap();
    assert_eq!(credential.secret.expose(), format!("{CANARY}-2").as_bytes());
    let left = credential.expires.unwrap().as_second() - Timestamp::now().as_second();
    assert!(left <= 300, "it outlives the token that it was made of: {left}");
    assert!(
        asked[2].2.contains("&options=%7B%22accessBoundary%22%3A%7B%22accessBoundaryRules%22%3A%5B"),
        "{:?}",
        asked[2].2
    );
}

/// Whose Google says that a token is must be whose it was given as.
#[tokio::test]
async fn a_token_that_google_takes_for_anothers_is_a_fault() {
    for (email, sound) in [(ACCOUNT, true), ("other@acme-prod.iam.gserviceaccount.com", false)] {
        let answer: Answer = Arc::new(move |path| match path {
            "/v1/token" => said(200, federated().to_string()),
            "/tokeninfo" => said(200, json!({ "email": email }).to_string()),
            _ => said(200, access().to_string()),
        });
        let (url, asked) = google(answer).await;
        let provider = provider(&url, |_| ());
        let minted = provider.mint(&target(), intended(), Duration::from_secs(30)).await.unwrap();
        let credential = minted.credential().unwrap();
        let presented = provider.present(&target(), credential, Duration::from_secs(30)).await;
        match presented {
            Ok(presented) => assert!(sound && presented.unwrap().principal == ACCOUNT),
            Err(fault) => assert!(!sound && fault.detail().contains("and sees `other@acme-prod"), "{fault:?}"),
        }
        // In the body, not in the address.
        let asked = asked.lock().unwrap();
        assert_eq!(asked[2].2, format!("access_token={CANARY}"));
    }
}
