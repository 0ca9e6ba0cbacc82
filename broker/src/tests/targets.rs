//! What operators ask of targets, and how targets are spared.

use std::time::Duration;

use writ_core::event::Event;
use writ_core::writ::WritState;

use super::provider::Mode;
use super::world::PERMIT;
use super::world::{Place, TARGET, World, ended, kinds, operator, refusals, until, world};

/// The target stops answering, and is asked until it is left alone.
async fn unanswered(world: &World) {
    world.place.provider.on_mint(Mode::NotPersisted);
    world.place.provider.on_revoke(Mode::NotPersisted);
    for _ in 0..6 {
        match world.open().await.unwrap_err().fault.code {
            "provider.unreachable" => {}
            code => return assert_eq!(code, "target.resting"),
        }
    }
    panic!("it is called again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_left_alone() {
    let world = world().await;
    unanswered(&world).await;
    let minted = world.place.provider.minted().len();
    let refusal = world.open().await.unwrap_err();
    assert_eq!((refusal.status, refusal.fault.code), (502, "target.resting"));
    assert_eq!(world.place.provider.minted().len(), minted, "it was not called");
    assert_eq!(refusals(&world.events().await).last().unwrap().1, "target.resting");
    let rest = world.broker.targets().await.unwrap().into_iter().find(|target| target.name.as_str() == TARGET).unwrap();
    assert!(rest.resting_seconds.is_some());
    // Another target's rest is none of this one's.
    assert!(world.broker.targets().await.unwrap().iter().any(|target| target.resting_seconds.is_none()));
    world.place.provider.on_mint(Mode::Good);
    world.place.provider.on_revoke(Mode::Good);
    until("it is called again", async || world.open().await.is_ok()).await;
    world.open().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_stopped_before_the_target_is_called_keeps_nobody_from_it() {
    let world = world().await;
    let used = world.place.token();
    for _ in 0..3 {
        world.open_with(used.clone(), TARGET).await.unwrap();
    }
    unanswered(&world).await;
    world.place.provider.on_mint(Mode::Good);
    let rests = async || world.broker.targets().await.unwrap().iter().any(|target| target.resting_seconds.is_some());
    until("the rest is over", async || !rests().await).await;
    for _ in 0..3 {
        assert_eq!(world.open_with(used.clone(), TARGET).await.unwrap_err().fault.code, "token.used");
    }
    world.open().await.unwrap();
    world.place.provider.on_revoke(Mode::Good);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_refuses_is_called_again_at_once() {
    let world = world().await;
    world.place.provider.on_mint(Mode::Refused);
    for _ in 0..12 {
        assert_eq!(world.open().await.unwrap_err().fault.code, "provider.refused");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_at_a_target_that_is_left_alone_shows_as_failed() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    unanswered(&world).await;
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    let failed = |event: &Event| matches!(event, Event::RevocationFailed { writ, .. } if *writ == opened.writ);
    world.until_event("the revocation is said to have failed", failed).await;
    world.place.provider.on_revoke(Mode::Good);
    until("it is taken back in the end", async || {
        world.place.clock.step(60);
        world.broker.due.notify_one();
        world.broker.writ(opened.writ).await.unwrap().state == WritState::Closed
    })
    .await;
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_revocations_comes_to_its_target_a_few_a_second() {
    let mut place = Place::new(PERMIT);
    place.rates = serde_json::json!({ "revocations": 4 });
    let world = place.start().await;
    let mut sessions = Vec::new();
    for _ in 0..12 {
        sessions.push(world.open().await.unwrap().session);
    }
    for session in sessions {
        world.broker.close(&world.place.gateway, session, &ended()).await.unwrap();
    }
    until("the first are taken back", async || world.place.provider.revoke_calls() >= 4).await;
    assert!(world.place.provider.living().len() >= 4, "not all at once");
    until("all are taken back", async || {
        world.place.clock.step(1);
        world.place.provider.living().is_empty()
    })
    .await;
    let events = world.events().await;
    assert!(!kinds(&events).contains(&"revocation_failed"), "to wait is not to fail");
    assert_eq!(world.place.provider.revoke_calls(), 12);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_older_is_taken_back_by_an_operators_order_and_both_stand_in_the_ledger() {
    let world = world().await;
    let done = world.broker.revoke_older(TARGET, "a key leaked", operator()).await.unwrap();
    assert_eq!(world.place.provider.older(), [done.before]);
    assert_eq!(kinds(&world.events().await), ["older_revocation_ordered", "older_revoked"]);
    for reason in ["", "line\nbreak"] {
        assert_eq!(world.broker.revoke_older(TARGET, reason, operator()).await.unwrap_err().status, 400);
    }
    assert_eq!(world.broker.revoke_older("absent", "why", operator()).await.unwrap_err().status, 404);
    world.place.provider.on_revoke(Mode::Refused);
    let refused = world.broker.revoke_older(TARGET, "again", operator()).await.unwrap_err();
    assert!(refused.fault.public.contains("the target said no"), "operators hear why: {}", refused.fault.public);
    let last = ["older_revocation_ordered", "older_revocation_failed"];
    assert_eq!(kinds(&world.events().await)[2..], last);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_an_order_is_written_down_though_whoever_ordered_it_is_gone() {
    let world = world().await;
    let ordered = world.broker.revoke_older(TARGET, "a key leaked", operator());
    assert!(tokio::time::timeout(Duration::ZERO, ordered).await.is_err());
    let done = |event: &Event| matches!(event, Event::OlderRevoked { .. });
    world.until_event("it is written down", done).await;
    assert_eq!(kinds(&world.events().await), ["older_revocation_ordered", "older_revoked"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_be_written_down_takes_nothing_back() {
    let world = world().await;
    world.store.all(true);
    let refused = world.broker.revoke_older(TARGET, "a key leaked", operator()).await.unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(world.place.provider.older().is_empty());
    world.store.all(false);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_asks_the_provider() {
    let world = world().await;
    world.broker.probe_target(TARGET).await.unwrap();
    let absent = world.broker.probe_target("absent").await.unwrap_err();
    assert_eq!(absent.status, 404);
    assert!(tokio::time::timeout(Duration::from_secs(30), world.stop()).await.is_ok());
}
