//! Commands that are too long for memory: what is recorded of them is what was executed.

use crate::world::World;
use crate::world::evidence::{Entry, Fake};
use crate::world::raw::{message, query};

/// What was recorded of long commands, put together.
fn spilled(fake: &Fake) -> Vec<u8> {
    let mut whole: Vec<u8> = Vec::new();
    for entry in fake.records().iter() {
        if let Entry::Spill { offset, bytes } = entry {
            if *offset == 0 {
                whole.clear();
            }
            assert_eq!(usize::try_from(*offset).unwrap(), whole.len(), "each part begins where the one before ended");
            whole.extend_from_slice(bytes);
        }
    }
    whole
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    let Some(start) = whole.iter().position(|byte| *byte == part[0]) else { return false };
    (start..whole.len()).any(|at| whole[at..].starts_with(part))
}

/// Text whose every part is different from the others.
fn text(length: usize) -> String {
    (0_u64..)
        .map(|number| format!("{number};"))
        .scan(0, |sum, piece| {
            *sum += piece.len();
            (*sum <= length).then_some(piece)
        })
        .collect()
}

#[tokio::test]
async fn a_statement_of_three_mebibytes_is_recorded_as_it_was_executed() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    let text = text(3 << 20);
    let sql = format!("select '{text}'");
    raw.send(&query(&sql)).await.unwrap();
    let frames = raw.frames_to(b'Z').await;
    assert_eq!(&frames[1].body[6..], text.as_bytes(), "the server got the statement whole");
    assert!(contains(&spilled(&world.fake), sql.as_bytes()), "and so did the record");
    assert!(world.fake.texts(true).iter().any(|text| text.starts_with("spilled ")));
    assert_eq!(raw.ask("select 7").await.len(), 4, "the session goes on");
}

#[tokio::test]
async fn a_parameter_of_twenty_mebibytes_is_recorded_as_it_was_executed() {
    let world = World::start(|_| {}).await;
    let client = world.client().await;
    let text = text(20 << 20);
    let row = client.query_one("select $1::text", &[&text]).await.unwrap();
    assert!(row.get::<_, &str>(0) == text, "the server got the parameter whole");
    assert!(contains(&spilled(&world.fake), text.as_bytes()), "and so did the record");
    assert_eq!(client.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_denied_long_statement_does_not_reach_the_server() {
    let world = World::start(|fake| fake.deny = vec![writ_core::command::CommandTag::SqlQuery]).await;
    let mut raw = world.raw().await;
    let sql = format!("create table denied_long (a int); select '{}'", text(3 << 20));
    raw.send(&query(&sql)).await.unwrap();
    let frames = raw.frames_to(b'Z').await;
    assert_eq!((frames[0].tag, frames[0].field(b'C').as_str()), (b'E', "42501"));
    let made = crate::world::direct().await.query_one("select to_regclass('denied_long') is null", &[]).await.unwrap();
    assert!(made.get::<_, bool>(0));
    assert!(contains(&spilled(&world.fake), sql.as_bytes()), "what was denied is on record");
}

#[tokio::test]
async fn two_long_statements_at_once_are_executed_one_after_the_other() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    let sqls = [format!("select length('{}')", text(3 << 20)), format!("select 1 + length('{}')", text(3 << 20))];
    raw.send(&[query(&sqls[0]), query(&sqls[1])].concat()).await.unwrap();
    let answers = [raw.frames_to(b'Z').await, raw.frames_to(b'Z').await];
    let lengths = answers.map(|frames| String::from_utf8_lossy(&frames[1].body[6..]).into_owned());
    let length = text(3 << 20).len();
    assert_eq!(lengths, [length.to_string(), (length + 1).to_string()]);
    assert!(contains(&spilled(&world.fake), sqls[1].as_bytes()), "the second is recorded whole");
    let spilled = world.fake.texts(true).iter().filter(|text| text.starts_with("spilled ")).count();
    assert_eq!(spilled, 2);
}

#[tokio::test]
async fn two_long_parameters_before_one_sync_are_executed_one_after_the_other() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    let parse = message(b'P', b"\0select length($1::text)\0\0\0");
    let bind = |text: &str| {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        message(b'B', &[&b"\0\0\0\0\0\x01"[..], &length, text.as_bytes(), b"\0\0"].concat())
    };
    let text = text(3 << 20);
    let execute = message(b'E', &[0; 5]);
    let all = [parse, bind(&text), execute.clone(), bind(&text), execute, message(b'S', &[])].concat();
    raw.send(&all).await.unwrap();
    let frames = raw.frames_to(b'Z').await;
    assert_eq!(frames.iter().map(|frame| frame.tag).collect::<Vec<_>>(), b"12DC2DCZ");
    let lengths = [&frames[2], &frames[5]].map(|frame| String::from_utf8_lossy(&frame.body[6..]).into_owned());
    assert_eq!(lengths, [text.len().to_string(), text.len().to_string()]);
    assert!(contains(&spilled(&world.fake), text.as_bytes()), "the second is recorded whole");
    assert!(world.fake.ends().is_empty());
}
