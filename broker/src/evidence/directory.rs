//! The ledger's files: plain files below one directory, each written whole or not at all.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};

use writ_ledger::TileSource;

/// The longest file of a log: a full tile of the longest entries.
const MAX_BYTES: u64 = 256 * (65_535 + 2);

/// A log's directory.
#[derive(Debug)]
pub struct LedgerDirectory {
    root: PathBuf,
}

impl LedgerDirectory {
    /// The log in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(root: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(root)?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Writes files, durable when this returns.
    pub(super) fn write_all(&self, files: &[(String, Vec<u8>)]) -> std::io::Result<()> {
        let mut folders = BTreeSet::new();
        for (path, bytes) in files {
            let target = self.root.join(path);
            if let Some(folder) = target.parent() {
                std::fs::create_dir_all(folder)?;
                folders.insert(folder.to_owned());
            }
            write_whole(&target, bytes)?;
        }
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }
}

fn write_whole(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&partial, target)
}

impl TileSource for LedgerDirectory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        let plain = Path::new(path).components().all(|component| matches!(component, Component::Normal(_)));
        if !plain {
            return Ok(None);
        }
        let file = match File::open(self.root.join(path)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}
