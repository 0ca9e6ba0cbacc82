//! What an admin writes for the provider `github`, checked when it is read: each mistake says what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;
use writ_provider_source::Source;

pub use writ_provider_source::ConfigFault;

/// The most repositories of a scope: their names stand in the ledger.
const MOST_REPOSITORIES: usize = 50;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GithubConfig {
    /// The App's client id, or its number.
    pub app: String,
    /// The number of the App's installation in the organization or account.
    pub installation: u64,
    /// The file with the App's private key in PEM, as GitHub gave it.
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// The environment variable that holds it: its name, not its value.
    #[serde(default)]
    pub private_key_env: Option<String>,
    /// What sessions may do, by the names that policies give it (`@scope`).
    #[serde(default)]
    pub scopes: BTreeMap<String, Scope>,
    /// The scope of sessions for which policy names none.
    #[serde(default)]
    pub default_scope: Option<String>,
    /// The API's address: another for GitHub Enterprise Server (`https://HOST/api/v3`) and for data residency.
    #[serde(default = "defaults::api")]
    pub api: String,
    /// The longest time for one call, in milliseconds.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
}

/// What the sessions of a scope may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The repositories, by name, without the owner's.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// The repositories by number, instead: a number is never given to another repository, as a name is.
    #[serde(default)]
    pub repository_ids: Vec<u64>,
    /// Permissions, by GitHub's names, and how much of each.
    pub permissions: BTreeMap<String, Level>,
}

/// How much of a permission. Ordered: each has what those before it have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// To look.
    Read,
    /// To change.
    Write,
    /// To administer.
    Admin,
}

mod defaults {
    pub(super) fn api() -> String {
        "https://api.github.com".to_owned()
    }

    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }
}

impl GithubConfig {
    /// Checks everything that can be checked without GitHub and without the key.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if self.app.is_empty() || self.app.len() > 100 || !self.app.bytes().all(plain) {
            let text =
                format!("`app` is `{}`: write the App's client id, as `Iv23li...`, or its number", shown(&self.app));
            return Err(ConfigFault::new(text));
        }
        if self.installation == 0 {
            return Err(ConfigFault::new("`installation` is 0: write the number in the installation's address"));
        }
        if !(100..=60_000).contains(&self.call_timeout_ms) {
            let text = format!("`call_timeout_ms` is {}: write a number from 100 to 60000", self.call_timeout_ms);
            return Err(ConfigFault::new(text));
        }
        if self.scopes.is_empty() {
            let text = "no scope: write `scopes`, with repositories and permissions. Sessions never get all that the \
                        installation may do";
            return Err(ConfigFault::new(text));
        }
        for (name, scope) in &self.scopes {
            let wrong = |problem: String| ConfigFault::new(format!("the scope `{}`: {problem}", shown(name)));
            scope.validate().map_err(wrong)?;
        }
        if let Some(name) = self.default_scope.as_ref().filter(|name| !self.scopes.contains_key(*name)) {
            let text = format!("`default_scope` names `{}`, which is not in `scopes`: write one that is", shown(name));
            return Err(ConfigFault::new(text));
        }
        self.base()?;
        self.source().map(drop)
    }

    /// Where the App's key is.
    pub(crate) fn source(&self) -> Result<Source, ConfigFault> {
        Source::of("private_key", self.private_key_file.as_deref(), self.private_key_env.as_deref())
    }

    /// The API's address, without a slash at its end. Loopback, where nobody listens in, may be without TLS.
    pub(crate) fn base(&self) -> Result<String, ConfigFault> {
        let plain = |url: &Url| {
            let near = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
            let nobody = url.username().is_empty() && url.password().is_none();
            let safe = url.scheme() == "https" || (url.scheme() == "http" && near);
            safe && nobody && url.query().is_none() && url.fragment().is_none() && !self.api.contains(['\\', ' '])
        };
        let url = Url::parse(&self.api).ok().filter(plain).ok_or_else(|| {
            let text = "is no address of an API: write `https://api.github.com`, or `https://HOST/api/v3`";
            ConfigFault::new(format!("`api` is `{}`, which {text}", shown(&self.api)))
        })?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    /// The scope that policy's `@scope` names, else the default.
    pub(crate) fn scope(&self, writ: &Writ) -> Result<&Scope, ProviderFault> {
        if let Some(role) = &writ.obligations.role {
            let text = format!("policy names the role `{}`, and GitHub has none: write `@scope`", shown(role));
            return Err(ProviderFault::Refused(text));
        }
        let asked = writ.obligations.scope.as_ref().or(self.default_scope.as_ref());
        let name = asked.ok_or_else(|| {
            let text = "no scope: write `@scope` in the policy that permits, or `default_scope` in the provider";
            ProviderFault::Misconfigured(text.to_owned())
        })?;
        self.scopes.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.scopes.keys().map(String::as_str).collect();
            ProviderFault::Misconfigured(format!(
                "policy names the scope `{}`, and the provider knows `{}`: correct `@scope`, or add it to `scopes`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }
}

impl Scope {
    fn validate(&self) -> Result<(), String> {
        let count = self.repositories.len() + self.repository_ids.len();
        if !self.repositories.is_empty() && !self.repository_ids.is_empty() {
            return Err("`repositories` and `repository_ids`: write one of the two".to_owned());
        }
        if count == 0 {
            return Err(
                "it names no repository, which would be all of them: write `repositories`, or `repository_ids`"
                    .to_owned(),
            );
        }
        if count > MOST_REPOSITORIES {
            return Err(format!("it names {count} repositories: write {MOST_REPOSITORIES} at most"));
        }
        if let Some(name) = self.repositories.iter().find(|name| !is_repository(name)) {
            return Err(format!("`{}` is no repository's name: write it without its owner's", shown(name)));
        }
        let lower: BTreeSet<String> = self.repositories.iter().map(|name| name.to_ascii_lowercase()).collect();
        let ids: BTreeSet<&u64> = self.repository_ids.iter().collect();
        if lower.len() + ids.len() != count {
            return Err("it names a repository twice: write each once".to_owned());
        }
        if self.permissions.is_empty() {
            return Err("it names no permission, which would be all of them: write `permissions`".to_owned());
        }
        let plain = |name: &String| {
            !name.is_empty() && name.len() <= 100 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if let Some(name) = self.permissions.keys().find(|name| !plain(name)) {
            return Err(format!("`{}` is no permission: write GitHub's name for it, as `pull_requests`", shown(name)));
        }
        Ok(())
    }
}

fn is_repository(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len()) && name.bytes().all(plain) && name != "." && name != ".."
}

/// Text from a configuration in a message: on one line, and not for ever.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
