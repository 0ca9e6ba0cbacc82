//! No evidence, no access: a command whose record is not taken does not go on.

use std::sync::atomic::Ordering;

use writ_core::event::SessionEnd;

use crate::world::raw::query;
use crate::world::{World, direct};

async fn is_refused(world: &World, table: &str) -> Vec<crate::world::raw::Frame> {
    let mut raw = world.raw().await;
    match table {
        "unjudged" => world.fake.fail_judge.store(true, Ordering::SeqCst),
        _ => world.fake.fail_commit.store(true, Ordering::SeqCst),
    }
    raw.send(&query(&format!("create table {table} (a int)"))).await.unwrap();
    let frames = raw.rest().await;
    let sql = "select count(*) from pg_class where relname = $1";
    assert_eq!(direct().await.query_one(sql, &[&table]).await.unwrap().get::<_, i64>(0), 0, "`{table}` was made");
    frames
}

#[tokio::test]
async fn a_command_that_cannot_be_staged_ends_the_session() {
    let world = World::start(|_| {}).await;
    let frames = is_refused(&world, "unjudged").await;
    assert_eq!(frames.len(), 1);
    assert_eq!(
        (frames[0].field(b'S').as_str(), frames[0].field(b'M').as_str()),
        ("FATAL", "the session cannot be recorded")
    );
    assert_eq!(world.ended(1).await, [(SessionEnd::Fault, "spool.full".to_owned())]);
}

#[tokio::test]
async fn a_command_that_cannot_be_written_ends_the_session() {
    let world = World::start(|_| {}).await;
    let frames = is_refused(&world, "unwritten").await;
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(
        (frames[0].field(b'S').as_str(), frames[0].field(b'M').as_str()),
        ("FATAL", "the session cannot be recorded")
    );
    assert!(world.fake.texts(true).is_empty(), "what was not committed is not on record");
}

#[tokio::test]
async fn a_session_whose_opening_cannot_be_written_does_not_begin() {
    let world = World::start(|fake| fake.fail_commit = true.into()).await;
    let refused = crate::world::raw::Raw::login(world.port(), crate::world::evidence::TOKEN).await.err().unwrap();
    assert_eq!((refused.field(b'S').as_str(), refused.field(b'C').as_str()), ("FATAL", "57P03"));
    assert_eq!(*world.fake.abandoned.lock().unwrap(), ["spool.full"]);
}

#[tokio::test]
async fn rows_whose_record_cannot_be_written_do_not_reach_the_client() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.ask("begin").await;
    raw.send(&query("select pg_advisory_lock(4711), 'kept back'")).await.unwrap();
    raw.frames_to(b'Z').await;
    let holder = direct().await;
    holder.simple_query("select pg_advisory_lock(4712)").await.unwrap();
    raw.send(&query("select pg_advisory_xact_lock(4712), 'secret rows'")).await.unwrap();
    let waits = "select exists (select from pg_locks where locktype = 'advisory' and objid = 4712 and not granted)";
    crate::world::until_server(&holder, waits).await;
    world.fake.fail_commit.store(true, Ordering::SeqCst);
    holder.simple_query("select pg_advisory_unlock(4712)").await.unwrap();
    let frames = raw.rest().await;
    assert!(frames.iter().all(|frame| frame.tag == b'E'), "{frames:?}");
    assert_eq!(frames[0].field(b'M'), "the session cannot be recorded");
}
