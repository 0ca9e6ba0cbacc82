//! Connections that are held: nothing is minted before humans approve, and then exactly what they were shown.

use serde_json::json;
use writ_broker_api::admin::FreezeRequest;
use writ_broker_api::approval::{ApprovalReply, VoteRequest, WindowRequest};
use writ_broker_api::gateway::{OpenReply, OpenRequest};
use writ_core::approval::{ApprovalState, Waits};
use writ_core::event::{Actor, Event};
use writ_core::freeze::FreezeScope;
use writ_core::id::GatewayId;
use writ_core::time::Clock as _;
use writ_core::workload::{Issuer, Subject};

use super::world::{Place, TARGET, World, operator, request};
use crate::broker::GatewayIdentity;
use crate::humans::Permitted;
use crate::issue::Opening;
use crate::store::Store as _;

const HELD: &str = r#"@id("held") @hold("10m") @approvers("dba")
permit (principal, action == Writ::Action::"connect", resource);"#;
const FREE: &str = r#"@id("free") permit (principal, action == Writ::Action::"connect", resource);"#;

async fn world() -> World {
    Place::new(HELD).start().await
}

fn ask(token: &str) -> OpenRequest {
    OpenRequest { database: Some("shop".to_owned()), ..request(token.to_owned(), TARGET) }
}

/// What a gateway is told that opens: the session, or where humans are asked, or the code of the refusal.
async fn open(world: &World, request: &OpenRequest) -> Result<Result<OpenReply, ApprovalReply>, &'static str> {
    match world.broker.open(&world.place.gateway, request).await {
        Ok(Opening::Open(reply)) => Ok(Ok(*reply)),
        Ok(Opening::Held(reply)) => Ok(Err(reply)),
        Err(refusal) => Err(refusal.fault.code),
    }
}

async fn held(world: &World, request: &OpenRequest) -> ApprovalReply {
    open(world, request).await.unwrap().unwrap_err()
}

async fn vote(world: &World, put: &ApprovalReply, name: &str, approve: bool, window: Option<WindowRequest>) {
    let actor = Actor { issuer: Issuer::new("https://idp.test"), subject: Subject::new(name) };
    let by = Permitted::of_a_test(actor, vec!["dba".to_owned()]);
    let digest = world.broker.approval(put.approval).await.unwrap().digest;
    let vote = VoteRequest { approve, reason: "a test".to_owned(), digest, window };
    world.broker.vote(put.approval, &by, &vote).await.unwrap();
}

