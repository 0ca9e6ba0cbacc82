//! What is settled afterwards: ends, orders, crashes, revocations that fail.

use writ_core::event::{Event, SessionEnd};
use writ_core::id::{SessionId, WritId};
use writ_core::writ::{Writ, WritState};

use super::provider::Mode;
use super::world::{World, ended, kinds, operator, until, world};
use crate::store::{Change, Client, Store as _};

async fn until_state(world: &World, writ: WritId, state: WritState) -> Writ {
    until("the writ is in its state", async || world.broker.writ(writ).await.unwrap().state == state).await;
    world.broker.writ(writ).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_takes_the_credential_back_and_is_taken_once() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let gateway = &world.place.gateway;
    for _ in 0..3 {
        world.broker.close(gateway, opened.session, &ended()).await.unwrap();
    }
    let writ = until_state(&world, opened.writ, WritState::Closed).await;
    assert!(writ.closed.is_some() && writ.credential.is_some(), "what was minted stays on record");
    assert!(world.place.provider.living().is_empty());
    let expected = ["writ_intended", "writ_issued", "session_closed", "credential_revoked"];
    assert_eq!(kinds(&world.events().await), expected);
    world.broker.close(gateway, opened.session, &ended()).await.unwrap();
    assert_eq!(kinds(&world.events().await), expected);
    let stranger = crate::GatewayIdentity { id: writ_core::id::GatewayId::fresh(), ..gateway.clone() };
    assert_eq!(world.broker.close(&stranger, opened.session, &ended()).await.unwrap_err().status, 404);
    assert_eq!(world.broker.close(gateway, SessionId::fresh(), &ended()).await.unwrap_err().status, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_time_is_over_is_closed_though_nobody_says_so() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    world.place.clock.step(600 + 119);
    world.broker.heard(world.place.gateway.id).await.unwrap();
    world.broker.settle().await;
    assert_eq!(world.broker.session(opened.session).await.unwrap().closed, None, "the gateway may yet report it");
    world.place.clock.step(2);
    world.broker.settle().await;
    until_state(&world, opened.writ, WritState::Closed).await;
    assert_eq!(world.broker.session(opened.session).await.unwrap().end, Some(SessionEnd::Ttl));
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_gateway_that_is_lost_are_closed() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    world.place.clock.step(100);
    world.broker.heard(world.place.gateway.id).await.unwrap();
    world.place.clock.step(100);
    world.broker.settle().await;
    assert_eq!(world.broker.session(opened.session).await.unwrap().closed, None);
    world.place.clock.step(21);
    world.broker.settle().await;
    assert_eq!(world.broker.session(opened.session).await.unwrap().end, Some(SessionEnd::Crash));
    until_state(&world, opened.writ, WritState::Closed).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_a_crash_left_is_settled_by_its_label() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let like = world.broker.writ(opened.writ).await.unwrap();
    let left =
        Writ { id: WritId::fresh(), session: SessionId::fresh(), state: WritState::Intended, credential: None, ..like };
    let open = Change::Open { writ: left.clone(), client: Client::default() };
    world.broker.evidence.write(Vec::new(), Vec::new(), vec![open]).await.unwrap();
    // Minted, and killed before that was written down.
    world.place.provider.plant(left.id);
    let place = world.stop().await;
    place.clock.step(1);
    let world = place.start().await;
    world.broker.settle().await;
    assert_eq!(world.broker.writ(left.id).await.unwrap().state, WritState::Intended, "it might still be running");
    world.place.clock.step(2);
    world.broker.settle().await;
    let gone = |event: &Event| matches!(event, Event::CredentialRevoked { writ } if *writ == left.id);
    let events = world.until_event("the label's credential is taken back", gone).await;
    assert!(events.iter().any(|event| matches!(event, Event::WritAbandoned { writ } if *writ == left.id)));
    assert_eq!(world.place.provider.living(), [opened.writ], "and no other");
    assert_eq!(world.broker.writ(left.id).await.unwrap().state, WritState::Abandoned);
    world.broker.settle().await;
    assert_eq!(kinds(&world.events().await).iter().filter(|kind| **kind == "writ_abandoned").count(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_ends_the_session_and_takes_the_credential_back() {
    let world = world().await;
    for killed in [false, true] {
        let opened = world.open().await.unwrap();
        if killed {
            world.broker.kill_session(opened.session, "why not", operator()).await.unwrap();
        } else {
            world.broker.revoke_writ(opened.writ, "why not", operator()).await.unwrap();
        }
        let kills = world.broker.kills(world.place.gateway.id).await.unwrap();
        assert_eq!(kills.len(), 1);
        assert_eq!((kills[0].session, kills[0].reason.as_str()), (opened.session, "why not"));
        until_state(&world, opened.writ, WritState::Closed).await;
        assert!(world.place.provider.living().is_empty());
        world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
        assert!(world.broker.kills(world.place.gateway.id).await.unwrap().is_empty());
        let again = world.broker.revoke_writ(opened.writ, "again", operator()).await.unwrap_err();
        assert_eq!(again.status, 409);
    }
    let opened = world.open().await.unwrap();
    for reason in ["", &"x".repeat(201), "line\nbreak"] {
        assert_eq!(world.broker.revoke_writ(opened.writ, reason, operator()).await.unwrap_err().status, 400);
    }
    assert_eq!(world.broker.revoke_writ(WritId::fresh(), "why", operator()).await.unwrap_err().status, 404);
    let orders = kinds(&world.events().await).iter().filter(|kind| **kind == "revocation_ordered").count();
    assert_eq!(orders, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_fails_shows_and_is_tried_again_until_it_works() {
    for mode in [Mode::Refused, Mode::NotPersisted, Mode::Persisted, Mode::Verbose] {
        let world = world().await;
        let opened = world.open().await.unwrap();
        world.place.provider.on_revoke(mode);
        world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
        for attempt in 1..=3_usize {
            until("it is tried", async || world.place.provider.revoke_calls() == attempt).await;
            let failed = |event: &Event| matches!(event, Event::RevocationFailed { attempts, .. } if *attempts as usize == attempt);
            world.until_event("the failure is written down", failed).await;
            let state = world.broker.writ(opened.writ).await.unwrap().state;
            let expected = if attempt < 3 { WritState::Issued } else { WritState::Irrevocable };
            assert_eq!(state, expected, "after {attempt}");
            world.place.clock.step(1 << attempt);
            world.broker.due.notify_one();
        }
        world.place.provider.on_revoke(Mode::Good);
        world.place.clock.step(400);
        world.broker.due.notify_one();
        until_state(&world, opened.writ, WritState::Closed).await;
        assert!(world.place.provider.living().is_empty());
        assert!(world.store.due_revocations(writ_core::time::Timestamp::MAX, 9).await.unwrap().is_empty());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_hangs_holds_up_neither_other_revocations_nor_the_end() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    world.place.provider.on_revoke(Mode::Hanging);
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    let failed = |event: &Event| matches!(event, Event::RevocationFailed { .. });
    world.until_event("it is given up", failed).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_keeps_is_not_said_to_have_been_taken_back() {
    let world = world().await;
    world.place.provider.keeps_credentials();
    let opened = world.open().await.unwrap();
    let granted = world.broker.writ(opened.writ).await.unwrap().credential.unwrap().expires;
    assert!(granted.is_some());
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    let left = |event: &Event| {
        matches!(event, Event::CredentialLeft { writ, ends }
        if *writ == opened.writ && *ends == granted)
    };
    let events = world.until_event("it is said to be left", left).await;
    assert_eq!(kinds(&events), ["writ_intended", "writ_issued", "session_closed", "credential_left"]);
    assert_eq!(world.broker.writ(opened.writ).await.unwrap().state, WritState::Closed);
    assert_eq!((world.place.provider.living(), world.place.provider.revoke_calls()), (vec![opened.writ], 1));
    world.stop().await;
}

/// A provider that takes for gone what it took back with the role alone, or not at all, does not decide: the credential does.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_is_not_said_to_have_been_taken_back() {
    let world = world().await;
    world.place.provider.shares_credentials();
    let opened = world.open().await.unwrap();
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    let left = |event: &Event| matches!(event, Event::CredentialLeft { writ, .. } if *writ == opened.writ);
    let events = world.until_event("it is said to be left", left).await;
    assert_eq!(kinds(&events), ["writ_intended", "writ_issued", "session_closed", "credential_left"]);
    world.stop().await;
}

/// The configuration was read again, and another kind of provider stands where the credential was minted: it knows nothing of it,
/// and would say that nothing is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_kind_of_provider_minted_is_not_said_to_have_been_taken_back() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let like = world.broker.writ(opened.writ).await.unwrap();
    assert_eq!(like.provider.as_deref(), Some("fake"));
    // One of which nothing is known but the intent.
    let left =
        Writ { id: WritId::fresh(), session: SessionId::fresh(), state: WritState::Intended, credential: None, ..like };
    let open = Change::Open { writ: left.clone(), client: Client::default() };
    world.broker.evidence.write(Vec::new(), Vec::new(), vec![open]).await.unwrap();
    world.place.provider.plant(left.id);
    world.place.provider.becomes("other");
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    world.broker.abandon(left.clone()).await.unwrap();
    for id in [opened.writ, left.id] {
        let failed = |event: &Event| match event {
            Event::RevocationFailed { writ, detail, .. } if *writ == id => {
                assert!(detail.contains("the provider `fake` minted it") && detail.contains("`other` now"), "{detail}");
                true
            }
            _ => false,
        };
        let events = world.until_event("that it is not taken back is said", failed).await;
        assert!(!kinds(&events).iter().any(|kind| matches!(*kind, "credential_revoked" | "credential_left")));
    }
    assert_eq!(world.place.provider.revoke_calls(), 0, "and who knows nothing of it is not asked");
    assert_eq!(world.place.provider.living().len(), 2);
    world.place.provider.becomes("fake");
    world.place.clock.step(400);
    world.broker.due.notify_one();
    world.until_nothing_lives().await;
    until_state(&world, opened.writ, WritState::Closed).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_cannot_be_written_down_does_not_storm_the_target() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    world.broker.evidence.write(Vec::new(), Vec::new(), vec![]).await.unwrap();
    let calls = world.place.provider.revoke_calls();
    world.store.after_next_commit();
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    until("it is taken back", async || world.place.provider.revoke_calls() > calls).await;
    // A tick is a second: in the time of many rounds without a wait there are few.
    let begun = std::time::Instant::now();
    until("a second has passed", async || begun.elapsed().as_millis() > 1200).await;
    assert!(world.place.provider.revoke_calls() <= calls + 3);
    world.store.all(false);
    until_state(&world, opened.writ, WritState::Closed).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_ends_after_its_session_was_settled_is_not_released() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let like = world.broker.writ(opened.writ).await.unwrap();
    let late =
        Writ { id: WritId::fresh(), session: SessionId::fresh(), state: WritState::Intended, credential: None, ..like };
    let facts = world.broker.writ(opened.writ).await.unwrap().credential.unwrap();
    let event = Event::WritAbandoned { writ: late.id };
    let intended =
        world.broker.evidence.intend(late.clone(), Client::default(), vec![event], Vec::new(), None).await.unwrap();
    let served = world.place.targets().find("main").unwrap();
    let unlogged = world.broker.unlogged.clone();
    let pass = served.admit().unwrap();
    let minted = served.mint(pass, intended, core::time::Duration::from_secs(1)).await.unwrap();
    let minted = minted.on_abandon(move |writ| drop(unlogged.send(writ)));
    // Its gateway was revoked while the target was thinking.
    world.broker.end(&late, SessionEnd::Revoked, writ_core::time::Timestamp::MAX).await.unwrap();
    assert!(world.broker.evidence.issued(minted, facts).await.is_err());
    until("what was minted late is gone", async || !world.place.provider.living().contains(&late.id)).await;
    let gone = |event: &Event| matches!(event, Event::CredentialRevoked { writ } if *writ == late.id);
    world.until_event("and that is written down", gone).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_names_every_writ_that_may_live() {
    let world = world().await;
    let (one, two) = (world.open().await.unwrap(), world.open().await.unwrap());
    world.broker.close(&world.place.gateway, two.session, &ended()).await.unwrap();
    until_state(&world, two.writ, WritState::Closed).await;
    world.broker.sweep().await;
    assert_eq!(world.place.provider.swept_with().last().unwrap(), &[one.writ]);
    world.stop().await;
}
