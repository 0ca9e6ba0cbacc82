//! The spool's records: one entry each, encrypted, in the order in which they were appended.
//!
//! A record is header, ciphertext and tag; the header is authenticated with the ciphertext. A session's first record in
//! each file ([`Kind::Open`]) is in clear, and authenticated too: it carries what a recovery needs to get the session's
//! key again. The counter in the header is the nonce: a [`SessionWriter`] counts up, is made once for each session, and a
//! session that a crash ended is never written again, so that no number is used twice.

use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;

use crate::bytes::{Cursor, Malformed, put_long, put_text};
use crate::entry::{Kind, MAX_PAYLOAD};
use crate::key::{Cipher, DataKey, NotOpened, TAG_BYTES};

/// What every file of a spool begins with.
pub const FILE_MAGIC: [u8; 8] = *b"writspl1";
/// What every record begins with.
pub const RECORD_MARK: [u8; 4] = *b"wrec";
/// The length of a record's header in bytes.
pub const HEADER_BYTES: usize = 36;
/// The longest record in bytes.
pub const MAX_RECORD: usize = HEADER_BYTES + MAX_PAYLOAD + TAG_BYTES;

/// An entry that cannot be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// It is longer than [`MAX_PAYLOAD`].
    #[error("the entry is longer than a record may be: split it")]
    TooLong,
    /// The cipher failed, or the session's numbers are used up.
    #[error("the entry could not be encrypted")]
    Cipher,
}

/// What is known of a session when it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMeta {
    /// The session.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// Its target.
    pub target: TargetName,
    /// How much is recorded.
    pub level: RecordLevel,
    /// When it opened.
    pub opened: Timestamp,
    /// The data key, sealed to the gateway: bytes that only the gateway understands.
    pub sealed_key: Vec<u8>,
    /// The data key, wrapped by the broker's recording key: goes into each segment.
    pub wrapped_key: Vec<u8>,
}

impl SessionMeta {
    /// The clear payload of a [`Kind::Open`] record, without the session, which stands in the header.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.writ.to_bytes());
        out.extend_from_slice(&self.opened.as_microsecond().to_le_bytes());
        out.push(level_number(self.level));
        put_text(&mut out, self.target.as_str());
        put_long(&mut out, &self.sealed_key);
        put_long(&mut out, &self.wrapped_key);
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// If the bytes are something else.
    pub fn decode(session: SessionId, payload: &[u8]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(payload, "opening of a session");
        let writ = WritId::from_bytes(from.array()?);
        let opened = Timestamp::from_microsecond(from.i64()?).map_err(|_| from.malformed())?;
        let level = level_from_number(from.u8()?).ok_or(from.malformed())?;
        let target = TargetName::new(from.text()?).map_err(|_| from.malformed())?;
        let (sealed_key, wrapped_key) = (from.long()?.to_vec(), from.long()?.to_vec());
        from.end()?;
        Ok(Self { session, writ, target, level, opened, sealed_key, wrapped_key })
    }
}

pub(crate) const fn level_number(level: RecordLevel) -> u8 {
    match level {
        RecordLevel::Commands => 1,
        RecordLevel::Full => 2,
    }
}

pub(crate) const fn level_from_number(number: u8) -> Option<RecordLevel> {
    match number {
        1 => Some(RecordLevel::Commands),
        2 => Some(RecordLevel::Full),
        _ => None,
    }
}

/// A record's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it holds.
    pub kind: Kind,
    /// The payload's length in bytes, without the tag.
    pub length: u32,
    /// Whose it is.
    pub session: SessionId,
    /// Its number within the session.
    pub counter: u64,
}

