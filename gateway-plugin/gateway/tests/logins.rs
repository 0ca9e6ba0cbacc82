//! Logins that do not become sessions: what the client is told, and that nothing which was admitted is forgotten.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use writ_gateway::GatewayConfig;

use crate::world::evidence::{Fake, TOKEN};
use crate::world::raw::{Raw, message};
use crate::world::{World, config, target, until};

fn abandoned(fake: &Fake) -> Vec<&'static str> {
    fake.abandoned.lock().unwrap().clone()
}

#[tokio::test]
async fn a_token_that_is_refused_opens_nothing() {
    let world = World::start(|_| {}).await;
    let refused = Raw::login(world.port(), "another").await.err().unwrap();
    assert_eq!((refused.field(b'C').as_str(), refused.field(b'M').as_str()), ("28000", "the token is not accepted"));
    assert!(world.fake.records().is_empty() && abandoned(&world.fake).is_empty());
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let settings = GatewayConfig { login_timeout: Duration::from_secs(1), ..config() };
    let world = World::configured(settings, |_| {}).await;
    let begun = Instant::now();
    let (mut silent, mut slow) = (Raw::connect(world.port()).await.unwrap(), Raw::startup(world.port()).await.unwrap());
    assert!(silent.rest().await.is_empty());
    assert!(slow.rest().await.iter().all(|frame| frame.tag != b'Z'));
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(world.fake.opens.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_given_up() {
    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let settings = GatewayConfig { login_timeout: Duration::from_secs(1), ..config() };
    let world = World::configured(settings, |fake| fake.target = target(port)).await;
    let refused = Raw::login(world.port(), TOKEN).await.err().unwrap();
    assert_eq!((refused.field(b'C').as_str(), refused.field(b'M').as_str()), ("57P03", "the login took too long"));
    assert_eq!(abandoned(&world.fake).len(), 1);
}

#[tokio::test]
async fn a_target_that_is_down_is_an_error_and_its_session_is_abandoned() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let world = World::start(|fake| fake.target = target(port)).await;
    let refused = Raw::login(world.port(), TOKEN).await.err().unwrap();
    assert_eq!((refused.field(b'C').as_str(), refused.field(b'M').as_str()), ("08001", "the target cannot be reached"));
    assert_eq!(abandoned(&world.fake), ["login.target"]);
    assert_eq!(world.sessions(), 0, "its place is free again");
}

#[tokio::test]
async fn a_credential_that_the_target_refuses_abandons_the_session() {
    let world = World::start(|fake| "not the password".clone_into(&mut fake.password)).await;
    let refused = Raw::login(world.port(), TOKEN).await.err().unwrap();
    assert_eq!(refused.field(b'S'), "FATAL");
    assert!(!format!("{refused:?}").contains("not the password"));
    assert_eq!(abandoned(&world.fake).len(), 1);
}

#[tokio::test]
async fn a_full_gateway_says_so_and_takes_the_next_when_one_left() {
    let settings = GatewayConfig { max_sessions: 2, ..config() };
    let world = World::configured(settings, |_| {}).await;
    let (one, two) = (world.raw().await, world.raw().await);
    let refused = Raw::login(world.port(), TOKEN).await.err().unwrap();
    let said = (refused.field(b'C'), refused.field(b'M'), refused.field(b'H'));
    let expected = ("57P03", "the gateway has as many sessions as it may have", "try again later");
    assert_eq!((said.0.as_str(), said.1.as_str(), said.2.as_str()), expected);
    assert_eq!(world.fake.opens.load(Ordering::SeqCst), 2, "nobody was asked for a third");
    drop(one);
    until("a place", || (world.sessions() < 2).then_some(())).await;
    let mut three = world.raw().await;
    assert_eq!(three.ask("select 7").await.len(), 4);
    drop(two);
}

#[tokio::test]
async fn too_many_logins_at_once_are_dropped_and_sessions_are_not_counted() {
    let settings = GatewayConfig { max_pending: 2, ..config() };
    let world = World::configured(settings, |_| {}).await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(world.raw().await);
    }
    let mut pending = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::startup(world.port()).await.unwrap();
        assert_eq!(raw.frame().await.unwrap().tag, b'R');
        pending.push(raw);
    }
    assert!(Raw::connect(world.port()).await.unwrap().rest().await.is_empty(), "the third is dropped");
    drop(pending);
    let limit = Instant::now() + crate::world::ALLOWANCE;
    while Raw::startup(world.port()).await.unwrap().frame().await.is_err() {
        assert!(Instant::now() < limit, "no login is taken any more");
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_its_login_leaves_nothing_behind() {
    let mute = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let settings = GatewayConfig { login_timeout: Duration::from_secs(2), ..config() };
    let world = World::configured(settings, |fake| fake.target = target(port)).await;
    let mut raw = Raw::startup(world.port()).await.unwrap();
    assert_eq!(raw.frame().await.unwrap().tag, b'R');
    raw.send(&message(b'p', &[TOKEN.as_bytes(), b"\0"].concat())).await.unwrap();
    let dialled = mute.accept().await.unwrap();
    drop(raw);
    until("the session to be abandoned", || (!abandoned(&world.fake).is_empty()).then_some(())).await;
    until("its place", || (world.sessions() == 0).then_some(())).await;
    assert!(world.fake.records().is_empty(), "it never began");
    drop(dialled);
}
