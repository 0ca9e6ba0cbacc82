//! Connections that wait for humans before their sessions are opened.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use writ_core::fault::{Blame, Fault};

use crate::world::raw::{Frame, Raw, message, query};
use crate::world::{TOKEN, World, until};

/// A world in which connections wait.
async fn world(hold: Duration) -> World {
    World::start(|fake| (fake.connections, fake.hold) = (Some(watch::channel(None).0), hold)).await
}

fn answer(world: &World, answer: Result<(), Fault>) {
    world.fake.connections.as_ref().unwrap().send_replace(Some(answer));
}

/// A client that has shown its token and was told that it waits.
async fn waiting(world: &World) -> Raw {
    let mut raw = Raw::startup(world.port()).await.unwrap();
    assert_eq!(raw.frame().await.unwrap().body, [0, 0, 0, 3], "the token is asked for as a password");
    raw.send(&message(b'p', &[TOKEN.as_bytes(), b"\0"].concat())).await.unwrap();
    let (good, notice) = (raw.frame().await.unwrap(), raw.frame().await.unwrap());
    assert_eq!((good.tag, good.body.as_slice()), (b'R', &[0; 4][..]), "libpq takes no notice before AuthenticationOk");
    assert_eq!((notice.tag, notice.field(b'S').as_str()), (b'N', "NOTICE"));
    assert_eq!(notice.field(b'M'), "writ: this connection waits for an approval: https://broker.example/apr");
    raw
}

/// How a connection ended that was not let in: after the notice, by one error and nothing else.
async fn refused(raw: &mut Raw) -> Frame {
    let mut rest = raw.rest().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    let error = rest.pop().unwrap();
    assert_eq!((error.tag, error.field(b'S').as_str()), (b'E', "FATAL"));
    error
}

#[tokio::test]
async fn a_connection_that_is_approved_goes_on_as_if_it_had_not_waited() {
    let world = world(Duration::from_secs(60)).await;
    let mut raw = waiting(&world).await;
    assert_eq!(world.fake.records().len(), 0);
    answer(&world, Ok(()));
    let login = raw.frames_to(b'Z').await;
    assert!(login.iter().any(|frame| frame.tag == b'K') && login.iter().all(|frame| frame.tag != b'R'), "{login:?}");
    raw.send(&query("select 41 + 1")).await.unwrap();
    assert!(raw.frames_to(b'Z').await.iter().any(|frame| frame.tag == b'D' && frame.body.ends_with(b"42")));
    drop(raw);
    world.ended(1).await;
}

#[tokio::test]
async fn a_connection_that_is_denied_hears_why() {
    let world = world(Duration::from_secs(60)).await;
    let mut raw = waiting(&world).await;
    answer(&world, Err(Fault::new("approval.denied", Blame::NotAllowed, "an approver denied it: not today")));
    let error = refused(&mut raw).await;
    assert_eq!((error.field(b'C').as_str(), error.field(b'M').as_str()), ("28000", "an approver denied it: not today"));
    assert_eq!(world.fake.records().len(), 0);
}

#[tokio::test]
async fn a_connection_that_nobody_answers_ends() {
    let world = world(Duration::from_millis(50)).await;
    let mut raw = waiting(&world).await;
    assert_eq!(refused(&mut raw).await.field(b'M'), "the approval was not given in time");
    until("the question to be withdrawn", || (world.fake.unwanted.load(Ordering::SeqCst) == 1).then_some(())).await;
}

/// Nobody is asked on for a client that is gone, and it does not begin a session when the answer comes.
#[tokio::test]
async fn a_client_that_leaves_is_not_waited_for() {
    let world = world(Duration::from_secs(60)).await;
    for (left, goodbye) in [(1, None), (2, Some(message(b'X', b"")))] {
        let mut raw = waiting(&world).await;
        if let Some(goodbye) = goodbye {
            raw.send(&goodbye).await.unwrap();
        }
        drop(raw);
        until("the question to be withdrawn", || (world.fake.unwanted.load(Ordering::SeqCst) == left).then_some(()))
            .await;
    }
    assert_eq!(world.fake.records().len(), 0);
}

#[tokio::test]
async fn a_client_that_speaks_before_it_was_let_in_is_refused() {
    let world = world(Duration::from_secs(60)).await;
    let mut raw = waiting(&world).await;
    raw.send(&query("drop table students")).await.unwrap();
    assert_eq!(refused(&mut raw).await.field(b'C'), "08P01");
    assert_eq!(world.fake.records().len(), 0);
}

/// What fails after the approval is told before `ReadyForQuery`, and what was opened is given up.
#[tokio::test]
async fn a_target_that_refuses_after_the_approval_is_told() {
    let world = World::start(|fake| {
        fake.connections = Some(watch::channel(Some(Ok(()))).0);
        fake.password = "not the password".to_owned();
    })
    .await;
    let mut raw = waiting(&world).await;
    assert_eq!(refused(&mut raw).await.field(b'C'), "08001");
    until("the session to be given up", || (world.fake.abandoned.lock().unwrap().len() == 1).then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_leaves_ends_what_waits() {
    let mut world = world(Duration::from_secs(60)).await;
    let mut raw = waiting(&world).await;
    let leaves = tokio::spawn(world.take_gateway().drain());
    let error = refused(&mut raw).await;
    assert_eq!((error.field(b'C').as_str(), error.field(b'M').as_str()), ("57P03", "the gateway is shutting down"));
    leaves.await.unwrap();
}
