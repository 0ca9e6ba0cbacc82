//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;

use serde::Deserialize;
use writ_provider_source::Source;

pub use writ_provider_source::ConfigFault;

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
        Source::chosen(self.password_file.as_deref(), self.password_env.as_deref())
    }
}
