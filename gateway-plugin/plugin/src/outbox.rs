//! The outbox: what is sealed and not yet taken by the broker, on disk, so that a crash neither loses nor forks it.
//!
//! One folder for each session: `progress` (how far it is sealed), `commands-0`, `rows-0`, ... (segments, each behind its facts
//! in one line of JSON), `close` (its end). A segment's progress is durable before the segment can be uploaded: after a crash,
//! sealing goes on behind it. When the broker has taken the session's end, the folder goes to `taken`, empty, for as long as the
//! spool still holds the session's records: a recovery would seal them again, as other bytes, which the broker refuses for ever.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use writ_broker_api::gateway::{CloseRequest, SegmentFacts};
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::id::SessionId;
use writ_record::segment::{Closed, Progress, Sealed, Stream, StreamProgress};

use crate::identity::{private_directory, replace};

/// Sessions that the broker has whole and the spool not yet without.
const TAKEN: &str = "taken";
/// In the folder of a session of which the spool holds nothing any more.
const UNSPOOLED: &str = "unspooled";

/// The outbox of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    root: PathBuf,
}

/// A segment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The session.
    pub session: SessionId,
    /// The stream.
    pub stream: String,
    /// The number.
    pub sequence: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredStream {
    next_sequence: u64,
    previous: [u8; 32],
    next_order: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredProgress {
    commands: StoredStream,
    rows: StoredStream,
    counted: u64,
}

impl Outbox {
    /// The outbox in `root`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub(crate) fn open(root: &Path) -> Result<Self, Fault> {
        private_directory(root)?;
        private_directory(&root.join(TAKEN))?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn folder(&self, session: SessionId) -> PathBuf {
        self.root.join(session.to_string())
    }

    /// The session's folder; a new one's name is durable too when this returns.
    fn made_folder(&self, session: SessionId) -> Result<PathBuf, Fault> {
        let folder = self.folder(session);
        if !folder.exists() {
            private_directory(&folder)?;
            let synced = std::fs::File::open(&self.root).and_then(|root| root.sync_all());
            synced.map_err(|error| broken(&self.root.display().to_string(), &error.to_string()))?;
        }
        Ok(folder)
    }

    /// Takes a sealed segment: the segment first, then the progress, both durable when this returns.
    pub(crate) fn put(&self, sealed: &Sealed) -> Result<Waiting, Fault> {
        let folder = self.made_folder(sealed.session)?;
        let name = format!("{}-{}", sealed.stream.as_str(), sealed.sequence);
        let facts = SegmentFacts {
            digest: hex(&sealed.digest),
            seen_size: sealed.seen.size,
            seen_root: hex(&sealed.seen.root),
        };
        let mut file = serde_json::to_vec(&facts).map_err(|error| broken(&name, &error.to_string()))?;
        file.push(b'\n');
        file.extend_from_slice(&sealed.bytes);
        replace(&folder.join(&name), &file)?;
        let progress =
            serde_json::to_vec(&stored(&sealed.progress)).map_err(|error| broken(&name, &error.to_string()))?;
        replace(&folder.join("progress"), &progress)?;
        Ok(Waiting { session: sealed.session, stream: sealed.stream.as_str().to_owned(), sequence: sealed.sequence })
    }

    /// Takes a session's end.
    pub(crate) fn put_close(&self, closed: &Closed) -> Result<(), Fault> {
        let close = CloseRequest {
            end: closed.end,
            code: (!closed.code.is_empty()).then(|| closed.code.clone()),
            commands: closed.commands,
            command_segments: closed.command_segments,
            row_segments: closed.row_segments,
        };
        self.put_end(closed.session, &close)
    }

    fn put_end(&self, session: SessionId, close: &CloseRequest) -> Result<(), Fault> {
        let folder = self.made_folder(session)?;
        let bytes = serde_json::to_vec(close).map_err(|error| broken("close", &error.to_string()))?;
        replace(&folder.join("close"), &bytes)
    }

    /// Ends, as crashed, the sessions of a gateway that died of which everything is here and nothing in the spool.
    pub(crate) fn end_left(&self) -> Result<usize, Fault> {
        let left: Vec<SessionId> =
            self.sessions().into_iter().filter(|session| !self.folder(*session).join("close").exists()).collect();
        for session in &left {
            let progress = self.progress(*session);
            let close = CloseRequest {
                end: SessionEnd::Crash,
                code: Some("gateway.crashed".to_owned()),
                commands: progress.counted,
                command_segments: progress.commands.next_sequence,
                row_segments: progress.rows.next_sequence,
            };
            self.put_end(*session, &close)?;
        }
        Ok(left.len())
    }

    /// How far a session is sealed.
    pub(crate) fn progress(&self, session: SessionId) -> Progress {
        let bytes = std::fs::read(self.folder(session).join("progress")).unwrap_or_default();
        let Ok(stored) = serde_json::from_slice::<StoredProgress>(&bytes) else { return Progress::default() };
        let stream = |stored: StoredStream| StreamProgress {
            next_sequence: stored.next_sequence,
            previous: stored.previous,
            next_order: stored.next_order,
        };
        Progress { commands: stream(stored.commands), rows: stream(stored.rows), counted: stored.counted }
    }

    /// The sessions that have something here.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// The segments of a session that wait, in the order in which they were sealed. One whose progress could not be written is
    /// not among them: it is sealed again, and must not be taken twice.
    pub(crate) fn waiting(&self, session: SessionId) -> Vec<Waiting> {
        let progress = self.progress(session);
        let kept = |waiting: &Waiting| {
            let of = if waiting.stream == Stream::Rows.as_str() { progress.rows } else { progress.commands };
            waiting.sequence < of.next_sequence
        };
        let Ok(entries) = std::fs::read_dir(self.folder(session)) else { return Vec::new() };
        let mut waiting: Vec<Waiting> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                let (stream, sequence) = name.to_str()?.split_once('-')?;
                Some(Waiting { session, stream: stream.to_owned(), sequence: sequence.parse().ok()? })
            })
            .filter(kept)
            .collect();
        waiting.sort_by(|left, right| (&left.stream, left.sequence).cmp(&(&right.stream, right.sequence)));
        waiting
    }

    /// A segment's bytes and facts.
    pub(crate) fn segment(&self, waiting: &Waiting) -> Result<(Vec<u8>, SegmentFacts), Fault> {
        let name = format!("{}-{}", waiting.stream, waiting.sequence);
        let path = self.folder(waiting.session).join(&name);
        let mut file = std::fs::read(path).map_err(|error| broken(&name, &error.to_string()))?;
        let line =
            file.iter().position(|byte| *byte == b'\n').ok_or_else(|| broken(&name, "it has no line of facts"))?;
        let bytes = file.split_off(line + 1);
        let facts = serde_json::from_slice(&file).map_err(|error| broken(&name, &error.to_string()))?;
        Ok((bytes, facts))
    }

    /// The broker has taken a segment.
    pub(crate) fn taken(&self, waiting: &Waiting) {
        let name = format!("{}-{}", waiting.stream, waiting.sequence);
        let _ = std::fs::remove_file(self.folder(waiting.session).join(name));
    }

    /// The session's end, if it has ended.
    pub(crate) fn close(&self, session: SessionId) -> Option<CloseRequest> {
        let bytes = std::fs::read(self.folder(session).join("close")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The broker has taken the session's end: nothing of it is kept but, while the spool holds its records, that it was taken.
    pub(crate) fn done(&self, session: SessionId) {
        let folder = self.folder(session);
        if folder.join(UNSPOOLED).exists() {
            let _ = std::fs::remove_dir_all(folder);
            return;
        }
        let mark = self.mark(session);
        // In one step, so that no crash leaves neither. Where it fails, the end is uploaded again after the next start.
        if let Err(error) = std::fs::rename(&folder, &mark) {
            tracing::warn!(%session, %error, "a session that was uploaded stays in the outbox");
            return;
        }
        if mark.join(UNSPOOLED).exists() {
            // The spool let it go between the look and the rename.
            let _ = std::fs::remove_dir_all(mark);
            return;
        }
        let entries = std::fs::read_dir(&mark).into_iter().flatten().filter_map(Result::ok);
        entries.for_each(|entry| drop(std::fs::remove_file(entry.path())));
    }

    fn mark(&self, session: SessionId) -> PathBuf {
        self.root.join(TAKEN).join(session.to_string())
    }

    /// The sessions that the broker has whole, of those that the spool still holds.
    pub(crate) fn marked(&self) -> BTreeSet<SessionId> {
        let entries = std::fs::read_dir(self.root.join(TAKEN)).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// The spool holds nothing of a session any more.
    pub(crate) fn unspooled(&self, session: SessionId) {
        let mark = self.mark(session);
        if mark.exists() {
            let _ = std::fs::remove_dir_all(mark);
        } else if self.folder(session).exists() {
            let _ = std::fs::write(self.folder(session).join(UNSPOOLED), []);
        }
    }
}

fn stored(progress: &Progress) -> StoredProgress {
    let stream = |stream: &StreamProgress| StoredStream {
        next_sequence: stream.next_sequence,
        previous: stream.previous,
        next_order: stream.next_order,
    };
    StoredProgress { commands: stream(&progress.commands), rows: stream(&progress.rows), counted: progress.counted }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn broken(name: &str, why: &str) -> Fault {
    Fault::new("gateway.outbox", Blame::Ours, "the gateway's outbox cannot be used").detail(format!("`{name}`: {why}"))
}
