//! The relay between two peers that send anything: it never panics, lets nothing refused pass, and does the same however
//! the bytes are cut.

use writ_core::fault::Blame;
use writ_wire_machine::Side;
use writ_wire_postgres::frame::{self, Reader};
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
        RelaySettings { spill_above: 24, window: 24, max_pipeline: 4, max_names: 3, max_name_bytes: 300, tells: true }
    };
    let (mut whole, mut cut) = (Driver::new(settings), Driver::new(settings));
    while !input.0.is_empty() {
        let side = if input.byte() & 1 == 0 { Side::Client } else { Side::Server };
        let count = input.byte().into();
        let bytes = input.take(count);
        whole.feed(side, &[bytes]);
        cut.feed(side, &pieces(bytes, seed.into(), 7));
        if whole.is_over() || cut.is_over() {
            break;
        }
    }
    // A malformed message ends the session at once, but behind a refused command it may be skipped with what else is: which
    // of the two depends on whether the refusal was there first.
    if whole.failed.is_none() && cut.failed.is_none() {
        assert_eq!(unhurried(&whole.to_server), unhurried(&cut.to_server), "the server gets what depends on cuts");
        assert!(whole.to_client == cut.to_client, "the client gets what depends on cuts");
        assert_eq!(whole.is_over(), cut.is_over(), "how bytes are cut decides whether the session goes on");
    }
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
        let mut reader = Reader::new(frame, frame::HEADER);
        let text = match frame.first() {
            Some(b'Q') => reader.text(),
            Some(b'P') => reader.text().and_then(|_| reader.text()),
            _ => None,
        };
        let denied = text.is_some_and(|text| text.windows(DENIED.len()).any(|part| part == DENIED));
        assert!(!denied, "a refused command reached the server");
    }
}
