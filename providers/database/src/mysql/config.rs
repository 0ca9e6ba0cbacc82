//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use writ_provider_source::{ConfigFault, Source};

use super::sql;

/// The provider's settings. Host, port and authorities are the target's own unless named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MysqlConfig {
    /// The broker's own login at the server: CREATE USER, and each role that it grants WITH ADMIN OPTION.
    pub user: String,
    /// The file that holds the login's password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the login's password: its name, not its value.
    pub password_env: Option<String>,
    /// Where the broker reaches the server, if not where the gateway does.
    pub host: Option<String>,
    /// Its port there.
    pub port: Option<u16>,
    /// From where writs' users may log in: the host part of their names, `%` for anywhere. Where the gateway's address is
    /// known, write it: an address, one with `%` or a netmask, or a name.
    #[serde(default = "defaults::client_host")]
    pub client_host: String,
    /// Roles that every writ's user is granted, besides the one that policy grants (`@role`).
    #[serde(default)]
    pub default_roles: Vec<String>,
    /// Connections to the server at most, 1 to 64; a call that is given up opens one more, briefly, to stop it. A call waits
    /// for a free one within its own deadline.
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
    pub(super) fn client_host() -> String {
        "%".to_owned()
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

impl MysqlConfig {
    /// Checks everything that can be checked without the server.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.source()?;
        name("user", &self.user)?;
        if self.host.as_deref() == Some("") {
            return Err(ConfigFault::new("`host` is empty: leave it out to use the target's own"));
        }
        let spelt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'%' | b'_' | b'-' | b'/');
        if self.client_host.is_empty() || self.client_host.len() > 255 || !self.client_host.bytes().all(spelt) {
            let text = "`client_host` is no host part of an account: write `%`, an address such as `10.0.8.7`, `10.0.8.%` or \
                        `10.0.8.0/255.255.255.0`, or a host's name";
            return Err(ConfigFault::new(text));
        }
        for role in &self.default_roles {
            name("default_roles", role)?;
            if *role == self.user {
                let text =
                    format!("`default_roles` names `{role}`, the broker's own login: name roles for sessions only");
                return Err(ConfigFault::new(text));
            }
        }
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
    if !sql::can_name(value) {
        let text = format!("`{setting}`: a name has 1 to 32 characters, none of them zero, and no space at its end");
        return Err(ConfigFault::new(text));
    }
    if value.starts_with("writ-") {
        let text = format!("`{setting}` names `{value}`: names that begin with `writ-` belong to writs, name another");
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
