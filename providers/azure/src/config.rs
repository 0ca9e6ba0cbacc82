//! What an admin writes for the provider `azure`, and what all of Entra's have in common, checked when it is read: each mistake
//! says what to write instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use writ_core::assertion::AssertedSubject;
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;
use writ_provider_calls::plain;

use crate::cloud::{Cloud, Scope};

pub use writ_provider_source::ConfigFault;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureConfig {
    /// The tenant's id, a GUID.
    pub tenant_id: String,
    /// The client id, of an application or a user-assigned managed identity, of sessions for which policy names none.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Client ids by the names that policies give them (`@role`).
    #[serde(default)]
    pub clients: BTreeMap<String, String>,
    /// What tokens are for where policy names nothing: `arm`, `storage`, `sql`, `postgres`, `mysql`, `aks`, `key_vault`, or a scope
    /// that ends in `/.default`.
    #[serde(default)]
    pub resource: Option<String>,
    /// The same by the names that policies give it (`@scope`).
    #[serde(default)]
    pub resources: BTreeMap<String, String>,
    /// How Entra is asked.
    #[serde(default)]
    pub entra: EntraConfig,
}

/// How Entra is asked: the same for all that this crate makes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraConfig {
    /// Which of Azure's clouds: `public`, `us_government` or `china`.
    #[serde(default)]
    pub cloud: Cloud,
    /// Whom assertions are for: the federated credential's one audience. Left out, the one that the cloud recommends.
    #[serde(default)]
    pub audience: Option<String>,
    /// Whom assertions name: the federated credential's subject.
    #[serde(default)]
    pub subject: AssertedSubject,
    /// Where Entra is, if not where its cloud has it: `https://host`.
    #[serde(default)]
    pub authority: Option<String>,
    /// Who vouches for it there: authorities in PEM. Left out, the system's.
    #[serde(default)]
    pub authority_ca_file: Option<PathBuf>,
    /// Longest time for one call, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
}

mod defaults {
    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }
}

impl Default for EntraConfig {
    fn default() -> Self {
        Self {
            cloud: Cloud::default(),
            audience: None,
            subject: AssertedSubject::default(),
            authority: None,
            authority_ca_file: None,
            call_timeout_ms: defaults::call_timeout_ms(),
        }
    }
}

impl AzureConfig {
    /// Checks everything that can be checked without Entra.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    pub(crate) fn read(&self) -> Result<(Choice<ClientId>, Choice<Scope>), ConfigFault> {
        tenant(&self.tenant_id)?;
        self.entra.validate()?;
        let client = |setting: &str, text: &str| ClientId::parse(setting, text);
        let clients =
            Choice::read(["client_id", "clients", "@role"], self.client_id.as_deref(), &self.clients, client)?;
        let scope = |setting: &str, text: &str| Scope::parse(setting, text, self.entra.cloud);
        let scopes =
            Choice::read(["resource", "resources", "@scope"], self.resource.as_deref(), &self.resources, scope)?;
        Ok((clients, scopes))
    }
}

impl EntraConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigFault> {
        if !(100..=60_000).contains(&self.call_timeout_ms) {
            let text = format!("`call_timeout_ms` is {}: write a number from 100 to 60000", self.call_timeout_ms);
            return Err(ConfigFault::new(text));
        }
        let audience = self.audience();
        if audience.is_empty() || audience.len() > 600 || !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text =
                "`audience` is none that a federated credential can have: write the credential's, or leave it out";
            return Err(ConfigFault::new(text));
        }
        if self.authority_ca_file.is_some() && self.authority.is_none() {
            let text = "`authority_ca_file` is of an `authority` of your own: add that, or leave both out";
            return Err(ConfigFault::new(text));
        }
        self.authority().map(drop)
    }

    pub(crate) fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(self.cloud.audience())
    }

    /// `https://host`, without a path.
    pub(crate) fn authority(&self) -> Result<String, ConfigFault> {
        self.authority
            .as_deref()
            .map_or_else(|| Ok(self.cloud.authority().to_owned()), |text| origin("authority", text))
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

/// `https://host:port`, and nothing after it.
pub(crate) fn origin(setting: &str, text: &str) -> Result<String, ConfigFault> {
    let bare = |url: &Url| {
        let nobody = url.username().is_empty() && url.password().is_none();
        url.scheme() == "https" && nobody && url.path() == "/" && url.query().is_none() && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(bare);
    let url = url.ok_or_else(|| ConfigFault::new(format!("`{setting}` is no address: write `https://host`")))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientId(String);

impl ClientId {
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Self, ConfigFault> {
        guid(setting, text, "the client id of the application or managed identity").map(Self)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tenant's id. Its domain names are not taken: they can change hands.
pub(crate) fn tenant(text: &str) -> Result<String, ConfigFault> {
    guid("tenant_id", text, "the tenant's id")
}

fn guid(setting: &str, text: &str, what: &str) -> Result<String, ConfigFault> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    if lengths && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(ConfigFault::new(format!(
        "`{setting}` is `{}`: write {what}, a GUID like `aaaabbbb-0000-cccc-1111-dddd2222eeee`",
        shown(text)
    )))
}

/// Text from a configuration in a message: on one line, and not too long.
pub(crate) fn shown(text: &str) -> String {
    plain(text).replace('`', "'")
}

/// What sessions can get: one where policy names none, and those that policy names.
#[derive(Debug)]
pub(crate) struct Choice<T> {
    settings: [&'static str; 3],
    default: Option<T>,
    named: BTreeMap<String, T>,
}

impl<T> Choice<T> {
    /// Reads the settings for one, for more, and the annotation by which policies name them; there must be one.
    pub(crate) fn read(
        settings: [&'static str; 3],
        default: Option<&str>,
        named: &BTreeMap<String, String>,
        parse: impl Fn(&str, &str) -> Result<T, ConfigFault>,
    ) -> Result<Self, ConfigFault> {
        let [one, more, annotation] = settings;
        if default.is_none() && named.is_empty() {
            let text =
                format!("no `{one}`: write it, or `{more}` with the names that policies give them (`{annotation}`)");
            return Err(ConfigFault::new(text));
        }
        let default = default.map(|text| parse(one, text)).transpose()?;
        let each = |(name, text): (&String, &String)| {
            parse(&format!("{more}.{}", shown(name)), text).map(|parsed| (name.clone(), parsed))
        };
        Ok(Self { settings, default, named: named.iter().map(each).collect::<Result<_, _>>()? })
    }

    /// What policy names, else the default. What is not in the table is refused.
    pub(crate) fn of(&self, name: Option<&str>) -> Result<&T, ProviderFault> {
        let [one, more, annotation] = self.settings;
        let Some(name) = name else {
            return self.default.as_ref().ok_or_else(|| {
                ProviderFault::Misconfigured(format!(
                    "no `{one}`: write `{annotation}` in the policy that permits, or `{one}` in the provider"
                ))
            });
        };
        self.named.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.named.keys().map(String::as_str).collect();
            ProviderFault::Refused(format!(
                "policy names `{}` by `{annotation}`, and the provider knows `{}`: correct the policy, or add it to `{more}`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }

    /// Every one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.default.iter().chain(self.named.values())
    }
}

/// The client and the scope that a writ's policy names.
pub(crate) fn names(writ: &Writ) -> (Option<&str>, Option<&str>) {
    (writ.obligations.role.as_deref(), writ.obligations.scope.as_deref())
}
