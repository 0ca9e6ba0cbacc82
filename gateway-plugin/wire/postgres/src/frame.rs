//! Frames: a tag byte, a length that counts itself and the body, a body.
//!
//! Scanning hops from header to header. A length is a claim of the peer: it is capped here and never reserved for.
//! Layout: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".

use writ_core::fault::{Blame, Fault};

/// Bytes of tag and length.
pub const HEADER: usize = 5;

/// The longest frame that PostgreSQL itself takes (`PQ_LARGE_MESSAGE_LIMIT`), in bytes of its length field.
pub const LARGEST: usize = 0x3fff_fffe;

/// The longest frame of a kind that has no reason to be long (`PQ_SMALL_MESSAGE_LIMIT`), in bytes of its length field.
pub const SMALL: usize = 10_000;

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its tag.
    pub tag: u8,
    /// Its bytes, header included.
    pub total: usize,
}

/// The header at `at`, once it is there.
///
/// # Errors
/// A length below 4 or above [`LARGEST`]; `blame` is whose fault that is.
#[inline]
pub fn peek(bytes: &[u8], at: usize, blame: Blame) -> Result<Option<Frame>, Fault> {
    let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) else { return Ok(None) };
    let [tag, a, b, c, d] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=LARGEST).contains(&length) {
        return Err(malformed(blame, tag));
    }
    Ok(Some(Frame { tag, total: length + 1 }))
}

/// The fault of a frame that does not have the form that its tag asks for.
#[must_use]
pub fn malformed(blame: Blame, tag: u8) -> Fault {
    Fault::new("postgres.malformed", blame, format!("malformed message `{}`", char::from(tag).escape_default()))
}

/// Reads the fields of a body. Every method is `None` where the body ends too early.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from `at` on.
    #[must_use]
    pub const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether all was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Two bytes, most significant first.
    pub fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Four bytes, most significant first.
    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Text up to a zero byte, which is passed over.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let length = memchr::memchr(0, rest)?;
        self.at += length + 1;
        rest.get(..length)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }
}

/// Appends a frame whose body `body` writes.
pub fn write(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    write_untagged(out, body);
}

/// Appends a packet without a tag, as startup packets are.
pub fn write_untagged(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length);
    }
}

/// Appends text and its zero byte. Zero bytes within the text are left out: they would end it early.
pub fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().copied().filter(|byte| *byte != 0));
    out.push(0);
}
