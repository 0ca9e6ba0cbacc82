//! Sealing, off the hot path: one thread follows every worker's spool, makes segments, and puts them into the outbox.
//!
//! A spool file is deleted once every session that stands in it has ended and its end is in the outbox: until then a crash would
//! need it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use writ_core::fault::Fault;
use writ_core::id::SessionId;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::Kind;
use writ_record::segment::{Checkpoint, Output, Sealer};
use writ_record::spool::SessionMeta;

use crate::outbox::Outbox;
use crate::spool::{Budget, Item, SpoolReader};

/// How often spools are read, beside being woken.
const TICK: Duration = Duration::from_millis(100);

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
    sessions: BTreeSet<SessionId>,
}

impl Sealing {
    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut files: Vec<Followed> = Vec::new();
        let mut ended: BTreeMap<SessionId, ()> = BTreeMap::new();
        let mut last = Instant::now();
        loop {
            let stop = match self.notices.recv_timeout(TICK.saturating_sub(last.elapsed())) {
                Ok(Notice::File(path)) => {
                    match SpoolReader::open(&path) {
                        Ok(reader) => files.push(Followed { path, reader, sessions: BTreeSet::new() }),
                        Err(error) => {
                            tracing::error!(%error, "a spool file cannot be read; its sessions are sealed at the next start")
                        }
                    }
                    continue;
                }
                Ok(Notice::Closed) | Err(RecvTimeoutError::Timeout) => false,
                Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            };
            if let Err(error) = self.turn(&mut files, &mut ended, stop) {
                tracing::error!(%error, "recordings cannot be sealed; they stay in the spool");
            }
            if stop {
                return;
            }
            last = Instant::now();
        }
    }

    fn turn(&mut self, files: &mut Vec<Followed>, ended: &mut BTreeMap<SessionId, ()>, stop: bool) -> io::Result<()> {
        self.sealer.saw(*self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut out = Vec::new();
        for file in files.iter_mut() {
            let (sealer, outbox, sessions) = (&mut self.sealer, &self.outbox, &mut file.sessions);
            file.reader.read(false, &mut *self.open_key, &mut |item| take(sealer, outbox, sessions, item, &mut out))?;
            store(&self.outbox, &self.ready, ended, &mut out)?;
        }
        self.sealer.tick(Timestamp::now(), &mut out).map_err(io::Error::other)?;
        if stop {
            self.sealer.drain(&mut out).map_err(io::Error::other)?;
        }
        store(&self.outbox, &self.ready, ended, &mut out)?;
        self.forget(files, ended);
        Ok(())
    }

    /// Deletes files whose sessions have all ended; each worker's newest is still written to.
    fn forget(&self, files: &mut Vec<Followed>, ended: &mut BTreeMap<SessionId, ()>) {
        let newest = newest(files);
        files.retain(|file| {
            let needed =
                newest.contains(&file.path) || file.sessions.iter().any(|session| !ended.contains_key(session));
            if !needed {
                let bytes = std::fs::metadata(&file.path).map_or(0, |facts| facts.len());
                match std::fs::remove_file(&file.path) {
                    Ok(()) => self.budget.give_back(bytes),
                    Err(error) => tracing::error!(%error, "a spool file cannot be deleted"),
                }
            }
            needed
        });
        ended.retain(|session, ()| files.iter().any(|file| file.sessions.contains(session)));
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

fn take(
    sealer: &mut Sealer,
    outbox: &Outbox,
    sessions: &mut BTreeSet<SessionId>,
    item: Item<'_>,
    out: &mut Vec<Output>,
) -> io::Result<()> {
    match item {
        Item::Open { meta, key, order } => {
            let session = meta.session;
            sessions.insert(session);
            let progress = outbox.progress(session);
            sealer.open(meta, key, progress);
            sealer.push(session, order, Kind::Open, &[], out).map_err(io::Error::other)
        }
        Item::Record { session, order, kind, payload } => {
            sealer.push(session, order, kind, payload, out).map_err(io::Error::other)
        }
    }
}

fn store(
    outbox: &Outbox,
    ready: &UnboundedSender<SessionId>,
    ended: &mut BTreeMap<SessionId, ()>,
    out: &mut Vec<Output>,
) -> io::Result<()> {
    for output in out.drain(..) {
        let session = match &output {
            Output::Segment(sealed) => outbox.put(sealed).map(|waiting| waiting.session),
            Output::Closed(closed) => outbox.put_close(closed).map(|()| closed.session),
        };
        let session = session.map_err(|fault: Fault| io::Error::other(fault.detail.into_owned()))?;
        if matches!(output, Output::Closed(_)) {
            ended.insert(session, ());
        }
        let _ = ready.send(session);
    }
    Ok(())
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
    let recovered = crate::spool::seal_left(spool, budget, sealer, &mut **open_key, &progress, &mut store)?;
    let sessions = recovered.unfinished.len();
    for left in recovered.files {
        for problem in &left.problems {
            tracing::warn!(file = %left.path().display(), %problem, "a spool file of a crashed worker is not whole");
        }
        if !left.must_stay() {
            left.delete(budget)?;
        }
    }
    Ok(sessions)
}
