//! Secrets that are replaced where they are kept, and users whose passwords are set: the two sides of a rotation.

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
            let writing = tokio::task::spawn_blocking(move || replace(&source, &path, &before, &value));
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

/// Writes a file beside it, and gives that its name. A link is not followed: what it leads to is somebody else's to write.
fn replace(source: &Source, path: &Path, before: &Secret, value: &Secret) -> Result<(), ProviderFault> {
    let said = |error: io::Error| {
        ProviderFault::Misconfigured(format!(
            "cannot write {source}: {error}: let the broker's user write its directory, since a new file takes its place"
        ))
    };
    if !path.symlink_metadata().map_err(said)?.is_file() {
        let text = format!("{source} is a link, or no regular file, and is not written: name the file itself");
        return Err(ProviderFault::Misconfigured(text));
    }
    let found = source.read().map_err(|fault| ProviderFault::Misconfigured(fault.to_string()))?;
    if found != *before {
        return Err(ProviderFault::Refused(format!(
            "{source} was changed by somebody else meanwhile: it is left as it is"
        )));
    }
    let (directory, partial) = (directory(path), partial(path));
    let made = make(&partial, value).and_then(|()| std::fs::rename(&partial, path));
    if let Err(error) = made {
        // It holds what nobody uses, and the next turn would take it away too.
        let _ = std::fs::remove_file(&partial);
        return Err(said(error));
    }
    // The name is durable with its directory. From here on the new secret may be read: what fails is not known to have failed.
    let lost =
        |error: io::Error| ProviderFault::Unreachable(format!("{source} is written, perhaps not for good: {error}"));
    File::open(&directory).and_then(|directory| directory.sync_all()).map_err(lost)
}

/// A new file, readable by its owner alone and on the disk. What a crash left under its name goes.
fn make(path: &Path, value: &Secret) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(value.expose())?;
    file.sync_all()
}

/// Where the new one is made: beside it, so that it can take its name in one act.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".writ-partial");
    name.into()
}

fn directory(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new(".")).to_owned()
}
