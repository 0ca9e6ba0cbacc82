//! Files that only their owner can read, and how a file is written: whole or not at all.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::{NamedTempFile, PersistError};
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
    write(path, bytes, 0o600, NamedTempFile::persist).doing(format!("`{}` cannot be written", path.display()))
}

/// The same with mode 0644, for what everybody may read.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write(path, bytes, 0o644, NamedTempFile::persist).doing(format!("`{}` cannot be written", path.display()))
}

/// Writes a file with mode 0600 that is not there yet: what somebody else wrote is not replaced, and no link is followed.
///
/// # Errors
/// If it is there or cannot be written.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match write(path, bytes, 0o600, NamedTempFile::persist_noclobber) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Failure::new(format!("`{}` is there already", path.display()))
                .help("name a file that is not, or remove it"))
        }
        written => written.doing(format!("`{}` cannot be written", path.display())),
    }
}

/// Writes a new file beside `path`, by a name that nobody can know beforehand, and gives it that name.
fn write<'a>(
    path: &'a Path,
    bytes: &[u8],
    mode: u32,
    persist: fn(NamedTempFile, &'a Path) -> Result<File, PersistError>,
) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(parent)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    persist(file, path)?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_was_there_is_replaced_and_nothing_stays_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.conf");
        std::fs::write(&file, "before").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        for (write, expected) in [(replace as fn(&Path, &[u8]) -> _, 0o600), (publish, 0o644)] {
            write(&file, b"after").unwrap();
            assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("after", expected));
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    /// Whoever may write to the directory can put links there, and knows the names of others' files.
    #[test]
    fn no_link_beside_it_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        symlink(&victim, directory.path().join("a.partial")).unwrap();
        symlink(&victim, directory.path().join("a.conf")).unwrap();
        for (name, write) in [("a.conf", replace as fn(&Path, &[u8]) -> _), ("a.pem", publish), ("a.new", create)] {
            write(&directory.path().join(name), name.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
        for name in ["a.conf", "a.pem", "a.new"] {
            let file = directory.path().join(name);
            assert!(file.symlink_metadata().unwrap().is_file());
            assert_eq!(std::fs::read_to_string(file).unwrap(), name);
        }
    }

    #[test]
    fn what_is_there_is_not_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("mine"), directory.path().join("link"));
        std::fs::write(&file, "mine").unwrap();
        symlink(directory.path().join("nowhere"), &link).unwrap();
        for there in [&file, &link] {
            let said = create(there, b"other").unwrap_err().to_string();
            assert!(said.contains(&format!("`{}` is there already", there.display())), "{said}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        let new = directory.path().join("new");
        create(&new, b"new").unwrap();
        assert_eq!((std::fs::read_to_string(&new).unwrap().as_str(), mode(&new)), ("new", 0o600));
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("none/a.conf");
        for write in [replace as fn(&Path, &[u8]) -> _, publish, create] {
            let said = write(&file, b"").unwrap_err().to_string();
            assert!(said.contains(&format!("`{}` cannot be written", file.display())), "{said}");
        }
    }
}
