//! Targets by name, each with the provider that mints for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Pending, Provider, ProviderFault, Swept};
use writ_core::target::{Labels, Target, TargetName};
use writ_core::writ::Writ;

use crate::issuer::OidcIssuer;

/// A target and its provider.
#[derive(Debug, Clone)]
pub struct Served {
    /// The target.
    pub target: Target,
    /// What mints for it.
    pub provider: Arc<dyn Provider>,
}

/// A provider keeps to its deadline and says what it was waiting for. One that does not is left after half as long again:
/// no target can hold up an issuance, a revocation or the broker's own end.
async fn held<T>(limit: Duration, call: Pending<'_, Result<T, ProviderFault>>) -> Result<T, ProviderFault> {
    tokio::time::timeout(limit + limit / 2, call)
        .await
        .unwrap_or_else(|_| Err(ProviderFault::Unreachable("the provider did not end in its time".to_owned())))
}

impl Served {
    /// Whether a gateway that serves targets with all these labels serves this one.
    #[must_use]
    pub fn is_served_by(&self, serves: &Labels) -> bool {
        serves.iter().all(|(name, value)| self.target.labels.get(name) == Some(value))
    }

    /// Mints, within bounded time.
    ///
    /// # Errors
    /// [`ProviderFault`] as the provider says, or unreachable if it says nothing.
    pub async fn mint(&self, intended: Intended, limit: Duration) -> Result<Minted, ProviderFault> {
        if let Some(scope) = &intended.writ().obligations.scope
            && !self.provider.describe().scoped
        {
            let text =
                format!("policy names the scope `{scope}`, and `{}` has none: remove `@scope`", self.target.name);
            return Err(ProviderFault::Misconfigured(text));
        }
        held(limit, self.provider.mint(&self.target, intended, limit)).await
    }

    /// Takes back whatever was minted for the writ, within bounded time.
    ///
    /// # Errors
    /// As for [`Self::mint`].
    pub async fn revoke(&self, writ: &Writ, limit: Duration) -> Result<(), ProviderFault> {
        held(limit, self.provider.revoke(&self.target, writ, limit)).await
    }

    /// Removes leftovers, within bounded time.
    ///
    /// # Errors
    /// As for [`Self::mint`].
    pub async fn sweep(&self, live: &[WritId], limit: Duration) -> Result<Swept, ProviderFault> {
        held(limit, self.provider.sweep(&self.target, live, limit)).await
    }
}

/// All targets, and the issuer by whose assertions some of them know the broker.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    served: BTreeMap<TargetName, Arc<Served>>,
    issuer: Option<Arc<OidcIssuer>>,
}

impl Targets {
    /// The target with this name as a client wrote it, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Served>> {
        let name = TargetName::new(name).ok()?;
        self.served.get(&name).cloned()
    }

    /// Names the issuer that the providers were given.
    #[must_use]
    pub fn asserted_by(self, issuer: Option<Arc<OidcIssuer>>) -> Self {
        Self { issuer, ..self }
    }

    /// The issuer that the providers were given.
    #[must_use]
    pub const fn issuer(&self) -> Option<&Arc<OidcIssuer>> {
        self.issuer.as_ref()
    }

    /// Every target.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.served.values()
    }
}

impl FromIterator<Served> for Targets {
    fn from_iter<I: IntoIterator<Item = Served>>(served: I) -> Self {
        let served = served.into_iter().map(|served| (served.target.name.clone(), Arc::new(served))).collect();
        Self { served, issuer: None }
    }
}
