//! Providers over the tenant, with the settings that the documentation shows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use writ_core::assertion::Assertions;
use writ_core::credential::Credential;
use writ_core::proof::Minted;
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::writ::Writ;
use writ_fakes::entra::Trouble;
use writ_provider_azure::{AzureConfig, AzureDatabaseConfig, AzureDatabaseProvider, AzureProvider};
use writ_provider_kit::under::Circumstances;

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

/// Entra is in trouble.
pub(crate) struct Troubled(pub(crate) Arc<World>, pub(crate) Trouble);

impl Circumstances for Troubled {
    fn before(&self) {
        self.0.entra.trouble(Some(self.1));
    }

    fn after(&self) {
        self.0.entra.trouble(None);
    }
}
