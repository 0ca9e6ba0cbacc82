//! The kill switch: what is frozen is cut and refused, and nothing slips in while the freeze is being written.

use futures_util::future::join_all;
use serde_json::json;
use writ_broker_api::admin::FreezeRequest;
use writ_core::event::Event;
use writ_core::freeze::{Freeze, FreezeScope};
use writ_core::id::{FreezeId, SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};
use writ_core::writ::{Writ, WritState};

use super::world::{ISSUER, PERMIT, Place, TARGET, World, kinds, operator, refusals, world};
use crate::evidence::EvidenceFault;
use crate::store::Client;

fn workload(issuer: Option<&str>, subject: &str) -> FreezeScope {
    FreezeScope::Workload { issuer: issuer.map(Issuer::new), subject: Subject::new(subject) }
}

fn target(name: &str) -> FreezeScope {
    FreezeScope::Target { target: TargetName::new(name).unwrap() }
}

async fn freeze(world: &World, scope: FreezeScope) -> Freeze {
    let request = FreezeRequest { scope, reason: "stolen laptop".to_owned() };
    world.broker.freeze(request, operator()).await.unwrap()
}

async fn code(world: &World) -> &'static str {
    world.open().await.map_or_else(|refusal| refusal.fault.code, |_| "opened")
}

