//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use writ_provider_source::Source;

pub use writ_provider_source::ConfigFault;

/// The provider's settings. Exactly one of `password_file`, `password_env` and `source` says where the password is.
///
/// `S` is where secrets can be fetched from: whoever composes the broker has the code for that, and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig<S = NoSource> {
    /// The user that the target knows. This or `user_field`.
    pub user: Option<String>,
    /// The file that holds its password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds its password: its name, not its value.
    pub password_env: Option<String>,
    /// Where the secret is that has the password, fetched for each writ.
    pub source: Option<S>,
    /// The secret is JSON, and the password this field of it.
    pub field: Option<String>,
    /// The secret is JSON, and the user this field of it.
    pub user_field: Option<String>,
}

/// Where nothing is fetched from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSource {}

impl<'de> Deserialize<'de> for NoSource {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("nothing is fetched from elsewhere here: write `password_file` or `password_env`"))
    }
}

impl<S> StaticConfig<S> {
    /// Checks the settings without reading the password.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        match (&self.user, &self.user_field) {
            (Some(user), None) if user.is_empty() || user.contains('\0') => {
                let text = "`user` is empty or holds a zero byte: write the user that the target knows";
                return Err(ConfigFault::new(text));
            }
            (Some(_), None) => {}
            (None, Some(_)) if self.field.is_none() => {
                return Err(ConfigFault::new("`user_field` is of a secret in JSON: write `field` too, its password"));
            }
            (None, Some(_)) => {}
            (None, None) => return Err(ConfigFault::new("no user: write `user`, or `user_field` of a secret in JSON")),
            (Some(_), Some(_)) => {
                return Err(ConfigFault::new(
                    "both `user` and `user_field`: write one of the two and leave out the other",
                ));
            }
        }
        for (setting, field) in [("field", &self.field), ("user_field", &self.user_field)] {
            if field.as_ref().is_some_and(|field| field.is_empty() || field.chars().any(char::is_control)) {
                return Err(ConfigFault::new(format!("`{setting}` is empty or not plain text: write a field's name")));
            }
        }
        self.here().map(drop)
    }

    /// The place on this machine, where the password is not fetched from elsewhere.
    pub(crate) fn here(&self) -> Result<Option<Source>, ConfigFault> {
        match (&self.source, &self.password_file, &self.password_env) {
            (Some(_), None, None) => Ok(None),
            (Some(_), ..) => Err(ConfigFault::new(
                "`source` and `password_file` or `password_env`: write one place and leave out the others",
            )),
            (None, file, variable) => Source::chosen(file.as_deref(), variable.as_deref()).map(Some),
        }
    }
}
