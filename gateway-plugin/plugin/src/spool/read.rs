//! Reading a spool's file: while it is written, or after its worker died.
//!
//! Takes complete records alone. What is damaged is skipped and reported, never guessed at: the reader looks for the
//! next record that its session's key confirms. Memory is bounded by the longest record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use writ_core::id::SessionId;
use writ_record::entry::Kind;
use writ_record::spool::{FILE_MAGIC, HEADER_BYTES, Header, RECORD_MARK, SessionMeta, SessionReader};
use writ_record::{DataKey, bytes::Malformed};

use super::file::FILE_HEADER_BYTES;

/// How much is read at once.
const CHUNK: usize = 256 << 10;
/// How many problems of a file are kept.
const MAX_PROBLEMS: usize = 1000;

/// What a spool holds.
#[derive(Debug)]
pub enum Item<'a> {
    /// A session begins, or goes on in a further file.
    Open {
        /// What is known of it.
        meta: SessionMeta,
        /// Its key.
        key: DataKey,
        /// The record's number.
        order: u64,
    },
    /// Anything else.
    Record {
        /// Whose it is.
        session: SessionId,
        /// The record's number.
        order: u64,
        /// What it holds.
        kind: Kind,
        /// The decrypted entry.
        payload: &'a [u8],
    },
}

impl Item<'_> {
    /// Whose it is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Open { meta, .. } => meta.session,
            Self::Record { session, .. } => *session,
        }
    }
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file ends within a record: it was never flushed, so nothing that it holds was forwarded.
    #[error("the file ends within a record: the last {bytes} bytes from {offset} on")]
    Torn {
        /// Where it begins.
        offset: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// Bytes in the middle were changed.
    #[error("the file is damaged: {bytes} bytes from {offset} on")]
    Damaged {
        /// Where the damage begins.
        offset: u64,
        /// How many bytes were skipped.
        bytes: u64,
    },
    /// A session's records cannot be decrypted. The file must be kept.
    #[error("the records of `{session}` cannot be decrypted: its key does not open, or its opening is damaged")]
    NoKey {
        /// The session.
        session: SessionId,
    },
}

/// The keys of the sessions that a spool holds.
#[derive(Debug, Default)]
pub(super) struct Keys(BTreeMap<SessionId, Option<SessionReader>>);

/// Reads one file.
#[derive(Debug)]
pub struct SpoolReader {
    file: File,
    pub(super) keys: Keys,
    /// What was read and not yet taken.
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    taken: usize,
    /// The record that is looked at.
    record: Vec<u8>,
    /// The file's offset of the buffer's first byte.
    offset: u64,
    /// How many bytes are being skipped as damaged.
    skipped: u64,
    /// Whether they began as a whole record that does not verify, and not as an end that is missing.
    changed: bool,
    problems: Vec<Problem>,
}

enum Step {
    Taken(usize),
    Bad,
    More,
}

