//! One segment in the making.

use writ_core::time::Timestamp;

use super::seal::SealError;
use super::{
    Checkpoint, Digest, END_MAGIC, FrameFacts, INDEX_ENTRY_BYTES, INDEX_NONCE, SegmentHeader, TRAILER_BYTES, frame_aad,
    sha256,
};
use crate::bytes::Cursor;
use crate::entry::Kind;
use crate::key::{Cipher, DataKey};

pub(super) struct Builder {
    seen: Checkpoint,
    cipher: Cipher,
    header: Digest,
    /// The segment as far as it is made: header and frames.
    bytes: Vec<u8>,
    frames: Vec<FrameFacts>,
    /// The frame in the making, in clear.
    plain: Vec<u8>,
    current: FrameFacts,
}

impl Builder {
    pub(super) fn new(header: &SegmentHeader, key: &DataKey) -> Result<Self, SealError> {
        let (cipher, seen) = (header.cipher(key)?, header.seen);
        let bytes = header.encode();
        let header = sha256(&bytes);
        Ok(Self { seen, cipher, header, bytes, frames: Vec::new(), plain: Vec::new(), current: FrameFacts::EMPTY })
    }

    /// The checkpoint that its header names.
    pub(super) const fn seen(&self) -> Checkpoint {
        self.seen
    }

    /// How much memory it takes.
    pub(super) fn held(&self) -> usize {
        self.bytes.len() + self.plain.len() + self.frames.len() * INDEX_ENTRY_BYTES
    }

    /// How long the frame in the making is.
    pub(super) fn frame(&self) -> usize {
        self.plain.len()
    }

    /// When its first entry happened.
    pub(super) fn begun(&self) -> Option<Timestamp> {
        let first = self.frames.first().unwrap_or(&self.current).first_at;
        Timestamp::from_microsecond(first).ok()
    }

    pub(super) fn push(&mut self, order: u64, kind: Kind, payload: &[u8]) -> Result<(), SealError> {
        let mut from = Cursor::new(payload, "entry");
        let (command, at) = (from.u64()?, from.i64()?);
        let length = u32::try_from(payload.len()).map_err(|_| from.malformed())?;
        self.plain.extend_from_slice(&length.to_le_bytes());
        self.plain.push(kind.number());
        self.plain.extend_from_slice(&order.to_le_bytes());
        self.plain.extend_from_slice(payload);
        let facts = &mut self.current;
        if command != 0 {
            facts.first_command = facts.first_command.min(command);
            facts.last_command = facts.last_command.max(command);
        }
        (facts.first_at, facts.last_at) = (facts.first_at.min(at), facts.last_at.max(at));
        (facts.first_order, facts.last_order) = (facts.first_order.min(order), order);
        facts.entries += 1;
        Ok(())
    }

    /// Compresses and encrypts the frame in the making.
    pub(super) fn end_frame(&mut self, compressor: &mut zstd::bulk::Compressor<'_>) -> Result<(), SealError> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let start = self.bytes.len();
        let packed = compressor.compress(&self.plain).map_err(SealError::Compress)?;
        self.bytes.extend_from_slice(&packed);
        let number = self.frames.len() as u64;
        let frame = self.bytes.get_mut(start..).unwrap_or_default();
        let tag = self.cipher.seal(number, &frame_aad(&self.header, number), frame)?;
        self.bytes.extend_from_slice(&tag);
        let mut facts = core::mem::replace(&mut self.current, FrameFacts::EMPTY);
        facts.offset = start as u64;
        facts.stored = u32::try_from(self.bytes.len() - start).map_err(|_| SealError::TooLong)?;
        facts.plain = u32::try_from(self.plain.len()).map_err(|_| SealError::TooLong)?;
        self.frames.push(facts);
        self.plain.clear();
        Ok(())
    }

    /// Ends the segment. `closes` says that the stream ends with it, `next` which order is not yet covered.
    pub(super) fn finish(
        mut self,
        compressor: &mut zstd::bulk::Compressor<'_>,
        closes: bool,
        next: u64,
    ) -> Result<Vec<u8>, SealError> {
        self.end_frame(compressor)?;
        let index = self.bytes.len();
        self.bytes.reserve_exact(self.frames.len() * INDEX_ENTRY_BYTES + TRAILER_BYTES);
        for frame in &self.frames {
            frame.encode(&mut self.bytes);
        }
        self.bytes.extend_from_slice(&(index as u64).to_le_bytes());
        let frames = u32::try_from(self.frames.len()).map_err(|_| SealError::TooLong)?;
        self.bytes.extend_from_slice(&frames.to_le_bytes());
        self.bytes.extend_from_slice(&[u8::from(closes), 0, 0, 0]);
        self.bytes.extend_from_slice(&next.to_le_bytes());
        let mut covered = self.header.to_vec();
        covered.extend_from_slice(self.bytes.get(index..).unwrap_or_default());
        let tag = self.cipher.seal(INDEX_NONCE, &covered, &mut [])?;
        self.bytes.extend_from_slice(&tag);
        self.bytes.extend_from_slice(&END_MAGIC);
        Ok(self.bytes)
    }
}
