//! Sealing, off the hot path: one thread follows every worker's spool, makes segments, and puts them into the outbox.
//!
//! A spool file is deleted once everything that stands in it is in the outbox: until then a crash would need it. What cannot be
//! sealed or kept, because a disk is full, stops its own session's sealing alone, and is tried again from the spool.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use writ_core::fault::Fault;
use writ_core::id::SessionId;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::Kind;
use writ_record::segment::{Checkpoint, Output, Progress, Sealer};
use writ_record::spool::SessionMeta;

use crate::outbox::Outbox;
use crate::spool::{Budget, Item, SpoolReader};

/// How often spools are read, beside being woken.
const TICK: Duration = Duration::from_millis(100);
/// How often what could not be sealed or kept is tried again.
const MEND_EVERY: Duration = Duration::from_secs(5);

/// What workers tell the sealing thread.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A worker writes to this file from now on.
    File(PathBuf),
    /// A session ended: its segments are wanted soon.
    Closed,
    /// Seal what is there and end.
    Stop,
}

/// Opens a session's data key from what the spool says of it.
pub(crate) type OpenKey = Box<dyn FnMut(&SessionMeta) -> Option<DataKey> + Send>;

/// The sealing thread's own.
pub(crate) struct Sealing {
    pub(crate) notices: Receiver<Notice>,
    pub(crate) outbox: Outbox,
    pub(crate) budget: Budget,
    pub(crate) sealer: Sealer,
    pub(crate) open_key: OpenKey,
    /// The newest checkpoint that was seen.
    pub(crate) seen: Arc<Mutex<Checkpoint>>,
    /// Sessions with something new in the outbox.
    pub(crate) ready: UnboundedSender<SessionId>,
}

/// One followed file.
struct Followed {
    path: PathBuf,
    reader: SpoolReader,
    /// Its sessions, each with the number of its last record here.
    sessions: BTreeMap<SessionId, u64>,
}

/// What the sealing thread knows beside the sealer.
#[derive(Default)]
struct Work {
    files: Vec<Followed>,
    known: Known,
    mended: Option<Instant>,
}

/// What became of sessions that stand in a followed file.
#[derive(Default)]
struct Known {
    /// Those whose end is in the outbox.
    ended: BTreeSet<SessionId>,
    /// How far the others are sealed, durably.
    stored: BTreeMap<SessionId, Progress>,
    /// Those of which a segment could not be made or kept: nothing more of them is, until they are sealed again from there.
    broken: BTreeSet<SessionId>,
}

impl Known {
    /// Whether a record of this number is in the outbox, or was.
    fn is_kept(&self, session: SessionId, order: u64) -> bool {
        let sealed = |progress: &Progress| progress.commands.next_order.min(progress.rows.next_order) > order;
        self.ended.contains(&session) || self.stored.get(&session).is_some_and(sealed)
    }
}

