//! Azure's clouds: where Entra is in each, what it expects of an assertion, and by which scopes its resources are named.

use serde::Deserialize;

use crate::config::{ConfigFault, shown};

/// The application that stands for all AKS clusters whose users Entra knows: the same in every cloud.
pub(crate) const AKS: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";

/// One of Azure's clouds. Nothing of one is of use in another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// Azure.
    #[default]
    Public,
    /// Azure Government, of the United States.
    UsGovernment,
    /// Azure in China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Where Entra is.
    #[must_use]
    pub const fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// Whom assertions are for.
    #[must_use]
    pub const fn audience(self) -> &'static str {
        match self {
            Self::Public => "api://AzureADTokenExchange",
            Self::UsGovernment => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        }
    }

    /// The scope of a resource, by its name here or written out.
    ///
    /// # Errors
    /// If it is none; the names that there are.
    pub fn scope(self, resource: &str) -> Result<String, ConfigFault> {
        Scope::parse("resource", resource, self).map(|scope| scope.0)
    }

    /// The end of a vault's host, and that of a managed HSM's.
    pub(crate) const fn vaults(self) -> [&'static str; 2] {
        match self {
            Self::Public => [".vault.azure.net", ".managedhsm.azure.net"],
            Self::UsGovernment => [".vault.usgovcloudapi.net", ".managedhsm.usgovcloudapi.net"],
            Self::China => [".vault.azure.cn", ".managedhsm.azure.cn"],
        }
    }

    const fn arm(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::UsGovernment => "https://management.usgovcloudapi.net",
            Self::China => "https://management.chinacloudapi.cn",
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Public => "https://database.windows.net",
            Self::UsGovernment => "https://database.usgovcloudapi.net",
            Self::China => "https://database.chinacloudapi.cn",
        }
    }

    const fn open_source_databases(self) -> &'static str {
        match self {
            Self::Public => "https://ossrdbms-aad.database.windows.net",
            Self::UsGovernment => "https://ossrdbms-aad.database.usgovcloudapi.net",
            Self::China => "https://ossrdbms-aad.database.chinacloudapi.cn",
        }
    }

    const fn key_vault(self) -> &'static str {
        match self {
            Self::Public => "https://vault.azure.net",
            Self::UsGovernment => "https://vault.usgovcloudapi.net",
            Self::China => "https://vault.azure.cn",
        }
    }
}

/// The resources that have a name here.
const NAMES: [&str; 7] = ["arm", "storage", "sql", "postgres", "mysql", "aks", "key_vault"];

/// What a token is for: one resource, all that its client may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope(String);

impl Scope {
    /// The scope of a resource by its name here, or one that is written out.
    pub(crate) fn parse(setting: &str, text: &str, cloud: Cloud) -> Result<Self, ConfigFault> {
        let named = match text {
            "arm" => cloud.arm(),
            // Storage has one name in all clouds.
            "storage" => "https://storage.azure.com",
            "sql" => cloud.sql(),
            "postgres" | "mysql" => cloud.open_source_databases(),
            "aks" => AKS,
            "key_vault" => cloud.key_vault(),
            other => return Self::written_out(setting, other),
        };
        Ok(Self(format!("{named}/.default")))
    }

    /// That of Azure Database for PostgreSQL and MySQL.
    pub(crate) fn of_database(cloud: Cloud) -> Self {
        Self(format!("{}/.default", cloud.open_source_databases()))
    }

    /// That of an AKS cluster's API server.
    pub(crate) fn of_aks() -> Self {
        Self(format!("{AKS}/.default"))
    }

    /// That of vaults, or of managed HSMs.
    pub(crate) fn of_vault(audience: &str) -> Self {
        Self(format!("{audience}/.default"))
    }

    fn written_out(setting: &str, text: &str) -> Result<Self, ConfigFault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/');
        let resource = text.strip_suffix("/.default").filter(|resource| !resource.is_empty());
        if resource.is_none() || text.len() > 300 || !text.bytes().all(plain) {
            let known = NAMES.join("`, `");
            return Err(ConfigFault::new(format!(
                "`{setting}` is `{}`, which is no resource: write `{known}`, or one scope that ends in `/.default`",
                shown(text)
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// As Entra knows it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
