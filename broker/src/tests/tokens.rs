//! Session tokens: for clients that reconnect.

use serde_json::json;
use writ_broker_api::token::{ExchangeReply, ExchangeRequest};

use super::world::{PERMIT, Place, TARGET, World, kinds, refusals, world};
use crate::identity::exchange::{GRANT_TYPE, JWT, Refusal};

async fn exchange(world: &World, token: String, target: &str) -> Result<ExchangeReply, Refusal> {
    let request = ExchangeRequest {
        grant_type: GRANT_TYPE.to_owned(),
        subject_token: token,
        subject_token_type: JWT.to_owned(),
        audience: Some(target.to_owned()),
        requested_token_type: None,
        scope: None,
        resource: None,
        actor_token: None,
    };
    world.broker.exchange(request, &[], "192.0.2.7").await.map_err(|(_, refusal)| refusal)
}

async fn code(world: &World, token: &str, target: &str) -> &'static str {
    world.open_with(token.to_owned(), target).await.map_or_else(|refusal| refusal.fault.code, |_| "opened")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_opens_many_sessions_at_its_target_alone() {
    let both = PERMIT.replace("resource.name == \"main\"", "true");
    let world = Place::new(&both).start().await;
    let token = exchange(&world, world.place.token(), TARGET).await.ok().unwrap().access_token;
    for _ in 0..6 {
        assert_eq!(code(&world, &token, TARGET).await, "opened");
    }
    assert_eq!(code(&world, &world.place.token(), "other").await, "opened");
    assert_eq!(code(&world, &token, "other").await, "access.refused");
    let again = exchange(&world, token.clone(), TARGET).await.err().unwrap();
    assert_eq!((again.error, again.status()), ("invalid_request", 400));
    world.place.clock.step(400);
    assert_eq!(code(&world, &token, TARGET).await, "identity.refused");
    let codes: Vec<_> = refusals(&world.events().await).into_iter().map(|(_, code)| code).collect();
    assert_eq!((codes.len(), codes[2].as_str()), (3, "identity.expired"), "{codes:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_counts_as_a_use() {
    let world = world().await;
    let token = world.place.token();
    for _ in 0..3 {
        assert!(exchange(&world, token.clone(), TARGET).await.is_ok());
    }
    assert_eq!(exchange(&world, token.clone(), TARGET).await.err().unwrap().code, "token.used");
    assert_eq!(code(&world, &token, TARGET).await, "token.used");
    let expected = ["token_exchanged", "token_exchanged", "token_exchanged", "refused", "refused"];
    assert_eq!(kinds(&world.events().await), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_for_an_unknown_target_looks_like_one_for_a_forbidden() {
    let world = world().await;
    let mut bodies = Vec::new();
    for target in ["other", "absent"] {
        let refusal = exchange(&world, world.place.token(), target).await.err().unwrap();
        bodies.push((refusal.error, refusal.description, refusal.status()));
    }
    assert_eq!(bodies[0], bodies[1]);
    let codes: Vec<_> = refusals(&world.events().await).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["policy.no_permit", "target.unknown"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_a_key_opens_nothing_where_the_key_cannot_be_proved() {
    let world = world().await;
    for cnf in [json!({"jkt": "abc"}), json!({"x5t#S256": "abc"}), json!({}), json!(null), json!("x")] {
        let token = world.place.token_with(json!({"cnf": cnf}));
        assert_eq!(code(&world, &token, TARGET).await, "token.bound", "{cnf}");
        assert!(exchange(&world, token, TARGET).await.is_err(), "{cnf}: no proof came with it");
    }
    assert!(world.place.provider.minted().is_empty());
    world.stop().await;
}
