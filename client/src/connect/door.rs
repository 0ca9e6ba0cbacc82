//! The socket that a client program finds, and who may come in by it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use super::Passage;
use super::serve::{self, Client, Listener};
use crate::fault::Fault;

/// The port in the socket's name: clients find it by directory and port.
pub const PORT: u16 = 5432;
/// The longest path of a socket, in bytes (`sun_path`, less its end).
const LONGEST_PATH: usize = 107;

/// A socket in a directory of its own, which goes when this is dropped.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    directory: TempDir,
}

impl Door {
    /// Makes the directory, this user's alone, and listens in it. It is made in `XDG_RUNTIME_DIR` where that is this user's alone
    /// too, else where temporary files are.
    ///
    /// # Errors
    /// If the directory or the socket cannot be made.
    pub fn open() -> Result<Self, Fault> {
        let unmade = |error: io::Error| Fault::new(format!("no socket can be made: {error}"));
        let mut last = Fault::new("no socket can be made: every path is too long").help("set `TMPDIR` to a short path");
        for base in bases() {
            let made =
                tempfile::Builder::new().prefix("writ-").permissions(Permissions::from_mode(0o700)).tempdir_in(&base);
            let directory = match made {
                Ok(directory) => directory,
                Err(error) => {
                    last = unmade(error);
                    continue;
                }
            };
            let path = directory.path().join(format!(".s.PGSQL.{PORT}"));
            if path.as_os_str().len() > LONGEST_PATH {
                continue;
            }
            if !is_private(directory.path()) {
                return Err(Fault::new(format!("`{}` is not this user's alone", directory.path().display())));
            }
            let listener = UnixListener::bind(&path).map_err(unmade)?;
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(unmade)?;
            return Ok(Self { listener, directory });
        }
        Err(last)
    }

    /// The directory: what clients take for a host.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Takes connections until `end` comes, which it gives back. Connections that are open then have a moment to say their last
    /// words.
    pub async fn serve<T>(&self, passage: Passage, end: impl Future<Output = T>) -> T {
        serve::serve(&self.listener, passage, end).await
    }
}

impl Listener for UnixListener {
    type Client = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(client, _)| client)
    }
}

impl Client for UnixStream {
    type From = OwnedReadHalf;
    type To = OwnedWriteHalf;

    /// The directory keeps others out already; root, who passes it, is another user too.
    async fn is_this_user(&self) -> bool {
        self.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
    }

    fn ends(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.into_split()
    }
}

fn bases() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute() && is_private(path));
    runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]).collect()
}

fn is_private(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0
    })
}
