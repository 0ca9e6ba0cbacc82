//! Session tokens: for clients that reconnect.

use serde_json::json;
use writ_broker_api::token::{ExchangeReply, ExchangeRequest};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use writ_core::event::Event;
use writ_core::workload::{Issuer, Subject};

use super::world::{PERMIT, Place, TARGET, World, kinds, refusals, world};
use crate::identity::exchange::{GRANT_TYPE, JWT, Refusal, Shown};

async fn exchange(world: &World, token: String, target: &str) -> Result<ExchangeReply, Refusal> {
    let request = ExchangeRequest {
        grant_type: GRANT_TYPE.to_owned(),
        subject_token: token,
        subject_token_type: JWT.to_owned(),
        audience: Some(target.to_owned()),
        ..ExchangeRequest::default()
    };
    asked(world, request).await
}

async fn asked(world: &World, request: ExchangeRequest) -> Result<ExchangeReply, Refusal> {
    let shown = Shown { proofs: &[], certificates: &[] };
    world.broker.exchange(request, shown, "192.0.2.7").await.map_err(|(_, refusal)| refusal)
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
async fn a_token_that_is_bound_to_a_key_opens_nothing_where_none_is_proved() {
    let world = world().await;
    for cnf in [json!({"jkt": "abc"}), json!({"x5t#S256": "abc"}), json!({}), json!(null), json!("x")] {
        let token = world.place.token_with(json!({"cnf": cnf}));
        assert_eq!(code(&world, &token, TARGET).await, "token.bound", "{cnf}");
        assert!(exchange(&world, token, TARGET).await.is_err(), "{cnf}: no proof came with it");
    }
    assert!(world.place.provider.minted().is_empty());
    world.stop().await;
}

const ACCEPTING: &str = "@id(\"p\") @uses(\"2\") @accepts(\"delegation\") permit (principal is Writ::Workload, \
     action in Writ::Action::\"use\", resource is Writ::Target) when { resource.name == \"main\" };";

/// The actor's token for the subject's.
async fn act(world: &World, subject: &str, actor: &str) -> Result<ExchangeReply, Refusal> {
    let (actor, kind) = (Some(actor.to_owned()), Some(JWT.to_owned()));
    let request = ExchangeRequest {
        grant_type: GRANT_TYPE.to_owned(),
        subject_token: subject.to_owned(),
        subject_token_type: JWT.to_owned(),
        audience: Some(TARGET.to_owned()),
        actor_token: actor,
        actor_token_type: kind,
        ..ExchangeRequest::default()
    };
    asked(world, request).await
}

fn agent(world: &World) -> String {
    world.place.token_with(json!({"sub": "agent"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_gets_nothing_unless_a_policy_accepts_delegation() {
    let world = world().await;
    let refusal = act(&world, &world.place.token(), &agent(&world)).await.err().unwrap();
    assert_eq!((refusal.code, refusal.error), ("policy.exposed", "invalid_target"));
    // Neither does a token that says itself that another acts.
    let through = world.place.token_with(json!({"act": {"sub": "agent"}}));
    assert_eq!(code(&world, &through, TARGET).await, "access.refused");
    assert_eq!(
        refusals(&world.events().await).into_iter().map(|(_, code)| code).collect::<Vec<_>>(),
        ["policy.exposed", "policy.exposed"]
    );
    assert!(world.place.provider.minted().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_is_named_in_the_evidence_and_its_token_is_used_too() {
    let world = Place::new(ACCEPTING).start().await;
    let (subject, actor) = (world.place.token(), agent(&world));
    let token = act(&world, &subject, &actor).await.ok().unwrap().access_token;
    assert_eq!(code(&world, &token, TARGET).await, "opened");
    let events = world.events().await;
    let named = events.iter().filter_map(|event| match event {
        Event::TokenExchanged { workload, .. } | Event::WritIntended { workload, .. } => Some(workload),
        _ => None,
    });
    let named: Vec<_> = named.map(|workload| (workload.subject.as_str(), workload.actors.as_slice())).collect();
    assert_eq!(named.len(), 2);
    for (subject, actors) in named {
        let [actor] = actors else { panic!("one actor: {actors:?}") };
        assert_eq!((subject, actor.subject.as_str()), ("job:1", "agent"));
        assert_eq!(actor.issuer.as_ref().map(ToString::to_string).as_deref(), Some(super::world::ISSUER));
    }
    // Twice, as the policy says: then neither token is of use, with whichever other.
    assert!(act(&world, &world.place.token(), &actor).await.is_ok());
    assert_eq!(act(&world, &world.place.token(), &actor).await.err().unwrap().code, "token.used");
    assert!(act(&world, &subject, &agent(&world)).await.is_ok());
    assert_eq!(act(&world, &subject, &agent(&world)).await.err().unwrap().code, "token.used");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acts_may_be_frozen() {
    let world = Place::new(ACCEPTING).start().await;
    let before = act(&world, &world.place.token(), &agent(&world)).await.ok().unwrap().access_token;
    let scope = writ_core::freeze::FreezeScope::Workload { issuer: None, subject: Subject::new("agent") };
    let request = writ_broker_api::admin::FreezeRequest { scope, reason: "a test".to_owned() };
    let by = writ_core::event::Actor { issuer: Issuer::new("writ"), subject: Subject::new("admin") };
    world.broker.freeze(request, by).await.unwrap();
    let refusal = act(&world, &world.place.token(), &agent(&world)).await.err().unwrap();
    assert_eq!(refusal.code, "access.frozen");
    assert_eq!(code(&world, &before, TARGET).await, "access.frozen");
    assert!(exchange(&world, world.place.token(), TARGET).await.is_ok(), "the subject itself is not");
    world.stop().await;
}

async fn exchanged(world: &World) -> String {
    exchange(world, world.place.token(), TARGET).await.ok().unwrap().access_token
}

fn key_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn session_keys(events: &[Event]) -> usize {
    let is = |event: &&Event| matches!(event, Event::KeyIntroduced { purpose, .. } if purpose == "session-token");
    events.iter().filter(is).count()
}

fn key_files(world: &World) -> usize {
    let names = std::fs::read_dir(world.place.path("keys")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("session-token")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_changes_on_schedule_and_tokens_of_the_one_before_live_out_their_time() {
    let mut world = world().await;
    world.place.clock.step(3500);
    world.broker.settle().await;
    let before = exchanged(&world).await;
    assert_eq!((session_keys(&world.events().await), key_files(&world)), (1, 1), "it is not due");

    world.place.clock.step(100);
    world.broker.settle().await;
    let after = exchanged(&world).await;
    assert_ne!(key_of(&before), key_of(&after));
    assert_eq!((session_keys(&world.events().await), key_files(&world)), (2, 2));
    for token in [&before, &after] {
        assert_eq!(code(&world, token, TARGET).await, "opened");
    }
    world = world.stop().await.start().await;
    for token in [&before, &after] {
        assert_eq!(code(&world, token, TARGET).await, "opened", "a restart forgets neither key");
    }
    assert_eq!(key_of(&exchanged(&world).await), key_of(&after));

    world.place.clock.step(199);
    world.broker.settle().await;
    assert_eq!(code(&world, &before, TARGET).await, "opened", "until its end");
    world.place.clock.step(161);
    world.broker.settle().await;
    assert_eq!((session_keys(&world.events().await), key_files(&world)), (2, 1));
    assert_eq!(key_of(&exchanged(&world).await), key_of(&after));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_ledger_does_not_know_signs_nothing() {
    let world = world().await;
    let before = exchanged(&world).await;
    world.place.clock.step(3600);
    world.store.all(true);
    assert!(world.broker.rotate_session_key().await.is_err());
    world.store.all(false);
    assert_eq!((key_files(&world), key_of(&exchanged(&world).await)), (1, key_of(&before)));
    world.broker.rotate_session_key().await.unwrap();
    assert_ne!(key_of(&exchanged(&world).await), key_of(&before));
    assert_eq!(session_keys(&world.events().await), 2);
    world.stop().await;
}
