//! Approvals: who may answer, what an answer is bound to, and how often it is good.

use writ_broker_api::approval::{
    About, ApprovalReply, ApprovalRequest, ApprovalsQuery, BreakGlassRequest, ReviewRequest, VoteRequest,
    WindowRequest, digest,
};
use writ_broker_api::gateway::OpenReply;
use writ_core::approval::{Approval, ApprovalState};
use writ_core::event::{Actor, Event};
use writ_core::id::ApprovalId;
use writ_core::statement::Fingerprint;
use writ_core::workload::{Issuer, Subject};

use super::world::{World, ended, world};
use crate::broker::GatewayIdentity;
use crate::humans::Permitted;
use crate::refusal::Refusal;

pub(super) fn question(opened: &OpenReply) -> ApprovalRequest {
    let about = About {
        issuer: &opened.workload.issuer,
        subject: &opened.workload.subject,
        target: &opened.target.name,
        role: opened.obligations.role.as_deref(),
        database: "shop",
        schemas: &[],
    };
    let statement = "delete from orders".to_owned();
    ApprovalRequest {
        session: opened.session,
        database: "shop".to_owned(),
        schemas: Vec::new(),
        digest: digest(&about, &statement, &[], &opened.policy_hash),
        statement,
        parameters: Vec::new(),
        fingerprint: Fingerprint([7; 16]),
        policies: vec!["hold".to_owned()],
        policy_hash: opened.policy_hash.clone(),
        groups: Vec::new(),
        needed: 1,
        timeout_seconds: 60,
    }
}

fn human(name: &str, groups: &[&str]) -> Permitted {
    let actor = Actor { issuer: Issuer::new("https://idp.test"), subject: Subject::new(name) };
    Permitted::of_a_test(actor, groups.iter().map(|&group| group.to_owned()).collect())
}

fn yes(digest: &str) -> VoteRequest {
    VoteRequest { approve: true, reason: "a test".to_owned(), digest: digest.to_owned(), window: None }
}

async fn asked(world: &World, request: &ApprovalRequest) -> ApprovalReply {
    world.broker.ask_approval(&world.place.gateway, request.clone()).await.unwrap()
}

async fn vote(world: &World, id: ApprovalId, by: &Permitted, request: &VoteRequest) -> Result<Approval, String> {
    world.broker.vote(id, by, request).await.map_err(said)
}

