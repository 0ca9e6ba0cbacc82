//! Cancel requests as clients send them: in the clear or not, with short keys or long ones, and only with the right one.

use std::time::{Duration, Instant};

use writ_world::stack::{Stack, TARGET};

use super::raw::{Raw, V3_0, V3_2, dial, secure};
use super::shared;

const CANCEL_CODE: [u8; 4] = [4, 210, 22, 46];

/// A session that sleeps, and the key that wakes it.
fn asleep(stack: &Stack, version: u32) -> (Raw, Vec<u8>) {
    let mut raw = Raw::secured(stack);
    raw.startup(version, &[("user", TARGET), ("database", TARGET)]);
    raw.password(&stack.token().unwrap());
    let key = raw.until(b'Z').into_iter().find(|(tag, _)| *tag == b'K').unwrap().1;
    raw.message(b'Q', b"select pg_sleep(25)\0");
    (raw, key)
}

fn request(key: &[u8]) -> Vec<u8> {
    let length = u32::try_from(key.len() + 8).unwrap().to_be_bytes();
    [length.as_slice(), &CANCEL_CODE, key].concat()
}

/// Sends a request until the session is awake: the first may come before the statement.
fn wakes(stack: &Stack, version: u32, mut connect: impl FnMut() -> Raw) {
    let (mut session, key) = asleep(stack, version);
    let answer = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || session.until(b'E').pop().unwrap());
        while !waiting.is_finished() {
            let mut raw = connect();
            raw.send(&request(&key));
            // The answer to a request is the end of the connection, whatever came of it.
            assert!(raw.is_closed());
        }
        waiting.join().unwrap()
    });
    assert_eq!(answer.0, b'E', "{answer:?}");
    assert!(answer.1.windows(7).any(|field| field == b"C57014\0"), "{answer:?}");
}

#[test]
fn the_right_key_cancels_in_the_clear_and_within_tls() {
    let stack = shared().unwrap();
    for version in [V3_0, V3_2] {
        wakes(&stack, version, || Raw::plain(stack.gateway_port()));
        wakes(&stack, version, || Raw::secured(&stack));
        wakes(&stack, version, || secure(&stack, dial(stack.gateway_port()), &[b"postgresql"]).unwrap());
    }
}

#[test]
fn a_part_of_the_key_or_another_key_cancels_nothing() {
    let stack = shared().unwrap();
    for version in [V3_0, V3_2] {
        let mut raw = Raw::secured(&stack);
        raw.startup(version, &[("user", TARGET), ("database", TARGET)]);
        raw.password(&stack.token().unwrap());
        let key = raw.until(b'Z').into_iter().find(|(tag, _)| *tag == b'K').unwrap().1;
        let begun = Instant::now();
        raw.message(b'Q', b"select pg_sleep(2)\0");
        let mut last = key.clone();
        *last.last_mut().unwrap() ^= 1;
        let mut elsewhere = key.clone();
        elsewhere[0] ^= 0x40;
        for wrong in [last, [key.as_slice(), &[0]].concat(), elsewhere] {
            let mut other = Raw::plain(stack.gateway_port());
            other.send(&request(&wrong));
            assert!(other.is_closed());
        }
        if version == V3_2 {
            let mut other = Raw::plain(stack.gateway_port());
            other.send(&request(&key[..8]));
            assert!(other.is_closed());
        }
        // It sleeps to the end, without an error.
        raw.until(b'Z');
        assert!(begun.elapsed() >= Duration::from_secs(2));
    }
}

/// The target's own cancel request goes the way that its session went: verified.
#[test]
fn a_cancel_reaches_a_target_behind_tls() {
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        std::fs::write(at.join("ca.pem"), cluster.ca_pem()).unwrap();
        let verified = format!("tls = \"verify-full\"\nca_file = \"{}/ca.pem\"", at.display());
        Ok(configuration.replace("tls = \"disable\"", &verified))
    })
    .unwrap();
    let session = Raw::session(&stack, &stack.token().unwrap());
    let shown = "select bool_and(ssl) from pg_stat_activity join pg_stat_ssl using (pid) where usename like 'writ-%'";
    assert_eq!(stack.superuser(shown).unwrap(), "t");
    drop(session);
    wakes(&stack, V3_0, || Raw::plain(stack.gateway_port()));
}
