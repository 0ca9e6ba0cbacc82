//! Secrets that are replaced where they are kept, and users whose passwords are set: the two sides of a rotation.

use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::{Builder, NamedTempFile};
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;

use crate::{ConfigFault, Fetched, SecretSource, Source};

/// Where a secret is kept that is replaced.
pub trait SecretKeeper: SecretSource {
    /// Replaces `before`, which was fetched from here, by `value`, in one act and within `limit`: whoever fetches it has the one
    /// or the other whole. Gives back the new one's label, as [`Fetched::label`].
    ///
    /// # Errors
    /// [`ProviderFault::Refused`] if somebody else replaced it since and the place can tell; [`ProviderFault`] if it cannot be
    /// written. Of [`ProviderFault::Unreachable`] nobody knows whether it was. In words without either secret.
    fn replace<'a>(
        &'a self,
        target: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>>;
}

/// Sets passwords of a target's users, with a login of the broker's own.
pub trait PasswordSetter: Send + Sync + fmt::Debug {
    /// The login's name: it is none of the users whose passwords are set.
    fn login(&self) -> &str;

    /// Gives `user`, who must be there and be no administrator, a fresh password of random bits. The target is shown what it
    /// stores instead of the password, and not the password.
    ///
    /// # Errors
    /// [`ProviderFault`] if it is not set, or, where the target could not be reached, perhaps is.
    fn set<'a>(&'a self, user: &'a str, limit: Duration) -> Pending<'a, Result<Secret, ProviderFault>>;

    /// Logs in as `user` with `password`, asks who that is, and logs out.
    ///
    /// # Errors
    /// [`ProviderFault`] if the target does not let it in, or takes it for another.
    fn verify<'a>(
        &'a self,
        user: &'a str,
        password: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>>;
}

impl SecretKeeper for Source {
    fn replace<'a>(
        &'a self,
        _: &'a TargetName,
        before: &'a Fetched,
        value: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<String, ProviderFault>> {
        Box::pin(async move {
            let path = self.writable().map_err(|fault| ProviderFault::Misconfigured(fault.to_string()))?.to_owned();
            let (before, value) = (copy(&before.value), copy(value));
            let source = self.clone();
            let given_up = Arc::new(AtomicBool::new(false));
            let wanted = Wanted { until: Instant::now() + limit, given_up: Arc::clone(&given_up) };
            let _caller = Caller(given_up);
            let writing = tokio::task::spawn_blocking(move || replace(&source, &path, &before, &value, &wanted));
            match tokio::time::timeout(limit, writing).await {
                Ok(Ok(Ok(()))) => Ok(self.label()),
                Ok(Ok(Err(fault))) => Err(fault),
                Ok(Err(_)) => Err(ProviderFault::Unreachable(format!("writing {self} was given up"))),
                Err(_) => {
                    let text = format!("writing {self}: no answer within {} ms", limit.as_millis());
                    Err(ProviderFault::Unreachable(text))
                }
            }
        })
    }
}

impl Source {
    /// The file.
    pub(crate) fn writable(&self) -> Result<&Path, ConfigFault> {
        match self {
            Self::File(path) => Ok(path),
            Self::Variable(name) => Err(ConfigFault::new(format!(
                "the environment variable `{name}` cannot be written, and a rotated secret must be: keep it in a file or in one \
                 of the services"
            ))),
        }
    }
}

/// For a thread that may outlive its caller's wait.
fn copy(secret: &Secret) -> Secret {
    Secret::new(secret.expose().to_vec())
}

/// Until when a write is somebody's: until its deadline, or until nobody waits for it any more.
struct Wanted {
    until: Instant,
    given_up: Arc<AtomicBool>,
}

impl Wanted {
    fn is_over(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) || Instant::now() >= self.until
    }
}

/// Tells the thread that writes when its caller is gone.
struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Writes a file beside it, and gives that its name. A link is not followed: what it leads to is somebody else's to write.
fn replace(
    source: &Source,
    path: &Path,
    before: &Secret,
    value: &Secret,
    wanted: &Wanted,
) -> Result<(), ProviderFault> {
    unchanged(source, path, before)?;
    let partial = partial(path, value).map_err(|error| unwritten(source, &error))?;
    put(source, path, before, partial, wanted)
}

/// Gives the new file the secret's name: if that has still what was read, and somebody waits for it.
fn put(
    source: &Source,
    path: &Path,
    before: &Secret,
    partial: NamedTempFile,
    wanted: &Wanted,
) -> Result<(), ProviderFault> {
    unchanged(source, path, before)?;
    if wanted.is_over() {
        let text = format!("writing {source} took too long: it is left as it is");
        return Err(ProviderFault::Unreachable(text));
    }
    partial.persist(path).map_err(|fault| unwritten(source, &fault.error))?;
    // The name is durable with its directory. From here on the new secret may be read: what fails is not known to have failed.
    let lost =
        |error: io::Error| ProviderFault::Unreachable(format!("{source} is written, perhaps not for good: {error}"));
    File::open(directory(path)).and_then(|directory| directory.sync_all()).map_err(lost)
}

fn unwritten(source: &Source, error: &io::Error) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "cannot write {source}: {error}: let the broker's user write its directory, since a new file takes its place"
    ))
}

/// Whether the file is one, and has what was read.
fn unchanged(source: &Source, path: &Path, before: &Secret) -> Result<(), ProviderFault> {
    if !path.symlink_metadata().map_err(|error| unwritten(source, &error))?.is_file() {
        let text = format!("{source} is a link, or no regular file, and is not written: name the file itself");
        return Err(ProviderFault::Misconfigured(text));
    }
    let found = source.read().map_err(|fault| ProviderFault::Misconfigured(fault.to_string()))?;
    if found != *before {
        let text = format!("{source} was changed by somebody else meanwhile: it is left as it is");
        return Err(ProviderFault::Refused(text));
    }
    Ok(())
}

/// A new file beside it, so that it can take its name in one act: under a name that no other write has, readable by its owner alone,
/// and on the disk. What a crash left of others goes. Dropped, it goes too.
fn partial(path: &Path, value: &Secret) -> io::Result<NamedTempFile> {
    let directory = directory(path);
    let mut prefix = path.file_name().unwrap_or_default().to_owned();
    prefix.push(".writ-partial");
    for entry in std::fs::read_dir(&directory)? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()) {
            match std::fs::remove_file(directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    prefix.push("-");
    let owner = Permissions::from_mode(0o600);
    let mut partial = Builder::new().prefix(&prefix).rand_bytes(16).permissions(owner).tempfile_in(directory)?;
    partial.write_all(value.expose())?;
    partial.as_file().sync_all()?;
    Ok(partial)
}

fn directory(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests;
