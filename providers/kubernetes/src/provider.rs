//! The provider itself: one instance for each target, every call within its deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use writ_core::assertion::Assertions;
use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target};
use writ_core::writ::Writ;
use writ_provider_calls::within;

use crate::access::Access;
pub use crate::access::Pod;
use crate::account::Account;
use crate::bearer::BearerSource;
use crate::call::Cluster;
use crate::config::{ConfigFault, KubernetesConfig};
use crate::mint::{self, Choice};
use crate::rights::Right;
use crate::{present, probe, revoke, sweep};

/// What the provider is given by others, where the configuration asks for it.
#[derive(Debug, Clone, Default)]
pub struct Seams {
    /// Writ's own issuer, for `assertion`.
    pub assertions: Option<Arc<dyn Assertions>>,
    /// Tokens of the broker's AWS identity, for `eks`.
    pub eks: Option<Arc<dyn BearerSource>>,
    /// Tokens of the broker's client of Entra's, for `aks`.
    pub aks: Option<Arc<dyn BearerSource>>,
    /// Tokens of the broker's service account at Google, for `gke`.
    pub gke: Option<Arc<dyn BearerSource>>,
    /// The pod, for `in_cluster`; left out, this process's own.
    pub pod: Option<Pod>,
}

/// Mints service-account tokens at one cluster.
pub struct KubernetesProvider {
    accounts: Vec<Account>,
    audience: Option<String>,
    cluster: Cluster,
    call_timeout: Duration,
    sweep_limit: u32,
}

impl KubernetesProvider {
    /// Checks the configuration and reads the files that it names. Does not connect: a cluster that is down must not keep the
    /// broker from starting.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new<E, A, G>(
        config: &KubernetesConfig<E, A, G>,
        address: &Address,
        seams: Seams,
    ) -> Result<Self, ConfigFault> {
        config.validate()?;
        let accounts = config.accounts()?;
        let access = Access::chosen(config, address, seams)?;
        let cluster = Cluster::new(access, Right::of(&accounts), config.call_timeout())?;
        let (audience, sweep_limit) = (config.audience.clone(), config.sweep_limit);
        Ok(Self { accounts, audience, cluster, call_timeout: config.call_timeout(), sweep_limit })
    }

    fn limit(&self, deadline: Duration) -> Duration {
        deadline.min(self.call_timeout)
    }
}

impl fmt::Debug for KubernetesProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("KubernetesProvider");
        shown.field("accounts", &self.accounts).field("identity", &self.cluster.named()).finish_non_exhaustive()
    }
}

impl Provider for KubernetesProvider {
    fn describe(&self) -> Description {
        Description { kind: "kubernetes", long_lived: false, revocable: true, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        let limit = self.limit(deadline);
        let choice = Choice { accounts: &self.accounts, audience: self.audience.as_deref() };
        Box::pin(within("minting", limit, mint::mint(&self.cluster, choice, &target.name, intended, limit)))
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("revoking", limit, async move {
            let session = self.cluster.session(&target.name, None, Instant::now() + limit).await?;
            revoke::revoke(&session, writ).await.map(|()| Revoked::Gone)
        }))
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("probing", limit, async move {
            let session = self.cluster.session(&target.name, None, Instant::now() + limit).await?;
            probe::probe(&session, &self.accounts).await
        }))
    }

    fn sweep<'a>(
        &'a self,
        target: &'a Target,
        live: &'a [WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("sweeping", limit, async move {
            let session = self.cluster.session(&target.name, None, Instant::now() + limit).await?;
            sweep::sweep(&session, live, self.sweep_limit).await
        }))
    }

    fn present<'a>(
        &'a self,
        _target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("presenting", limit, async move {
            // A token for somebody else is none for the API server.
            if self.audience.is_some() {
                return Ok(None);
            }
            let session = self.cluster.session_of(&credential.secret, Instant::now() + limit)?;
            present::present(&session).await.map(Some)
        }))
    }
}
