//! Segments: the recording as it is stored.
//!
//! A session has two streams, commands and rows, each a sequence of segments. A segment is a clear header, encrypted
//! frames, a clear index and a trailer. Header and index are authenticated with the session's key; SHA-256 over all stored
//! bytes goes to the ledger, so that whoever has no key can still tell that nothing was changed, and each header names
//! the digest of the segment before it.
//!
//! Each segment has 32 random bytes of its own from which its key is derived, so that the frames' numbers serve as nonces
//! even where a recovery seals the same entries again.
//!
//! Read next: [`Sealer`], which makes them, and [`Segment`], which reads them.

use aws_lc_rs::digest::{SHA256, digest};
use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;

use crate::bytes::{Cursor, Malformed, put_long, put_text};
use crate::entry::{Kind, MAX_PAYLOAD};
use crate::key::{Cipher, DataKey, NotOpened};
use crate::spool::{level_from_number, level_number};

mod build;
mod read;
mod seal;

pub use read::{OpenSegment, ReadError, Segment, verify_chain};
pub use seal::{Closed, Output, Progress, SealError, Sealed, Sealer, Settings, StreamProgress};

const MAGIC: [u8; 8] = *b"writseg1";
const END_MAGIC: [u8; 8] = *b"writend1";
const VERSION: u16 = 1;
const INDEX_ENTRY_BYTES: usize = 68;
const TRAILER_BYTES: usize = 48;
/// What of the trailer the index's tag covers.
const TRAILER_CLEAR_BYTES: usize = 24;
/// What stands before an entry's payload in a frame: length, kind, order.
const ENTRY_HEADER_BYTES: usize = 13;
/// The longest frame before compression.
const MAX_FRAME: usize = 2 * MAX_PAYLOAD;
/// The number that stands for the index where frames have theirs.
const INDEX_NONCE: u64 = u64::MAX;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(place, byte)| *place = *byte);
    out
}

/// One of a session's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Commands, verdicts, outcomes, events.
    Commands,
    /// What flowed.
    Rows,
}

impl Stream {
    /// The stream's name as the ledger and the API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Rows => "rows",
        }
    }

    /// The stream that entries of this kind belong to.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        if matches!(kind, Kind::Rows) { Self::Rows } else { Self::Commands }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Commands => 1,
            Self::Rows => 2,
        }
    }
}

/// A checkpoint of the ledger that the gateway has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// Its tree size.
    pub size: u64,
    /// Its root hash.
    pub root: Digest,
}

/// What a segment says of itself in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which stream.
    pub stream: Stream,
    /// How much of the session is recorded.
    pub level: RecordLevel,
    /// The session.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// Its number within the stream, from 0.
    pub sequence: u64,
    /// The digest of the segment before it; zeros in the first.
    pub previous: Digest,
    /// The newest checkpoint that the gateway had seen.
    pub seen: Checkpoint,
    /// Random bytes of this segment alone.
    pub salt: [u8; 32],
    /// When the session opened.
    pub opened: Timestamp,
    /// The target.
    pub target: TargetName,
    /// The data key, wrapped by the broker's recording key.
    pub wrapped_key: Vec<u8>,
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[self.stream.number(), level_number(self.level)]);
        out.extend_from_slice(&self.session.to_bytes());
        out.extend_from_slice(&self.writ.to_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.seen.size.to_le_bytes());
        out.extend_from_slice(&self.seen.root);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.opened.as_microsecond().to_le_bytes());
        put_text(&mut out, self.target.as_str());
        put_long(&mut out, &self.wrapped_key);
        out
    }

    /// Reads a header; the cursor stands behind it afterwards.
    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (magic, version) = (from.array()?, from.u16()?);
        if magic != MAGIC || version != VERSION {
            return Err(from.malformed());
        }
        let stream = match from.u8()? {
            1 => Stream::Commands,
            2 => Stream::Rows,
            _ => return Err(from.malformed()),
        };
        Ok(Self {
            stream,
            level: level_from_number(from.u8()?).ok_or(from.malformed())?,
            session: SessionId::from_bytes(from.array()?),
            writ: WritId::from_bytes(from.array()?),
            sequence: from.u64()?,
            previous: from.array()?,
            seen: Checkpoint { size: from.u64()?, root: from.array()? },
            salt: from.array()?,
            opened: Timestamp::from_microsecond(from.i64()?).map_err(|_| from.malformed())?,
            target: TargetName::new(from.text()?).map_err(|_| from.malformed())?,
            wrapped_key: from.long()?.to_vec(),
        })
    }

    fn cipher(&self, key: &DataKey) -> Result<Cipher, NotOpened> {
        key.derive(&self.salt, self.stream.as_str().as_bytes(), self.session)
    }
}

/// What the index says of a frame, in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameFacts {
    /// Where it begins, from the segment's first byte.
    pub offset: u64,
    /// How long it is as stored, its tag included.
    pub stored: u32,
    /// How long it is when decompressed.
    pub plain: u32,
    /// How many entries it holds.
    pub entries: u32,
    /// The lowest number of a command in it; `u64::MAX` where it has none.
    pub first_command: u64,
    /// The highest; 0 where it has none.
    pub last_command: u64,
    /// The earliest time in it, in microseconds since 1970.
    pub first_at: i64,
    /// The latest.
    pub last_at: i64,
    /// The order of its first entry.
    pub first_order: u64,
    /// The order of its last entry.
    pub last_order: u64,
}

impl FrameFacts {
    const EMPTY: Self = Self {
        offset: 0,
        stored: 0,
        plain: 0,
        entries: 0,
        first_command: u64::MAX,
        last_command: 0,
        first_at: i64::MAX,
        last_at: i64::MIN,
        first_order: u64::MAX,
        last_order: 0,
    };

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        for field in [self.stored, self.plain, self.entries] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.first_command, self.last_command] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.first_at, self.last_at] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.first_order, self.last_order] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            offset: from.u64()?,
            stored: from.u32()?,
            plain: from.u32()?,
            entries: from.u32()?,
            first_command: from.u64()?,
            last_command: from.u64()?,
            first_at: from.i64()?,
            last_at: from.i64()?,
            first_order: from.u64()?,
            last_order: from.u64()?,
        })
    }
}

/// What a frame's tag covers besides its bytes: the header's digest and the frame's number.
fn frame_aad(header: &Digest, number: u64) -> [u8; 40] {
    let mut aad = [0; 40];
    aad.iter_mut().zip(header.iter().chain(&number.to_le_bytes())).for_each(|(place, byte)| *place = *byte);
    aad
}

#[cfg(test)]
mod tests;
