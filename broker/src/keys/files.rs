//! Key files: made once with mode 0600, refused where others may read them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

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
