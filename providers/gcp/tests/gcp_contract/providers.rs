//! Providers over the project, with the settings that the documentation shows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::writ::Writ;
use writ_fakes::gcp::Trouble;
use writ_provider_gcp::{By, CloudSqlConfig, CloudSqlProvider, GcpConfig, GcpProvider};
use writ_provider_kit::under::{Circumstances, shown};

use crate::canary;
use crate::documented;
use crate::world::{DEADLINE, World};

/// Another setting than the documentation's.
pub(crate) type Change<'a> = &'a dyn Fn(&mut Value);

/// How Google knows who asks, at the address `endpoint`.
fn federation(by: By, endpoint: &str) -> Value {
    let mut federation = match by {
        By::Issuer => documented::gcp_settings()["federation"].clone(),
        By::Workload => documented::workload_federation(),
        By::Broker => json!({ "by": "broker" }),
    };
    for service in ["sts_endpoint", "iam_endpoint", "tokeninfo_endpoint"] {
        federation[service] = json!(endpoint);
    }
    // A machine with much else to do is no finding.
    federation["call_timeout_ms"] = json!(30_000);
    federation
}

fn settings(mut settings: Value, by: By, endpoint: &str, change: Change<'_>) -> Value {
    settings["federation"] = federation(by, endpoint);
    change(&mut settings);
    settings
}

/// The provider `gcp`.
pub(crate) fn gcp(world: &World, by: By, endpoint: &str, change: Change<'_>) -> GcpProvider {
    let settings = settings(documented::gcp_settings(), by, endpoint, change);
    let config: GcpConfig = serde_json::from_value(settings).unwrap();
    GcpProvider::with_ambient(&config, Some(&world.assertions), world.ambient()).unwrap()
}

/// ID tokens of it.
pub(crate) fn identity(settings: &mut Value) {
    settings["id_token_audience"] = json!("https://reports-abc123-ew.a.run.app");
    settings.as_object_mut().unwrap().remove("scopes");
    settings.as_object_mut().unwrap().remove("default_scope");
}

/// Tokens of the pool's principal.
pub(crate) fn direct(settings: &mut Value) {
    settings["direct"] = json!(true);
    settings["scopes"].as_object_mut().unwrap().remove("march");
    settings.as_object_mut().unwrap().remove("service_account");
    settings.as_object_mut().unwrap().remove("service_accounts");
}

/// The provider `cloudsql`.
pub(crate) fn cloudsql(world: &World, by: By, endpoint: &str, change: Change<'_>) -> CloudSqlProvider {
    let settings = settings(documented::cloudsql_settings(), by, endpoint, change);
    let config: CloudSqlConfig = serde_json::from_value(settings).unwrap();
    let address = Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::VerifyFull, ca_pem: None };
    CloudSqlProvider::with_ambient(&config, &address, Some(&world.assertions), world.ambient()).unwrap()
}

/// The target that the project trusts Writ for.
pub(crate) fn target(world: &World) -> Target {
    Target {
        name: TargetName::new(world.target).unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Gcp,
        address: Address { host: "localhost".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None },
        provider: "gcp".to_owned(),
    }
}

/// A writ for that target.
pub(crate) fn writ(world: &World, role: Option<&str>, life: Duration) -> Writ {
    let mut writ = writ_provider_kit::writ(role.map(str::to_owned), life);
    writ.target = TargetName::new(world.target).unwrap();
    writ
}

/// Mints for a writ whose workload showed a sound token, and takes note of what must not show.
pub(crate) async fn mint(world: &World, provider: &dyn Provider, writ: &Writ) -> Result<Minted, ProviderFault> {
    mint_showing(world, provider, writ, &world.token_of(&world.claims())).await
}

/// The same with another token of the workload's.
pub(crate) async fn mint_showing(
    world: &World,
    provider: &dyn Provider,
    writ: &Writ,
    token: &str,
) -> Result<Minted, ProviderFault> {
    let intended = shown(writ_provider_kit::intended(writ), token);
    let minted = provider.mint(&target(world), intended, DEADLINE).await;
    canary::say(&format!("{provider:?} {minted:?}"));
    match &minted {
        Ok(minted) => {
            let credential = minted.credential().unwrap();
            canary::say(&format!("{credential:?}"));
            canary::note_credential(credential);
        }
        Err(fault) => canary::say(&format!("{fault:?} {fault} {}", fault.detail())),
    }
    minted
}

/// The workload shows its token.
pub(crate) struct Showing(pub(crate) Arc<World>);

impl Circumstances for Showing {
    fn asked(&self, intended: Intended) -> Intended {
        shown(intended, &self.0.token_of(&self.0.claims()))
    }
}

/// STS and the IAM credentials service are in trouble.
pub(crate) struct Troubled(pub(crate) Arc<World>, pub(crate) Trouble);

impl Circumstances for Troubled {
    fn before(&self) {
        self.0.google.trouble(Some(self.1));
    }

    fn after(&self) {
        self.0.google.trouble(None);
    }
}
