//! The target: something that a workload may reach.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A target's name in the configuration: 1 to 63 of `a-z 0-9 - _ .`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TargetName(String);

/// Text that cannot name a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a target name: 1 to 63 of `a-z`, `0-9`, `-`, `_`, `.`, beginning with a letter or digit")]
pub struct InvalidTargetName;

impl TargetName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidTargetName`] for anything but 1 to 63 of the characters that the type's documentation lists.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidTargetName> {
        let text = text.into();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let well_begun = text.bytes().next().is_some_and(plain);
        let well_formed = text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_' | b'.'));
        if well_begun && well_formed && text.len() <= 63 { Ok(Self(text)) } else { Err(InvalidTargetName) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TargetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Labels of a target, by which policies and gateways choose.
pub type Labels = BTreeMap<String, String>;

/// The protocol that a target speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// PostgreSQL's frontend/backend protocol, version 3.
    #[default]
    Postgres,
    /// AWS's APIs over HTTPS.
    Aws,
    /// The API of a Kubernetes cluster.
    Kubernetes,
    /// MySQL's and MariaDB's client/server protocol.
    Mysql,
    /// Google Cloud's APIs over HTTPS.
    Gcp,
    /// Azure's APIs over HTTPS, and others that take Entra's tokens.
    Azure,
    /// Secure Shell.
    Ssh,
    /// GitHub's API, and git over HTTPS.
    Github,
}

impl Protocol {
    /// Its name in configurations and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Aws => "aws",
            Self::Kubernetes => "kubernetes",
            Self::Mysql => "mysql",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Ssh => "ssh",
            Self::Github => "github",
        }
    }

    /// The port where it is spoken by custom.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Aws | Self::Kubernetes | Self::Gcp | Self::Azure | Self::Github => 443,
            Self::Mysql => 3306,
            Self::Ssh => 22,
        }
    }
}

/// How the gateway secures its connection to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    /// TLS; the certificate's chain and host name are verified. The default.
    VerifyFull,
    /// No TLS. Only for loopback and Unix sockets; the configuration refuses it elsewhere.
    Disable,
}

/// Where a target is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: UpstreamTls,
    /// PEM certificates of the authorities that may vouch for the target; the system's where this is absent.
    pub ca_pem: Option<String>,
}

/// Something that a workload may reach, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Its labels.
    pub labels: Labels,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub address: Address,
    /// The provider's name that mints for it.
    pub provider: String,
}
