//! The provider `rds`: login tokens of RDS and Aurora, for databases whose users log in by IAM.
//!
//! A token is made here, by a signature alone: AWS is not asked and keeps no record of it, so that the ledger's entry is the
//! only one. It stands where a password would and goes to the server as it is, so that the gateway must know whom it gives it
//! to: a target of this provider has `tls = "verify-full"`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use serde::Deserialize;
use writ_aws_rds::Login;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::writ::Writ;
use writ_provider_calls::within;

use crate::ambient::Ambient;
use crate::arn::RoleArn;
use crate::assume::Assumer;
use crate::config::{AssumeConfig, ConfigFault};
use crate::region::{Partition, Region, shown};
use crate::scope;
use crate::session::{moment, timestamp};

/// How long a token is good for a login, in seconds. A session that is logged in lives on.
const LIFE: u64 = 900;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RdsConfig {
    /// The region that the database is in.
    pub region: String,
    /// The database's user of sessions for which policy names none. It is granted `rds_iam`.
    #[serde(default)]
    pub user: Option<String>,
    /// Users by the names that policies give them (`@role`).
    #[serde(default)]
    pub users: BTreeMap<String, String>,
    /// The endpoint's own name, as RDS lists it, where the gateway reaches it by another.
    #[serde(default)]
    pub endpoint_host: Option<String>,
    /// Its port there.
    #[serde(default)]
    pub endpoint_port: Option<u16>,
    /// The database's resource id, `db-...`, `cluster-...` or `prx-...`: sessions of the role can log in to no other.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// The role whose sessions sign; the broker's own identity where this is left out.
    #[serde(default)]
    pub role_arn: Option<String>,
    /// How that role is assumed.
    #[serde(default)]
    pub assume: AssumeConfig,
}

impl RdsConfig {
    /// Checks everything that can be checked without the target's address.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<(Region, Option<RoleArn>), ConfigFault> {
        let region = Region::parse(&self.region)?;
        if self.user.is_none() && self.users.is_empty() {
            return Err(ConfigFault::new("no user: write `user`, or `users` with the names that policies give them"));
        }
        for user in self.user.iter().chain(self.users.values()) {
            let fault = |fault: writ_aws_rds::TokenFault| ConfigFault::new(format!("`{}`: {fault}", shown(user)));
            writ_aws_rds::check_user(user).map_err(fault)?;
        }
        if let Some(host) = &self.endpoint_host {
            endpoint("endpoint_host", host, &region)?;
        }
        let kinds = ["db-", "cluster-", "prx-"];
        let plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let known = |id: &String| kinds.iter().any(|kind| id.starts_with(kind)) && plain(id);
        if let Some(id) = self.resource_id.as_ref().filter(|id| !known(id)) {
            let text = format!("`resource_id` is `{}`: write `db-...`, `cluster-...` or `prx-...`", shown(id));
            return Err(ConfigFault::new(text));
        }
        let role = self.role_arn.as_deref().map(|arn| RoleArn::parse("role_arn", arn, &region)).transpose()?;
        if role.is_none() && (self.assume != AssumeConfig::default() || self.resource_id.is_some()) {
            let text = "`assume` and `resource_id` are of sessions of a role: add `role_arn`, or leave them out and let the \
                        broker's own identity sign";
            return Err(ConfigFault::new(text));
        }
        self.assume.validate(&region)?;
        Ok((region, role))
    }
}

/// A token is good for the endpoint's own name alone: for another the server refuses it, and says no more.
fn endpoint(setting: &str, host: &str, region: &Region) -> Result<(), ConfigFault> {
    let wrong = |why: String| ConfigFault::new(format!("{setting} `{}` {why}", shown(host)));
    writ_aws_rds::check_host(host).map_err(|fault| wrong(format!("cannot be signed for: {fault}")))?;
    let suffix = region.partition().suffix();
    // China's are the other way round.
    let end = match region.partition() {
        Partition::China => format!(".rds.{region}.{suffix}"),
        Partition::Commercial | Partition::GovCloud => format!(".{region}.rds.{suffix}"),
    };
    if host.ends_with(&end) {
        return Ok(());
    }
    Err(wrong(format!(
        "is no endpoint of RDS in `{region}`: write the name that RDS lists, which ends in `{end}`, as the target's `host` or as \
         `endpoint_host`"
    )))
}

/// Who signs.
enum Signer {
    /// The broker's own identity.
    Ambient(Ambient),
    /// Sessions of a role.
    Role(Box<Assumer>, RoleArn),
}

/// Mints login tokens for one database.
pub struct RdsProvider {
    config: RdsConfig,
    region: Region,
    host: String,
    port: u16,
    signer: Signer,
}