impl SpoolReader {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read or is not a spool's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?, Keys::default())
    }

    pub(super) fn of(mut file: File, keys: Keys) -> io::Result<Self> {
        let mut header = [0; FILE_HEADER_BYTES];
        file.read_exact(&mut header)?;
        if header.first_chunk() != Some(&FILE_MAGIC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Malformed { what: "file of the spool" }));
        }
        let offset = FILE_HEADER_BYTES as u64;
        Ok(Self {
            file,
            keys,
            buffer: Vec::new(),
            taken: 0,
            record: Vec::new(),
            offset,
            skipped: 0,
            changed: false,
            problems: Vec::new(),
        })
    }

    /// Reads the complete records that the file holds by now; call it again when more was flushed. With `dead`, what is
    /// left at the end is a torn record and is reported.
    ///
    /// # Errors
    /// If the file cannot be read, or `each` fails; the record that `each` refused is not given again.
    pub fn read(
        &mut self,
        dead: bool,
        open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
        each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match self.step(open_key, each)? {
                Step::Taken(bytes) => {
                    self.settle(false);
                    self.taken += bytes;
                }
                Step::Bad => self.skip(true),
                Step::More if self.fill()? => {}
                Step::More if !dead => return Ok(()),
                Step::More if self.left().is_empty() => {
                    self.settle(true);
                    return Ok(());
                }
                // A length that was changed looks like a torn end: what follows may still be sound.
                Step::More => self.skip(false),
            }
        }
    }

    /// What could not be read so far.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn into_parts(self) -> (File, Keys, Vec<Problem>) {
        (self.file, self.keys, self.problems)
    }

    fn left(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }

    fn position(&self) -> u64 {
        self.offset + self.taken as u64
    }

    /// Reads more, by one call of the system; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.taken);
        self.offset += self.taken as u64;
        self.taken = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + CHUNK, 0);
        let read = loop {
            match self.file.read(self.buffer.get_mut(kept..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(kept + read.as_ref().map_or(0, |count| *count));
        Ok(read? > 0)
    }

    /// Skips to where the next record may begin.
    fn skip(&mut self, changed: bool) {
        if self.skipped == 0 {
            self.changed = changed;
        }
        let left = self.left();
        let next = left.windows(RECORD_MARK.len()).skip(1).position(|bytes| bytes == RECORD_MARK);
        // Without a mark, its first bytes may still stand at the end of what was read.
        let bytes = next.map_or_else(|| left.len().saturating_sub(RECORD_MARK.len() - 1).max(1), |at| at + 1);
        let bytes = bytes.min(left.len());
        (self.skipped, self.taken) = (self.skipped + bytes as u64, self.taken + bytes);
    }

    /// Reports what was skipped before a sound record or the end.
    fn settle(&mut self, end: bool) {
        let bytes = core::mem::take(&mut self.skipped);
        let offset = self.position() - bytes;
        if bytes > 0 {
            self.report(if end && !self.changed {
                Problem::Torn { offset, bytes }
            } else {
                Problem::Damaged { offset, bytes }
            });
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Looks at the record at the front.
    fn step(
        &mut self,
        open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
        each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
    ) -> io::Result<Step> {
        let Some(head) = self.left().first_chunk::<HEADER_BYTES>() else { return Ok(Step::More) };
        let Ok(header) = Header::decode(head) else { return Ok(Step::Bad) };
        let bytes = header.record_bytes();
        if self.left().len() < bytes {
            return Ok(Step::More);
        }
        // Copied, since a record that does not verify must be looked at again, byte by byte.
        let mut record = core::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(self.left().get(..bytes).unwrap_or_default());
        let step = self.record(header, &mut record, open_key, each);
        self.record = record;
        step
    }

    /// Opens a whole record.
    fn record(
        &mut self,
        header: Header,
        record: &mut [u8],
        open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
        each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
    ) -> io::Result<Step> {
        let bytes = record.len();
        if header.kind == Kind::Open {
            return self.opening(header, record, open_key, each);
        }
        let Some(known) = self.keys.0.get(&header.session) else {
            // Its length is not confirmed by any key either: what follows is looked for byte by byte.
            self.no_key(header.session);
            return Ok(Step::Bad);
        };
        let Some(reader) = known else { return Ok(Step::Taken(bytes)) };
        let Ok(payload) = reader.open(&header, record) else { return Ok(Step::Bad) };
        let (session, order, kind) = (header.session, header.counter, header.kind);
        each(Item::Record { session, order, kind, payload })?;
        Ok(Step::Taken(bytes))
    }

    fn opening(
        &mut self,
        header: Header,
        record: &mut [u8],
        open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
        each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
    ) -> io::Result<Step> {
        let payload = record.get(HEADER_BYTES..HEADER_BYTES + header.length as usize).unwrap_or_default();
        let Ok(meta) = SessionMeta::decode(header.session, payload) else { return Ok(Step::Bad) };
        let opened = open_key(&meta).and_then(|key| Some((SessionReader::new(meta.session, &key).ok()?, key)));
        let Some((reader, key)) = opened else {
            self.no_key(header.session);
            return Ok(Step::Taken(record.len()));
        };
        if reader.open(&header, record).is_err() {
            return Ok(Step::Bad);
        }
        self.keys.0.insert(meta.session, Some(reader));
        each(Item::Open { meta, key, order: header.counter })?;
        Ok(Step::Taken(record.len()))
    }

    /// Reports once that a session's records cannot be read.
    fn no_key(&mut self, session: SessionId) {
        if self.keys.0.get(&session).is_none_or(Option::is_some) {
            self.keys.0.insert(session, None);
            self.report(Problem::NoKey { session });
        }
    }
}
