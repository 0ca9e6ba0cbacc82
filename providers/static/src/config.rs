//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use writ_provider_source::{SecretSource as _, Source};

pub use writ_provider_source::ConfigFault;

/// The provider's settings. Exactly one of `password_file`, `password_env` and `source` says where the password is.
///
/// `S` is where secrets can be fetched from, `R` how passwords are changed: whoever composes the broker has the code for that, and
/// its settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticConfig<S = NoSource, R = NoRotation> {
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
    /// The password is changed by the broker, in turns of two users. `user_field` and `field` are `username` and `password` then,
    /// where neither is written.
    pub rotation: Option<R>,
}

/// Where nothing changes passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRotation {}

impl<'de> Deserialize<'de> for NoRotation {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("nothing changes passwords here: leave `rotation` out"))
    }
}

/// Where nothing is fetched from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSource {}

impl<'de> Deserialize<'de> for NoSource {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("nothing is fetched from elsewhere here: write `password_file` or `password_env`"))
    }
}

impl<S, R> StaticConfig<S, R> {
    /// Checks the settings without reading the password.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        if self.rotation.is_some() {
            self.validate_rotated()?;
        }
        match self.whom() {
            (Some(user), None) if user.is_empty() || user.contains('\0') => {
                let text = "`user` is empty or holds a zero byte: write the user that the target knows";
                return Err(ConfigFault::new(text));
            }
            (Some(_), None) => {}
            (None, Some(_)) if self.field().is_none() => {
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
        for (setting, field) in [("field", self.field()), ("user_field", self.whom().1)] {
            if field.is_some_and(|field| field.is_empty() || field.chars().any(char::is_control)) {
                return Err(ConfigFault::new(format!("`{setting}` is empty or not plain text: write a field's name")));
            }
        }
        self.here().map(drop)
    }

    /// What a secret must be that names its user anew with each turn.
    fn validate_rotated(&self) -> Result<(), ConfigFault> {
        if self.user.is_some() {
            let text = "both `user` and `rotation`: the secret names whose turn it was, leave `user` out";
            return Err(ConfigFault::new(text));
        }
        if let Some(name) = &self.password_env {
            return Source::Variable(name.clone()).keeper().map(drop);
        }
        if self.field().is_some() && self.field() == self.whom().1 {
            return Err(ConfigFault::new("`field` and `user_field` are the same: write two fields of the secret"));
        }
        Ok(())
    }

    /// The user, and the field of the secret that has it.
    pub(crate) fn whom(&self) -> (Option<&str>, Option<&str>) {
        (self.user.as_deref(), self.named_or(self.user_field.as_deref(), "username"))
    }

    /// The field of the secret that has the password.
    pub(crate) fn field(&self) -> Option<&str> {
        self.named_or(self.field.as_deref(), "password")
    }

    fn named_or<'a>(&self, field: Option<&'a str>, usual: &'a str) -> Option<&'a str> {
        let unnamed = self.rotation.is_some() && self.field.is_none() && self.user_field.is_none();
        if unnamed { Some(usual) } else { field }
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
