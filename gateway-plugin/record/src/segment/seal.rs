//! Sealing: a spool's records, session by session, into finished segments. Runs off the hot path, does no I/O.
//!
//! Memory is bounded by [`Settings::window_bytes`] over all sessions: where it is reached, the largest segment is ended
//! early. A record that the spool has lost shows as a [`Kind::Gap`] entry; one that was sealed before is skipped.

use std::collections::BTreeMap;
use std::io;

use aws_lc_rs::rand;
use writ_core::event::SessionEnd;
use writ_core::id::{SessionId, WritId};
use writ_core::time::{SignedDuration, Timestamp};

use super::build::Builder;
use super::{Checkpoint, Digest, SegmentHeader, Stream, sha256};
use crate::bytes::Malformed;
use crate::entry::{self, Entry, Kind};
use crate::key::{DataKey, NotOpened};
use crate::spool::SessionMeta;

/// zstd's level: the fastest of the ordinary ones.
const LEVEL: i32 = 1;

/// How segments are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a segment may become, about, in stored bytes.
    pub segment_bytes: usize,
    /// How much goes into one frame before compression: what a reader decompresses at once.
    pub frame_bytes: usize,
    /// How much memory all segments in the making may take, about.
    pub window_bytes: usize,
    /// How old a segment's first entry may become before the segment is ended, in seconds.
    pub segment_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 8 << 20, frame_bytes: 256 << 10, window_bytes: 64 << 20, segment_seconds: 30 }
    }
}

/// Sealing failed. What was not sealed stays in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No session of this name is open.
    #[error("the record belongs to a session that was not opened")]
    Unknown,
    /// The cipher failed.
    #[error("a segment could not be encrypted")]
    Cipher,
    /// The compressor failed.
    #[error("a segment could not be compressed")]
    Compress(#[source] io::Error),
    /// A frame is longer than the format can say.
    #[error("a frame is too long: `frame_bytes` is set too high")]
    TooLong,
    /// A record is not what its kind says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<NotOpened> for SealError {
    fn from(_: NotOpened) -> Self {
        Self::Cipher
    }
}

/// How far one stream of a session was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamProgress {
    /// The number that the next segment gets.
    pub next_sequence: u64,
    /// The digest of the last one.
    pub previous: Digest,
    /// Records with a lower number are sealed.
    pub next_order: u64,
}

/// How far a session was sealed: what must be kept to go on after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Of the commands.
    pub commands: StreamProgress,
    /// Of the rows.
    pub rows: StreamProgress,
    /// How many commands stand in the sealed segments.
    pub counted: u64,
}

/// A finished segment.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The session.
    pub session: SessionId,
    /// Which stream.
    pub stream: Stream,
    /// Its number.
    pub sequence: u64,
    /// SHA-256 over its bytes.
    pub digest: Digest,
    /// The checkpoint that it names.
    pub seen: Checkpoint,
    /// How far the session is sealed once this is stored.
    pub progress: Progress,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl core::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Sealed({} {} {}, {} bytes)", self.session, self.stream.as_str(), self.sequence, self.bytes.len())
    }
}

/// A session was sealed to its end: what is reported to the broker once its segments are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The session.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// How it ended.
    pub end: SessionEnd,
    /// Why, as a stable code; empty where no fault ended it.
    pub code: String,
    /// How many commands it ran.
    pub commands: u64,
    /// How many segments of commands were sealed.
    pub command_segments: u64,
    /// How many segments of rows were sealed.
    pub row_segments: u64,
}

/// What sealing gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A segment to be stored.
    Segment(Sealed),
    /// A session's end, after its last segment.
    Closed(Closed),
}

struct Track {
    builder: Option<Builder>,
    done: StreamProgress,
}

struct Session {
    meta: SessionMeta,
    key: DataKey,
    commands: Track,
    rows: Track,
    /// The number that the next record should have.
    next: u64,
    counted: u64,
    /// How many commands stand in finished segments.
    counted_done: u64,
}

impl Session {
    fn track(&mut self, stream: Stream) -> &mut Track {
        match stream {
            Stream::Commands => &mut self.commands,
            Stream::Rows => &mut self.rows,
        }
    }

    fn progress(&self) -> Progress {
        let of = |track: &Track| {
            let next_order = if track.builder.is_none() { self.next } else { track.done.next_order };
            StreamProgress { next_order, ..track.done }
        };
        let counted = if self.commands.builder.is_none() { self.counted } else { self.counted_done };
        Progress { commands: of(&self.commands), rows: of(&self.rows), counted }
    }
}

/// Makes segments of any number of sessions.
pub struct Sealer {
    settings: Settings,
    compressor: zstd::bulk::Compressor<'static>,
    sessions: BTreeMap<SessionId, Session>,
    seen: Checkpoint,
}

