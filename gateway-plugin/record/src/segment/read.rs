//! Reading a segment: its facts without a key, its entries with one. The bytes may be anything.

use super::{
    Digest, END_MAGIC, ENTRY_HEADER_BYTES, FrameFacts, INDEX_ENTRY_BYTES, INDEX_NONCE, MAX_FRAME, SegmentHeader,
    TRAILER_BYTES, TRAILER_CLEAR_BYTES, frame_aad, sha256,
};
use crate::bytes::{Cursor, Malformed};
use crate::entry::{Entry, Kind, Recorded};
use crate::key::{Cipher, DataKey, NotOpened, TAG_BYTES};

/// Why a segment cannot be read or is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Its form is wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It does not open.
    #[error(transparent)]
    NotOpened(#[from] NotOpened),
    /// Its digest is another than the one expected.
    #[error("the segment's digest is not the one that was logged: it was changed after it was sealed")]
    Digest,
    /// It does not follow the one before it.
    #[error("segment {sequence} does not follow the one before it: a segment is missing, or from another session")]
    Chain {
        /// The segment that does not fit.
        sequence: u64,
    },
}

const MALFORMED: ReadError = ReadError::Malformed(Malformed { what: "segment" });

/// A segment whose form is sound.
#[derive(Debug, Clone)]
pub struct Segment<'a> {
    bytes: &'a [u8],
    header: SegmentHeader,
    header_bytes: &'a [u8],
    frames: Vec<FrameFacts>,
    /// The index and what the tag covers of the trailer.
    index: &'a [u8],
    tag: [u8; TAG_BYTES],
    closes: bool,
    next_order: u64,
}

impl<'a> Segment<'a> {
    /// Reads header, index and trailer.
    ///
    /// # Errors
    /// If their form is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut from = Cursor::new(bytes, "segment");
        let header = SegmentHeader::decode(&mut from)?;
        let start = bytes.len() - from.rest().len();
        let header_bytes = bytes.get(..start).ok_or(MALFORMED)?;
        let at = from.rest().len().checked_sub(TRAILER_BYTES).ok_or(MALFORMED)? + start;
        let mut trailer = Cursor::new(bytes.get(at..).ok_or(MALFORMED)?, "segment");
        let (offset, count) = (trailer.u64()?, trailer.u32()?);
        let [closes, padding @ ..] = trailer.array::<4>()?;
        let (next_order, tag) = (trailer.u64()?, trailer.array()?);
        let offset = usize::try_from(offset).map_err(|_| MALFORMED)?;
        let frames = bytes.get(offset..at).ok_or(MALFORMED)?;
        let sound = trailer.array()? == END_MAGIC && closes <= 1 && padding == [0; 3];
        if !sound || offset < start || frames.len() != (count as usize).saturating_mul(INDEX_ENTRY_BYTES) {
            return Err(MALFORMED);
        }
        let frames = index(frames, start, offset)?;
        let index = bytes.get(offset..at + TRAILER_CLEAR_BYTES).ok_or(MALFORMED)?;
        Ok(Self { bytes, header, header_bytes, frames, index, tag, closes: closes == 1, next_order })
    }

    /// What it says of itself.
    #[must_use]
    pub const fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// What the index says of its frames.
    #[must_use]
    pub fn frames(&self) -> &[FrameFacts] {
        &self.frames
    }

    /// Whether its stream is known to end with it. The commands' last segment always says so; the rows' last may have been
    /// ended before the session was, so that only the session's end in the ledger tells their number.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.closes
    }

    /// The first record of the spool that its stream has not covered.
    #[must_use]
    pub const fn next_order(&self) -> u64 {
        self.next_order
    }

    /// SHA-256 over all its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        sha256(self.bytes)
    }

    /// Checks the digest that was logged: all that can be checked without the key.
    ///
    /// # Errors
    /// [`ReadError::Digest`].
    pub fn check(&self, logged: &Digest) -> Result<(), ReadError> {
        if self.digest() == *logged { Ok(()) } else { Err(ReadError::Digest) }
    }

    /// Opens it, which checks header and index.
    ///
    /// # Errors
    /// If the key is another's or header or index were changed.
    pub fn open(&self, key: &DataKey) -> Result<OpenSegment<'_>, ReadError> {
        let (cipher, header) = (self.header.cipher(key)?, sha256(self.header_bytes));
        let mut covered = header.to_vec();
        covered.extend_from_slice(self.index);
        let mut tag = self.tag;
        cipher.open(INDEX_NONCE, &covered, &mut tag)?;
        Ok(OpenSegment { bytes: self.bytes, frames: &self.frames, cipher, header })
    }
}

