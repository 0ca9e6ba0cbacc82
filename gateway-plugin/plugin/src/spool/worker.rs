//! A worker's spool: stage, flush, rotate. The hot path of the gateway: no lock, no allocation for a command or a row.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use writ_core::command::CommandId;
use writ_core::event::SessionEnd;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::{self, CommandRecord, Flow, Kind, OutcomeRecord, Parameter};
use writ_record::spool::{AppendError, SessionMeta, SessionWriter};

use super::budget::Budget;
use super::file::{self, FILE_HEADER_BYTES, FileName};
use super::session::SessionSpool;

/// How much of a read of rows goes into one record: small enough to be encrypted while it is in the cache.
const ROWS_BYTES: usize = 128 << 10;

/// How a worker's spool behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether a flush waits for the disk.
    pub strict: bool,
    /// After how many bytes a new file is begun.
    pub rotate_bytes: u64,
    /// How many bytes are staged before they are written without being asked to.
    pub stage_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { strict: false, rotate_bytes: 64 << 20, stage_bytes: 512 << 10 }
    }
}

/// Why the spool did not take a record. Nothing may go on that it did not take.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The cap on bytes on disk is reached.
    #[error("the spool is full: it holds its `max_bytes`; segments are not uploaded as fast as they are written")]
    Full,
    /// The system did not write.
    #[error("the spool could not be written")]
    Write(#[source] io::Error),
    /// The system failed to make it durable, and may have forgotten it.
    #[error("the spool could not be made durable: this worker records nothing more until the gateway is restarted")]
    Lost,
    /// An entry was longer than a record may be.
    #[error("the entry is too long for the spool")]
    TooLong,
    /// The cipher failed.
    #[error("the entry could not be encrypted")]
    Cipher,
}

impl From<AppendError> for SpoolError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TooLong => Self::TooLong,
            AppendError::Cipher => Self::Cipher,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    /// A flush failed; the file was put back to its last good length, or must still be.
    Failed,
    Lost,
}

/// The spool of one worker thread.
#[derive(Debug)]
pub struct WorkerSpool {
    dir: PathBuf,
    settings: Settings,
    budget: Budget,
    name: FileName,
    file: File,
    path: PathBuf,
    /// How long the file is, up to the last flush that succeeded.
    length: u64,
    staged: Vec<u8>,
    state: State,
}

