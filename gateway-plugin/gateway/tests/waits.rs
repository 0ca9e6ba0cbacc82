//! A command whose verdict takes time holds what stands behind it in its own session, and nothing else.

use writ_core::event::SessionEnd;
use writ_gateway::evidence::Ending;

use crate::world::evidence::{DENIED, Entry};
use crate::world::raw::{Frame, Raw, message, query};
use crate::world::{World, until};

fn extended(sql: &str, parameter: Option<&str>) -> Vec<u8> {
    let parse = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
    let parameter = parameter.map_or(vec![0, 0], |value| {
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        [&[0, 1][..], &length, value.as_bytes()].concat()
    });
    let bind = message(b'B', &[&[0; 4][..], &parameter, &[0, 0]].concat());
    [parse, bind, message(b'E', &[0; 5]), message(b'S', &[])].concat()
}

fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// The first value of the first row.
fn value(frames: &[Frame]) -> String {
    let row = frames.iter().find(|frame| frame.tag == b'D').expect("a row");
    String::from_utf8_lossy(&row.body[6..]).into_owned()
}

/// Waits until the worker has seen all that was sent: another session on it is answered.
async fn seen(other: &mut Raw) {
    for number in 0..3 {
        assert_eq!(value(&other.ask(&format!("select {number}")).await), number.to_string());
    }
}

#[tokio::test]
async fn what_stands_behind_waits_and_other_sessions_do_not() {
    let world = World::start(|_| {}).await;
    let (mut raw, mut other) = (world.raw().await, world.raw().await);
    let denied = query("create table forbidden_behind (a int)");
    raw.send(&[extended("select 0", None), query("select 'waits 1'"), denied, extended("select 3", None)].concat())
        .await
        .unwrap();
    assert_eq!(value(&raw.frames_to(b'Z').await), "0");
    seen(&mut other).await;
    assert!(
        !world
            .fake
            .records()
            .iter()
            .any(|entry| matches!(entry, Entry::Command { text, .. } if text.contains("waits")))
    );
    world.fake.given.send_replace(1);
    assert_eq!(value(&raw.frames_to(b'Z').await), "waits 1");
    let refused = raw.frames_to(b'Z').await;
    assert_eq!((refused[0].field(b'C').as_str(), refused[0].field(b'M').as_str()), ("42501", DENIED));
    assert_eq!(value(&raw.frames_to(b'Z').await), "3");
    assert_eq!(world.fake.texts(false), ["create table forbidden_behind (a int)"]);
}

#[tokio::test]
async fn a_bind_waits_with_its_parameters_while_more_arrives_in_pieces() {
    let world = World::start(|_| {}).await;
    let (mut raw, mut other) = (world.raw().await, world.raw().await);
    let long = "x".repeat(90_000);
    let behind = [extended("select $1::text", Some(&long)), query("select 'last'")].concat();
    raw.send(&extended("select $1::text || '!'", Some("waits"))).await.unwrap();
    for piece in behind.chunks(7001) {
        raw.send(piece).await.unwrap();
        seen(&mut other).await;
    }
    world.fake.given.send_replace(1);
    assert_eq!(value(&raw.frames_to(b'Z').await), "waits!");
    assert_eq!(value(&raw.frames_to(b'Z').await), long);
    assert_eq!(value(&raw.frames_to(b'Z').await), "last");
    let told: Vec<_> = world.fake.records().iter().filter_map(told).collect();
    assert_eq!(told, [b"waits".to_vec(), long.into_bytes()], "the parameters are on record as they were executed");
}

fn told(entry: &Entry) -> Option<Vec<u8>> {
    match entry {
        Entry::Command { parameters, .. } => parameters.first().cloned().flatten(),
        _ => None,
    }
}

#[tokio::test]
async fn what_a_denial_skips_needs_no_verdict() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    let parse = |sql: &str| message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
    let segment = [parse("select 'waits forbidden'"), parse("select 'waits skipped'"), message(b'S', &[])].concat();
    raw.send(&[segment, extended("select 'waits on'", None), query("select 'last'")].concat()).await.unwrap();
    world.fake.given.send_replace(1);
    assert_eq!(tags(&raw.frames_to(b'Z').await), "EZ");
    world.fake.given.send_replace(1);
    assert_eq!(value(&raw.frames_to(b'Z').await), "waits on");
    assert_eq!(value(&raw.frames_to(b'Z').await), "last");
    assert!(world.fake.texts(true).iter().all(|text| !text.contains("skipped")));
}

#[tokio::test]
async fn a_client_that_leaves_waits_no_more() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select 'waits for ever'")).await.unwrap();
    drop(raw);
    assert_eq!(world.ended(1).await[0].0, SessionEnd::Client);
    world.fake.given.send_replace(1);
    assert!(world.fake.texts(true).is_empty());
}

#[tokio::test]
async fn a_session_that_is_ended_waits_no_more() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select 'waits for ever'")).await.unwrap();
    until("the session to run", || (world.sessions() == 1).then_some(())).await;
    let ending = Ending { end: SessionEnd::Revoked, reason: "it was killed".to_owned() };
    world.fake.kill.send_replace(Some(ending));
    let rest = raw.rest().await;
    assert_eq!(rest.first().map(|frame| frame.field(b'C')), Some("57P01".to_owned()));
    assert_eq!(world.ended(1).await[0].0, SessionEnd::Revoked);
    assert!(world.fake.texts(true).is_empty());
}

#[tokio::test]
async fn what_a_command_waits_for_is_told_at_once() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select 'waits and is told'")).await.unwrap();
    let notice = raw.frames_to(b'N').await.pop().unwrap();
    assert_eq!((notice.field(b'S').as_str(), notice.field(b'M').as_str()), ("NOTICE", "told"));
    world.fake.given.send_replace(1);
    assert_eq!(value(&raw.frames_to(b'Z').await), "waits and is told");
}

#[tokio::test]
async fn a_cancel_request_takes_back_what_waits() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select 'waits and is told'")).await.unwrap();
    raw.frames_to(b'N').await;
    crate::cancels::cancel(world.port(), &raw.key).await;
    let refused = raw.frames_to(b'Z').await;
    assert_eq!(refused[0].field(b'C'), "57014");
    assert_eq!(value(&raw.ask("select 2").await), "2");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_behind_more_than_is_read() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.send(&query("select 'waits and is told'")).await.unwrap();
    raw.frames_to(b'N').await;
    raw.send(&query(&format!("select '{}'", "x".repeat(60_000)))).await.unwrap();
    drop(raw);
    until("the session ends", || (world.fake.ends().len() == 1).then_some(())).await;
}