impl core::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sealer").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer without sessions.
    ///
    /// # Errors
    /// If the compressor cannot be made.
    pub fn new(settings: Settings) -> Result<Self, SealError> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(SealError::Compress)?;
        Ok(Self { settings, compressor, sessions: BTreeMap::new(), seen: Checkpoint::default() })
    }

    /// Names the newest checkpoint that the gateway has seen; segments begun from now on carry it.
    pub const fn saw(&mut self, seen: Checkpoint) {
        self.seen = seen;
    }

    /// Begins a session, or goes on with one that was sealed as far as `progress`. Has no effect on one that is open.
    pub fn open(&mut self, meta: SessionMeta, key: DataKey, progress: Progress) {
        let track = |done| Track { builder: None, done };
        let next = progress.commands.next_order.min(progress.rows.next_order);
        self.sessions.entry(meta.session).or_insert_with(|| Session {
            meta,
            key,
            commands: track(progress.commands),
            rows: track(progress.rows),
            next,
            counted: progress.counted,
            counted_done: progress.counted,
        });
    }

    /// Whether the session is open here.
    #[must_use]
    pub fn has(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Forgets a session that is open, and what was not made a segment of it: it is to be sealed again from its last progress.
    pub fn forget(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// The sessions that are open.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.keys().copied()
    }

    /// How far a session is sealed.
    #[must_use]
    pub fn progress(&self, session: SessionId) -> Option<Progress> {
        self.sessions.get(&session).map(Session::progress)
    }

    /// How much memory the segments in the making take.
    #[must_use]
    pub fn held(&self) -> usize {
        self.sessions.values().flat_map(|session| [&session.commands, &session.rows]).map(held).sum()
    }

    /// Takes a record of the spool: its number, its kind and its decrypted payload.
    ///
    /// # Errors
    /// [`SealError`]. The session should then be sealed again from its last progress.
    pub fn push(
        &mut self,
        id: SessionId,
        order: u64,
        kind: Kind,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), SealError> {
        let session = self.sessions.get_mut(&id).ok_or(SealError::Unknown)?;
        if order < session.next {
            // The end of a session that was sealed before is told again: the broker takes it once.
            return if kind == Kind::Close { self.closed(id, payload, out) } else { Ok(()) };
        }
        let missing = (order > session.next).then(|| (session.next, order - 1));
        session.next = order.saturating_add(1);
        if let Some((first, last)) = missing {
            let mut gap = Vec::new();
            entry::gap(&mut gap, session.meta.opened, first, last);
            self.add(id, first, Kind::Gap, &gap, out)?;
        }
        if kind == Kind::Open {
            return self.opened(id, order, out);
        }
        self.add(id, order, kind, payload, out)?;
        if kind == Kind::Close { self.closed(id, payload, out) } else { Ok(()) }
    }

    /// Ends the segments that are older than their time. Call it now and then.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Result<(), SealError> {
        let age = SignedDuration::from_secs(self.settings.segment_seconds.into());
        for (id, stream) in self.tracks(|track| {
            track.builder.as_ref().and_then(Builder::begun).is_some_and(|begun| now.duration_since(begun) >= age)
        }) {
            self.end_segment(id, stream, false, out)?;
        }
        Ok(())
    }

    /// Ends all segments in the making, so that everything pushed is sealed and the spool's files may go.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn drain(&mut self, out: &mut Vec<Output>) -> Result<(), SealError> {
        for (id, stream) in self.tracks(|track| track.builder.is_some()) {
            self.end_segment(id, stream, false, out)?;
        }
        Ok(())
    }

    /// Ends a session whose spool has no end: the gateway died. `at` should be when its last record was made.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn crashed(&mut self, id: SessionId, at: Timestamp, out: &mut Vec<Output>) -> Result<(), SealError> {
        let session = self.sessions.get(&id).ok_or(SealError::Unknown)?;
        let (order, mut payload) = (session.next, Vec::new());
        entry::close(&mut payload, at, SessionEnd::Crash, "gateway.crashed", session.counted);
        self.push(id, order, Kind::Close, &payload, out)
    }

    fn tracks(&self, wanted: impl Fn(&Track) -> bool) -> Vec<(SessionId, Stream)> {
        let both = |(id, session): (&SessionId, &Session)| {
            let commands = wanted(&session.commands).then_some((*id, Stream::Commands));
            let rows = wanted(&session.rows).then_some((*id, Stream::Rows));
            [commands, rows]
        };
        self.sessions.iter().flat_map(both).flatten().collect()
    }

    fn opened(&mut self, id: SessionId, order: u64, out: &mut Vec<Output>) -> Result<(), SealError> {
        let session = self.sessions.get(&id).ok_or(SealError::Unknown)?;
        let name = if order == 0 { "session.opened" } else { "session.continued" };
        let mut payload = Vec::new();
        entry::event(&mut payload, None, session.meta.opened, name, session.meta.target.as_str().as_bytes());
        self.add(id, order, Kind::Event, &payload, out)
    }

    fn closed(&mut self, id: SessionId, payload: &[u8], out: &mut Vec<Output>) -> Result<(), SealError> {
        self.end_segment(id, Stream::Rows, true, out)?;
        self.end_segment(id, Stream::Commands, true, out)?;
        let session = self.sessions.remove(&id).ok_or(SealError::Unknown)?;
        let Entry::Close(close) = Entry::decode(Kind::Close, payload)? else { return Err(SealError::Unknown) };
        out.push(Output::Closed(Closed {
            session: id,
            writ: session.meta.writ,
            end: close.end,
            code: close.code,
            commands: close.commands,
            command_segments: session.commands.done.next_sequence,
            row_segments: session.rows.done.next_sequence,
        }));
        Ok(())
    }

    fn add(
        &mut self,
        id: SessionId,
        order: u64,
        kind: Kind,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), SealError> {
        let (stream, seen) = (Stream::of(kind), self.seen);
        let session = self.sessions.get_mut(&id).ok_or(SealError::Unknown)?;
        if order < session.track(stream).done.next_order {
            return Ok(());
        }
        session.counted += u64::from(kind == Kind::Command);
        if session.track(stream).builder.is_none() {
            let header = header(session, stream, seen)?;
            let builder = Builder::new(&header, &session.key)?;
            session.track(stream).builder = Some(builder);
        }
        let Some(builder) = session.track(stream).builder.as_mut() else { return Err(SealError::Unknown) };
        let frame = self.settings.frame_bytes.min(super::MAX_FRAME);
        if builder.frame() + payload.len() + super::ENTRY_HEADER_BYTES > super::MAX_FRAME {
            builder.end_frame(&mut self.compressor)?;
        }
        builder.push(order, kind, payload)?;
        // The end stays in the making: its segment is ended at once, as the last.
        if kind == Kind::Close || builder.frame() < frame {
            return Ok(());
        }
        builder.end_frame(&mut self.compressor)?;
        if builder.held() >= self.settings.segment_bytes {
            self.end_segment(id, stream, false, out)?;
        }
        self.shrink(out)
    }

    /// Ends the largest segments until all fit into the window. Looked at once for each frame.
    fn shrink(&mut self, out: &mut Vec<Output>) -> Result<(), SealError> {
        while self.held() > self.settings.window_bytes {
            let all = self.tracks(|track| track.builder.is_some());
            let size = |(id, stream): &(SessionId, Stream)| {
                self.sessions.get(id).map_or(0, |session| match stream {
                    Stream::Commands => held(&session.commands),
                    Stream::Rows => held(&session.rows),
                })
            };
            let Some((id, stream)) = all.into_iter().max_by_key(size) else { return Ok(()) };
            self.end_segment(id, stream, false, out)?;
        }
        Ok(())
    }

    fn end_segment(
        &mut self,
        id: SessionId,
        stream: Stream,
        closes: bool,
        out: &mut Vec<Output>,
    ) -> Result<(), SealError> {
        let session = self.sessions.get_mut(&id).ok_or(SealError::Unknown)?;
        let next = session.next;
        let track = session.track(stream);
        let Some(builder) = track.builder.take() else { return Ok(()) };
        let seen = builder.seen();
        let bytes = builder.finish(&mut self.compressor, closes, next)?;
        let (sequence, digest) = (track.done.next_sequence, sha256(&bytes));
        track.done = StreamProgress { next_sequence: sequence + 1, previous: digest, next_order: next };
        if stream == Stream::Commands {
            session.counted_done = session.counted;
        }
        let progress = session.progress();
        out.push(Output::Segment(Sealed { session: id, stream, sequence, digest, seen, progress, bytes }));
        Ok(())
    }
}

fn held(track: &Track) -> usize {
    track.builder.as_ref().map_or(0, Builder::held)
}

fn header(session: &mut Session, stream: Stream, seen: Checkpoint) -> Result<SegmentHeader, SealError> {
    let done = session.track(stream).done;
    let mut salt = [0; 32];
    rand::fill(&mut salt).map_err(|_| SealError::Cipher)?;
    let meta = &session.meta;
    Ok(SegmentHeader {
        stream,
        level: meta.level,
        session: meta.session,
        writ: meta.writ,
        sequence: done.next_sequence,
        previous: done.previous,
        seen,
        salt,
        opened: meta.opened,
        target: meta.target.clone(),
        wrapped_key: meta.wrapped_key.clone(),
    })
}
