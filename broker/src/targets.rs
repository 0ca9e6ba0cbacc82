//! Targets by name, each with the provider that mints for it.

mod breaker;
mod pace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::{Credential, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Labels, Target, TargetName};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::caught::{Panicked, caught};
use crate::issuer::OidcIssuer;
use crate::keys::Introduced;
use breaker::Breaker;
pub(crate) use breaker::Pass;
use pace::Pace;

/// A target and its provider.
#[derive(Debug)]
pub struct Served {
    /// The target.
    pub target: Target,
    /// What mints for it.
    pub provider: Arc<dyn Provider>,
    breaker: Breaker,
    pace: Pace,
}

/// A provider keeps to its deadline and says what it was waiting for. One that does not is left after half as long again:
/// no target can hold up an issuance, a revocation or the broker's own end. One that panics has failed in this call, whatever it
/// did by then, and in no other.
async fn held<T>(limit: Duration, call: impl Future<Output = Result<T, ProviderFault>>) -> Result<T, ProviderFault> {
    match tokio::time::timeout(limit + limit / 2, caught(call)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Panicked)) => {
            metrics::counter!("writ_panics_total", "part" => "provider").increment(1);
            let text = "the provider broke off by a bug: what it said of it stands in the broker's error output";
            Err(ProviderFault::Unreachable(text.to_owned()))
        }
        Err(_) => Err(ProviderFault::Unreachable("the provider did not end in its time".to_owned())),
    }
}

impl Served {
    /// Puts a target and its provider together.
    #[must_use]
    pub fn new(target: Target, provider: Arc<dyn Provider>) -> Self {
        Self { target, provider, breaker: Breaker::default(), pace: Pace::default() }
    }

    /// Lets a call to the target through, or says for how long it is left alone because it does not answer.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Duration> {
        self.breaker.admit()
    }

    /// Lets one revocation through, of so many a second.
    pub(crate) fn admit_revocation(&self, a_second: u32) -> bool {
        self.pace.take(a_second)
    }

    /// For how long it is left alone, if it is.
    pub(crate) fn resting(&self) -> Option<Duration> {
        self.breaker.resting()
    }

    /// One call, held to its time; what became of it is remembered.
    async fn call<T>(
        &self,
        pass: Option<Pass<'_>>,
        limit: Duration,
        call: impl Future<Output = Result<T, ProviderFault>>,
    ) -> Result<T, ProviderFault> {
        let finds_out = pass.is_some_and(Pass::take);
        let answer = held(limit, call).await;
        if self.breaker.tell(!matches!(answer, Err(ProviderFault::Unreachable(_))), finds_out) {
            metrics::counter!("writ_target_rests_total").increment(1);
            tracing::warn!(target = %self.target.name, "the target does not answer: it is left alone for a while");
        }
        answer
    }

    /// Whether a gateway that serves targets with all these labels serves this one.
    #[must_use]
    pub fn is_served_by(&self, serves: &Labels) -> bool {
        serves.iter().all(|(name, value)| self.target.labels.get(name) == Some(value))
    }

    /// Mints, within bounded time, for whom [`Self::admit`] let through.
    ///
    /// # Errors
    /// [`ProviderFault`] as the provider says, or unreachable if it says nothing.
    pub(crate) async fn mint(
        &self,
        pass: Pass<'_>,
        intended: Intended,
        limit: Duration,
    ) -> Result<Minted, ProviderFault> {
        if let Some(scope) = &intended.writ().obligations.scope
            && !self.provider.describe().scoped
        {
            let text =
                format!("policy names the scope `{scope}`, and `{}` has none: remove `@scope`", self.target.name);
            return Err(ProviderFault::Misconfigured(text));
        }
        self.call(Some(pass), limit, async { self.provider.mint(&self.target, intended, limit).await }).await
    }

    /// Takes back whatever was minted for the writ, within bounded time. [`Revoked::Left`] also where the credential itself says
    /// that it is not taken back alone.
    ///
    /// # Errors
    /// As for [`Self::mint`]; [`ProviderFault::Misconfigured`] if another kind of provider minted it, which knows nothing of it.
    pub(crate) async fn revoke(
        &self,
        pass: Option<Pass<'_>>,
        writ: &Writ,
        limit: Duration,
    ) -> Result<Revoked, ProviderFault> {
        let kind = self.provider.describe().kind;
        if let Some(minted_by) = writ.provider.as_deref().filter(|minted_by| *minted_by != kind) {
            let text = format!(
                "the provider `{minted_by}` minted it, and `{}` has the provider `{kind}` now, which cannot take it back: give the \
                 target its former provider until this is done, or take it back at the target by hand",
                self.target.name
            );
            return Err(ProviderFault::Misconfigured(text));
        }
        let revoke = async { self.provider.revoke(&self.target, writ, limit).await };
        let revoked = self.call(pass, limit, revoke).await?;
        let revocation = writ.credential.as_ref().and_then(|facts| facts.revocation);
        Ok(if revocation.is_none_or(|how| how == Revocation::Individual) { revoked } else { Revoked::Left })
    }

    /// Removes leftovers, within bounded time.
    ///
    /// # Errors
    /// As for [`Self::mint`].
    pub async fn sweep(&self, live: &[WritId], limit: Duration) -> Result<Swept, ProviderFault> {
        held(limit, async { self.provider.sweep(&self.target, live, limit).await }).await
    }

    /// Asks the provider whether a mint would work, within bounded time.
    ///
    /// # Errors
    /// As for [`Self::mint`].
    pub async fn probe(&self, limit: Duration) -> Result<(), ProviderFault> {
        self.call(None, limit, async { self.provider.probe(&self.target, limit).await }).await
    }

    /// Presents what was minted to the target, within bounded time. `None` where the target has no harmless call.
    ///
    /// # Errors
    /// As for [`Self::mint`]; [`ProviderFault::Refused`] if the target took the credential for another.
    pub async fn present(&self, credential: &Credential, limit: Duration) -> Result<Option<Presented>, ProviderFault> {
        let presented = held(limit, async { self.provider.present(&self.target, credential, limit).await });
        match presented.await? {
            Some(seen) if seen.principal != credential.principal || seen.audit != credential.audit => {
                Err(ProviderFault::Refused(format!(
                    "the target saw `{}`, in its audit `{}`, where `{}` and `{}` were minted",
                    seen.principal, seen.audit, credential.principal, credential.audit
                )))
            }
            presented => Ok(presented),
        }
    }

    /// Takes back everything that was minted before `before`, within bounded time.
    ///
    /// # Errors
    /// As for [`Self::mint`].
    pub async fn revoke_older(&self, before: Timestamp, limit: Duration) -> Result<(), ProviderFault> {
        held(limit, async { self.provider.revoke_older(&self.target, before, limit).await }).await
    }
}

/// All targets, and the issuer by whose assertions some of them know the broker.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    served: BTreeMap<TargetName, Arc<Served>>,
    issuer: Option<Arc<OidcIssuer>>,
    introduced: Vec<Introduced>,
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

    /// Names keys that were made for the providers, for the ledger.
    #[must_use]
    pub fn introducing(self, introduced: Vec<Introduced>) -> Self {
        Self { introduced, ..self }
    }

    /// Keys that were made for the issuer and the providers.
    pub(crate) fn introduced(&self) -> impl Iterator<Item = &Introduced> {
        self.issuer.iter().flat_map(|issuer| issuer.introduced()).chain(self.made())
    }

    /// Keys that were made for the providers.
    pub(crate) fn made(&self) -> impl Iterator<Item = &Introduced> {
        self.introduced.iter()
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
        Self { served, ..Self::default() }
    }
}
