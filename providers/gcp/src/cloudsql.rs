//! The provider `cloudsql`: logins to PostgreSQL at Cloud SQL, for databases whose users log in by IAM.
//!
//! The user is a service account, and an access token of it that can do nothing but log in stands where a password would. It goes to
//! the server as it is, so that the gateway must know whom it gives it to: a target of this provider has `tls = "verify-full"`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_core::credential::CredentialKind;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target, UpstreamTls};
use writ_core::writ::Writ;

use crate::ambient::Ambient;
use crate::config::ConfigFault;
use crate::federation::{Federation, FederationConfig};
use crate::names::AccountTable;
use crate::token::Form;

/// The one scope that logging in needs.
const LOGIN: &str = "https://www.googleapis.com/auth/sqlservice.login";
/// How long a token is asked for at most, in seconds. A session that is logged in lives on.
const LIFE: u64 = 900;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudSqlConfig {
    /// The service account of sessions for which policy names none. It is a user of the instance.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Service accounts by the names that policies give them (`@role`).
    #[serde(default)]
    pub service_accounts: BTreeMap<String, String>,
    /// How Google knows who asks.
    #[serde(default)]
    pub federation: FederationConfig,
}

impl CloudSqlConfig {
    /// Checks everything that can be checked without the target's address.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.accounts()?;
        self.federation.validate()
    }

    fn accounts(&self) -> Result<AccountTable, ConfigFault> {
        AccountTable::read(self.service_account.as_deref(), &self.service_accounts)
    }
}

/// Mints logins to one instance.
#[derive(Debug)]
pub struct CloudSqlProvider {
    accounts: AccountTable,
    federation: Federation,
}

impl CloudSqlProvider {
    /// Checks the configuration, and that the gateway will know whom it gives a token to.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(
        config: &CloudSqlConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
    ) -> Result<Self, ConfigFault> {
        Self::with_ambient(config, address, assertions, Ambient::found())
    }

    /// The same, with an identity that is not looked for.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_ambient(
        config: &CloudSqlConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let accounts = config.accounts()?;
        if address.tls != UpstreamTls::VerifyFull {
            let text = "the server is given a token as it is, so that it must be known: write `tls = \"verify-full\"` for the \
                        target, and the instance's authority in `ca_file`";
            return Err(ConfigFault::new(text));
        }
        Ok(Self { accounts, federation: Federation::new(&config.federation, assertions, ambient)? })
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let account = self.accounts.of(intended.writ())?;
        let token = self.federation.access_token(&intended, account, &[LOGIN.to_owned()], LIFE, deadline).await?;
        let user = account.database_user().to_owned();
        let credential = token.credential(CredentialKind::CloudSqlToken, Form::Access, user, intended.writ());
        Ok(Minted::new(intended, credential))
    }
}

impl Provider for CloudSqlProvider {
    fn describe(&self) -> Description {
        Description { kind: "cloudsql", long_lived: false, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(intended, deadline))
    }

    /// Succeeds and changes nothing: a token ends by itself, and the gateway ends its session.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    /// Whether tokens would be given. Whether the instance takes them shows at the first session.
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(async move { self.federation.probe(target, &self.accounts.all(), deadline).await })
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }
}
