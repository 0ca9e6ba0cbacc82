//! Files that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::{Doing as _, Failure};

/// The longest token file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Makes a directory with mode 0700, and those above it.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).doing(format!("`{}` cannot be made", path.display()))
}

/// Writes a file with mode 0600 in one step: what was there is replaced whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().doing(format!("`{}` cannot be written", path.display()))
}

/// Reads a text that others must not be able to read; the white space at its end is dropped.
///
/// # Errors
/// If it cannot be read, others may read it, or it is not text.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = File::open(path).doing(format!("`{}` cannot be read", path.display()))?;
    let mode = file.metadata().doing(format!("`{}` cannot be read", path.display()))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Failure::new(format!("`{}` can be read by others (mode {mode:o})", path.display()))
            .help(format!("chmod 600 {}", path.display())));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text).doing(format!("`{}` cannot be read", path.display()))?;
    let kept = text.trim_end().len();
    text.truncate(kept);
    Ok(text)
}