impl RdsProvider {
    /// Checks the configuration, and that the gateway will know whom it gives a token to.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(
        config: &RdsConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
    ) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, address, assertions, Ambient::found(&config.region))
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &RdsConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let (region, role) = config.read()?;
        if address.tls != UpstreamTls::VerifyFull {
            let text = "the server is given a token as it is, so that it must be known: write `tls = \"verify-full\"` for the \
                        target, and RDS's own authorities in `ca_file`";
            return Err(ConfigFault::new(text));
        }
        let host = config.endpoint_host.as_ref().unwrap_or(&address.host).clone();
        endpoint("the host", &host, &region)?;
        let port = config.endpoint_port.unwrap_or(address.port);
        writ_aws_rds::check_port(port).map_err(|fault| ConfigFault::new(fault.to_string()))?;
        let signer = match role {
            None => Signer::Ambient(ambient),
            Some(role) => Signer::Role(Box::new(Assumer::new(&config.assume, &region, assertions, ambient)?), role),
        };
        Ok(Self { config: config.clone(), region, host, port, signer })
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let user = self.user(intended.writ())?.to_owned();
        let (identity, session) = self.identity(&intended, &user, deadline).await?;
        let at = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let login = Login { host: &self.host, port: self.port, user: &user, region: self.region.name() };
        let signed = writ_aws_rds::token(&login, &identity, moment(at)).await;
        let secret = signed.map_err(|fault| ProviderFault::Refused(format!("no token can be signed: {fault}")))?;
        let mut expires = after(at, LIFE);
        if let Some(end) = identity.expiry() {
            expires = timestamp(end).unwrap_or(at).min(expires);
        }
        let key = identity.access_key_id();
        let audit = match session {
            Some(arn) => format!("{user} by {key} of {arn}"),
            None => format!("{user} by {key}"),
        };
        let credential = Credential {
            kind: CredentialKind::RdsToken,
            principal: user,
            secret,
            expires: Some(expires),
            fingerprint: Fingerprint::of_public("rds-token", &format!("{key}/{}", at.strftime("%Y%m%dT%H%M%SZ"))),
            audit,
            revocation: if matches!(self.signer, Signer::Role(..)) { Revocation::WholeRole } else { Revocation::None },
        };
        Ok(Minted::new(intended, credential))
    }

    /// The user that policy's `@role` names, else the default. What is not in the table is refused.
    fn user(&self, writ: &Writ) -> Result<&str, ProviderFault> {
        let Some(name) = writ.obligations.role.as_deref() else {
            return self.config.user.as_deref().ok_or_else(|| {
                let text = "no user: write `@role` in the policy that permits, or `user` in the provider";
                ProviderFault::Misconfigured(text.to_owned())
            });
        };
        self.config.users.get(name).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.config.users.keys().map(String::as_str).collect();
            ProviderFault::Refused(format!(
                "policy names the role `{}`, and the provider knows `{}`: correct `@role`, or add it to `users`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }

    /// Who signs for a writ, and what AWS calls the session where it is one of a role.
    async fn identity(
        &self,
        intended: &Intended,
        user: &str,
        deadline: Duration,
    ) -> Result<(Credentials, Option<String>), ProviderFault> {
        match &self.signer {
            Signer::Ambient(ambient) => {
                let doing = "looking for the broker's own identity at AWS";
                Ok((within(doing, deadline, ambient.credentials()).await?, None))
            }
            Signer::Role(assumer, role) => {
                let policy = scope::allowing(&["rds-db:connect"], &[self.resource(role, user)]);
                let session = assumer.session(intended, role, &policy, deadline).await?;
                Ok((session.credentials(), Some(session.arn)))
            }
        }
    }

    /// The user of the database, as IAM's policies name it.
    fn resource(&self, role: &RoleArn, user: &str) -> String {
        let (partition, account) = (self.region.partition().name(), role.account());
        let id = self.config.resource_id.as_deref().unwrap_or("*");
        format!("arn:{partition}:rds-db:{}:{account}:dbuser:{id}/{user}", self.region)
    }
}

impl fmt::Debug for RdsProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RdsProvider").field("config", &self.config).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Provider for RdsProvider {
    fn describe(&self) -> Description {
        Description { kind: "rds", long_lived: false, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(intended, deadline))
    }

    /// Succeeds and changes nothing: a token that was not used ends by itself, and the gateway ends its session.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    /// Whether there is who signs. Whether the database takes its tokens shows at the first session.
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move {
            match &self.signer {
                Signer::Ambient(ambient) => {
                    within("looking for the broker's own identity at AWS", deadline, ambient.credentials())
                        .await
                        .map(drop)
                }
                Signer::Role(assumer, role) => assumer.probe(target, &[role], deadline).await,
            }
        })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }

    /// No login by tokens that sessions of the role signed before. Who is logged in stays so: the gateway ends those sessions.
    fn revoke_older<'a>(
        &'a self,
        target: &'a Target,
        before: Timestamp,
        deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move {
            match &self.signer {
                Signer::Role(assumer, role) => assumer.revoke_older(target, &[role], before, deadline).await,
                Signer::Ambient(_) => Err(ProviderFault::Misconfigured(
                    "tokens are signed by the broker's own identity, which cannot be told apart: add `role_arn`"
                        .to_owned(),
                )),
            }
        })
    }
}
