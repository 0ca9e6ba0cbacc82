//! What an admin writes for the provider `aws`, and what all three of AWS's have in common, checked when it is read: each
//! mistake says what to write instead.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use writ_core::assertion::AssertedSubject;
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use crate::arn::RoleArn;
use crate::region::{self, Region, shown};
use crate::scope::{Scopes, Statement};
use crate::tags::{self, Tags};

pub use writ_provider_source::ConfigFault;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsConfig {
    /// The region whose STS is asked. There is no default: sessions of another region's STS are valid, but their records are
    /// elsewhere.
    pub region: String,
    /// The role of sessions for which policy names none.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// Roles by the names that policies give them (`@role`).
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// What sessions may do, by the names that policies give it (`@scope`).
    #[serde(default)]
    pub scopes: BTreeMap<String, Vec<Statement>>,
    /// The same as IAM policies in files.
    #[serde(default)]
    pub scope_files: BTreeMap<String, PathBuf>,
    /// The scope of sessions for which policy names none.
    #[serde(default)]
    pub default_scope: Option<String>,
    /// How roles are assumed.
    #[serde(default)]
    pub assume: AssumeConfig,
}

/// How roles are assumed: the same for all three providers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumeConfig {
    /// By what AWS knows who asks.
    #[serde(default)]
    pub by: By,
    /// Whom assertions are for: a client id of the account's OIDC provider. Only with `by = "issuer"`.
    #[serde(default = "defaults::audience")]
    pub audience: String,
    /// Whom assertions name. Only with `by = "issuer"`.
    #[serde(default)]
    pub subject: AssertedSubject,
    /// What the roles' trust policies expect in `sts:ExternalId`. Only with `by = "broker"`.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Session tags beside Writ's own. Not with `by = "workload"`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The longest session, in seconds, 900 to 43200: at most the roles' own maximum.
    #[serde(default = "defaults::max_duration_seconds")]
    pub max_duration_seconds: u32,
    /// The role that may take sessions back; the broker's own identity where this is left out.
    #[serde(default)]
    pub revoker: Option<String>,
    /// Where STS is, if not where AWS has it: a VPC endpoint.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The same of IAM.
    #[serde(default)]
    pub iam_endpoint: Option<String>,
    /// Longest time for one call to AWS, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
}

/// By what AWS knows who asks for a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// An assertion of Writ's own issuer, made for the writ.
    #[default]
    Issuer,
    /// The workload's own token, passed on: its issuer is the one that the account trusts. AWS takes no tags then.
    Workload,
    /// The identity that the broker's process has at AWS.
    Broker,
}

mod defaults {
    pub(super) fn audience() -> String {
        "sts.amazonaws.com".to_owned()
    }

    pub(super) const fn max_duration_seconds() -> u32 {
        3_600
    }

    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }
}

impl Default for AssumeConfig {
    fn default() -> Self {
        Self {
            by: By::default(),
            audience: defaults::audience(),
            subject: AssertedSubject::default(),
            external_id: None,
            tags: BTreeMap::new(),
            max_duration_seconds: defaults::max_duration_seconds(),
            revoker: None,
            endpoint: None,
            iam_endpoint: None,
            call_timeout_ms: defaults::call_timeout_ms(),
        }
    }
}

/// What the shortest session that AWS gives lives, in seconds.
pub(crate) const SHORTEST: u32 = 900;

impl AwsConfig {
    /// Checks everything that can be checked without AWS.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    pub(crate) fn read(&self) -> Result<(Region, RoleTable, Scopes), ConfigFault> {
        let region = Region::parse(&self.region)?;
        let roles = RoleTable::read(self.role_arn.as_deref(), &self.roles, &region)?;
        self.assume.validate(&region)?;
        let scopes = Scopes::read(&self.scopes, &self.scope_files, self.default_scope.as_deref(), &region)?;
        Ok((region, roles, scopes))
    }
}

