//! How passwords of the provider `static` are changed in turns: with the crate that sets them at each kind of server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use writ_broker::config::TargetConfig;
use writ_broker::duration::Span;
use writ_core::target::{Address, Protocol, TargetName};
use writ_provider_database::{MysqlPasswords, MysqlPasswordsConfig, PostgresPasswords, PostgresPasswordsConfig};
use writ_provider_source::{ConfigFault, PasswordSetter};
use writ_provider_static::RotationSettings;

use crate::compose::config::ProviderTable;
use crate::compose::sources::SourceTable;

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

    /// Where its users are, and the host part of their names.
    fn server(&self, target: &TargetConfig<ProviderTable>) -> (String, u16, &str) {
        let (host, port, part) = match (&self.postgres, &self.mysql) {
            (_, Some(login)) => (&login.host, login.port, login.client_host.as_str()),
            (Some(login), None) => (&login.host, login.port, ""),
            (None, None) => (&None, None, ""),
        };
        let host = host.as_ref().unwrap_or(&target.host).trim_end_matches('.').to_ascii_lowercase();
        (host, port.unwrap_or_else(|| target.port()), part)
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

/// A target whose password takes turns.
struct Rotated<'a> {
    target: &'a TargetConfig<ProviderTable>,
    turns: &'a RotationTable,
    place: Option<SourceTable>,
}

impl Rotated<'_> {
    /// What both would change.
    fn shares(&self, other: &Self) -> Option<String> {
        let both = |one: &SourceTable| other.place.as_ref().is_some_and(|place| one.is_where(place));
        if self.place.as_ref().is_some_and(both) {
            return Some("its secret".to_owned());
        }
        let user = self.turns.users.iter().find(|user| other.turns.users.contains(user))?;
        (self.turns.server(self.target) == other.turns.server(other.target)).then(|| format!("its user `{user}`"))
    }
}

/// The targets that would change what another one changes too, and what to write instead.
pub(super) fn taken(targets: &[TargetConfig<ProviderTable>]) -> Vec<(TargetName, String)> {
    let rotated = targets.iter().filter_map(|target| {
        let ProviderTable::Static(settings) = &target.provider else { return None };
        let place = settings.source.clone().or_else(|| settings.password_file.clone().map(SourceTable::File));
        settings.rotation.as_ref().map(|turns| Rotated { target, turns, place })
    });
    let rotated: Vec<Rotated<'_>> = rotated.collect();
    let found = rotated.iter().enumerate().filter_map(|(at, one)| {
        let (other, what) = rotated.iter().take(at).find_map(|other| Some((&other.target.name, one.shares(other)?)))?;
        let text = format!(
            "{what} takes turns for the target `{other}` too, and each would set the password that the other has in use: leave \
             `rotation` out in one of them, with the same secret, or write users and a secret of its own"
        );
        Some((one.target.name.clone(), text))
    });
    found.collect()
}