impl Sealing {
    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut work = Work::default();
        let mut last = Instant::now();
        loop {
            let stop = match self.notices.recv_timeout(TICK.saturating_sub(last.elapsed())) {
                Ok(Notice::File(path)) => {
                    work.follow(path);
                    continue;
                }
                Ok(Notice::Closed) | Err(RecvTimeoutError::Timeout) => false,
                Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            };
            self.turn(&mut work, stop);
            if stop {
                return;
            }
            last = Instant::now();
        }
    }

    fn turn(&mut self, work: &mut Work, stop: bool) {
        self.sealer.saw(*self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let Work { files, known, mended } = work;
        for file in files.iter_mut() {
            let Followed { path, reader, sessions } = file;
            self.read(path, reader, sessions, known, |_| true);
        }
        let mut out = Vec::new();
        let ticked = self.sealer.tick(Timestamp::now(), &mut out);
        let drained = if stop { self.sealer.drain(&mut out) } else { Ok(()) };
        if let Err(error) = ticked.and(drained) {
            tracing::error!(%error, "segments cannot be made; what they would hold stays in the spool");
        }
        self.store(known, &mut out);
        let due = mended.is_none_or(|at| at.elapsed() >= MEND_EVERY);
        if !known.broken.is_empty() && (due || stop) {
            *mended = Some(Instant::now());
            self.mend(files, known);
        }
        self.forget(files, known);
    }

    /// Takes what is new in a file, of the sessions that are wanted. What goes wrong with one session stops no other.
    fn read(
        &mut self,
        path: &Path,
        reader: &mut SpoolReader,
        sessions: &mut BTreeMap<SessionId, u64>,
        known: &mut Known,
        wanted: impl Fn(SessionId) -> bool,
    ) {
        let mut open_key = core::mem::replace(&mut self.open_key, Box::new(|_| None));
        let read = reader.read(false, &mut *open_key, &mut |item| {
            if wanted(item.session()) {
                self.take(item, sessions, known);
            }
            Ok(())
        });
        self.open_key = open_key;
        if let Err(error) = read {
            tracing::error!(%error, file = %path.display(), "a spool file cannot be read; it stays");
        }
    }

    fn take(&mut self, item: Item<'_>, sessions: &mut BTreeMap<SessionId, u64>, known: &mut Known) {
        let mut out = Vec::new();
        let (session, order, kind, payload) = match item {
            Item::Open { meta, key, order } => {
                let session = meta.session;
                if !known.ended.contains(&session) {
                    let progress = *known.stored.entry(session).or_insert_with(|| self.outbox.progress(session));
                    self.sealer.open(meta, key, progress);
                }
                (session, order, Kind::Open, &[][..])
            }
            Item::Record { session, order, kind, payload } => (session, order, kind, payload),
        };
        let last = sessions.entry(session).or_insert(order);
        *last = order.max(*last);
        if known.ended.contains(&session) || known.broken.contains(&session) {
            return;
        }
        if let Err(error) = self.sealer.push(session, order, kind, payload, &mut out) {
            tracing::error!(%session, %error, "a recording cannot be sealed; it stays in the spool");
            known.broken.insert(session);
        }
        self.store(known, &mut out);
    }

    /// Puts what was sealed into the outbox. Of a session of which one piece cannot be kept none that follows is.
    fn store(&self, known: &mut Known, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            let session = match &output {
                Output::Segment(sealed) => sealed.session,
                Output::Closed(closed) => closed.session,
            };
            if known.broken.contains(&session) {
                continue;
            }
            match self.keep(&output, known) {
                Ok(()) => drop(self.ready.send(session)),
                Err(fault) => {
                    tracing::error!(%session, detail = %fault.detail, "a recording cannot be kept; it stays in the spool");
                    known.broken.insert(session);
                }
            }
        }
    }

    fn keep(&self, output: &Output, known: &mut Known) -> Result<(), Fault> {
        match output {
            Output::Segment(sealed) => {
                self.outbox.put(sealed)?;
                known.stored.insert(sealed.session, sealed.progress);
            }
            Output::Closed(closed) => {
                self.outbox.put_close(closed)?;
                known.ended.insert(closed.session);
            }
        }
        Ok(())
    }

    /// Seals broken sessions again, from what the outbox has of them and from the start of each file that holds them.
    fn mend(&mut self, files: &mut [Followed], known: &mut Known) {
        let again = core::mem::take(&mut known.broken);
        for session in &again {
            self.sealer.forget(*session);
            known.stored.remove(session);
        }
        for file in files.iter_mut().filter(|file| again.iter().any(|session| file.sessions.contains_key(session))) {
            match SpoolReader::open(&file.path) {
                Ok(mut reader) => {
                    self.read(&file.path, &mut reader, &mut file.sessions, known, |session| again.contains(&session))
                }
                Err(error) => {
                    tracing::error!(%error, file = %file.path.display(), "a spool file cannot be read; it stays");
                    known.broken.extend(again.iter().filter(|session| file.sessions.contains_key(session)));
                }
            }
        }
    }

    /// Deletes files of which everything is in the outbox; each worker's newest is still written to.
    fn forget(&self, files: &mut Vec<Followed>, known: &mut Known) {
        let newest = newest(files);
        let mut gone = BTreeSet::new();
        files.retain(|file| {
            let kept = file.sessions.iter().all(|(session, last)| known.is_kept(*session, *last));
            if newest.contains(&file.path) || !kept {
                return true;
            }
            let bytes = std::fs::metadata(&file.path).map_or(0, |facts| facts.len());
            match std::fs::remove_file(&file.path) {
                Ok(()) => {
                    self.budget.give_back(bytes);
                    gone.extend(file.sessions.keys().copied());
                }
                Err(error) => tracing::error!(%error, "a spool file cannot be deleted"),
            }
            false
        });
        let stands = |session: &SessionId| files.iter().any(|file| file.sessions.contains_key(session));
        // One that goes on stands in a later file before it ends.
        let over = |session: &&SessionId| known.ended.contains(session) && !stands(session);
        gone.iter().filter(over).for_each(|session| self.outbox.unspooled(*session));
        known.ended.retain(stands);
        known.stored.retain(|session, _| stands(session));
    }
}

impl Work {
    fn follow(&mut self, path: PathBuf) {
        match SpoolReader::open(&path) {
            Ok(reader) => self.files.push(Followed { path, reader, sessions: BTreeMap::new() }),
            Err(error) => {
                tracing::error!(%error, "a spool file cannot be read; its sessions are sealed at the next start");
            }
        }
    }
}

/// The file that each worker writes to: the last of those that share the part of the name before the number.
fn newest(files: &[Followed]) -> BTreeSet<PathBuf> {
    let mut newest: BTreeMap<String, &PathBuf> = BTreeMap::new();
    for file in files {
        let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let worker = name.rsplit_once('-').map_or(name.clone(), |(worker, _)| worker.to_owned());
        let latest = newest.entry(worker).or_insert(&file.path);
        if file.path > **latest {
            *latest = &file.path;
        }
    }
    newest.into_values().cloned().collect()
}

/// Seals what dead workers left, closes their sessions as crashed, and deletes their files.
pub(crate) fn recover(
    spool: &std::path::Path,
    budget: &Budget,
    sealer: &mut Sealer,
    open_key: &mut OpenKey,
    outbox: &Outbox,
) -> io::Result<usize> {
    let mut store = |output: Output| {
        let stored = match &output {
            Output::Segment(sealed) => outbox.put(sealed).map(|_| ()),
            Output::Closed(closed) => outbox.put_close(closed),
        };
        stored.map_err(|fault| io::Error::other(fault.detail.into_owned()))
    };
    let progress = |session| outbox.progress(session);
    let taken = outbox.marked();
    let recovered = crate::spool::seal_left(spool, budget, sealer, &mut **open_key, &progress, &taken, &mut store)?;
    let ended = outbox.end_left().map_err(|fault| io::Error::other(fault.detail.into_owned()))?;
    let sessions = recovered.unfinished.len() + ended;
    for left in recovered.files {
        for problem in &left.problems {
            tracing::warn!(file = %left.path().display(), %problem, "a spool file of a crashed worker is not whole");
        }
        if !left.must_stay() {
            left.delete(budget)?;
        }
    }
    // A file that stays, since a record of it cannot be decrypted, may hold any of them.
    if std::fs::read_dir(spool)?.next().is_none() {
        taken.into_iter().chain(outbox.sessions()).for_each(|session| outbox.unspooled(session));
    }
    Ok(sessions)
}

#[cfg(test)]
mod tests;
