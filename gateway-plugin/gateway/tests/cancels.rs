//! Cancel requests: the gateway's own key stops a command on the server, no other does, and not too many are taken.

use std::time::{Duration, Instant};

use writ_gateway::GatewayConfig;
use writ_gateway::cancel::{Goal, Registry};
use writ_wire_postgres::cancel::{BackendKey, CancelKey};

use crate::world::raw::{Frame, Raw, query};
use crate::world::{World, config, direct, target, until_server};

/// Asks for a cancel and waits for the answer, which is the connection's end.
pub(crate) async fn cancel(port: u16, key: &[u8]) {
    let mut raw = Raw::connect(port).await.unwrap();
    let length = u32::try_from(key.len() + 8).unwrap();
    raw.send(&[&length.to_be_bytes()[..], &80_877_102_u32.to_be_bytes(), key].concat()).await.unwrap();
    assert!(raw.rest().await.is_empty(), "a cancel request has no answer");
}

async fn sleep(raw: &mut Raw, mark: &str) {
    raw.send(&query(&format!("select pg_sleep(600), '{mark}'"))).await.unwrap();
    let sql =
        "select exists (select from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like";
    until_server(&direct().await, &format!("{sql} '%{mark}%')")).await;
}

async fn runs(mark: &str) -> bool {
    let sql =
        "select exists (select from pg_stat_activity where pid <> pg_backend_pid() and state = 'active' and query like";
    direct().await.query_one(&format!("{sql} '%{mark}%')"), &[]).await.unwrap().get(0)
}

fn was_cancelled(frames: &[Frame]) {
    assert!(frames.iter().any(|frame| frame.tag == b'E' && frame.field(b'C') == "57014"), "{frames:?}");
}

#[tokio::test]
async fn the_key_that_the_client_got_cancels_its_command() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    sleep(&mut raw, "cancelled by its key").await;
    cancel(world.port(), &raw.key).await;
    was_cancelled(&raw.frames_to(b'Z').await);
    assert_eq!(raw.ask("select 7").await.len(), 4, "the session goes on");
}

#[tokio::test]
async fn another_key_cancels_nothing() {
    let world = World::start(|_| {}).await;
    let (mut raw, other) = (world.raw().await, world.raw().await);
    sleep(&mut raw, "not cancelled by another").await;
    let mut wrong = raw.key.clone();
    *wrong.last_mut().unwrap() ^= 1;
    cancel(world.port(), &wrong).await;
    cancel(world.port(), &other.key).await;
    let mut unknown = raw.key.clone();
    unknown[3] ^= 1;
    cancel(world.port(), &unknown).await;
    assert!(runs("not cancelled by another").await);
    cancel(world.port(), &raw.key).await;
    was_cancelled(&raw.frames_to(b'Z').await);
}

#[tokio::test]
async fn a_gateway_that_takes_no_cancels_passes_none_on() {
    let world = World::configured(GatewayConfig { cancel_rate: 0, ..config() }, |_| {}).await;
    let mut raw = world.raw().await;
    sleep(&mut raw, "beyond every cancel").await;
    cancel(world.port(), &raw.key).await;
    assert!(runs("beyond every cancel").await);
}

#[test]
fn cancels_beyond_the_rate_are_ignored_until_time_passed() {
    let registry = Registry::new(writ_core::id::GatewayId::fresh(), 3);
    let key = BackendKey { pid: 7, key: CancelKey::new(&[1, 2, 3, 4]).unwrap() };
    let entry = registry.enter(4, Some(Goal { address: target(1).address, key })).unwrap();
    let wrong = BackendKey { pid: entry.key().pid, key: CancelKey::new(&[0; 5]).unwrap() };
    let now = Instant::now() + Duration::from_secs(60);
    assert!(registry.find(&wrong, now).is_none() && registry.find(&wrong, now).is_none());
    assert!(registry.find(entry.key(), now).is_some());
    assert!(registry.find(entry.key(), now).is_none(), "wrong ones count too");
    assert!(registry.find(entry.key(), now + Duration::from_millis(300)).is_none());
    assert!(registry.find(entry.key(), now + Duration::from_millis(400)).is_some());
    let key = entry.key().clone();
    drop(entry);
    assert!(registry.find(&key, now + Duration::from_secs(60)).is_none(), "its session is over");
}
