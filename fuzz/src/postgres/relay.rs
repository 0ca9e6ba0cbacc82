//! The relay between two peers that send anything: it never panics, lets nothing refused pass, and does the same however
//! the bytes are cut.

use writ_core::fault::Blame;
use writ_wire_machine::Side;
use writ_wire_postgres::frame;
use writ_wire_postgres::relay::RelaySettings;

use super::driver::{DENIED, Driver};
use crate::{Input, pieces};

/// The first byte chooses bounds, the second is a seed for the pieces; then turns: a byte whose lowest bit is the side, a byte
/// of length, the bytes.
pub(crate) fn relay(data: &[u8]) {
    let mut input = Input(data);
    let (choice, seed) = (input.byte(), input.byte());
    let settings = if choice & 1 == 0 {
        RelaySettings::default()
    } else {
        RelaySettings { spill_above: 24, window: 24, max_pipeline: 4, max_names: 3, max_name_bytes: 300 }
    };
    let (mut whole, mut cut) = (Driver::new(settings), Driver::new(settings));
    while !input.0.is_empty() {
        let side = if input.byte() & 1 == 0 { Side::Client } else { Side::Server };
        let count = input.byte().into();
        let bytes = input.take(count);
        whole.feed(side, bytes);
        for piece in pieces(bytes, seed.into(), 7) {
            cut.feed(side, piece);
        }
        assert_eq!(whole.is_over(), cut.is_over(), "how bytes are cut decides whether the session goes on");
        if whole.is_over() {
            break;
        }
    }
    assert_eq!(unhurried(&whole.to_server), unhurried(&cut.to_server), "the server gets what depends on cuts");
    check(&whole);
    check(&cut);
}

/// Whole frames, but for Flush: how often a server is asked to hurry depends on when its answers came.
fn unhurried(sent: &[u8]) -> Vec<&[u8]> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Ok(Some(head)) = frame::peek(sent, at, Blame::Ours) {
        let end = (at + head.total).min(sent.len());
        if head.tag != b'H' {
            frames.extend(sent.get(at..end));
        }
        at = end;
    }
    frames
}

/// No text that was refused reached the server.
fn check(driver: &Driver) {
    for frame in unhurried(&driver.to_server) {
        let is_command = matches!(frame.first(), Some(b'Q' | b'P'));
        let says = frame.windows(DENIED.len()).any(|part| part == DENIED);
        assert!(!is_command || !says, "a refused command reached the server");
    }
}
