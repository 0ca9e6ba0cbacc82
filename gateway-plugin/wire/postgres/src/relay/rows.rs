//! The fast path of the server's side: a run of whole frames of one tag.
//!
//! A result of many rows is nearly all `DataRow`. Only the headers are read, so that a run costs a few instructions per
//! row and becomes one effect per buffer. `benches/relay.rs` measures it.

use crate::frame::{HEADER, LARGEST};

/// Where the run of whole frames with this tag ends that begins at `at`. A frame with an impossible length ends the run.
#[inline]
pub(super) fn run(bytes: &[u8], mut at: usize, tag: u8) -> usize {
    while let Some([found, a, b, c, d]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if *found != tag || !(4..=LARGEST).contains(&length) || length >= bytes.len() - at {
            break;
        }
        at += length + 1;
    }
    at
}
