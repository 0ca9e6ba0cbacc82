//! Segments of recordings, and reading them.

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use writ_broker_api::gateway::{CloseRequest, SegmentFacts};
use writ_core::event::Event;
use writ_core::id::SessionId;

use super::world::{World, ended, kinds, world};
use crate::keys::files::hex;
use crate::refusal::Refusal;

fn facts(bytes: &[u8]) -> SegmentFacts {
    SegmentFacts { digest: hex(digest(&SHA256, bytes).as_ref()), seen_size: 0, seen_root: "0".repeat(64) }
}

async fn put(world: &World, session: SessionId, sequence: u64, bytes: &[u8]) -> Result<(), Refusal> {
    let gateway = &world.place.gateway;
    world.broker.put_segment(gateway, session, "commands", sequence, &facts(bytes), bytes.to_vec()).await
}

fn gaps(events: &[Event]) -> Vec<(String, u64, u64)> {
    let gaps = events.iter().filter_map(|event| match event {
        Event::SegmentGap { stream, first, last, .. } => Some((stream.clone(), *first, *last)),
        _ => None,
    });
    gaps.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_stored_once_and_its_digest_is_evidence() {
    let world = world().await;
    let session = world.open().await.unwrap().session;
    put(&world, session, 0, b"sealed").await.unwrap();
    put(&world, session, 0, b"sealed").await.unwrap();
    assert_eq!(put(&world, session, 0, b"other").await.unwrap_err().status, 409);
    assert_eq!(world.broker.segment(session, "commands", 0).await.unwrap(), b"sealed");
    let events = world.events().await;
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "segment_sealed").count(), 1);
    let digest = facts(b"sealed").digest;
    let sealed = |event: &Event| matches!(event, Event::SegmentSealed { digest: of, seen_size: 0, bytes: 6, .. } if *of == digest);
    assert!(events.iter().any(sealed));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_names_a_checkpoint_of_this_ledger() {
    let world = world().await;
    let (gateway, session) = (world.place.gateway.clone(), world.open().await.unwrap().session);
    let mut published = world.broker.evidence.published();
    let published = published.wait_for(|published| published.size > 3).await.unwrap().clone();
    let earlier = world.broker.ledger.root_at(3, published.size).unwrap();
    for (sequence, size, root, status) in [
        (0, published.size, published.root.to_hex(), None),
        (1, 3, earlier.to_hex(), None),
        (2, 3, published.root.to_hex(), Some(409)),
        (2, 3, "0".repeat(64), Some(409)),
        // Perhaps another replica's, which is known here in a moment.
        (2, published.size + 100, published.root.to_hex(), Some(503)),
    ] {
        let seen = SegmentFacts { seen_size: size, seen_root: root, ..facts(b"sealed") };
        let answer = world.broker.put_segment(&gateway, session, "commands", sequence, &seen, b"sealed".to_vec()).await;
        assert_eq!(answer.err().map(|refusal| refusal.status), status, "{size}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_segment_of_this_session_is_refused() {
    let world = world().await;
    let session = world.open().await.unwrap().session;
    let gateway = world.place.gateway.clone();
    let good = facts(b"x");
    let wrong = SegmentFacts { digest: facts(b"y").digest, ..good.clone() };
    let stranger = crate::GatewayIdentity { id: writ_core::id::GatewayId::fresh(), ..gateway.clone() };
    for (status, gateway, session, stream, sequence, facts) in [
        (400, &gateway, session, "commands", 0, &wrong),
        (400, &gateway, session, "../keys", 0, &good),
        (400, &gateway, session, "commands", u64::MAX, &good),
        (404, &stranger, session, "commands", 0, &good),
        (404, &gateway, SessionId::fresh(), "commands", 0, &good),
    ] {
        let outcome = world.broker.put_segment(gateway, session, stream, sequence, facts, b"x".to_vec()).await;
        assert_eq!(outcome.unwrap_err().status, status, "{stream} {sequence}");
    }
    let close = CloseRequest { row_segments: u64::MAX, ..ended() };
    assert_eq!(world.broker.close(&gateway, session, &close).await.unwrap_err().status, 400);
    assert_eq!(world.broker.segment(session, "commands", 0).await.unwrap_err().status, 404);
    assert_eq!(kinds(&world.events().await), ["writ_intended", "writ_issued"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_the_one_in_the_ledger_is_the_one_on_disk() {
    let world = world().await;
    for sequence in 0..20 {
        let session = world.open().await.unwrap().session;
        let contents: Vec<Vec<u8>> = (0..6_u8).map(|number| vec![number % 3; 5000]).collect();
        let outcomes = join_all(contents.iter().map(|bytes| put(&world, session, sequence, bytes))).await;
        let kept = world.broker.segment(session, "commands", sequence).await.unwrap();
        let known = world.broker.session(session).await.unwrap();
        assert_eq!(known.segments[0].digest, facts(&kept).digest);
        for (bytes, outcome) in contents.iter().zip(outcomes) {
            assert_eq!(outcome.is_ok(), *bytes == kept);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let world = world().await;
    let session = world.open().await.unwrap().session;
    put(&world, session, 0, b"0").await.unwrap();
    put(&world, session, 1, b"1").await.unwrap();
    put(&world, session, 4, b"4").await.unwrap();
    let commands = |first, last| ("commands".to_owned(), first, last);
    assert_eq!(gaps(&world.events().await), [commands(2, 3)]);
    let close = CloseRequest { command_segments: 6, row_segments: 1, ..ended() };
    world.broker.close(&world.place.gateway, session, &close).await.unwrap();
    // One that comes after the end is kept: the gateway emptied its spool.
    put(&world, session, 2, b"2").await.unwrap();
    let expected = [commands(2, 3), commands(5, 5), ("rows".to_owned(), 0, 0)];
    assert_eq!(gaps(&world.events().await), expected);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_a_recording_is_read_is_written_down_before_its_key_is_given() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let human = world.admin().await;
    let wrapped = &opened.wrapped_data_key.0;
    let key = world.broker.recording_key(opened.session, wrapped, &human).await.unwrap();
    assert_eq!(key.data_key.0.len(), 32);
    let read = |event: &Event| matches!(event, Event::RecordingRead { session, by } if *session == opened.session && *by == human.actor());
    assert!(world.events().await.iter().any(read));
    let read = async |session, wrapped: &[u8]| {
        let outcome = world.broker.recording_key(session, wrapped, &human).await;
        outcome.err().map(|refusal| (refusal.status, refusal.fault.code))
    };
    world.store.all(true);
    assert_eq!(read(opened.session, wrapped).await, Some((503, "evidence.unwritable")));
    world.store.all(false);
    let mut changed = wrapped.clone();
    changed[30] ^= 1;
    let malformed = Some((400, "request.malformed"));
    assert_eq!(read(opened.session, &changed).await, malformed);
    assert_eq!(read(opened.session, &changed[..20]).await, malformed);
    let another = world.open().await.unwrap().session;
    assert_eq!(read(another, wrapped).await, malformed);
    assert_eq!(read(SessionId::fresh(), wrapped).await, Some((404, "not_found")));
    world.stop().await;
}
