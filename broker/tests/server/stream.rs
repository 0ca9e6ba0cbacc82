//! The stream to a gateway: its first lines, kills in time, proofs that verify, and its end.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::{Instant, timeout};
use writ_broker_api::gateway::StreamMessage;
use writ_broker_api::paths;
use writ_ledger::checkpoint::Checkpoint;
use writ_ledger::hash::Hash;
use writ_ledger::note::Verifier;
use writ_ledger::proof::check_consistency;

use crate::world::{ADMIN_TOKEN, Gateway, World};

/// How long a line may be waited for: far longer than any should take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A gateway's end of the stream.
struct Lines {
    answer: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: Vec<u8>,
}

impl Lines {
    async fn open(world: &World, gateway: &Gateway) -> Self {
        let client = world.client(Some(&gateway.identity));
        let answer = client.get(world.url(paths::GATEWAY_STREAM)).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        Self { answer: answer.bytes_stream().boxed(), buffer: Vec::new() }
    }

    /// The next message; `None` when the stream has ended.
    async fn next(&mut self) -> Option<StreamMessage> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a message"));
            }
            match timeout(PATIENCE, self.answer.next()).await.expect("a line in time") {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Reads on until `wanted` gives something.
    async fn find<T>(&mut self, wanted: impl Fn(&StreamMessage) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let message = self.next().await.expect("the stream goes on");
            if let Some(found) = wanted(&message) {
                return found;
            }
        }
        panic!("the message did not come in time");
    }

    async fn ends(mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.next().await.is_some() {
            assert!(Instant::now() < deadline, "the stream goes on");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_comes_first_then_a_checkpoint_and_a_heartbeat_each_second() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let mut lines = Lines::open(&world, &gateway).await;
    let first = [lines.next().await, lines.next().await, lines.next().await].map(Option::unwrap);
    assert!(
        matches!(
            first,
            [StreamMessage::Bundle { .. }, StreamMessage::Checkpoint { .. }, StreamMessage::Heartbeat { .. }]
        ),
        "{first:?}"
    );
    let began = Instant::now();
    for _ in 0..3 {
        lines.find(|message| matches!(message, StreamMessage::Heartbeat { .. }).then_some(())).await;
    }
    assert!(began.elapsed() < Duration::from_secs(6), "three heartbeats took {:?}", began.elapsed());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_writ_is_a_kill_within_a_second() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let mut lines = Lines::open(&world, &gateway).await;
    lines.find(|message| matches!(message, StreamMessage::Heartbeat { .. }).then_some(())).await;
    let opened = world.open(&gateway).await;
    let revoke = world.url(&paths::WRIT_REVOKE.replace("{writ}", &opened.writ.to_string()));
    let order = world.client(None).post(revoke).bearer_auth(ADMIN_TOKEN).json(&json!({ "reason": "leaked" }));
    let began = Instant::now();
    assert_eq!(order.send().await.expect("an answer").status(), 200);
    let kill = lines
        .find(|message| match message {
            StreamMessage::Kill(kill) => Some(kill.clone()),
            _ => None,
        })
        .await;
    assert!(began.elapsed() < Duration::from_secs(1), "the kill took {:?}", began.elapsed());
    assert_eq!((kill.session, kill.reason.as_str()), (opened.session, "leaked"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_checkpoint_proves_that_it_continues_the_one_before() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let verifier: Verifier = gateway.ledger_key.parse().expect("a verifier key");
    let mut lines = Lines::open(&world, &gateway).await;
    // The stream was asked for without a checkpoint that was seen: the first one continues the empty ledger.
    let mut older = Checkpoint { origin: verifier.name().to_owned(), size: 0, root: writ_ledger::hash::empty() };
    for _ in 0..4 {
        let (note, from, proof) = lines
            .find(|message| match message {
                StreamMessage::Checkpoint { checkpoint, from_size, proof } => {
                    Some((checkpoint.clone(), *from_size, proof.clone()))
                }
                _ => None,
            })
            .await;
        let newer = Checkpoint::open(&note, &verifier).expect("signed by the ledger");
        let proof: Vec<Hash> = proof.iter().map(|hash| Hash::from_slice(&hash.0).expect("32 bytes")).collect();
        assert_eq!(from, older.size);
        check_consistency(older.size, &older.root, newer.size, &newer.root, &proof).expect("the tree was continued");
        older = newer;
        world.open(&gateway).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateways_stream_ends() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let mut lines = Lines::open(&world, &gateway).await;
    lines.find(|message| matches!(message, StreamMessage::Heartbeat { .. }).then_some(())).await;
    world.revoke(&gateway).await;
    lines.ends().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_ends_streams_before_the_drain_is_over() {
    let world = World::start().await;
    let gateway = world.enrol().await;
    let mut lines = Lines::open(&world, &gateway).await;
    lines.find(|message| matches!(message, StreamMessage::Heartbeat { .. }).then_some(())).await;
    let began = Instant::now();
    let (serving, rest) = world.stop_listening();
    lines.ends().await;
    serving.await.expect("the listener ends");
    assert!(began.elapsed() < crate::world::limits().drain, "the stop took {:?}", began.elapsed());
    rest.await;
}

/// More than a stream's lines may wait: none of them is cut for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_a_kill_of_each_session_on_each_gateway_within_a_second() {
    const SESSIONS: usize = 100;
    let world = World::start().await;
    let gateways = [world.enrol().await, world.enrol().await];
    let mut streams = Vec::new();
    for gateway in &gateways {
        let mut lines = Lines::open(&world, gateway).await;
        lines.find(|message| matches!(message, StreamMessage::Heartbeat { .. }).then_some(())).await;
        let mut opened = BTreeSet::new();
        for _ in 0..SESSIONS {
            opened.insert(world.open(gateway).await.session);
        }
        streams.push((lines, opened));
    }
    let body = json!({ "scope": { "kind": "all" }, "reason": "stolen" });
    let order = world.client(None).post(world.url(paths::FREEZES)).bearer_auth(ADMIN_TOKEN).json(&body);
    let began = Instant::now();
    assert_eq!(order.send().await.expect("an answer").status(), 200);
    for (mut lines, mut left) in streams {
        while !left.is_empty() {
            let kill = lines
                .find(|message| match message {
                    StreamMessage::Kill(kill) => Some(kill.clone()),
                    _ => None,
                })
                .await;
            assert_eq!(kill.reason, "access is frozen: stolen");
            assert!(left.remove(&kill.session), "{} was told twice", kill.session);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(10), "the kills took {:?}", began.elapsed());
    world.stop().await;
}
