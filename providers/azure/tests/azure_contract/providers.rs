//! Providers over the tenant, with the settings that the documentation shows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use writ_core::assertion::Assertions;
use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Swept};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::writ::Writ;
use writ_fakes::entra::Trouble;
use writ_provider_azure::{AzureConfig, AzureDatabaseConfig, AzureDatabaseProvider, AzureProvider};

use crate::world::{DEADLINE, World};
use crate::{canary, documented};

/// Another setting than the documentation's.
pub(crate) type Change<'a> = &'a dyn Fn(&mut Value);

/// Where the fake's ARM is, and everything else of it.
pub(crate) fn address(world: &World) -> Address {
    Address {
        host: "localhost".to_owned(),
        port: world.entra.port(),
        tls: UpstreamTls::VerifyFull,
        ca_pem: Some(world.entra.ca_pem().to_owned()),
    }
}

/// The provider `azure`, by an Entra at `authority`.
pub(crate) fn azure(world: &World, authority: &str, change: Change<'_>) -> AzureProvider {
    azure_by(world, authority, &world.assertions, change)
}

/// The same by other assertions.
pub(crate) fn azure_by(
    world: &World,
    authority: &str,
    assertions: &Arc<dyn Assertions>,
    change: Change<'_>,
) -> AzureProvider {
    let mut settings = documented::azure_settings();
    settings["entra"] = world.entra_settings(authority);
    change(&mut settings);
    let config: AzureConfig = serde_json::from_value(settings).unwrap();
    AzureProvider::new(&config, &address(world), Some(assertions)).unwrap()
}

/// The provider `azure_database`.
pub(crate) fn database(world: &World, authority: &str, change: Change<'_>) -> AzureDatabaseProvider {
    let mut settings = documented::database_settings();
    settings["entra"] = world.entra_settings(authority);
    change(&mut settings);
    let config: AzureDatabaseConfig = serde_json::from_value(settings).unwrap();
    AzureDatabaseProvider::new(&config, &address(world), Some(&world.assertions)).unwrap()
}

/// The target that the tenant trusts Writ for.
pub(crate) fn target(world: &World) -> Target {
    Target {
        name: TargetName::new(world.target).unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Azure,
        address: address(world),
        provider: "azure".to_owned(),
    }
}

/// A writ for that target.
pub(crate) fn writ(world: &World, role: Option<&str>, life: Duration) -> Writ {
    let mut writ = writ_provider_kit::writ(role.map(str::to_owned), life);
    writ.target = TargetName::new(world.target).unwrap();
    writ
}

/// Mints, and takes note of what must not show.
pub(crate) async fn mint(world: &World, provider: &dyn Provider, writ: &Writ) -> Result<Minted, ProviderFault> {
    let minted = provider.mint(&target(world), writ_provider_kit::intended(writ), DEADLINE).await;
    canary::say(&format!("{provider:?} {minted:?}"));
    match &minted {
        Ok(minted) => {
            let credential = minted.credential().unwrap();
            canary::say(&format!("{credential:?}"));
            canary::note(token(credential));
        }
        Err(fault) => canary::say(&format!("{fault:?} {fault} {}", fault.detail())),
    }
    minted
}

pub(crate) fn token(credential: &Credential) -> &str {
    std::str::from_utf8(credential.secret.expose()).unwrap()
}

/// The provider while Entra is in trouble.
pub(crate) struct Troubled {
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) world: Arc<World>,
    pub(crate) trouble: Trouble,
}

impl std::fmt::Debug for Troubled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.provider.fmt(f)
    }
}

impl Provider for Troubled {
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
            self.world.entra.trouble(Some(self.trouble));
            let minted = self.provider.mint(target, intended, deadline).await;
            self.world.entra.trouble(None);
            minted
        })
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
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
}
