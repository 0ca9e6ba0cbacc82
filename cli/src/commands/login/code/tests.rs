use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Form;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Redirect};
use axum::routing::post;

use reqwest::Url;
use serde_json::{Value, json};

use super::super::{client, discover};
use super::*;

type Fields = BTreeMap<String, String>;
type Lie = fn(&mut Value);

/// An issuer that says yes at once, and holds the client to PKCE; `lie` changes the claims before they go out.
async fn issuer(lie: Lie) -> Named {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked: Arc<Mutex<Fields>> = Arc::default();
    let document = json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
    });
    let remembered = Arc::clone(&asked);
    let authorize = move |Query(fields): Query<Fields>| async move {
        let back = format!("{}?code=the-code&state={}", fields["redirect_uri"], fields["state"]);
        *remembered.lock().expect("a lock") = fields;
        Redirect::to(&back)
    };
    let own = url.clone();
    let token = move |Form(form): Form<Fields>| async move {
        let asked = asked.lock().expect("a lock").clone();
        let proven = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
        let same = ["client_id", "redirect_uri"].iter().all(|name| form[*name] == asked[*name]);
        if !same
            || form["code"] != "the-code"
            || asked["code_challenge_method"] != "S256"
            || proven != asked["code_challenge"]
        {
            return StatusCode::BAD_REQUEST.into_response();
        }
        let mut claims = json!({
            "iss": own, "sub": "ada", "aud": asked["client_id"], "nonce": asked["nonce"], "exp": 4_000_000_000_i64,
        });
        lie(&mut claims);
        Json(json!({ "id_token": format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string())) })).into_response()
    };
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(|| async move { Json(document) }))
        .route("/authorize", get(authorize))
        .route("/token", post(token));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Named { issuer: url, client_id: "writ-cli".to_owned(), audience: "writ-cli".to_owned() }
}

/// A browser: opens the address and follows where it leads.
fn browse(url: &str) {
    let url = url.to_owned();
    tokio::spawn(async move { reqwest::Client::builder().no_proxy().build().expect("a client").get(url).send().await });
}

async fn obtained(named: &Named, show: impl FnOnce(&str)) -> Result<Zeroizing<String>, Failure> {
    let client = client(None).expect("a client");
    let found = discover(&client, named).await.expect("an issuer");
    obtain(&client, named, &found, show).await
}

async fn logged_in(lie: Lie) -> Result<Zeroizing<String>, Failure> {
    obtained(&issuer(lie).await, browse).await
}

#[tokio::test]
async fn a_browser_that_comes_back_brings_the_token() {
    let token = logged_in(|_| ()).await.expect("a token");
    assert!(token.starts_with("e30.") && token.ends_with(".c2ln"));
}

#[tokio::test]
async fn a_token_that_is_not_the_answer_is_refused() {
    let lies: [(Lie, &str); 4] = [
        (|claims| claims["nonce"] = json!("another"), "answers another login"),
        (|claims| claims["aud"] = json!(["other"]), "is for somebody else"),
        (|claims| claims["iss"] = json!("https://else.test"), "is from another issuer"),
        (|claims| claims["exp"] = json!(1), "has expired"),
    ];
    for (lie, words) in lies {
        let failure = logged_in(lie).await.expect_err("refused").to_string();
        assert!(failure.contains(words), "{failure}");
        assert!(!failure.contains("e30."), "the token is printed: {failure}");
    }
}

#[tokio::test]
async fn another_state_is_not_taken_for_the_answer() {
    let named = issuer(|_| ()).await;
    let shown = |url: &str| {
        let url = Url::parse(url).expect("an address");
        let back = url.query_pairs().find(|(name, _)| name == "redirect_uri").expect("a redirect").1.into_owned();
        tokio::spawn(async move {
            let browser = reqwest::Client::builder().no_proxy().build().expect("a client");
            let strange = browser.get(format!("{back}?state=guessed&code=stolen")).send().await.expect("an answer");
            assert!(strange.text().await.expect("a page").contains("not the login"));
            browser.get(url).send().await
        });
    };
    obtained(&named, shown).await.expect("the true answer is taken");
}

#[tokio::test]
async fn a_refusal_is_told() {
    let named = issuer(|_| ()).await;
    let shown = |url: &str| {
        let url = Url::parse(url).expect("an address");
        let fields: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        browse(&format!("{}?state={}&error=access_denied", fields["redirect_uri"], fields["state"]));
    };
    let failure = obtained(&named, shown).await.expect_err("refused");
    assert!(failure.to_string().contains("access_denied"), "{failure}");
}

#[tokio::test]
async fn an_answer_that_names_the_wrong_issuer_or_none_where_it_must_is_refused() {
    let named = issuer(|_| ()).await;
    for (says_so, iss, taken) in [
        (true, "", false),
        (true, "&iss=https://else.test", false),
        (false, "&iss=https://else.test", false),
        (true, "&iss=ISSUER", true),
    ] {
        let client = client(None).expect("a client");
        let mut found = discover(&client, &named).await.expect("an issuer");
        found.authorization_response_iss_parameter_supported = says_so;
        let iss = iss.replace("ISSUER", &named.issuer);
        let shown = |url: &str| {
            let fields: BTreeMap<String, String> =
                Url::parse(url).expect("an address").query_pairs().into_owned().collect();
            let url = url.to_owned();
            tokio::spawn(async move {
                // The issuer hears of the login, but its own redirect is not followed.
                let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
                let browser = browser.build().expect("a client");
                browser.get(url).send().await.expect("an answer");
                let back = format!("{}?code=the-code&state={}{iss}", fields["redirect_uri"], fields["state"]);
                browser.get(back).send().await
            });
        };
        match obtain(&client, &named, &found, shown).await {
            Ok(_) => assert!(taken, "{says_so}"),
            Err(failure) => assert!(!taken && failure.to_string().contains("another issuer"), "{failure}"),
        }
    }
}
