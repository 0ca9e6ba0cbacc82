//! A peer that is slow stops the other one, and costs no memory: what is held is bounded, and every byte arrives in the end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use writ_core::event::SessionEnd;

use crate::world::raw::{message, query};
use crate::world::{ALLOWANCE, PROCESS, World, config, direct, until_server};

/// How much this process may grow while a peer is slow, in bytes. It holds the gateway and the clients of one test.
const GROWTH: u64 = 64 << 20;
/// The rows of a result of about 1 GB.
const ROWS: u64 = 1_000_000;
/// The bytes of a row's value.
const WIDTH: usize = 1_000;

/// What this process holds of the machine's memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn is_bounded(before: u64, when: &str) {
    let growth = resident().saturating_sub(before);
    assert!(growth < GROWTH, "{when} the process grew by {growth} bytes");
}

#[tokio::test]
async fn a_client_that_reads_nothing_stops_the_server_and_loses_nothing() {
    let _alone = PROCESS.write().await;
    let world = World::alone(config(), |_| {}).await;
    let (watcher, mut raw) = (direct().await, world.raw().await);
    raw.ask("select 7").await;
    let before = resident();
    let sql = format!("select lpad(n::text, {WIDTH}, 'x') from generate_series(1, {ROWS}) n");
    raw.send(&query(&sql)).await.unwrap();
    let waits =
        "select exists (select from pg_stat_activity where wait_event = 'ClientWrite' and query like '%lpad(n::text%')";
    until_server(&watcher, waits).await;
    is_bounded(before, "while nothing is read");
    assert_eq!(raw.frame().await.unwrap().tag, b'T');
    let mut reader = BufReader::with_capacity(1 << 16, raw.socket);
    let (mut row, mut expected) =
        (vec![0; 11 + WIDTH], message(b'D', &[b"\0\x01\0\0\x03\xe8", &[b'x'; WIDTH][..]].concat()));
    for number in 1..=ROWS {
        let digits = number.to_string();
        let start = expected.len() - digits.len();
        expected[start..].copy_from_slice(digits.as_bytes());
        reader.read_exact(&mut row).await.unwrap();
        assert!(row == expected, "row {number} came otherwise than it was sent");
        if number % (ROWS / 10) == 0 {
            is_bounded(before, "while all is read");
        }
    }
    assert_eq!(reader.read_u8().await.unwrap(), b'C');
    drop(reader);
    assert_eq!(world.ended(1).await[0].0, SessionEnd::Client);
}

/// Rows of a copy, number and value, as messages.
fn rows(first: u64, count: u64) -> Vec<u8> {
    (first..first + count)
        .flat_map(|number| message(b'd', format!("{number}\t{number:0>WIDTH$}\n").as_bytes()))
        .collect()
}

#[tokio::test]
async fn a_server_that_waits_stops_the_client_and_loses_nothing() {
    const BATCH: u64 = 1_000;
    const BATCHES: u64 = 150;
    let _alone = PROCESS.write().await;
    let world = World::alone(config(), |_| {}).await;
    let (holder, watcher, mut raw) = (direct().await, direct().await, world.raw().await);
    holder.batch_execute("create table slow_copy (n bigint primary key, v text)").await.unwrap();
    holder.batch_execute("begin; insert into slow_copy values (1, 'held')").await.unwrap();
    raw.send(&query("copy slow_copy from stdin")).await.unwrap();
    assert_eq!(raw.frame().await.unwrap().tag, b'G');
    let before = resident();
    // The server waits for the one who holds the first row's key.
    let (mut batch, mut sent, mut released) = (0, 0, false);
    let mut piece = rows(1, BATCH);
    while batch < BATCHES {
        let patience = if released { ALLOWANCE } else { ALLOWANCE / 10 };
        match tokio::time::timeout(patience, raw.socket.write(&piece[sent..])).await {
            Ok(count) => sent += count.unwrap(),
            Err(_) => {
                assert!(!released, "the client is stopped for ever");
                let waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like 'copy slow_copy%')";
                until_server(&watcher, waits).await;
                is_bounded(before, "while nothing is taken");
                holder.batch_execute("rollback").await.unwrap();
                released = true;
            }
        }
        if sent == piece.len() {
            (batch, sent) = (batch + 1, 0);
            piece = rows(batch * BATCH + 1, BATCH);
        }
    }
    assert!(released, "{BATCHES} batches went to a server that takes nothing");
    raw.send(&message(b'c', &[])).await.unwrap();
    assert_eq!(raw.frames_to(b'Z').await[0].tag, b'C');
    is_bounded(before, "when all was taken");
    let whole =
        format!("select count(*) = {} and bool_and(v = lpad(n::text, {WIDTH}, '0')) from slow_copy", BATCH * BATCHES);
    assert!(watcher.query_one(&whole, &[]).await.unwrap().get::<_, bool>(0));
}