impl WorkerSpool {
    /// Makes a spool for `worker` in `dir`, which must exist and be private to the gateway.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn open(dir: &Path, worker: u32, settings: Settings, budget: Budget) -> Result<Self, SpoolError> {
        let mut run = [0; 8];
        aws_lc_rs::rand::fill(&mut run).map_err(|_| SpoolError::Cipher)?;
        let name = FileName { worker, run: u64::from_be_bytes(run), number: 0 };
        let (file, path) = begin(dir, name, &budget)?;
        let (dir, length) = (dir.to_owned(), FILE_HEADER_BYTES as u64);
        Ok(Self { dir, settings, budget, name, file, path, length, staged: Vec::new(), state: State::Sound })
    }

    /// Begins a session: its opening is staged.
    ///
    /// # Errors
    /// If the spool takes nothing, or the key cannot be used.
    pub fn open_session(&mut self, meta: &SessionMeta, key: &DataKey) -> Result<SessionSpool, SpoolError> {
        let writer = SessionWriter::new(meta.session, key).map_err(|_| SpoolError::Cipher)?;
        let mut session = SessionSpool { writer, opening: meta.encode().into_boxed_slice(), file: None };
        self.ready(&mut session)?;
        Ok(session)
    }

    /// Stages a command.
    ///
    /// # Errors
    /// If the spool takes nothing, or the command is longer than a record may be: such a one must be spilled.
    pub fn command<'p>(
        &mut self,
        session: &mut SessionSpool,
        record: &CommandRecord<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
    ) -> Result<(), SpoolError> {
        self.append(session, Kind::Command, |out| entry::command(out, record, parameters))
    }

    /// Stages an outcome.
    ///
    /// # Errors
    /// If the spool takes nothing.
    pub fn outcome(&mut self, session: &mut SessionSpool, record: &OutcomeRecord<'_>) -> Result<(), SpoolError> {
        self.append(session, Kind::Outcome, |out| entry::outcome(out, record))
    }

    /// Stages what flows back, masked, or what the client uploads. `whole` is false where the bytes end within a frame.
    ///
    /// # Errors
    /// If the spool takes nothing.
    pub fn rows(
        &mut self,
        session: &mut SessionSpool,
        id: Option<CommandId>,
        at: Timestamp,
        flow: Flow,
        bytes: &[u8],
        whole: bool,
    ) -> Result<(), SpoolError> {
        let mut left = bytes.chunks(ROWS_BYTES).peekable();
        while let Some(part) = left.next() {
            let continues = left.peek().is_some() || !whole;
            self.append(session, Kind::Rows, |out| {
                entry::rows_prefix(out, id, at, flow, continues);
                out.extend_from_slice(part);
            })?;
        }
        Ok(())
    }

    /// Stages a part of a command that is too long for memory; `offset` is where in the whole it begins.
    ///
    /// # Errors
    /// If the spool takes nothing.
    pub fn spill(
        &mut self,
        session: &mut SessionSpool,
        id: CommandId,
        at: Timestamp,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), SpoolError> {
        let mut offset = offset;
        for part in bytes.chunks(ROWS_BYTES) {
            self.append(session, Kind::Text, |out| {
                entry::text_prefix(out, id, at, offset);
                out.extend_from_slice(part);
            })?;
            offset = offset.saturating_add(part.len() as u64);
        }
        Ok(())
    }

    /// Stages an event of the session.
    ///
    /// # Errors
    /// If the spool takes nothing.
    pub fn event(
        &mut self,
        session: &mut SessionSpool,
        id: Option<CommandId>,
        at: Timestamp,
        name: &str,
        detail: &[u8],
    ) -> Result<(), SpoolError> {
        self.append(session, Kind::Event, |out| entry::event(out, id, at, name, detail))
    }

    /// Stages the session's end. Nothing more is recorded of it.
    ///
    /// # Errors
    /// If the spool takes nothing; a recovery then closes the session as crashed.
    pub fn close(
        &mut self,
        mut session: SessionSpool,
        at: Timestamp,
        end: SessionEnd,
        code: &str,
        commands: u64,
    ) -> Result<(), SpoolError> {
        self.append(&mut session, Kind::Close, |out| entry::close(out, at, end, code, commands))
    }

    /// Writes everything staged by one write, and waits for the disk in strict mode. Only after `Ok` may anything go on
    /// that was staged before.
    ///
    /// # Errors
    /// If it could not be written. What is staged stays staged and goes out with the next flush that succeeds.
    pub fn flush(&mut self) -> Result<(), SpoolError> {
        if self.state == State::Lost {
            return Err(SpoolError::Lost);
        }
        if self.staged.is_empty() {
            return self.mend();
        }
        let written = self.mend().and_then(|()| self.write());
        self.state = match &written {
            Ok(()) => State::Sound,
            Err(SpoolError::Lost) => State::Lost,
            Err(_) => State::Failed,
        };
        written
    }

    /// How many bytes are staged and not yet written.
    #[must_use]
    pub fn staged(&self) -> usize {
        self.staged.len()
    }

    /// The file that is written now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far the file is written: what a [`super::SpoolReader`] may rely on.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.length
    }

    fn append(
        &mut self,
        session: &mut SessionSpool,
        kind: Kind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), SpoolError> {
        self.ready(session)?;
        session.writer.append(kind, &mut self.staged, write).map_err(SpoolError::from)
    }

    /// Makes room, begins a new file where the old one is long enough, and sees to it that the file has the opening.
    fn ready(&mut self, session: &mut SessionSpool) -> Result<(), SpoolError> {
        if self.state != State::Sound || self.staged.len() >= self.settings.stage_bytes {
            self.flush()?;
        }
        if self.staged.is_empty() && self.length >= self.settings.rotate_bytes {
            self.rotate()?;
        }
        if session.file != Some(self.name.number) {
            let opening = &session.opening;
            session.writer.append(Kind::Open, &mut self.staged, |out| out.extend_from_slice(opening))?;
            session.file = Some(self.name.number);
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), SpoolError> {
        let number = self.name.number.checked_add(1).ok_or(SpoolError::Lost)?;
        let name = FileName { number, ..self.name };
        let (file, path) = begin(&self.dir, name, &self.budget)?;
        (self.file, self.path, self.name, self.length) = (file, path, name, FILE_HEADER_BYTES as u64);
        Ok(())
    }

    /// After a failed write: takes back what of it reached the file, so that no torn record stands in the middle.
    fn mend(&mut self) -> Result<(), SpoolError> {
        if self.state == State::Failed {
            self.file.set_len(self.length).map_err(SpoolError::Write)?;
            if self.staged.is_empty() {
                self.state = State::Sound;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        let bytes = self.staged.len() as u64;
        if !self.budget.take(bytes) {
            return Err(SpoolError::Full);
        }
        if let Err(error) = self.file.write_all(&self.staged) {
            self.budget.give_back(bytes);
            return Err(SpoolError::Write(error));
        }
        if self.settings.strict && self.file.sync_data().is_err() {
            return Err(SpoolError::Lost);
        }
        self.length += bytes;
        self.staged.clear();
        Ok(())
    }
}

fn begin(dir: &Path, name: FileName, budget: &Budget) -> Result<(File, PathBuf), SpoolError> {
    if !budget.take(FILE_HEADER_BYTES as u64) {
        return Err(SpoolError::Full);
    }
    file::create(dir, name).map_err(|error| {
        budget.give_back(FILE_HEADER_BYTES as u64);
        SpoolError::Write(error)
    })
}