async fn ordered(world: &World) -> Vec<SessionId> {
    let kills = world.broker.kills(world.place.gateway.id).await.unwrap();
    assert!(kills.iter().all(|kill| kill.reason == "access is frozen: stolen laptop"), "{kills:?}");
    kills.into_iter().map(|kill| kill.session).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_is_cut_and_refused_until_it_is_unfrozen() {
    for scope in [workload(Some(ISSUER), "job:1"), workload(None, "job:1"), target(TARGET), FreezeScope::All] {
        let world = world().await;
        let opened = world.open().await.unwrap();
        let frozen = freeze(&world, scope.clone()).await;
        assert_eq!(ordered(&world).await, [opened.session]);
        world.until_nothing_lives().await;
        let refusal = world.open().await.unwrap_err();
        assert_eq!((refusal.status, refusal.fault.code), (403, "access.frozen"));
        assert_eq!(refusal.fault.public, "access is frozen: stolen laptop");
        assert_eq!(world.broker.freezes().await.unwrap(), std::slice::from_ref(&frozen));
        world.broker.unfreeze(frozen.id, "it was found", operator()).await.unwrap();
        assert_eq!(code(&world).await, "opened");
        assert_eq!(ordered(&world).await, [opened.session], "the new session has no order");
        let gone = |event: &Event| matches!(event, Event::CredentialRevoked { writ } if *writ == opened.writ);
        let events = world.until_event("it is revoked", gone).await;
        let (by, freeze) = (operator(), frozen.id);
        let words = ("stolen laptop".to_owned(), "it was found".to_owned());
        assert!(events.contains(&Event::Frozen { freeze, scope: scope.clone(), by: by.clone(), reason: words.0 }));
        assert!(events.contains(&Event::Unfrozen { freeze, scope, by, reason: words.1 }));
        assert_eq!(refusals(&events), [(refusal.request.to_string(), "access.frozen".to_owned())]);
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_covered_goes_on() {
    let world = Place::new(&PERMIT.replace("resource.name == \"main\"", "true")).start().await;
    let opened = world.open().await.unwrap();
    for scope in [
        workload(Some("https://another.example"), "job:1"),
        workload(Some(ISSUER), "job:2"),
        workload(None, "job:"),
        workload(None, "JOB:1"),
        workload(None, ISSUER),
        target("other"),
    ] {
        freeze(&world, scope).await;
    }
    assert_eq!(ordered(&world).await, []);
    assert_eq!(code(&world).await, "opened");
    assert!(world.place.provider.living().contains(&opened.writ));
    let other = world.open_with(world.place.token(), "other").await.unwrap_err();
    assert_eq!(other.fault.code, "access.frozen");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_permitted_learns_nothing_of_a_freeze() {
    let world = world().await;
    freeze(&world, FreezeScope::All).await;
    assert_eq!(world.open_with(world.place.token(), "other").await.unwrap_err().fault.code, "access.refused");
    assert_eq!(world.open_with("garbage".to_owned(), TARGET).await.unwrap_err().fault.code, "identity.refused");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_takes_no_use_of_the_token() {
    let once = PERMIT.replace("@uses(\"3\")", "@uses(\"1\")");
    let world = Place::new(&once).start().await;
    let frozen = freeze(&world, FreezeScope::All).await;
    let token = world.place.token();
    assert_eq!(world.open_with(token.clone(), TARGET).await.unwrap_err().fault.code, "access.frozen");
    world.broker.unfreeze(frozen.id, "over", operator()).await.unwrap();
    world.open_with(token.clone(), TARGET).await.unwrap();
    assert_eq!(world.open_with(token, TARGET).await.unwrap_err().fault.code, "token.used");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_outlives_the_broker_and_each_is_lifted_by_itself() {
    let world = world().await;
    let (first, second) = (freeze(&world, target(TARGET)).await, freeze(&world, target(TARGET)).await);
    let world = world.stop().await.start().await;
    assert_eq!(world.broker.freezes().await.unwrap(), [second.clone(), first.clone()]);
    world.broker.unfreeze(second.id, "mine is over", operator()).await.unwrap();
    assert_eq!(code(&world).await, "access.frozen");
    assert_eq!(world.broker.unfreeze(second.id, "again", operator()).await.unwrap_err().status, 404);
    world.broker.unfreeze(first.id, "and mine", operator()).await.unwrap();
    assert_eq!(code(&world).await, "opened");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused() {
    let world = world().await;
    let request = |scope: FreezeScope, reason: &str| FreezeRequest { scope, reason: reason.to_owned() };
    let too_long = "x".repeat(2049);
    for (request, status) in [
        (request(FreezeScope::All, ""), 400),
        (request(FreezeScope::All, "line\nbreak"), 400),
        (request(workload(None, ""), "why"), 400),
        (request(workload(Some(""), "job:1"), "why"), 400),
        (request(workload(None, &too_long), "why"), 400),
        (request(target("mian"), "a slip"), 404),
    ] {
        let refusal = world.broker.freeze(request.clone(), operator()).await.unwrap_err();
        assert_eq!(refusal.status, status, "{request:?}");
        if status == 404 {
            let help = refusal.fault.help.unwrap();
            assert_eq!(help, format!("write one of those that are configured: `{TARGET}`, `other`"));
        }
    }
    assert_eq!(world.broker.unfreeze(FreezeId::fresh(), "why", operator()).await.unwrap_err().status, 404);
    let frozen = freeze(&world, FreezeScope::All).await;
    assert_eq!(world.broker.unfreeze(frozen.id, "", operator()).await.unwrap_err().status, 400);
    assert_eq!(code(&world).await, "access.frozen");
    assert_eq!(kinds(&world.events().await), ["frozen", "refused"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_under_way_when_the_freeze_comes_is_not_released() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let like = world.broker.writ(opened.writ).await.unwrap();
    let facts = like.credential.clone().unwrap();
    let late =
        Writ { id: WritId::fresh(), session: SessionId::fresh(), state: WritState::Intended, credential: None, ..like };
    let event = Event::WritAbandoned { writ: late.id };
    let intended =
        world.broker.evidence.intend(late.clone(), Client::default(), vec![event], Vec::new(), None).await.unwrap();
    let served = world.place.targets().find("main").unwrap();
    let unlogged = world.broker.unlogged.clone();
    let pass = served.admit().unwrap();
    let minted = served.mint(pass, intended, core::time::Duration::from_secs(1)).await.unwrap();
    let minted = minted.on_abandon(move |writ| drop(unlogged.send(writ)));
    freeze(&world, FreezeScope::All).await;
    assert_eq!(world.broker.evidence.issued(minted, facts).await.err(), Some(EvidenceFault::Refused));
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_slips_in_while_a_freeze_is_being_written() {
    let mut place = Place::new(PERMIT);
    place.rates = json!({ "revocations": 100_000 });
    let world = place.start().await;
    for _ in 0..10 {
        let opens = join_all((0..32).map(|_| world.open()));
        let (frozen, opened) = tokio::join!(freeze(&world, FreezeScope::All), opens);
        let ordered = ordered(&world).await;
        for outcome in opened {
            match outcome {
                Ok(opened) => assert!(ordered.contains(&opened.session), "{} lives on", opened.session),
                Err(refusal) => assert_eq!(refusal.fault.code, "access.frozen"),
            }
        }
        world.until_nothing_lives().await;
        world.broker.unfreeze(frozen.id, "again", operator()).await.unwrap();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_does_not_get_round_a_freeze() {
    use writ_broker_api::token::ExchangeRequest;
    let world = world().await;
    let shown = crate::identity::exchange::Shown { proofs: &[], certificates: &[] };
    let request = |token: String| ExchangeRequest {
        grant_type: crate::identity::exchange::GRANT_TYPE.to_owned(),
        subject_token: token,
        subject_token_type: crate::identity::exchange::JWT.to_owned(),
        audience: Some(TARGET.to_owned()),
        ..ExchangeRequest::default()
    };
    let reply = world.broker.exchange(request(world.place.token()), shown, "192.0.2.7").await.ok().unwrap();
    freeze(&world, workload(Some(ISSUER), "job:1")).await;
    assert_eq!(world.open_with(reply.access_token, TARGET).await.unwrap_err().fault.code, "access.frozen");
    let (_, refusal) = world.broker.exchange(request(world.place.token()), shown, "192.0.2.7").await.err().unwrap();
    assert_eq!((refusal.code, refusal.error), ("access.frozen", "invalid_target"));
    let another = world.place.token_with(json!({ "sub": "job:2" }));
    assert!(world.broker.exchange(request(another), shown, "192.0.2.7").await.is_ok());
    world.stop().await;
}
