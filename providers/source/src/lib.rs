//! Where a provider's own secret is read from: a file or an environment variable, never the configuration itself; and the seam
//! behind which one is fetched from elsewhere, [`SecretSource`], and replaced there, [`SecretKeeper`].

mod fetched;
mod kept;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use writ_core::credential::Secret;
use zeroize::Zeroizing;

pub use fetched::{Fetched, SecretSource};
pub use kept::{PasswordSetter, SecretKeeper};

/// A mistake in a provider's configuration, in words for whoever wrote it: what is wrong, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigFault(String);

impl ConfigFault {
    /// A mistake in these words.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// No secret is longer: a larger file is another.
const LIMIT: usize = 64 * 1024;

/// One of the two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that holds the secret and nothing else.
    File(PathBuf),
    /// An environment variable, by its name.
    Variable(String),
}

impl Source {
    /// The place that the settings `password_file` and `password_env` name.
    ///
    /// # Errors
    /// If they name none, or both, or no variable.
    pub fn chosen(file: Option<&Path>, variable: Option<&str>) -> Result<Self, ConfigFault> {
        Self::of("password", file, variable)
    }

    /// The place that the settings `SECRET_file` and `SECRET_env` name.
    ///
    /// # Errors
    /// If they name none, or both, or no variable.
    pub fn of(secret: &str, file: Option<&Path>, variable: Option<&str>) -> Result<Self, ConfigFault> {
        match (file, variable) {
            (Some(path), None) => Ok(Self::File(path.to_owned())),
            (None, Some(name)) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Ok(Self::Variable(name.to_owned()))
            }
            (None, Some(_)) => {
                let text = format!("`{secret}_env` is not a name: write an environment variable's name");
                Err(ConfigFault::new(text))
            }
            (None, None) => {
                let named = secret.replace('_', " ");
                Err(ConfigFault::new(format!("no {named}: write `{secret}_file` or `{secret}_env`")))
            }
            (Some(_), Some(_)) => Err(ConfigFault::new(format!(
                "both `{secret}_file` and `{secret}_env`: write one of the two and leave out the other"
            ))),
        }
    }

    /// Reads the secret; one trailing line end is not part of it.
    ///
    /// # Errors
    /// If there is nothing to be read, or more than a secret can be.
    pub fn read(&self) -> Result<Secret, ConfigFault> {
        let mut bytes = match self {
            Self::File(path) => read_file(path)?,
            Self::Variable(name) => read_variable(name)?,
        };
        for end in [b'\n', b'\r'] {
            if bytes.last() == Some(&end) {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            return Err(ConfigFault::new(format!("{self} is empty: write the secret there")));
        }
        Ok(Secret::new(std::mem::take(&mut *bytes)))
    }

    /// The place as a fingerprint names it.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Variable(name) => format!("env:{name}"),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Variable(name) => write!(f, "the environment variable `{name}`"),
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigFault> {
    let said = |error: std::io::Error| {
        ConfigFault::new(format!("cannot read `{}`: {error}: name a readable file", path.display()))
    };
    // A pipe or a device could keep the reader waiting for ever.
    if !path.metadata().map_err(said)?.is_file() {
        let text = format!("`{}` is not a regular file: name one", path.display());
        return Err(ConfigFault::new(text));
    }
    let file = File::open(path).map_err(said)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(said)?;
    if bytes.len() > LIMIT {
        let text = format!("`{}` is larger than {LIMIT} bytes: it holds the secret alone", path.display());
        return Err(ConfigFault::new(text));
    }
    Ok(bytes)
}

fn read_variable(name: &str) -> Result<Zeroizing<Vec<u8>>, ConfigFault> {
    use std::os::unix::ffi::OsStringExt;
    let value = std::env::var_os(name)
        .ok_or_else(|| ConfigFault::new(format!("the environment variable `{name}` is not set: name one that is")))?;
    let bytes = Zeroizing::new(value.into_vec());
    if bytes.len() > LIMIT {
        return Err(ConfigFault::new(format!("the environment variable `{name}` is larger than {LIMIT} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
