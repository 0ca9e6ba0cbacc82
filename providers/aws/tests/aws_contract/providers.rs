//! Providers over the account, with the settings that the documentation shows.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::writ::Writ;
use writ_fakes::sts::Trouble;
use writ_provider_aws::{AwsConfig, AwsProvider, By, EksConfig, EksProvider, RdsConfig, RdsProvider};
use writ_provider_kit::under::{Circumstances, shown};

use crate::canary;
use crate::documented;
use crate::world::{DEADLINE, World};

/// Another setting than the documentation's.
pub(crate) type Change<'a> = &'a dyn Fn(&mut Value);

/// How roles are assumed, by an STS at `endpoint`.
fn assume(by: By, endpoint: &str) -> Value {
    let by_name = match by {
        By::Issuer => "issuer",
        By::Workload => "workload",
        By::Broker => "broker",
    };
    // A machine with much else to do is no finding.
    let mut assume =
        json!({ "by": by_name, "endpoint": endpoint, "iam_endpoint": endpoint, "call_timeout_ms": 30_000 });
    if by == By::Broker {
        assume["external_id"] = json!("writ-prod");
    }
    assume
}

fn settings(mut settings: Value, by: By, endpoint: &str, change: Change<'_>) -> Value {
    settings["assume"] = assume(by, endpoint);
    change(&mut settings);
    settings
}

/// The provider `aws`.
pub(crate) fn aws(world: &World, by: By, endpoint: &str, change: Change<'_>) -> AwsProvider {
    let settings = settings(documented::aws_settings(), by, endpoint, change);
    let config: AwsConfig = serde_json::from_value(settings).unwrap();
    AwsProvider::with_ambient(&config, Some(&world.assertions), world.ambient()).unwrap()
}

/// The provider `eks`.
pub(crate) fn eks(world: &World, by: By, endpoint: &str, change: Change<'_>) -> EksProvider {
    let settings = settings(documented::eks_settings(), by, endpoint, change);
    let config: EksConfig = serde_json::from_value(settings).unwrap();
    EksProvider::with_ambient(&config, Some(&world.assertions), world.ambient()).unwrap()
}

/// The provider `rds`, for an endpoint at `port`.
pub(crate) fn rds(world: &World, by: By, endpoint: &str, port: u16, change: Change<'_>) -> RdsProvider {
    let (documented, host) = documented::rds_settings();
    let config: RdsConfig = serde_json::from_value(settings(documented, by, endpoint, change)).unwrap();
    let address = Address { host, port, tls: UpstreamTls::VerifyFull, ca_pem: None };
    RdsProvider::with_ambient(&config, &address, Some(&world.assertions), world.ambient()).unwrap()
}

/// The target that the account trusts Writ for.
pub(crate) fn target(world: &World) -> Target {
    Target {
        name: TargetName::new(world.target).unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Aws,
        address: Address { host: "localhost".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None },
        provider: "aws".to_owned(),
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

/// STS and IAM are in trouble.
pub(crate) struct Troubled(pub(crate) Arc<World>, pub(crate) Trouble);

impl Circumstances for Troubled {
    fn before(&self) {
        self.0.front.trouble(Some(self.1));
    }

    fn after(&self) {
        self.0.front.trouble(None);
    }
}