impl Header {
    fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let kind = [self.kind.number(), 0, 0, 0];
        let (length, session, counter) =
            (self.length.to_le_bytes(), self.session.to_bytes(), self.counter.to_le_bytes());
        let fields = RECORD_MARK.iter().chain(&kind).chain(&length).chain(&session).chain(&counter);
        bytes.iter_mut().zip(fields).for_each(|(place, byte)| *place = *byte);
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// If the bytes cannot be one.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Malformed> {
        let mut from = Cursor::new(bytes, "header of a spool record");
        let mark = from.array::<4>()?;
        let [kind, rest @ ..] = from.array::<4>()?;
        let length = from.u32()?;
        let session = SessionId::from_bytes(from.array()?);
        let counter = from.u64()?;
        let kind = Kind::from_number(kind).ok_or(from.malformed())?;
        let sound = mark == RECORD_MARK && rest == [0; 3] && length as usize <= MAX_PAYLOAD;
        if sound { Ok(Self { kind, length, session, counter }) } else { Err(from.malformed()) }
    }

    /// The length of the whole record in bytes.
    #[must_use]
    pub const fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.length as usize + TAG_BYTES
    }
}

fn spool_cipher(key: &DataKey, session: SessionId) -> Result<Cipher, NotOpened> {
    key.derive(&[], b"spool", session)
}

/// Appends one session's records. Make one for each session, once.
#[derive(Debug)]
pub struct SessionWriter {
    session: SessionId,
    cipher: Cipher,
    counter: u64,
}

impl SessionWriter {
    /// A writer for a session that was never written before.
    ///
    /// # Errors
    /// If the key cannot be derived.
    pub fn new(session: SessionId, key: &DataKey) -> Result<Self, NotOpened> {
        Ok(Self { session, cipher: spool_cipher(key, session)?, counter: 0 })
    }

    /// Whose records it writes.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The number that the next record gets.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.counter
    }

    /// Appends a record whose payload `write` appends. On an error `out` is as before.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(
        &mut self,
        kind: Kind,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), AppendError> {
        let start = out.len();
        out.resize(start + HEADER_BYTES, 0);
        write(out);
        let result = self.finish(kind, out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn finish(&mut self, kind: Kind, out: &mut Vec<u8>, start: usize) -> Result<(), AppendError> {
        let record = out.get_mut(start..).ok_or(AppendError::Cipher)?;
        let (header, payload) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(AppendError::Cipher)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(AppendError::TooLong);
        }
        let counter = self.counter;
        let length = u32::try_from(payload.len()).map_err(|_| AppendError::TooLong)?;
        *header = Header { kind, length, session: self.session, counter }.encode();
        // The number is spent before the cipher sees it: a failure never leads to its second use.
        self.counter = counter.checked_add(1).ok_or(AppendError::Cipher)?;
        let sealed = if kind == Kind::Open {
            self.cipher.seal(counter, record, &mut [])
        } else {
            self.cipher.seal(counter, header, payload)
        };
        out.extend_from_slice(&sealed.map_err(|_| AppendError::Cipher)?);
        Ok(())
    }
}

/// Reads one session's records.
#[derive(Debug)]
pub struct SessionReader {
    cipher: Cipher,
}

impl SessionReader {
    /// A reader for a session's records.
    ///
    /// # Errors
    /// If the key cannot be derived.
    pub fn new(session: SessionId, key: &DataKey) -> Result<Self, NotOpened> {
        Ok(Self { cipher: spool_cipher(key, session)? })
    }

    /// Decrypts a record in place (header, ciphertext, tag) and returns its payload. A [`Kind::Open`] record is checked
    /// and stays as it is.
    ///
    /// # Errors
    /// [`NotOpened`] if it was changed or is another session's.
    pub fn open<'b>(&self, header: &Header, record: &'b mut [u8]) -> Result<&'b [u8], NotOpened> {
        if record.len() != header.record_bytes() {
            return Err(NotOpened);
        }
        if header.kind == Kind::Open {
            let (clear, tag) = record.split_last_chunk_mut::<TAG_BYTES>().ok_or(NotOpened)?;
            self.cipher.open(header.counter, clear, tag)?;
            return clear.get(HEADER_BYTES..).ok_or(NotOpened);
        }
        let (head, rest) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(NotOpened)?;
        self.cipher.open(header.counter, head, rest).map(|plain| &*plain)
    }
}
