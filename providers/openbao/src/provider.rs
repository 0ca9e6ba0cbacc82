//! The provider itself: one instance for each target, every call within its deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use writ_core::assertion::Assertions;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Target, TargetName};
use writ_core::writ::Writ;
use writ_provider_calls::{plain, within};

use crate::call::Server;
use crate::config::{ConfigFault, DynamicConfig, OpenbaoConfig};
use crate::dynamic::Minting;
use crate::note::Notes;
use crate::revoke::{self, Known};
use crate::rights::Rights;
use crate::{kv, probe, sweep};

/// Gives out the secrets of one OpenBao or Vault.
pub struct OpenbaoProvider {
    config: OpenbaoConfig,
    server: Server,
    assertions: Arc<dyn Assertions>,
}

impl OpenbaoProvider {
    /// Checks the configuration and reads the file that it names. Does not connect: an OpenBao that is down must not keep the
    /// broker from starting.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: &OpenbaoConfig, assertions: Option<&Arc<dyn Assertions>>) -> Result<Self, ConfigFault> {
        config.validate()?;
        let none = || ConfigFault::new("the broker is no issuer, and OpenBao would not know it: add `[broker.issues]`");
        let assertions = Arc::clone(assertions.ok_or_else(none)?);
        Ok(Self { config: config.clone(), server: Server::new(config)?, assertions })
    }

    fn limit(&self, deadline: Duration) -> Duration {
        deadline.min(self.config.call_timeout())
    }

    fn minting<'a>(&'a self, dynamic: &'a DynamicConfig, target: &'a TargetName) -> Minting<'a> {
        Minting { server: &self.server, config: &self.config, dynamic, assertions: &self.assertions, target }
    }
}

impl fmt::Debug for OpenbaoProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("OpenbaoProvider");
        shown.field("address", &self.server.url().as_str()).field("role", &self.config.role).finish_non_exhaustive()
    }
}

impl Provider for OpenbaoProvider {
    fn describe(&self) -> Description {
        let dynamic = self.config.dynamic.is_some();
        Description { kind: "openbao", long_lived: !dynamic, revocable: dynamic, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("minting", limit, async move {
            if let Some(dynamic) = &self.config.dynamic {
                return self.minting(dynamic, &target.name).mint(intended, limit).await;
            }
            let none = || ProviderFault::Misconfigured("no secret: add the table `kv` or `dynamic`".to_owned());
            let kv = self.config.kv.as_ref().ok_or_else(none)?;
            let session = self.server.anonymous(Instant::now() + limit);
            kv::mint(&session, &self.config, kv, &self.assertions, &target.name, intended).await
        }))
    }

    /// What a KV engine keeps is not the writ's, and stays.
    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("revoking", limit, async move {
            let known = Known::of(writ);
            let Some(dynamic) = &self.config.dynamic else { return known.none_of(writ).map(|()| Revoked::Left) };
            let end = Instant::now() + limit;
            revoke::taken_back(&self.minting(dynamic, &target.name), writ.id, known, end).await?;
            Ok(Revoked::Gone)
        }))
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        let limit = self.limit(deadline);
        Box::pin(within("probing", limit, async move {
            let session = self.server.anonymous(Instant::now() + limit);
            probe::probe(&session, &self.config, &self.assertions, &target.name).await
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
            let Some(dynamic) = &self.config.dynamic else { return Ok(Swept::default()) };
            let end = Instant::now() + limit;
            sweep::sweep(&self.minting(dynamic, &target.name), live, self.config.sweep_limit, end).await
        }))
    }
}

/// The path that policy names, or the first.
pub(crate) fn path<'a>(first: &'a str, more: &'a [String], writ: &Writ) -> Result<&'a str, ProviderFault> {
    let Some(role) = writ.obligations.role.as_deref() else { return Ok(first) };
    let mut all = std::iter::once(first).chain(more.iter().map(String::as_str));
    all.find(|path| *path == role).ok_or_else(|| {
        ProviderFault::Misconfigured(format!(
            "policy grants the path `{}`, which this target does not allow: add it to `paths`, or write another `@role`",
            plain(role)
        ))
    })
}

pub(crate) const fn notes<'a>(config: &'a OpenbaoConfig, dynamic: &'a DynamicConfig) -> Notes<'a> {
    Notes { mount: dynamic.notes.as_str(), rights: Rights(config) }
}

pub(crate) const fn rights(config: &OpenbaoConfig) -> Rights<'_> {
    Rights(config)
}

/// A request's id as it may stand in the ledger.
pub(crate) fn id(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect()
}
