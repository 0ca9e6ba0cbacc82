//! What an admin writes for this provider, checked when it is read: each mistake says what to write instead.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use writ_provider_source::ConfigFault;

/// Secrets of one target at most: a probe asks for each.
const PATH_LIMIT: usize = 64;

/// The provider's settings. Exactly one of `kv` and `dynamic` says what kind of secret a writ gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenbaoConfig {
    /// Where OpenBao or Vault answers: `https://host:port`.
    pub address: String,
    /// The certificate of the authority that vouches for it, in PEM; left out, the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The namespace that everything below is in; left out, the root.
    pub namespace: Option<String>,
    /// Where the JWT method that trusts Writ's own issuer is mounted.
    #[serde(default = "defaults::auth_mount")]
    pub auth_mount: String,
    /// The role of that method that the broker logs in as.
    pub role: String,
    /// The audience that the role lists in `bound_audiences`.
    pub audience: String,
    /// A value of a KV engine, version 2.
    pub kv: Option<KvConfig>,
    /// A secret that is made for the writ, with a lease.
    pub dynamic: Option<DynamicConfig>,
    /// The user that the target knows, where the secret does not say it.
    pub user: Option<String>,
    /// The field of the secret that is the user.
    pub user_field: Option<String>,
    /// The field of the secret that is the password.
    pub password_field: Option<String>,
    /// The fields that are given out together, as JSON, where a password alone is not enough.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Longest time for one call of the broker's, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// Leftovers that one sweep removes at most, 1 to 10000; the next sweep takes the rest.
    #[serde(default = "defaults::sweep_limit")]
    pub sweep_limit: u32,
}

/// A value of a KV engine, version 2.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvConfig {
    /// Where the engine is mounted.
    pub mount: String,
    /// The secret's path in it, which a writ gets where policy names none.
    pub path: String,
    /// The paths that policy may name (`@role`), besides that one.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The version; left out, the newest.
    pub version: Option<u32>,
}

/// A secret that is made for the writ, with a lease.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicConfig {
    /// What is asked for, with its mount: `database/creds/reader`; a writ gets it where policy names none.
    pub path: String,
    /// The paths that policy may name (`@role`), besides that one.
    #[serde(default)]
    pub paths: Vec<String>,
    /// What is asked with, for engines that want it. Where it is given, even empty, the request is a POST, else a GET.
    pub parameters: Option<Map<String, Value>>,
    /// Whether the engine ends what it gave once the lease is revoked. Where that is not said, a lease that cannot be renewed and
    /// would outlast the writ is refused.
    #[serde(default)]
    pub ends_when_revoked: bool,
    /// Where a KV engine, version 2, is mounted that is Writ's alone: in it stands which token belongs to which writ.
    pub notes: String,
}

mod defaults {
    pub(super) fn auth_mount() -> String {
        "jwt".to_owned()
    }

    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }

    pub(super) const fn sweep_limit() -> u32 {
        1_000
    }
}

impl OpenbaoConfig {
    /// Checks everything that can be checked without OpenBao.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.url()?;
        for (setting, text) in [("role", &self.role), ("audience", &self.audience)] {
            plain(setting, text)?;
        }
        self.namespace.as_deref().map_or(Ok(()), |namespace| path("namespace", namespace))?;
        path("auth_mount", &self.auth_mount)?;
        match (&self.kv, &self.dynamic) {
            (Some(kv), None) => kv.validate()?,
            (None, Some(dynamic)) => dynamic.validate()?,
            (None, None) => return Err(ConfigFault::new("no secret: add the table `kv` or the table `dynamic`")),
            (Some(_), Some(_)) => {
                return Err(ConfigFault::new("both `kv` and `dynamic`: write one of the two and leave out the other"));
            }
        }
        self.validate_fields()?;
        within("call_timeout_ms", self.call_timeout_ms, 100, 60_000)?;
        within("sweep_limit", u64::from(self.sweep_limit), 1, 10_000)
    }

    fn validate_fields(&self) -> Result<(), ConfigFault> {
        let named = [("user", &self.user), ("user_field", &self.user_field), ("password_field", &self.password_field)];
        for (setting, text) in named {
            text.as_deref().map_or(Ok(()), |text| plain(setting, text))?;
        }
        self.fields.iter().try_for_each(|field| plain("fields", field))?;
        match (&self.password_field, self.fields.is_empty()) {
            (None, true) => Err(ConfigFault::new(
                "nothing says what of the secret is given out: write `user_field` and `password_field`, or `fields`",
            )),
            (Some(_), false) => Err(ConfigFault::new(
                "both `password_field` and `fields`: write one of the two and leave out the other",
            )),
            (Some(_), true) if self.user.is_some() == self.user_field.is_some() => {
                Err(ConfigFault::new("write either `user_field` or `user`: whom the target knows by the password"))
            }
            (None, false) if self.user.is_some() || self.user_field.is_some() => {
                Err(ConfigFault::new("`user` and `user_field` go with `password_field`: leave them out"))
            }
            _ => Ok(()),
        }
    }

    /// Whether what a writ gets stands where a password would.
    #[must_use]
    pub const fn gives_password(&self) -> bool {
        self.password_field.is_some()
    }

    /// The server's address, with the path that a proxy before it may want.
    pub(crate) fn url(&self) -> Result<Url, ConfigFault> {
        let sound = |url: &Url| {
            let nobody = url.username().is_empty() && url.password().is_none();
            url.scheme() == "https" && nobody && url.query().is_none() && url.fragment().is_none()
        };
        Url::parse(&self.address).ok().filter(sound).ok_or_else(|| {
            ConfigFault::new("`address` is no address of an OpenBao or Vault: it is `https://host:port`")
        })
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

impl KvConfig {
    fn validate(&self) -> Result<(), ConfigFault> {
        path("kv.mount", &self.mount)?;
        paths("kv", &self.path, &self.paths)?;
        if self.version == Some(0) {
            return Err(ConfigFault::new("`kv.version` is 0: versions begin with 1; leave it out for the newest"));
        }
        Ok(())
    }
}

impl DynamicConfig {
    fn validate(&self) -> Result<(), ConfigFault> {
        paths("dynamic", &self.path, &self.paths)?;
        path("dynamic.notes", &self.notes)
    }
}

fn paths(table: &str, first: &str, more: &[String]) -> Result<(), ConfigFault> {
    path(&format!("{table}.path"), first)?;
    more.iter().try_for_each(|text| path(&format!("{table}.paths"), text))?;
    if more.len() >= PATH_LIMIT {
        return Err(ConfigFault::new(format!("{} paths: write at most {PATH_LIMIT}", more.len() + 1)));
    }
    Ok(())
}

/// A path as policies of OpenBao have it, without their wildcards.
fn path(setting: &str, text: &str) -> Result<(), ConfigFault> {
    let segment = |segment: &str| {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\*+\"".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    };
    if text.len() <= 512 && text.split('/').all(segment) {
        return Ok(());
    }
    Err(ConfigFault::new(format!(
        "`{setting}` is no path: write names with single slashes between them, as in `database/creds/reader`"
    )))
}

fn plain(setting: &str, text: &str) -> Result<(), ConfigFault> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(ConfigFault::new(format!("`{setting}` is empty or not plain text: write its name")));
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
