//! Recovery: sealing what dead workers left. The normal path of every start.
//!
//! A file whose lock is held belongs to a live worker and is left alone. The caller deletes a file only after everything
//! that was sealed from it is stored, by [`Left::delete`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use writ_core::id::SessionId;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::Kind;
use writ_record::segment::{Output, Progress, SealError, Sealer};
use writ_record::spool::SessionMeta;

use super::budget::Budget;
use super::file::EXTENSION;
use super::read::{Item, Keys, Problem, SpoolReader};

/// A file of a dead worker, locked against other recoveries.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
    bytes: u64,
    /// Holds the lock; `None` where the file could not even be begun to read.
    file: Option<File>,
    /// What of it could not be read.
    pub problems: Vec<Problem>,
}

impl Left {
    /// Which file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it holds records that could not be decrypted, so that it must be kept for an operator.
    #[must_use]
    pub fn must_stay(&self) -> bool {
        self.problems.iter().any(|problem| matches!(problem, Problem::NoKey { .. }))
    }

    /// Deletes the file and gives its bytes back. Only after all segments made from it are stored.
    ///
    /// # Errors
    /// If the system does not delete it.
    pub fn delete(self, budget: &Budget) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        budget.give_back(self.bytes);
        drop(self.file);
        Ok(())
    }
}

/// What a recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The files, in the order in which they were written.
    pub files: Vec<Left>,
    /// The sessions that have no end, each with the time of its last record.
    pub unfinished: BTreeMap<SessionId, Timestamp>,
}

/// Reads what dead workers left in `dir`, counts it in `budget`, and gives every record to `each`.
///
/// # Errors
/// If a file cannot be read, or `each` fails. Nothing was deleted: try again.
pub fn recover(
    dir: &Path,
    budget: &Budget,
    open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
    each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
) -> io::Result<Recovered> {
    let (mut recovered, mut keys, mut run) = (Recovered::default(), Keys::default(), None);
    for path in files(dir)? {
        let this = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
        let this = this.map(|(run, _)| run.to_owned());
        if run != this {
            (run, keys) = (this, Keys::default());
        }
        let file = File::open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let bytes = file.metadata()?.len();
        let (left, after) = read(path, file, bytes, keys, open_key, each, &mut recovered.unfinished)?;
        keys = after;
        recovered.files.push(left);
    }
    // Counted once all could be read, so that a recovery that is tried again counts nothing twice.
    recovered.files.iter().for_each(|left| budget.count(left.bytes));
    Ok(recovered)
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(
    path: PathBuf,
    file: File,
    bytes: u64,
    keys: Keys,
    open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
    each: &mut dyn FnMut(Item<'_>) -> io::Result<()>,
    unfinished: &mut BTreeMap<SessionId, Timestamp>,
) -> io::Result<(Left, Keys)> {
    if bytes < super::file::FILE_HEADER_BYTES as u64 {
        // The worker died while it began the file: it holds nothing.
        return Ok((Left { path, bytes, file: Some(file), problems: Vec::new() }, keys));
    }
    let mut reader = SpoolReader::of(file, keys)?;
    reader.read(true, open_key, &mut |item| {
        track(&item, unfinished);
        each(item)
    })?;
    let (file, keys, problems) = reader.into_parts();
    Ok((Left { path, bytes, file: Some(file), problems }, keys))
}

/// Notes which sessions go on.
fn track(item: &Item<'_>, unfinished: &mut BTreeMap<SessionId, Timestamp>) {
    match item {
        Item::Open { meta, .. } => {
            unfinished.entry(meta.session).or_insert(meta.opened);
        }
        Item::Record { session, kind: Kind::Close, .. } => {
            unfinished.remove(session);
        }
        Item::Record { session, payload, .. } => {
            let micros = payload.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes);
            let at = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
            if let (Some(at), Some(last)) = (at, unfinished.get_mut(session)) {
                *last = at.max(*last);
            }
        }
    }
}

/// Recovers `dir` into `sealer`: every record is sealed from `progress` on, and every session without an end is closed
/// as crashed; those that are `taken` are left out, since the broker has them whole. What is sealed goes to `store` as it is made; it must be durable when `store` returns.
///
/// # Errors
/// If a file cannot be read, a record cannot be sealed, or `store` fails. Nothing was deleted: try again.
pub fn seal_left(
    dir: &Path,
    budget: &Budget,
    sealer: &mut Sealer,
    open_key: &mut dyn FnMut(&SessionMeta) -> Option<DataKey>,
    progress: &dyn Fn(SessionId) -> Progress,
    taken: &BTreeSet<SessionId>,
    store: &mut dyn FnMut(Output) -> io::Result<()>,
) -> io::Result<Recovered> {
    let mut out = Vec::new();
    let mut recovered = recover(dir, budget, open_key, &mut |item| {
        match item {
            Item::Open { meta, .. } if taken.contains(&meta.session) => {}
            Item::Record { session, .. } if taken.contains(&session) => {}
            Item::Open { meta, key, order } => {
                let session = meta.session;
                sealer.open(meta, key, progress(session));
                sealer.push(session, order, Kind::Open, &[], &mut out).map_err(failed)?;
            }
            Item::Record { session, order, kind, payload } => {
                sealer.push(session, order, kind, payload, &mut out).map_err(failed)?;
            }
        }
        out.drain(..).try_for_each(&mut *store)
    })?;
    recovered.unfinished.retain(|session, _| !taken.contains(session));
    for (session, at) in &recovered.unfinished {
        sealer.crashed(*session, *at, &mut out).map_err(failed)?;
        out.drain(..).try_for_each(&mut *store)?;
    }
    Ok(recovered)
}

fn failed(error: SealError) -> io::Error {
    io::Error::other(error)
}