fn said(refusal: Refusal) -> String {
    refusal.fault.public.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_good_once_and_each_step_is_in_the_ledger() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = question(&opened);
    let put = asked(&world, &request).await;
    assert_eq!(put.state, ApprovalState::Asked);
    let gateway = world.place.gateway.clone();
    assert!(world.broker.use_approval(&gateway, put.approval).await.is_err(), "nobody has approved it");
    let voted = vote(&world, put.approval, &human("ann", &[]), &yes(&request.digest)).await.unwrap();
    assert_eq!(voted.state, ApprovalState::Approved);
    let told = world.broker.settled_approvals(gateway.id).await.unwrap();
    assert_eq!(
        told.iter().map(|reply| (reply.approval, reply.state)).collect::<Vec<_>>(),
        [(put.approval, voted.state)]
    );
    assert_eq!(world.broker.use_approval(&gateway, put.approval).await.unwrap().state, ApprovalState::Used);
    assert!(world.broker.use_approval(&gateway, put.approval).await.is_err(), "it is used up");
    let late = vote(&world, put.approval, &human("bob", &[]), &yes(&request.digest)).await.unwrap_err();
    assert!(late.contains("nobody waits"), "{late}");
    let events = world.events().await;
    let steps = events.iter().filter(|event| {
        matches!(event, Event::ApprovalAsked { .. } | Event::ApprovalVoted { .. } | Event::ApprovalSettled { .. })
    });
    let kinds: Vec<&str> = steps.map(Event::kind).collect();
    assert_eq!(kinds, ["approval_asked", "approval_voted", "approval_settled", "approval_settled"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_or_is_no_approver_or_has_answered_cannot_answer() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { groups: vec!["dba".to_owned()], needed: 2, ..question(&opened) };
    let id = asked(&world, &request).await.approval;
    let (issuer, subject) = (opened.workload.issuer.clone(), opened.workload.subject.clone());
    let own = Permitted::of_a_test(Actor { issuer, subject }, vec!["dba".to_owned()]);
    let ann = human("ann", &["dba", "other"]);
    assert!(vote(&world, id, &own, &yes(&request.digest)).await.unwrap_err().contains("for themselves"));
    assert!(vote(&world, id, &human("eve", &["other"]), &yes(&request.digest)).await.unwrap_err().contains("`dba`"));
    assert!(vote(&world, id, &ann, &yes("00")).await.unwrap_err().contains("the digest is not that"));
    assert_eq!(vote(&world, id, &ann, &yes(&request.digest)).await.unwrap().state, ApprovalState::Asked);
    assert!(vote(&world, id, &ann, &yes(&request.digest)).await.unwrap_err().contains("answered already"));
    let second = vote(&world, id, &human("bob", &["dba"]), &yes(&request.digest)).await.unwrap();
    assert_eq!((second.state, second.votes.len()), (ApprovalState::Approved, 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_at_once_are_both_counted_and_one_of_them_is_the_last() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { needed: 3, ..question(&opened) };
    let id = asked(&world, &request).await.approval;
    let humans: Vec<Permitted> = (0..3).map(|number| human(&format!("h{number}"), &[])).collect();
    let answer = yes(&request.digest);
    let votes = humans.iter().map(|human| vote(&world, id, human, &answer));
    let states: Vec<ApprovalState> =
        futures_util::future::join_all(votes).await.into_iter().map(|voted| voted.unwrap().state).collect();
    assert_eq!(states.iter().filter(|state| **state == ApprovalState::Approved).count(), 1, "{states:?}");
    assert_eq!(world.broker.approval(id).await.unwrap().votes.len(), 3);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_of_its_own_session_gateway_and_bytes() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = question(&opened);
    let own = world.place.gateway.clone();
    let other = GatewayIdentity { id: writ_core::id::GatewayId::fresh(), ..own.clone() };
    assert!(world.broker.ask_approval(&other, request.clone()).await.is_err(), "a session of another gateway");
    let changed = ApprovalRequest { statement: "drop table orders".to_owned(), ..request.clone() };
    let refusal = world.broker.ask_approval(&own, changed).await.unwrap_err();
    assert!(said(refusal).contains("the digest is not that"));
    let id = asked(&world, &request).await.approval;
    vote(&world, id, &human("ann", &[]), &yes(&request.digest)).await.unwrap();
    for refused in [
        world.broker.use_approval(&other, id).await.map(drop),
        world.broker.withdraw_approval(&other, id).await,
        world.broker.gateways_approval(&other, id).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().status, 404);
    }
    // With the session, all that it asks for is over.
    world.broker.close(&own, opened.session, &ended()).await.unwrap();
    assert!(world.broker.use_approval(&own, id).await.is_err());
    assert!(world.broker.ask_approval(&own, request).await.is_err());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_outlives_the_broker_and_ends_with_its_time() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = question(&opened);
    let id = asked(&world, &request).await.approval;
    let world = world.stop().await.start().await;
    assert_eq!(world.broker.approval(id).await.unwrap().state, ApprovalState::Asked);
    world.place.clock.step(61);
    assert!(vote(&world, id, &human("ann", &[]), &yes(&request.digest)).await.is_err(), "its time is over");
    assert_eq!(world.broker.approvals(&ApprovalsQuery::default()).await.unwrap(), []);
    world.broker.expire_approvals().await;
    assert_eq!(world.broker.approval(id).await.unwrap().state, ApprovalState::Expired);
    let days = |days: i64| world.broker.clock.now() + writ_core::time::SignedDuration::from_hours(24 * days);
    world.broker.store.prune(days(89)).await.unwrap();
    assert!(world.broker.approval(id).await.is_ok());
    world.broker.store.prune(days(91)).await.unwrap();
    assert!(world.broker.approval(id).await.is_err(), "the ledger keeps what became of it");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_granted_by_all_who_approve_and_is_the_least_of_theirs() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { needed: 2, timeout_seconds: 3600, ..question(&opened) };
    let window = |seconds, times| Some(WindowRequest { seconds, times });
    for (ann, bob, granted) in
        [(None, window(600, 2), None), (window(600, 2), None, None), (window(600, 2), window(60, 5), Some(2))]
    {
        let id = asked(&world, &request).await.approval;
        for (name, window) in [("ann", ann), ("bob", bob)] {
            let answer = VoteRequest { window, ..yes(&request.digest) };
            vote(&world, id, &human(name, &[]), &answer).await.unwrap();
        }
        let approval = world.broker.approval(id).await.unwrap();
        assert_eq!(approval.state, ApprovalState::Approved);
        assert_eq!(approval.window.map(|window| window.left), granted);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_covers_what_is_like_it_so_often_and_so_long() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { timeout_seconds: 3600, ..question(&opened) };
    let id = asked(&world, &request).await.approval;
    let window = Some(WindowRequest { seconds: 600, times: 2 });
    let answer = VoteRequest { window, ..yes(&request.digest) };
    vote(&world, id, &human("ann", &[]), &answer).await.unwrap();
    let other = ApprovalRequest { fingerprint: Fingerprint([8; 16]), ..request.clone() };
    assert_eq!(asked(&world, &other).await.state, ApprovalState::Asked, "another statement");
    let about = About {
        issuer: &opened.workload.issuer,
        subject: &opened.workload.subject,
        target: &opened.target.name,
        role: opened.obligations.role.as_deref(),
        database: "shop",
        schemas: &["other".to_owned()],
    };
    let elsewhere = ApprovalRequest {
        schemas: about.schemas.to_vec(),
        digest: digest(&about, &request.statement, &[], &request.policy_hash),
        ..request.clone()
    };
    assert_eq!(asked(&world, &elsewhere).await.state, ApprovalState::Asked, "names mean something else");
    assert_eq!(asked(&world, &request).await.state, ApprovalState::Approved);
    world.place.clock.step(601);
    assert_eq!(asked(&world, &request).await.state, ApprovalState::Asked, "the window is over");
    let several = ApprovalRequest { fingerprint: Fingerprint::default(), ..request };
    let put = asked(&world, &several).await;
    let refused = vote(&world, put.approval, &human("ann", &[]), &VoteRequest { window, ..yes(&several.digest) }).await;
    assert!(refused.unwrap_err().contains("for this once alone"));
    world.stop().await;
}

/// One human lets it go on where policy asks for three of a group; two others review it, however long that takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_glass_is_reviewed_by_two_others() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { groups: vec!["dba".to_owned()], needed: 3, ..question(&opened) };
    let broken = async |id, by: &Permitted, digest: &str| {
        let request = BreakGlassRequest { reason: "the site is down".to_owned(), digest: digest.to_owned() };
        world.broker.break_glass(id, by, &request).await.map_err(said)
    };
    let reviewed = async |id, by: &Permitted, justified| {
        let review = ReviewRequest { justified, reason: "a test".to_owned(), digest: request.digest.clone() };
        world.broker.review_glass(id, by, &review).await.map_err(said)
    };
    let due = ApprovalsQuery { to_review: true, ..ApprovalsQuery::default() };
    let id = asked(&world, &request).await.approval;
    let (issuer, subject) = (opened.workload.issuer.clone(), opened.workload.subject.clone());
    let own = Permitted::of_a_test(Actor { issuer, subject }, vec!["dba".to_owned()]);
    let file = Permitted::of_a_test(
        Actor { issuer: Issuer::new("writ"), subject: Subject::new("admin-token") },
        vec!["dba".to_owned()],
    );
    let (ann, bob, eve, joe) = (human("ann", &[]), human("bob", &["dba"]), human("eve", &[]), human("joe", &["dba"]));
    assert!(broken(id, &own, &request.digest).await.unwrap_err().contains("for themselves"));
    assert!(broken(id, &file, &request.digest).await.unwrap_err().contains("is no human"));
    assert!(broken(id, &ann, "00").await.unwrap_err().contains("the digest is not that"));
    assert!(reviewed(id, &bob, true).await.unwrap_err().contains("no review of it is due"));
    assert_eq!(world.broker.approvals(&due).await.unwrap(), []);
    let approval = broken(id, &ann, &request.digest).await.unwrap();
    assert_eq!((approval.state, approval.reviews_due()), (ApprovalState::Approved, 2));
    assert!(broken(id, &bob, &request.digest).await.unwrap_err().contains("nobody waits"));
    world.broker.use_approval(&world.place.gateway, id).await.unwrap();

    // Its session is over, and so is the time for which approvals are kept: it still is to be reviewed.
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    world
        .broker
        .store
        .prune(world.broker.clock.now() + writ_core::time::SignedDuration::from_hours(24 * 100))
        .await
        .unwrap();
    assert_eq!(world.broker.approvals(&due).await.unwrap().len(), 1);
    let ann_of_dba = human("ann", &["dba"]);
    assert!(reviewed(id, &ann_of_dba, true).await.unwrap_err().contains("did themselves"));
    assert!(reviewed(id, &eve, true).await.unwrap_err().contains("a member of `dba`"));
    assert!(reviewed(id, &file, true).await.unwrap_err().contains("is no human"));
    assert!(reviewed(id, &own, true).await.unwrap_err().contains("for themselves"));
    assert_eq!(reviewed(id, &bob, true).await.unwrap().reviews_due(), 1);
    assert!(reviewed(id, &bob, true).await.unwrap_err().contains("reviewed it already"));
    let done = reviewed(id, &joe, false).await.unwrap();
    assert_eq!((done.state, done.reviews_due()), (ApprovalState::Used, 0));
    assert!(reviewed(id, &human("zoe", &["dba"]), true).await.unwrap_err().contains("no review of it is due"));
    assert_eq!(world.broker.approvals(&due).await.unwrap(), []);
    let events = world.events().await;
    let kinds: Vec<&str> = events.iter().map(Event::kind).filter(|kind| kind.contains("glass")).collect();
    assert_eq!(kinds, ["glass_broken", "glass_reviewed", "glass_reviewed"]);
    let objects = |event: &Event| matches!(event, Event::GlassReviewed { justified: false, due: 0, .. });
    assert!(events.iter().any(objects));
    world.stop().await;
}
