//! Where the programs are that the tests run against: Debian's packages and the cache that the scripts fill.

use std::path::{Path, PathBuf};

/// The cache that `tests/world/scripts/fetch-postgres` fills: `WRIT_TEST_CACHE`; for root `/var/cache/writ-test`, since
/// servers do not run as root and no other user can read root's home; else `~/.cache/writ-test`.
#[must_use]
pub fn cache() -> PathBuf {
    if let Some(named) = std::env::var_os("WRIT_TEST_CACHE").filter(|value| !value.is_empty()) {
        return PathBuf::from(named);
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/writ-test");
    }
    std::env::home_dir().unwrap_or_default().join(".cache/writ-test")
}

/// `path`, if it is there.
///
/// # Errors
/// What is missing, and `remedy`: the command that brings it.
pub fn need(path: &Path, remedy: &str) -> Result<PathBuf, String> {
    if path.exists() {
        Ok(path.to_path_buf())
    } else {
        Err(format!("this test needs `{}`: run {remedy}", path.display()))
    }
}
