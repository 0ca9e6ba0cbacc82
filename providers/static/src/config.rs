//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;

use serde::Deserialize;

use crate::source::Source;

/// A mistake in the configuration, in words for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigFault(String);

impl ConfigFault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig {
    /// The user that the target knows.
    pub user: String,
    /// The file that holds its password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds its password: its name, not its value.
    pub password_env: Option<String>,
}

impl StaticConfig {
    /// Checks the settings without reading the password.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        if self.user.is_empty() || self.user.contains('\0') {
            return Err(ConfigFault::new("`user` is empty or holds a zero byte: write the user that the target knows"));
        }
        self.source().map(drop)
    }

    pub(crate) fn source(&self) -> Result<Source, ConfigFault> {
        match (&self.password_file, &self.password_env) {
            (Some(path), None) => Ok(Source::File(path.clone())),
            (None, Some(name)) if !name.is_empty() && !name.contains(['=', '\0']) => Ok(Source::Variable(name.clone())),
            (None, Some(_)) => {
                Err(ConfigFault::new("`password_env` is not a name: write an environment variable's name"))
            }
            (None, None) => Err(ConfigFault::new("no password: write `password_file` or `password_env`")),
            (Some(_), Some(_)) => Err(ConfigFault::new(
                "both `password_file` and `password_env`: write one of the two and leave out the other",
            )),
        }
    }
}