/// Reads the index and checks that the frames fill the space between `start` and `end` exactly.
fn index(bytes: &[u8], start: usize, end: usize) -> Result<Vec<FrameFacts>, ReadError> {
    let (mut from, mut frames, mut at) = (Cursor::new(bytes, "segment"), Vec::new(), start as u64);
    while !from.rest().is_empty() {
        let frame = FrameFacts::decode(&mut from)?;
        let sound = frame.offset == at && frame.stored as usize > TAG_BYTES && frame.plain as usize <= MAX_FRAME;
        at = at.checked_add(frame.stored.into()).filter(|_| sound).ok_or(MALFORMED)?;
        frames.push(frame);
    }
    if at == end as u64 { Ok(frames) } else { Err(MALFORMED) }
}

/// A segment with its key.
#[derive(Debug)]
pub struct OpenSegment<'s> {
    bytes: &'s [u8],
    frames: &'s [FrameFacts],
    cipher: Cipher,
    header: Digest,
}

impl OpenSegment<'_> {
    /// The entries of one frame.
    ///
    /// # Errors
    /// If there is no such frame, or it was changed.
    pub fn frame(&self, number: usize) -> Result<Vec<Recorded>, ReadError> {
        let facts = self.frames.get(number).ok_or(MALFORMED)?;
        let start = usize::try_from(facts.offset).map_err(|_| MALFORMED)?;
        let mut stored = self.bytes.get(start..start + facts.stored as usize).ok_or(MALFORMED)?.to_vec();
        let packed = self.cipher.open(number as u64, &frame_aad(&self.header, number as u64), &mut stored)?;
        let plain = zstd::bulk::decompress(packed, facts.plain as usize).map_err(|_| MALFORMED)?;
        let entries = entries(&plain)?;
        let sound = plain.len() == facts.plain as usize && entries.len() == facts.entries as usize;
        if sound { Ok(entries) } else { Err(MALFORMED) }
    }

    /// All entries, one frame in memory at a time. Ends after the first error.
    pub fn entries(&self) -> impl Iterator<Item = Result<Recorded, ReadError>> + '_ {
        let mut failed = false;
        (0..self.frames.len())
            .map(|number| self.frame(number))
            .take_while(move |frame| !core::mem::replace(&mut failed, frame.is_err()))
            .flat_map(|frame| match frame {
                Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            })
    }
}

fn entries(plain: &[u8]) -> Result<Vec<Recorded>, ReadError> {
    let (mut from, mut entries) = (Cursor::new(plain, "frame"), Vec::new());
    while from.rest().len() >= ENTRY_HEADER_BYTES {
        let length = from.u32()? as usize;
        let kind = Kind::from_number(from.u8()?).ok_or(MALFORMED)?;
        let order = from.u64()?;
        entries.push(Recorded { order, entry: Entry::decode(kind, from.take(length)?)? });
    }
    from.end()?;
    Ok(entries)
}

/// Checks that segments are one stream of one session, in order, from its first on, each naming the one before it.
///
/// # Errors
/// [`ReadError::Chain`] for the first that does not fit.
pub fn verify_chain<'s, 'a: 's>(segments: impl IntoIterator<Item = &'s Segment<'a>>) -> Result<(), ReadError> {
    let (mut before, mut expected): (Option<(&SegmentHeader, Digest)>, u64) = (None, 0);
    for segment in segments {
        let header = segment.header();
        let follows = before.as_ref().map_or(header.previous == [0; 32], |(earlier, digest)| {
            (earlier.session, earlier.writ, earlier.stream) == (header.session, header.writ, header.stream)
                && header.previous == *digest
        });
        if !follows || header.sequence != expected {
            return Err(ReadError::Chain { sequence: header.sequence });
        }
        before = Some((header, segment.digest()));
        expected += 1;
    }
    Ok(())
}
