//! Key files: made once with mode 0600, refused where others may read them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyFault;

/// The longest key file that is read.
const MAX_BYTES: u64 = 16 * 1024;

/// Makes the directory with mode 0700 if it is not there.
///
/// # Errors
/// If it cannot be made.
pub fn create_private_directory(path: &Path) -> Result<(), KeyFault> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|source| io(path, "written", source))
}

/// Reads a key file; `None` if there is none.
///
/// # Errors
/// If it cannot be read, or others may read it.
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io(path, "read", source)),
    };
    let mode = file.metadata().map_err(|source| io(path, "read", source))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFault::Mode { path: path.display().to_string(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|source| io(path, "read", source))?;
    Ok(Some(bytes))
}

/// Where a key stands until the ledger knows it.
fn new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(NEW);
    name.into()
}

/// What the name of such a file ends with.
pub(super) const NEW: &str = ".new";

/// The key of a file, made where there is none; and the file as well, while the ledger does not know the key.
///
/// # Errors
/// If it cannot be read or made, or others may read it.
pub fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, KeyFault>,
) -> Result<(Zeroizing<Vec<u8>>, Option<PathBuf>), KeyFault> {
    if let Some(bytes) = read(path)? {
        return Ok((bytes, None));
    }
    let bytes = match read(&new(path))? {
        Some(bytes) => bytes,
        None => {
            let bytes = make()?;
            create_new(path, &bytes)?;
            bytes
        }
    };
    Ok((bytes, Some(path.to_owned())))
}

/// Makes the file of a key that the ledger does not know yet.
pub(super) fn create_new(path: &Path, bytes: &[u8]) -> Result<(), KeyFault> {
    create(&new(path), bytes)
}

/// Removes a key's file, whether or not the ledger was known to have it.
pub(super) fn remove(path: &Path) -> Result<(), KeyFault> {
    let removed = match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => std::fs::remove_file(new(path)),
        removed => removed,
    };
    removed.map_err(|source| io(path, "removed", source))
}

/// Names a file that was made as one whose key the ledger knows.
pub(super) fn introduced(path: &Path) -> Result<(), KeyFault> {
    let renamed = std::fs::rename(new(path), path).and_then(|()| sync_directory_of(path));
    renamed.map_err(|source| io(path, "written", source))
}

/// Makes a key file, durable when this returns. Fails if there is one already.
///
/// # Errors
/// If it exists or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyFault> {
    write_new(path, bytes).map_err(|source| io(path, "written", source))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Written under another name first: a crash in between must not leave half a key.
    let partial = path.with_extension("partial");
    let _ = std::fs::remove_file(&partial);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::hard_link(&partial, path)?;
    std::fs::remove_file(&partial)?;
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// The fault for a file that holds something else.
#[must_use]
pub fn malformed(path: &Path, what: &'static str) -> KeyFault {
    KeyFault::Malformed { path: path.display().to_string(), what }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn io(path: &Path, verb: &'static str, source: std::io::Error) -> KeyFault {
    KeyFault::Io { path: path.display().to_string(), verb, source }
}
