//! One file of a spool: its name, its lock, its first bytes.
//!
//! The name is `WORKER-RUN-NUMBER.spool`; the run is random, so that a file is never appended to by a later process. The
//! writer holds a lock on it, by which a recovery knows the living from the dead.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use writ_record::spool::FILE_MAGIC;

/// The extension of a spool's files.
pub(super) const EXTENSION: &str = "spool";
/// What stands before the first record: the magic, the worker, the file's number.
pub(super) const FILE_HEADER_BYTES: usize = 16;

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) worker: u32,
    pub(super) run: u64,
    pub(super) number: u32,
}

impl FileName {
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{:04}-{:016x}-{:08}.{EXTENSION}", self.worker, self.run, self.number))
    }
}

/// Makes the file, locked, with its header written, its name durable.
pub(super) fn create(dir: &Path, name: FileName) -> io::Result<(File, PathBuf)> {
    let path = name.path(dir);
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
    let made = begin(&mut file, name).and_then(|()| File::open(dir)?.sync_all());
    match made {
        Ok(()) => Ok((file, path)),
        Err(error) => {
            // The file holds no record; where it cannot be deleted either, a recovery finds it empty.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

fn begin(file: &mut File, name: FileName) -> io::Result<()> {
    file.try_lock().map_err(io::Error::from)?;
    let mut header = Vec::with_capacity(FILE_HEADER_BYTES);
    header.extend_from_slice(&FILE_MAGIC);
    header.extend_from_slice(&name.worker.to_le_bytes());
    header.extend_from_slice(&name.number.to_le_bytes());
    file.write_all(&header)
}
