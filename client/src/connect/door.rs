//! The socket that a client program finds, and who may come in by it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Passage, Shared, tunnel};
use crate::fault::Fault;

/// The port in the socket's name: clients find it by directory and port.
pub const PORT: u16 = 5432;
/// How many more than sessions may be connected: requests to cancel, and clients that are told that there are too many.
const MORE: usize = 16;
/// The longest path of a socket, in bytes (`sun_path`, less its end).
const LONGEST_PATH: usize = 107;
/// How long to wait where no connection can be taken, as when there are no descriptors left.
const AGAIN: Duration = Duration::from_millis(100);
/// How long connections may take to end once the command has.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
        let unmade = |error: std::io::Error| Fault::new(format!("no socket can be made: {error}"));
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
        let passage: Shared = Arc::new(passage);
        let sessions = Arc::new(Semaphore::new(passage.most));
        let places = Arc::new(Semaphore::new(passage.most.saturating_add(MORE)));
        let mut open = JoinSet::new();
        tokio::pin!(end);
        loop {
            let arrival = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                match self.listener.accept().await {
                    Ok((client, _)) => Some((client, place)),
                    Err(_) => {
                        tokio::time::sleep(AGAIN).await;
                        None
                    }
                }
            };
            let arrived = tokio::select! {
                ended = &mut end => {
                    let rest = async { while open.join_next().await.is_some() {} };
                    drop(tokio::time::timeout(LAST_WORDS, rest).await);
                    return ended;
                }
                arrived = arrival => arrived,
            };
            while open.try_join_next().is_some() {}
            let Some((client, place)) = arrived.filter(|(client, _)| is_this_user(client)) else { continue };
            let (passage, sessions) = (Arc::clone(&passage), Arc::clone(&sessions));
            open.spawn(async move {
                tunnel::serve(client, &passage, &sessions).await;
                drop(place);
            });
        }
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

/// The directory keeps others out already; root, who passes it, is another user too.
fn is_this_user(client: &UnixStream) -> bool {
    client.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}