impl AssumeConfig {
    pub(crate) fn validate(&self, region: &Region) -> Result<(), ConfigFault> {
        within("max_duration_seconds", u64::from(self.max_duration_seconds), u64::from(SHORTEST), 43_200)?;
        within("call_timeout_ms", self.call_timeout_ms, 100, 60_000)?;
        for (setting, endpoint) in [("endpoint", &self.endpoint), ("iam_endpoint", &self.iam_endpoint)] {
            endpoint.as_ref().map(|endpoint| region::endpoint(setting, endpoint)).transpose()?;
        }
        self.revoker(region)?;
        tags::validate(&self.tags)?;
        let own = Self::default();
        if self.by != By::Issuer && (self.audience != own.audience || self.subject != own.subject) {
            return Err(ConfigFault::new(
                "`audience` and `subject` are of assertions: write them with `by = \"issuer\"` alone",
            ));
        }
        if self.by == By::Workload && !self.tags.is_empty() {
            let text = "`tags` cannot be told with the workload's own token, as only its issuer could: remove them, or write \
                        `by = \"issuer\"`";
            return Err(ConfigFault::new(text));
        }
        if self.audience.is_empty() || self.audience.len() > 255 || !self.audience.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(ConfigFault::new("`audience` is no client id: write one of the account's OIDC provider"));
        }
        match &self.external_id {
            Some(_) if self.by != By::Broker => {
                Err(ConfigFault::new("`external_id` goes with `by = \"broker\"` alone: AWS takes it with no token"))
            }
            Some(id) if !is_external_id(id) => {
                let text = "`external_id` cannot be one: write 2 to 1224 letters, digits or `_+=,.@:/-`";
                Err(ConfigFault::new(text))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn revoker(&self, region: &Region) -> Result<Option<RoleArn>, ConfigFault> {
        self.revoker.as_deref().map(|arn| RoleArn::parse("revoker", arn, region)).transpose()
    }

    pub(crate) const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) const fn tags(&self) -> &Tags {
        &self.tags
    }
}

/// The roles that sessions can be of.
#[derive(Debug)]
pub(crate) struct RoleTable {
    default: Option<RoleArn>,
    named: BTreeMap<String, RoleArn>,
}

impl RoleTable {
    /// Checks roles; there must be one.
    pub(crate) fn read(
        default: Option<&str>,
        named: &BTreeMap<String, String>,
        region: &Region,
    ) -> Result<Self, ConfigFault> {
        let default = default.map(|arn| RoleArn::parse("role_arn", arn, region)).transpose()?;
        let one = |(name, arn): (&String, &String)| {
            RoleArn::parse(&format!("roles.{}", shown(name)), arn, region).map(|arn| (name.clone(), arn))
        };
        let named: BTreeMap<String, RoleArn> = named.iter().map(one).collect::<Result<_, _>>()?;
        if default.is_none() && named.is_empty() {
            return Err(ConfigFault::new(
                "no role: write `role_arn`, or `roles` with the names that policies give them",
            ));
        }
        Ok(Self { default, named })
    }

    /// The role that policy's `@role` names, else the default. What is not in the table is refused.
    pub(crate) fn of(&self, writ: &Writ) -> Result<&RoleArn, ProviderFault> {
        let Some(name) = writ.obligations.role.as_deref() else {
            return self.default.as_ref().ok_or_else(|| {
                let text = "no role: write `@role` in the policy that permits, or `role_arn` in the provider";
                ProviderFault::Misconfigured(text.to_owned())
            });
        };
        self.named.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.named.keys().map(String::as_str).collect();
            ProviderFault::Refused(format!(
                "policy names the role `{}`, and the provider knows `{}`: correct `@role`, or add it to `roles`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }

    /// Each role once.
    pub(crate) fn all(&self) -> Vec<&RoleArn> {
        let mut all: Vec<&RoleArn> = self.default.iter().chain(self.named.values()).collect();
        all.sort_by_key(|role| role.as_str());
        all.dedup();
        all
    }
}

fn is_external_id(text: &str) -> bool {
    let allowed = |byte: u8| crate::arn::name_byte(byte) || matches!(byte, b':' | b'/');
    (2..=1224).contains(&text.len()) && text.bytes().all(allowed)
}

pub(crate) fn within(setting: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigFault> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigFault::new(format!("`{setting}` is {value}: write a number from {least} to {most}")))
    }
}
