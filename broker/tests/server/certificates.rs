//! Certificates of workloads and of gateways: what each opens, and that neither passes for the other.

use serde_json::{Value, json};
use writ_broker_api::paths;

use crate::domain::{Domain, leaf};
use crate::matrix::foreign_identity;
use crate::world::{Gateway, World};

/// What `/v1/token` answers to a client that shows this certificate as its credentials.
async fn asked(world: &World, identity: Option<&str>, changes: &[(&str, &str)]) -> (u16, Value) {
    let mut form = vec![("grant_type", "client_credentials"), ("audience", "orders")];
    form.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    form.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let answer = world.client(identity).post(world.url(paths::TOKEN)).form(&form).send().await;
    match answer {
        Ok(answer) => (answer.status().as_u16(), answer.json().await.expect("JSON")),
        Err(_) => (0, json!({ "error": "tls" })),
    }
}

async fn error(world: &World, identity: Option<&str>, changes: &[(&str, &str)]) -> (u16, String) {
    let (status, answer) = asked(world, identity, changes).await;
    (status, answer["error"].as_str().unwrap_or("none").to_owned())
}

/// The status of a session that is opened with this token.
async fn opened(world: &World, gateway: &Gateway, token: &str) -> (u16, Value) {
    let body =
        json!({ "token": token, "target": "orders", "role": null, "database": null, "client": "192.0.2.1:5000" });
    let client = world.client(Some(&gateway.identity));
    let answer = client.post(world.url(paths::SESSIONS)).json(&body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_gets_session_tokens_by_its_certificate() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let (id, svid) = (world.domain.id("/job"), world.domain.svid("/job"));
    // As often as it likes: the connection proves the key each time.
    for changes in [&[][..], &[("client_id", id.as_str())][..], &[][..]] {
        let (status, answer) = asked(&world, Some(&svid), changes).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(300)));
        let token = answer["access_token"].as_str().expect("a token");
        let (status, session) = opened(&world, &gateway, token).await;
        assert_eq!(status, 200, "{session}");
        assert_eq!(session["workload"]["subject"], id.as_str());
        assert_eq!(session["workload"]["issuer"], "spiffe://prod.example");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_workloads_certificate_gets_none() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let revoked = world.enrol().await;
    world.revoke(&revoked).await;
    let domain = &world.domain;
    let named = |uris: &[&str]| domain.signed(leaf(uris));
    let uri = format!("writ://gateway/{}", gateway.id);
    let refused = |status: u16, error: &str| (status, error.to_owned());
    let table: Vec<(&str, Option<String>, (u16, String))> = vec![
        ("nobody", None, refused(401, "invalid_client")),
        ("a gateway", Some(gateway.identity.clone()), refused(401, "invalid_client")),
        ("a revoked gateway", Some(revoked.identity), refused(401, "invalid_client")),
        ("another authority's gateway", Some(foreign_identity(&gateway)), refused(0, "tls")),
        (
            "another authority's workload",
            Some(Domain::new("prod.example").svid("/job")),
            refused(401, "invalid_client"),
        ),
        ("another trust domain", Some(Domain::new("other.example").svid("/job")), refused(401, "invalid_client")),
        ("another trust domain's name", Some(named(&["spiffe://other.example/job"])), refused(401, "invalid_client")),
        (
            "two names",
            Some(named(&["spiffe://prod.example/a", "spiffe://prod.example/b"])),
            refused(401, "invalid_client"),
        ),
        ("a gateway's name beside it", Some(named(&["spiffe://prod.example/a", &uri])), refused(401, "invalid_client")),
        ("a gateway's name", Some(named(&[&uri])), refused(0, "tls")),
        ("no name", Some(named(&[])), refused(0, "tls")),
    ];
    for (who, identity, expected) in table {
        assert_eq!(error(&world, identity.as_deref(), &[]).await, expected, "{who}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workloads_certificate_opens_nothing_else() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let uri = format!("writ://gateway/{}", gateway.id);
    let both = world.domain.signed(leaf(&["spiffe://prod.example/job", &uri]));
    for identity in [world.domain.svid("/job"), both] {
        let client = world.client(Some(&identity));
        let asks = [
            client.post(world.url(paths::SESSIONS)).json(&world.open_body()),
            client.post(world.url(paths::GATEWAY_SYNC)).json(&json!({ "sessions": [] })),
            client.get(world.url(paths::GATEWAY_STREAM)),
            client.get(world.url(paths::WRITS)),
        ];
        for ask in asks {
            assert_eq!(ask.send().await.expect("an answer").status(), 401);
        }
    }
    world.stop().await;
}

/// Parameters of a request, and how it is refused.
type Refused<'a> = (Vec<(&'a str, &'a str)>, (u16, &'a str));

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_are_refused_in_the_form_of_oauth() {
    let world = World::start().await;
    let svid = world.domain.svid("/job");
    let token = world.workloads.token("job", &[]);
    let table: Vec<Refused<'_>> = vec![
        (vec![("client_id", "spiffe://prod.example/other")], (401, "invalid_client")),
        (vec![("client_id", "job")], (401, "invalid_client")),
        (vec![("audience", "nothing")], (400, "invalid_target")),
        (vec![("audience", "")], (400, "invalid_target")),
        (vec![("resource", "https://orders.example")], (400, "invalid_target")),
        (vec![("scope", "admin")], (400, "invalid_scope")),
        (vec![("subject_token", &token)], (400, "invalid_request")),
        (vec![("actor_token", &token)], (400, "invalid_request")),
        (vec![("client_id", "a"), ("client_id", "b")], (400, "invalid_request")),
        (vec![("requested_token_type", "urn:ietf:params:oauth:token-type:id_token")], (400, "invalid_request")),
    ];
    for (changes, (status, code)) in table {
        assert_eq!(error(&world, Some(&svid), &changes).await, (status, code.to_owned()), "{changes:?}");
    }
    // A token that is exchanged goes by itself, whatever certificate the connection has.
    let exchange = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", &token),
    ];
    assert_eq!(asked(&world, Some(&svid), &exchange).await.0, 200);
    world.stop().await;
}
