//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use writ_provider_source::Source;

use super::sql;

pub use writ_provider_source::ConfigFault;

/// The provider's settings. Host, port and TLS are the target's own unless named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The broker's own login at the server: CREATEROLE, and ADMIN OPTION on each role that it grants.
    pub user: String,
    /// The file that holds the login's password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the login's password: its name, not its value.
    pub password_env: Option<String>,
    /// The database to log in to.
    #[serde(default = "defaults::database")]
    pub database: String,
    /// Where the broker reaches the server, if not where the gateway does.
    pub host: Option<String>,
    /// Its port there.
    pub port: Option<u16>,
    /// Roles that every writ's role becomes a member of, besides the one that policy grants (`@role`). Where policy
    /// grants none, sessions act as the first of these.
    #[serde(default)]
    pub default_roles: Vec<String>,
    /// Iterations in the SCRAM verifier, 1 to 100000. The password is 256 random bits, which no search reaches, so
    /// stretching it gains nothing and costs both ends of each login.
    #[serde(default = "defaults::scram_iterations")]
    pub scram_iterations: u32,
    /// Connections to the server at most, 1 to 64; each may open one more while it gives objects away in another
    /// database. A call waits for a free one within its own deadline.
    #[serde(default = "defaults::pool_size")]
    pub pool_size: usize,
    /// Longest time for one call to the server, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// Leftovers that one sweep removes at most, 1 to 10000; the next sweep takes the rest.
    #[serde(default = "defaults::sweep_limit")]
    pub sweep_limit: u32,
}

mod defaults {
    pub(super) fn database() -> String {
        "postgres".to_owned()
    }

    pub(super) const fn scram_iterations() -> u32 {
        1
    }

    pub(super) const fn pool_size() -> usize {
        4
    }

    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }

    pub(super) const fn sweep_limit() -> u32 {
        1_000
    }
}

impl DatabaseConfig {
    /// Checks everything that can be checked without the server.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.source()?;
        name("user", &self.user)?;
        if !sql::can_name_a_role(&self.database) {
            return Err(ConfigFault::new("`database` is empty or longer than 63 bytes: write the database's name"));
        }
        if self.host.as_deref() == Some("") {
            return Err(ConfigFault::new("`host` is empty: leave it out to use the target's own"));
        }
        for role in &self.default_roles {
            name("default_roles", role)?;
            if *role == self.user {
                let text =
                    format!("`default_roles` names `{role}`, the broker's own login: name roles for sessions only");
                return Err(ConfigFault::new(text));
            }
        }
        within("scram_iterations", u64::from(self.scram_iterations), 1, 100_000)?;
        within("pool_size", self.pool_size as u64, 1, 64)?;
        within("call_timeout_ms", self.call_timeout_ms, 100, 60_000)?;
        within("sweep_limit", u64::from(self.sweep_limit), 1, 10_000)
    }

    pub(crate) fn source(&self) -> Result<Source, ConfigFault> {
        Source::chosen(self.password_file.as_deref(), self.password_env.as_deref())
    }

    /// How long a call to the server may take whose caller would wait so long.
    pub(crate) fn limit(&self, deadline: Duration) -> Duration {
        deadline.min(self.call_timeout())
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

fn name(setting: &str, value: &str) -> Result<(), ConfigFault> {
    if !sql::can_name_a_role(value) {
        return Err(ConfigFault::new(format!("`{setting}`: a role's name has 1 to 63 bytes, none of them zero")));
    }
    if value.starts_with("writ-") {
        let text =
            format!("`{setting}` names `{value}`: names that begin with `writ-` belong to writs, name another role");
        return Err(ConfigFault::new(text));
    }
    Ok(())
}

fn within(setting: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigFault> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigFault::new(format!("`{setting}` is {value}: write a number from {least} to {most}")))
    }
}
