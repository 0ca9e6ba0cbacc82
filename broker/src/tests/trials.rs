//! Trials: a workload's token in, and no secret out.

use writ_broker_api::trial::{TrialReply, TrialRequest};
use writ_core::event::Event;
use writ_core::id::{GatewayId, WritId};
use writ_core::writ::WritState;
use zeroize::Zeroizing;

use super::provider::{CANARY, Mode};
use super::world::{PERMIT, Place, TARGET, World, kinds, refusals, until, world};
use crate::refusal::Refusal;
use crate::store::Store as _;

async fn attempt(world: &World, target: &str) -> Result<TrialReply, Refusal> {
    let request = TrialRequest { target: target.to_owned(), role: None };
    let token = Zeroizing::new(world.place.token());
    world.broker.try_out(token, request, "192.0.2.9:4711".to_owned()).await
}

async fn until_closed(world: &World, writ: WritId) {
    until("the writ is closed", async || world.broker.writ(writ).await.unwrap().state == WritState::Closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_shows_who_the_workload_would_be_and_leaves_nothing() {
    let world = world().await;
    let reply = attempt(&world, TARGET).await.unwrap();
    assert!(reply.presented);
    assert_eq!((reply.principal.as_str(), reply.target.as_str()), (&*format!("role_{}", reply.writ), TARGET));
    assert!(!serde_json::to_string(&reply).unwrap().contains(CANARY));
    until_closed(&world, reply.writ).await;
    world.until_nothing_lives().await;
    let writ = world.broker.writ(reply.writ).await.unwrap();
    assert_eq!((writ.gateway, writ.session), (GatewayId::BROKER, reply.session));
    let events = world.events().await;
    let expected = ["writ_intended", "writ_issued", "credential_presented", "session_closed", "credential_revoked"];
    assert_eq!(kinds(&events), expected);
    assert!(events.iter().any(|event| matches!(event, Event::CredentialPresented { writ, principal, audit }
        if *writ == reply.writ && *principal == reply.principal && *audit == reply.audit)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_refused_as_an_opening_is() {
    let world = world().await;
    let mut told = Vec::new();
    for target in ["other", "absent"] {
        let refusal = attempt(&world, target).await.unwrap_err();
        assert_eq!((refusal.status, refusal.fault.code), (403, "access.refused"));
        told.push(refusal.fault.public);
    }
    assert_eq!(told[0], told[1], "unknown and forbidden look alike");
    let request = TrialRequest { target: TARGET.to_owned(), role: None };
    let bad = world.broker.try_out(Zeroizing::new("garbage".to_owned()), request, String::new()).await;
    assert_eq!(bad.unwrap_err().fault.code, "identity.refused");
    assert_eq!(world.place.provider.presented(), 0);
    assert_eq!(refusals(&world.events().await).len(), 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_uses_the_token_up_as_an_opening_does() {
    let world = world().await;
    let token = world.place.token();
    for use_ in 0..5 {
        let request = TrialRequest { target: TARGET.to_owned(), role: None };
        let answer = world.broker.try_out(Zeroizing::new(token.clone()), request, String::new()).await;
        match answer {
            Ok(_) => assert!(use_ < 3),
            Err(refusal) => assert_eq!((use_ >= 3, refusal.fault.code), (true, "token.used")),
        }
    }
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_take_what_was_minted_is_told_and_nothing_lives_on() {
    for (mode, code) in [
        (Mode::Refused, "provider.refused"),
        (Mode::Persisted, "provider.refused"),
        (Mode::Hanging, "provider.unreachable"),
        (Mode::Verbose, "provider.refused"),
    ] {
        let world = world().await;
        world.place.provider.on_present(mode);
        let refusal = attempt(&world, TARGET).await.unwrap_err();
        assert_eq!((refusal.status, refusal.fault.code), (502, code), "{mode:?}");
        assert!(!refusal.fault.public.contains("root"), "the detail is the operator's");
        let not = |event: &Event| matches!(event, Event::CredentialNotPresented { code: told, .. } if told == code);
        world.until_event("it is written down", not).await;
        world.until_nothing_lives().await;
        assert!(world.store.open_sessions(GatewayId::BROKER).await.unwrap().is_empty());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_a_harmless_call_is_not_said_to_have_been_shown() {
    let world = world().await;
    world.place.provider.on_present(Mode::NotPersisted);
    let reply = attempt(&world, TARGET).await.unwrap();
    assert!(!reply.presented);
    until_closed(&world, reply.writ).await;
    assert!(!kinds(&world.events().await).contains(&"credential_presented"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_asks_no_human() {
    let held = PERMIT.replace("@uses(\"3\")", "@uses(\"3\") @hold(\"10m\") @approvers(\"dba\")");
    let world = Place::new(&held).start().await;
    let refusal = attempt(&world, TARGET).await.unwrap_err();
    assert_eq!((refusal.status, refusal.fault.code), (403, "trial.held"));
    assert!(world.place.provider.minted().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_goes_on_though_its_caller_is_gone() {
    let world = world().await;
    let request = TrialRequest { target: TARGET.to_owned(), role: None };
    let asked = world.broker.try_out(Zeroizing::new(world.place.token()), request, String::new());
    assert!(tokio::time::timeout(std::time::Duration::ZERO, asked).await.is_err());
    let closed = |event: &Event| matches!(event, Event::CredentialRevoked { .. });
    world.until_event("its credential is taken back", closed).await;
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_a_crash_cut_off_is_closed() {
    let world = world().await;
    world.place.provider.on_present(Mode::Hanging);
    let request = TrialRequest { target: TARGET.to_owned(), role: None };
    let (broker, token) = (world.broker.clone(), Zeroizing::new(world.place.token()));
    let running = tokio::spawn(async move { broker.try_out(token, request, String::new()).await });
    until("it is presented", async || world.place.provider.presented() == 1).await;
    assert_eq!(world.store.open_sessions(GatewayId::BROKER).await.unwrap().len(), 1);
    // Whatever becomes of the task, time alone ends its session.
    world.place.clock.step(121);
    world.broker.settle().await;
    assert!(world.store.open_sessions(GatewayId::BROKER).await.unwrap().is_empty());
    world.until_nothing_lives().await;
    let _ = running.await;
    world.stop().await;
}
