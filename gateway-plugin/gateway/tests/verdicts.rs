//! What is denied never reaches the server and stands on record; what is masked comes back longer, in whole frames.

use futures_util::{StreamExt as _, TryStreamExt as _, future};
use tokio_postgres::SimpleQueryMessage;
use writ_core::command::CommandTag;

use crate::world::evidence::{DENIED, Entry};
use crate::world::raw::message;
use crate::world::{World, direct};

fn is_denied(error: &tokio_postgres::Error) {
    let error = error.as_db_error().expect("the gateway's own error");
    assert_eq!((error.code().code(), error.message()), ("42501", DENIED));
}

async fn absent(table: &str) {
    let sql = "select count(*) from pg_class where relname = $1";
    assert_eq!(direct().await.query_one(sql, &[&table]).await.unwrap().get::<_, i64>(0), 0, "`{table}` was made");
}

#[tokio::test]
async fn a_denied_simple_query_does_not_reach_the_server() {
    let world = World::start(|fake| fake.deny = vec![CommandTag::SqlQuery]).await;
    let client = world.client().await;
    is_denied(&client.simple_query("create table denied_simple (a int)").await.unwrap_err());
    absent("denied_simple").await;
    assert_eq!(world.fake.texts(false), ["create table denied_simple (a int)"]);
    // The session goes on, by what is allowed.
    assert_eq!(client.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    assert!(world.fake.ends().is_empty());
}

#[tokio::test]
async fn a_denied_prepare_does_not_reach_the_server() {
    let world = World::start(|fake| fake.deny = vec![CommandTag::SqlPrepare]).await;
    let client = world.client().await;
    is_denied(&client.prepare("create table denied_prepare (a int)").await.unwrap_err());
    absent("denied_prepare").await;
    assert_eq!(world.fake.texts(false), ["create table denied_prepare (a int)"]);
    assert!(matches!(client.simple_query("select 7").await.unwrap()[1], SimpleQueryMessage::Row(_)));
}

#[tokio::test]
async fn a_denied_execution_does_not_reach_the_server() {
    let world = World::start(|fake| fake.deny = vec![CommandTag::SqlExecute]).await;
    let client = world.client().await;
    let statement = client.prepare("create table denied_execute (a int)").await.unwrap();
    is_denied(&client.execute(&statement, &[]).await.unwrap_err());
    absent("denied_execute").await;
    let parameter = client.prepare("select $1::text").await.unwrap();
    is_denied(&client.query(&parameter, &[&"told"]).await.unwrap_err());
    let told = |entry: &Entry| matches!(entry, Entry::Command { parameters, allowed: false, .. } if *parameters == [Some(b"told".to_vec())]);
    assert!(world.fake.records().iter().any(told), "the denied command is on record with its parameters");
}

#[tokio::test]
async fn each_of_many_denied_at_once_is_answered() {
    let world = World::start(|fake| fake.deny = vec![CommandTag::SqlExecute]).await;
    let client = world.client().await;
    let statement = client.prepare("create table denied_pipelined (a int)").await.unwrap();
    let all = future::join_all((0..50).map(|_| client.execute(&statement, &[]))).await;
    all.iter().for_each(|outcome| is_denied(outcome.as_ref().unwrap_err()));
    absent("denied_pipelined").await;
    assert_eq!(world.fake.texts(false).len(), 50);
}

#[tokio::test]
async fn a_denied_command_between_allowed_ones_is_the_only_one_that_fails() {
    let world = World::start(|fake| fake.deny = vec![CommandTag::SqlQuery]).await;
    let mut raw = world.raw().await;
    let extended = |sql: &str| {
        let parse = message(b'P', &[b"\0", sql.as_bytes(), b"\0\0\0"].concat());
        [parse, message(b'B', &[0; 8]), message(b'E', &[0; 5]), message(b'S', &[])].concat()
    };
    let denied = crate::world::raw::query("create table denied_between (a int)");
    raw.send(&[extended("select 1"), denied, extended("select 2")].concat()).await.unwrap();
    let mut tags = String::new();
    for _ in 0..3 {
        tags.extend(raw.frames_to(b'Z').await.iter().map(|frame| char::from(frame.tag)));
        tags.push(' ');
    }
    assert_eq!(tags, "12DCZ EZ 12DCZ ");
    absent("denied_between").await;
}

#[tokio::test]
async fn rows_of_a_simple_query_come_back_longer() {
    let world = World::start(|fake| fake.lengthen = true).await;
    let mut raw = world.raw().await;
    let frames = raw.ask("select n::text, null from generate_series(1, 20000) n").await;
    let rows: Vec<_> = frames.iter().filter(|frame| frame.tag == b'D').collect();
    assert_eq!(rows.len(), 20_000);
    for (row, number) in rows.iter().zip(1..) {
        let value = format!("{number}{number}");
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        assert_eq!(row.body, [b"\0\x02", &length[..], value.as_bytes(), &[0xff; 4]].concat());
    }
    let marked: u64 = world
        .fake
        .records()
        .iter()
        .map(|entry| if let Entry::Outcome { masked, .. } = entry { *masked } else { 0 })
        .sum();
    assert_eq!(marked, 20_000, "each masked value is on record");
}

#[tokio::test]
async fn rows_of_executions_come_back_longer_one_by_one_and_pipelined() {
    let world = World::start(|fake| fake.lengthen = true).await;
    let client = world.client().await;
    let statement = client.prepare("select repeat($1::text, 3)").await.unwrap();
    let one = client.query_one(&statement, &[&"ab"]).await.unwrap();
    assert_eq!(one.get::<_, &str>(0), "ab".repeat(6));
    let words: Vec<String> = (0..300).map(|number| format!("word-{number}-")).collect();
    let ask = async |word: &String| client.query_one(&statement, &[word]).await;
    let all = future::try_join_all(words.iter().map(ask)).await;
    for (row, word) in all.unwrap().iter().zip(&words) {
        assert_eq!(row.get::<_, &str>(0), word.repeat(6));
    }
}

#[tokio::test]
async fn copied_rows_come_back_longer() {
    let world = World::start(|fake| fake.lengthen = true).await;
    let client = world.client().await;
    let copy = client.copy_out("copy (select n from generate_series(1, 20000) n) to stdout").await.unwrap();
    let all = copy
        .try_fold(Vec::new(), |mut all, piece| {
            all.extend_from_slice(&piece);
            future::ok(all)
        })
        .await
        .unwrap();
    let expected: String = (1..=20_000).map(|number| format!("{number}\n{number}\n")).collect();
    assert!(all == expected.as_bytes(), "{} bytes came, {} were expected", all.len(), expected.len());
    let rows = client.query_raw("select 'x'::text", std::iter::empty::<i32>()).await.unwrap();
    assert_eq!(rows.boxed_local().try_next().await.unwrap().unwrap().get::<_, &str>(0), "xx", "the session goes on");
}
