//! Each way in which a session ends: what the client is told, what the record says.

use std::time::{Duration, Instant};

use writ_core::event::SessionEnd;
use writ_gateway::evidence::Ending;

use crate::world::raw::{Frame, query};
use crate::world::{ALLOWANCE, World, config, direct, until_server};

/// The only thing that a client hears: the session's end, by the code of an administrator's command, and why.
fn is_told(frames: &[Frame], reason: &str) {
    let [frame] = frames else { panic!("one error was expected: {frames:?}") };
    assert_eq!((frame.tag, frame.field(b'S').as_str(), frame.field(b'C').as_str()), (b'E', "FATAL", "57P01"));
    assert_eq!(frame.field(b'M'), reason);
}

fn ended(end: SessionEnd) -> Vec<(SessionEnd, String)> {
    vec![(end, "session.ended".to_owned())]
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    let world = World::start(|fake| fake.ttl = Duration::from_secs(1)).await;
    let begun = Instant::now();
    let mut raw = world.raw().await;
    is_told(&raw.rest().await, "the session's time is over");
    assert_eq!(world.ended(1).await, ended(SessionEnd::Ttl));
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_command_that_runs_is_no_reason_to_stay() {
    let world = World::start(|fake| fake.ttl = Duration::from_secs(1)).await;
    let mut raw = world.raw().await;
    raw.send(&query("select pg_sleep(600), 'past its time'")).await.unwrap();
    is_told(&raw.rest().await, "the session's time is over");
    assert_eq!(world.ended(1).await, ended(SessionEnd::Ttl));
}

#[tokio::test]
async fn an_idle_session_ends_and_a_busy_one_does_not() {
    let settings = writ_gateway::GatewayConfig { idle_timeout: Duration::from_secs(1), ..config() };
    let world = World::configured(settings, |_| {}).await;
    let mut idle = world.raw().await;
    let busy = world.client().await;
    let works = tokio::spawn(async move {
        let slept = busy.simple_query("select pg_sleep(3)").await;
        slept.map(|_| busy)
    });
    is_told(&idle.rest().await, "the session was idle for too long");
    assert_eq!(world.ended(1).await, ended(SessionEnd::Idle));
    works.await.unwrap().expect("a command that runs is no idleness");
}

#[tokio::test]
async fn a_killed_session_ends_at_once() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select pg_sleep(600), 'killed in its course'")).await.unwrap();
    let running = "select exists (select from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' \
                   and query like '%killed in its course%')";
    until_server(&direct().await, running).await;
    let reason = "the session was killed by an operator".to_owned();
    world.fake.kill.send_replace(Some(Ending { end: SessionEnd::Revoked, reason: reason.clone() }));
    is_told(&raw.rest().await, &reason);
    assert_eq!(world.ended(1).await, ended(SessionEnd::Revoked));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_session() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.ask("begin").await;
    drop(raw);
    assert_eq!(world.ended(1).await, [(SessionEnd::Client, String::new())]);
}

#[tokio::test]
async fn a_target_that_leaves_ends_the_session() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    let answer = raw.ask("select pg_backend_pid()").await;
    let pid: i32 = String::from_utf8_lossy(&answer[1].body[6..]).parse().unwrap();
    assert!(direct().await.query_one("select pg_terminate_backend($1)", &[&pid]).await.unwrap().get::<_, bool>(0));
    let frames = raw.rest().await;
    assert_eq!((frames[0].tag, frames[0].field(b'C').as_str()), (b'E', "57P01"), "the target's own last words");
    assert_eq!(world.ended(1).await, [(SessionEnd::Target, "session.target_left".to_owned())]);
}

#[tokio::test]
async fn a_shutdown_ends_idle_sessions_at_once_and_lets_transactions_finish() {
    let mut world = World::start(|_| {}).await;
    let (mut idle, mut open) = (world.raw().await, world.raw().await);
    open.ask("begin").await;
    let port = world.port();
    let drained = tokio::spawn(world.take_gateway().drain());
    is_told(&idle.rest().await, "the gateway is shutting down");
    assert_eq!(world.ended(1).await, ended(SessionEnd::Drained));
    // The other one is still there, and is told with the end of its transaction.
    let answer = open.ask("select 7").await;
    assert_eq!(answer.iter().map(|frame| frame.tag).collect::<Vec<_>>(), b"TDCZ");
    open.send(&query("commit")).await.unwrap();
    let mut last = open.rest().await;
    assert_eq!(last.remove(0).tag, b'C', "the transaction was committed");
    assert_eq!(last.remove(0).body, b"I");
    is_told(&last, "the gateway is shutting down");
    assert_eq!(world.ended(2).await.len(), 2);
    drained.await.unwrap();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err(), "it takes no more connections");
}

#[tokio::test]
async fn a_shutdown_waits_no_longer_than_its_limit() {
    let settings = writ_gateway::GatewayConfig { drain_timeout: Duration::from_secs(1), ..config() };
    let mut world = World::configured(settings, |_| {}).await;
    let mut open = world.raw().await;
    open.ask("begin").await;
    let begun = Instant::now();
    world.take_gateway().drain().await;
    assert!((Duration::from_secs(1)..ALLOWANCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    is_told(&open.rest().await, "the gateway is shutting down");
    assert_eq!(world.ended(1).await, ended(SessionEnd::Drained));
}

#[tokio::test]
async fn what_a_session_ran_ends_with_it_on_the_server() {
    let world = World::start(|_| {}).await;
    let (mut raw, watcher) = (world.raw().await, direct().await);
    raw.send(&query("select pg_sleep(600), 'ends on the server too'")).await.unwrap();
    let runs = "exists (select from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' \
                and query like '%ends on the server too%')";
    until_server(&watcher, &format!("select {runs}")).await;
    let reason = "the session was killed by an operator".to_owned();
    world.fake.kill.send_replace(Some(Ending { end: SessionEnd::Revoked, reason }));
    raw.rest().await;
    until_server(&watcher, &format!("select not {runs}")).await;
}
