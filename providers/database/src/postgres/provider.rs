//! The provider itself: one instance for each target, every call within its deadline.

use std::fmt;
use std::time::Duration;

use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target};
use writ_core::writ::Writ;
use writ_provider_calls::within;

use super::config::{ConfigFault, DatabaseConfig};
use super::connect::Connector;
use super::pool::Pool;
use super::{mint, probe, revoke, sweep};

/// Mints PostgreSQL roles at one target.
pub struct DatabaseProvider {
    config: DatabaseConfig,
    pool: Pool,
}

impl DatabaseProvider {
    /// Checks the configuration and reads the password of the broker's login. Does not connect: a target that is down
    /// must not keep the broker from starting.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: DatabaseConfig, address: &Address) -> Result<Self, ConfigFault> {
        config.validate()?;
        let password = config.source()?.read()?;
        let connector = Connector::new(&config, address, &password)?;
        let pool = Pool::new(connector, config.pool_size);
        Ok(Self { config, pool })
    }
}

impl fmt::Debug for DatabaseProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseProvider").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Provider for DatabaseProvider {
    fn describe(&self) -> Description {
        Description { kind: "database", long_lived: false, revocable: true, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(within("minting", self.config.limit(deadline), mint::mint(&self.pool, &self.config, intended)))
    }

    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(within("revoking", self.config.limit(deadline), async move {
            let home = mint::roles(&self.config, writ).ok().and_then(|roles| roles.first().copied());
            revoke::remove(&self.pool, &writ.id.to_string(), home).await.map(|()| Revoked::Gone)
        }))
    }

    fn probe<'a>(&'a self, _target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(within("probing", self.config.limit(deadline), probe::probe(&self.pool, &self.config)))
    }

    /// Bounded by `deadline` alone: a sweep is many calls, each of which the server itself cuts at the call timeout.
    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        live: &'a [WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async move {
            let call = sweep::sweep(&self.pool, &self.config, live);
            within("sweeping", deadline, call).await
        })
    }
}
