//! How passwords of the provider `static` are changed in turns: with the crate that sets them at each kind of server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use writ_broker::duration::Span;
use writ_core::target::{Address, Protocol};
use writ_provider_database::{MysqlPasswords, MysqlPasswordsConfig, PostgresPasswords, PostgresPasswordsConfig};
use writ_provider_source::{ConfigFault, PasswordSetter};
use writ_provider_static::RotationSettings;

/// The two users, how often, and the login that sets their passwords: exactly one of `postgres` and `mysql`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationTable {
    /// The two users, whose rights are the same.
    users: Vec<String>,
    /// How often.
    pub(super) every: Span,
    /// The login at a PostgreSQL.
    postgres: Option<PostgresPasswordsConfig>,
    /// The login at a MySQL or MariaDB.
    mysql: Option<MysqlPasswordsConfig>,
}

impl RotationTable {
    /// Checks the settings without the target.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub(crate) fn validate(&self) -> Result<(), ConfigFault> {
        let login = match (&self.postgres, &self.mysql) {
            (Some(login), None) => {
                login.validate(&self.users)?;
                &login.user
            }
            (None, Some(login)) => {
                login.validate(&self.users)?;
                &login.user
            }
            _ => return Err(one_login()),
        };
        RotationSettings::validate(&self.users, self.every.get(), login)
    }

    /// What the target must speak.
    pub(crate) const fn protocol(&self) -> Protocol {
        if self.mysql.is_some() { Protocol::Mysql } else { Protocol::Postgres }
    }

    /// What changes the passwords.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub(crate) fn open(&self, address: &Address) -> Result<RotationSettings, ConfigFault> {
        let setter: Arc<dyn PasswordSetter> = match (&self.postgres, &self.mysql) {
            (Some(login), None) => Arc::new(PostgresPasswords::new(login, address)?),
            (None, Some(login)) => Arc::new(MysqlPasswords::new(login, address)?),
            _ => return Err(one_login()),
        };
        Ok(RotationSettings { users: self.users.clone(), every: self.every.get(), setter })
    }

    /// The files that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let postgres = self.postgres.iter().filter_map(|login| login.password_file.as_ref());
        let mysql = self.mysql.iter().filter_map(|login| login.password_file.as_ref());
        postgres.chain(mysql).map(PathBuf::as_path)
    }
}

fn one_login() -> ConfigFault {
    ConfigFault::new(
        "`rotation` needs a login that sets passwords: write exactly one of the tables `postgres` and `mysql`",
    )
}