fn again(request: &OpenRequest, put: &ApprovalReply) -> OpenRequest {
    OpenRequest { approval: Some(put.approval), ..request.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_minted_before_humans_approve_and_then_it_is_what_they_saw() {
    let world = world().await;
    let request = ask(&world.place.token());
    let put = held(&world, &request).await;
    assert_eq!((put.state, put.remaining_seconds), (ApprovalState::Asked, 600));
    assert_eq!(world.place.provider.minted(), []);
    let asked = world.broker.approval(put.approval).await.unwrap();
    assert_eq!((asked.waits, asked.policies.as_slice()), (Waits::Connection, &["held".to_owned()][..]));
    assert_eq!(
        asked.statement,
        "connect to main as a role of the provider\ndatabase shop, from 192.0.2.7\nfor 900 s at most, recording its commands"
    );
    assert_eq!(open(&world, &again(&request, &put)).await.unwrap_err(), "approval.unusable", "nobody has approved");
    vote(&world, &put, "ann", true, None).await;
    assert!(world.broker.use_approval(&world.place.gateway, put.approval).await.is_err(), "it is no command's");
    let opened = open(&world, &again(&request, &put)).await.unwrap().unwrap();
    assert_eq!((opened.session, opened.writ), (asked.session, asked.writ));
    assert_eq!(world.place.provider.minted(), [asked.writ]);
    assert_eq!(world.broker.approval(put.approval).await.unwrap().state, ApprovalState::Used);
    let once_more = ask(&world.place.token());
    for second in [again(&request, &put), again(&once_more, &put)] {
        assert_eq!(open(&world, &second).await.unwrap_err(), "approval.unusable", "it is used up");
    }
    let events = world.events().await;
    let by = events.iter().find_map(|event| match event {
        Event::WritIntended { approval, .. } => Some(approval.as_deref().copied()),
        _ => None,
    });
    assert_eq!(by, Some(Some(put.approval)));
    let kinds: Vec<&str> = events.iter().map(Event::kind).filter(|kind| !kind.contains("refused")).collect();
    let steps =
        ["approval_asked", "approval_voted", "approval_settled", "approval_settled", "writ_intended", "writ_issued"];
    assert!(kinds.windows(steps.len()).any(|part| part == steps), "{kinds:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_opens_nothing_else_and_for_nobody_else() {
    let world = world().await;
    let request = ask(&world.place.token());
    let put = held(&world, &request).await;
    vote(&world, &put, "ann", true, None).await;
    let shown = again(&request, &put);
    for other in [
        OpenRequest { token: world.place.token(), ..shown.clone() },
        OpenRequest { token: world.place.token_with(json!({"sub": "job:2"})), ..shown.clone() },
        OpenRequest { target: "other".to_owned(), ..shown.clone() },
        OpenRequest { database: Some("payroll".to_owned()), ..shown.clone() },
        OpenRequest { database: None, ..shown.clone() },
        OpenRequest { client: "192.0.2.8:1".to_owned(), ..shown.clone() },
    ] {
        assert_eq!(open(&world, &other).await.unwrap_err(), "approval.unusable");
    }
    let stranger = GatewayIdentity { id: GatewayId::fresh(), ..world.place.gateway.clone() };
    assert_eq!(world.broker.open(&stranger, &shown).await.unwrap_err().fault.code, "approval.unusable");
    assert_eq!(world.place.provider.minted(), []);
    let elsewhere = OpenRequest { client: "192.0.2.7:9".to_owned(), ..shown };
    assert!(open(&world, &elsewhere).await.unwrap().is_ok(), "a port says nothing");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_as_old_as_the_question_and_an_approval_no_older_than_a_minute() {
    let world = world().await;
    let request = ask(&world.place.token());
    let (put, late) = (held(&world, &request).await, held(&world, &request).await);
    world.place.clock.step(500);
    assert_eq!(open(&world, &request).await.unwrap_err(), "identity.refused", "the token is over");
    vote(&world, &put, "ann", true, None).await;
    vote(&world, &late, "ann", true, None).await;
    assert!(open(&world, &again(&request, &put)).await.unwrap().is_ok());
    assert_eq!(open(&world, &again(&request, &late)).await.unwrap_err(), "token.used", "its one use is gone");
    let (unused, fresh) = (ask(&world.place.token()), ask(&world.place.token()));
    let put = held(&world, &unused).await;
    vote(&world, &put, "ann", true, None).await;
    world.place.clock.step(61);
    assert_eq!(open(&world, &again(&unused, &put)).await.unwrap_err(), "approval.unusable");
    let denied = held(&world, &fresh).await;
    vote(&world, &denied, "ann", false, None).await;
    assert_eq!(open(&world, &again(&fresh, &denied)).await.unwrap_err(), "approval.unusable");
    world.stop().await;
}

/// An approval is of one policy set; and one that is needed no more does not make an old token good.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changed_is_asked_anew() {
    let world = world().await;
    let request = ask(&world.place.token());
    let put = held(&world, &request).await;
    vote(&world, &put, "ann", true, None).await;
    world.place.policies(&HELD.replace("10m", "9m"));
    let world = world.stop().await.start().await;
    assert_eq!(open(&world, &again(&request, &put)).await.unwrap_err(), "approval.unusable");
    world.place.policies(FREE);
    let world = world.stop().await.start().await;
    assert_eq!(open(&world, &again(&request, &put)).await.unwrap_err(), "approval.unusable");
    assert!(open(&world, &request).await.unwrap().is_ok());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_lets_the_next_connections_through() {
    let world = world().await;
    let request = ask(&world.place.token());
    let put = held(&world, &request).await;
    vote(&world, &put, "ann", true, Some(WindowRequest { seconds: 600, times: 1 })).await;
    assert!(open(&world, &again(&request, &put)).await.unwrap().is_ok());
    let other = OpenRequest { database: Some("payroll".to_owned()), ..ask(&world.place.token()) };
    held(&world, &other).await;
    assert!(open(&world, &ask(&world.place.token())).await.unwrap().is_ok(), "covered, and opened at once");
    held(&world, &ask(&world.place.token())).await;
    assert_eq!(world.place.provider.minted().len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_withdraws_what_waits() {
    let world = world().await;
    let request = ask(&world.place.token());
    let (asked, approved) = (held(&world, &request).await, held(&world, &request).await);
    vote(&world, &approved, "ann", true, None).await;
    let freeze = FreezeRequest { scope: FreezeScope::All, reason: "stolen laptop".to_owned() };
    let freeze = world.broker.freeze(freeze, operator()).await.unwrap();
    let told = world.broker.settled_approvals(world.place.gateway.id).await.unwrap();
    for put in [&asked, &approved] {
        assert!(told.iter().any(|reply| reply.approval == put.approval && reply.state == ApprovalState::Withdrawn));
        assert_eq!(open(&world, &again(&request, put)).await.unwrap_err(), "approval.unusable");
    }
    assert!(open(&world, &request).await.is_err(), "nor is it asked anew");
    world.broker.unfreeze(freeze.id, "it was found", operator()).await.unwrap();
    held(&world, &request).await;
    assert_eq!(world.place.provider.minted(), []);
    world.stop().await;
}

/// Connections to `other` are held, those to the first target are not.
const SOME_HELD: &str = r#"@id("held") @hold("10m") @approvers("dba") @uses("2")
permit (principal, action == Writ::Action::"connect", resource) when { resource.name == "other" };
@id("free") @uses("2") permit (principal, action == Writ::Action::"connect", resource) when { resource.name == "main" };"#;

fn by(letter: char, request: &OpenRequest, target: &str) -> OpenRequest {
    let key = format!("{}A", letter.to_string().repeat(42)).parse().unwrap();
    OpenRequest { client_key: Some(key), target: target.to_owned(), ..request.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn humans_are_not_asked_for_a_token_that_could_open_nothing() {
    let world = Place::new(SOME_HELD).start().await;
    let request = ask(&world.place.token());
    assert!(open(&world, &by('a', &request, TARGET)).await.unwrap().is_ok());
    assert_eq!(open(&world, &by('b', &request, "other")).await.unwrap_err(), "token.bound");
    assert_eq!(
        open(&world, &OpenRequest { target: "other".to_owned(), ..request.clone() }).await.unwrap_err(),
        "token.bound"
    );
    assert_eq!(world.store.open_approvals().await.unwrap(), 0);
    held(&world, &by('a', &request, "other")).await;
    assert!(open(&world, &by('a', &request, TARGET)).await.unwrap().is_ok());
    assert_eq!(open(&world, &by('a', &request, "other")).await.unwrap_err(), "token.used");
    assert_eq!(world.store.open_approvals().await.unwrap(), 1);
    world.stop().await;
}

/// The token's own end comes first, and what ended is forgotten meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn whose_a_token_is_and_how_often_it_was_used_is_known_for_as_long_as_it_may_be_shown() {
    let world = Place::new(SOME_HELD).start().await;
    let (one, two) = (ask(&world.place.token()), ask(&world.place.token()));
    let mut put = Vec::new();
    for request in [&one, &two] {
        let request = by('a', request, "other");
        put.push((held(&world, &request).await, held(&world, &request).await));
    }
    // The first is used up before it ends, the second is merely bound.
    for request in [&one, &one, &two] {
        assert!(open(&world, &by('a', request, TARGET)).await.unwrap().is_ok());
    }
    world.place.clock.step(599);
    for (first, second) in &put {
        vote(&world, first, "ann", true, None).await;
        vote(&world, second, "ann", true, None).await;
    }
    world.place.clock.step(60);
    world.store.prune(world.place.clock.now()).await.unwrap();
    let code = async |letter, request: &OpenRequest, put: &ApprovalReply| {
        let request = again(&by(letter, request, "other"), put);
        open(&world, &request).await.map_or_else(|code| code, |answer| if answer.is_ok() { "opened" } else { "held" })
    };
    assert_eq!(code('a', &one, &put[0].0).await, "token.used");
    assert_eq!(code('b', &one, &put[0].1).await, "token.bound");
    assert_eq!(code('b', &two, &put[1].0).await, "token.bound");
    assert_eq!(code('a', &two, &put[1].0).await, "opened");
    world.store.prune(world.place.clock.now()).await.unwrap();
    assert_eq!(code('a', &two, &put[1].1).await, "token.used", "twice, as the policy says");
    assert_eq!(world.place.provider.minted().len(), 4);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_workload_does_not_fill_the_queue() {
    let world = world().await;
    let request = ask(&world.place.token());
    for _ in 0..16 {
        held(&world, &request).await;
    }
    assert_eq!(open(&world, &request).await.unwrap_err(), "approval.many");
    held(&world, &ask(&world.place.token_with(json!({"sub": "job:2"})))).await;
    world.stop().await;
}
