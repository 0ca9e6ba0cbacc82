//! A provider in circumstances that a test makes: what the workload shows, and what trouble the target is in while it mints.

use std::fmt;
use std::time::Duration;

use writ_core::credential::{Credential, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Asker, Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, TokenId, TokenKind, Workload};
use writ_core::writ::Writ;

/// What happens to what is asked, and around the minting.
pub trait Circumstances: Send + Sync {
    /// What the provider is asked for instead.
    fn asked(&self, intended: Intended) -> Intended {
        intended
    }

    /// Begins.
    fn before(&self) {}

    /// Ends, whatever came of it.
    fn after(&self) {}
}

/// Mints under some circumstances, and does everything else as the provider within does.
pub struct Under<F> {
    provider: Box<dyn Provider>,
    circumstances: F,
}

impl<F: Circumstances + 'static> Under<F> {
    /// A provider under circumstances.
    #[must_use]
    pub fn of(provider: Box<dyn Provider>, circumstances: F) -> Box<dyn Provider> {
        Box::new(Self { provider, circumstances })
    }
}

impl<F> fmt::Debug for Under<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.provider.fmt(f)
    }
}

/// The same, asked for by the writ's workload, which showed `token`.
#[must_use]
pub fn shown(intended: Intended, token: &str) -> Intended {
    let writ = intended.writ();
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: Claims::new(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("jti".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    intended.asked_by(Asker { workload, token: Secret::new(token.as_bytes().to_vec()) })
}

impl<F: Circumstances> Provider for Under<F> {
    fn describe(&self) -> Description {
        self.provider.describe()
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            self.circumstances.before();
            let minted = self.provider.mint(target, self.circumstances.asked(intended), deadline).await;
            self.circumstances.after();
            minted
        })
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        self.provider.revoke(target, writ, deadline)
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        self.provider.probe(target, deadline)
    }

    fn sweep<'a>(
        &'a self,
        target: &'a Target,
        live: &'a [WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        self.provider.sweep(target, live, deadline)
    }

    fn present<'a>(
        &'a self,
        target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        self.provider.present(target, credential, deadline)
    }

    fn revoke_older<'a>(
        &'a self,
        target: &'a Target,
        before: Timestamp,
        deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        self.provider.revoke_older(target, before, deadline)
    }
}
