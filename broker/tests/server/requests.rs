//! Requests that are malformed, too long, or meant for nothing here: each is answered in the form that callers can read.

use serde_json::{Value, json};
use writ_broker::identity::header::MAX_TOKEN_BYTES;
use writ_broker_api::paths;
use writ_broker_api::problem::{MEDIA_TYPE, Problem};
use writ_core::id::SessionId;

use crate::world::{ADMIN_TOKEN, World, sealing_key};

async fn problem(answer: reqwest::Response, status: u16) -> Problem {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
    let problem: Problem = answer.json().await.expect("a problem");
    assert_eq!(problem.status, status);
    assert_eq!(problem.kind, format!("urn:writ:problem:{}", problem.code));
    problem
}

async fn sent(request: reqwest::RequestBuilder) -> reqwest::Response {
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn what_is_malformed_is_a_problem_with_a_request_id() {
    let world = World::start().await;
    let client = world.client(None);
    let session = SessionId::fresh();
    let kill = world.url(&paths::SESSION_KILL.replace("{session}", &session.to_string()));
    let post = |url: &str| client.post(url).bearer_auth(ADMIN_TOKEN).header("content-type", "application/json");
    let mut requests = std::collections::BTreeSet::new();
    for body in ["", "{", "[]", "null", "{\"reason\":1}", "{}", "\"\u{0}\"", &"[".repeat(10_000)] {
        let problem = problem(sent(post(&kill).body(body.to_owned())).await, 400).await;
        assert_eq!(problem.title, "the body does not have the form that is asked for");
        let detail = problem.detail.expect("what is wrong");
        assert!(!detail.is_empty() && !detail.contains("struct"), "{detail}");
        assert!(requests.insert(problem.request.to_string()), "each request has its own id");
    }
    let untyped = client.post(&kill).bearer_auth(ADMIN_TOKEN).body("{}");
    problem(sent(untyped).await, 400).await;
    for path in ["/v1/sessions/none", "/v1/writs/%00", "/v1/writs/..%2f..", "/v1/sessions?limit=-1", "/v1/writs?live=2"]
    {
        problem(sent(client.get(world.url(path)).bearer_auth(ADMIN_TOKEN)).await, 400).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let world = World::start().await;
    let client = world.client(None);
    problem(sent(client.get(world.url("/nowhere"))).await, 404).await;
    problem(sent(client.get(world.url("/v1/writs/"))).await, 404).await;
    problem(sent(client.delete(world.url(paths::WRITS)).bearer_auth(ADMIN_TOKEN)).await, 405).await;
    for path in [
        "..%2f..%2fkeys%2fledger",
        "0/../../../writ.db",
        "..%2fcheckpoint",
        "%2e%2e%2fcheckpoint",
        "0/000%00",
        "0/000.partial",
        "%65ntries/000.p/1",
        "0/../entries%2f000.p/1",
        "0//000.p/1",
        &"1".repeat(5_000),
    ] {
        let answer = sent(client.get(world.url(&format!("/ledger/tile/{path}")))).await;
        assert_eq!(answer.status(), 404, "`{path}`");
    }
    for path in ["000.p/1", "000", "..%2f..%2fcheckpoint"] {
        problem(sent(client.get(world.url(&format!("/ledger/tile/entries/{path}")))).await, 401).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn long_bodies_are_refused_and_unread_without_a_certificate() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let (anybody, peer) = (world.client(None), world.client(Some(&gateway.identity)));
    let long = json!({ "join_token": "x".repeat(100_000), "csr_pem": "", "sealing_key": sealing_key() });
    problem(sent(anybody.post(world.url(paths::GATEWAY_ENROL)).json(&long)).await, 413).await;
    let form = [("grant_type", "x".repeat(100_000))];
    assert_eq!(sent(anybody.post(world.url(paths::TOKEN)).form(&form)).await.status(), 400);
    let opened = world.open(&gateway).await;
    let segment = paths::SEGMENT
        .replace("{session}", &opened.session.to_string())
        .replace("{stream}", "commands")
        .replace("{sequence}", "0");
    let facts = [("digest", "0".repeat(64)), ("seen_size", "1".to_owned()), ("seen_root", "0".repeat(64))];
    let put = |client: &reqwest::Client| client.put(world.url(&segment)).query(&facts).body(vec![0; 1024 * 1024 + 1]);
    problem(sent(put(&peer)).await, 413).await;
    // Who shows no certificate is refused before the body is read: the refusal wins over the body's length.
    match put(&anybody).send().await {
        Ok(answer) => drop(problem(answer, 401).await),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error}"),
    }
    world.stop().await;
}

/// A token of at most this length, and hardly shorter: what fills it is spread over groups that policy can read.
fn token_of(world: &World, length: usize) -> String {
    let count = 10;
    let group = |bytes: usize| vec!["x".repeat(bytes); count];
    let sign = |bytes: usize| {
        let groups = group(bytes);
        world.workloads.token("job", &groups.iter().map(String::as_str).collect::<Vec<_>>())
    };
    // Base64 writes four letters for three bytes.
    let token = sign((length - sign(0).len()) / 4 * 3 / count);
    assert!(token.len() <= length && token.len() + 2 * count > length, "{} of {length}", token.len());
    token
}

#[tokio::test]
async fn the_longest_token_opens_a_session_and_a_longer_one_does_not() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let client = world.client(Some(&gateway.identity));
    for (length, status) in [(MAX_TOKEN_BYTES, 200), (MAX_TOKEN_BYTES + 64, 403)] {
        let mut body = world.open_body();
        body["token"] = json!(token_of(&world, length));
        let answer = sent(client.post(world.url(paths::SESSIONS)).json(&body)).await;
        assert_eq!(answer.status(), status, "a token of {length} bytes");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_sync_may_name_every_session_that_the_broker_takes() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let client = world.client(Some(&gateway.identity));
    let sync = |count: usize| {
        let sessions: Vec<SessionId> = (0..count).map(|_| SessionId::fresh()).collect();
        client.post(world.url(paths::GATEWAY_SYNC)).json(&json!({ "sessions": sessions }))
    };
    let answer = sent(sync(100_000)).await;
    assert_eq!(answer.status(), 200);
    let reply: Value = answer.json().await.expect("JSON");
    assert_eq!(reply["kill"].as_array().map(Vec::len), Some(100_000));
    problem(sent(sync(100_001)).await, 400).await;
    world.stop().await;
}

#[tokio::test]
async fn an_exchange_is_refused_in_the_form_of_oauth_and_never_cached() {
    let world = World::start().await;
    let client = world.client(None);
    let good = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt".to_owned()),
        ("subject_token", world.workloads.token("job", &[])),
        ("audience", "orders".to_owned()),
    ];
    let spoiled = |name: &str, value: &str| {
        good.clone().map(|(key, old)| if key == name { (key, value.to_owned()) } else { (key, old) }).to_vec()
    };
    let cases = [
        (spoiled("grant_type", "password"), "unsupported_grant_type"),
        (spoiled("subject_token", "garbage"), "invalid_request"),
        (spoiled("subject_token_type", "urn:x"), "invalid_request"),
        (spoiled("audience", "nothing"), "invalid_target"),
        (good[..1].to_vec(), "invalid_request"),
        ([good.to_vec(), good[..1].to_vec()].concat(), "invalid_request"),
    ];
    for (form, expected) in cases {
        let answer = sent(client.post(world.url(paths::TOKEN)).form(&form)).await;
        assert_eq!(answer.status(), 400);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!(error["error"], expected);
        assert!(error["request"].as_str().is_some_and(|request| !request.is_empty()));
    }
    let answer = sent(client.post(world.url(paths::TOKEN)).form(&good)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (200, &"no-store".parse().expect("a value"))
    );
    world.stop().await;
}

#[tokio::test]
async fn a_gateway_touches_only_its_own_sessions() {
    let world = World::start().await;
    let (owner, other) = (world.enrol().await, world.enrol().await);
    let opened = world.open(&owner).await;
    let close = world.url(&paths::SESSION_CLOSE.replace("{session}", &opened.session.to_string()));
    let body = json!({ "end": "client", "code": null, "commands": 0, "command_segments": 0, "row_segments": 0 });
    problem(sent(world.client(Some(&other.identity)).post(&close).json(&body)).await, 404).await;
    assert_eq!(sent(world.client(Some(&owner.identity)).post(&close).json(&body)).await.status(), 204);
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_judged_for_who_is_not_known() {
    let world = World::start().await;
    let client = world.client(None);
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body("{");
    problem(sent(client.get(world.url("/v1/sessions?limit=-1"))).await, 401).await;
    problem(sent(client.get(world.url("/v1/writs/none")).bearer_auth("garbage")).await, 401).await;
    for path in ["/v1/sessions/none/kill", "/v1/writs/none/revoke", "/v1/sessions/none/recording-key"] {
        problem(sent(json(client.post(world.url(path)))).await, 401).await;
        let viewer = world.humans.token("ann", &["viewers"]);
        problem(sent(json(client.post(world.url(path))).bearer_auth(viewer)).await, 403).await;
    }
    for path in [paths::SESSIONS, paths::GATEWAY_SYNC, paths::GATEWAY_RENEW, "/v1/sessions/none/close"] {
        problem(sent(json(client.post(world.url(path)))).await, 401).await;
    }
    world.stop().await;
}
