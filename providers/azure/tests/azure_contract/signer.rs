//! The issuer's key in a vault: what it signs opens Entra, and what answers wrongly is shown no token.

use std::sync::Arc;
use std::time::Duration;

use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::{AssertionSigner as _, Assertions};
use writ_core::provider::ProviderFault;
use writ_core::time::SystemClock;
use writ_fakes::entra::{App, Machine, VaultKey};
use writ_provider_azure::{Ambient, KeyVaultSigner};

use crate::world::World;

const BROKER: &str = "55556666-ffff-7777-aaaa-8888bbbb9999";
const BROKER_OBJECT: &str = "66667777-aaaa-8888-bbbb-9999cccc0000";

fn identity() -> App {
    App { client_id: BROKER.to_owned(), object_id: BROKER_OBJECT.to_owned(), federated: Vec::new() }
}

fn key(kind: &'static str) -> VaultKey {
    VaultKey { kind, operations: vec!["sign", "verify"], enabled: true, users: vec![BROKER_OBJECT.to_owned()] }
}

async fn open(world: &World, machine: &Machine, id: &str) -> Result<KeyVaultSigner, ProviderFault> {
    let (url, ca_pem) = (world.entra.url(), world.entra.ca_pem());
    KeyVaultSigner::open_with(id, Some(url), Some(ca_pem), Ambient::of_machine(machine.url())).await
}

#[tokio::test]
async fn a_key_in_a_vault_signs_what_its_public_half_verifies() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    for (kind, algorithm) in [("EC", "ES256"), ("EC-HSM", "ES256"), ("RSA", "RS256"), ("RSA-HSM", "RS256")] {
        let id = world.entra.vault_key("issuer", &key(kind)).unwrap();
        let signer = open(&world, &machine, &id).await.unwrap();
        assert_eq!(signer.algorithm(), algorithm);
        assert!(!signer.public().to_string().contains("HSM"));
        // The issuer verifies each signature against the public half before a token leaves.
        let issuer = OidcIssuer::with_signer(
            &IssuingConfig::default(),
            "https://issuer.example",
            Arc::new(signer),
            &[],
            Duration::from_secs(10),
            Arc::new(SystemClock),
        );
        let issuer: Arc<dyn Assertions> = Arc::new(issuer.unwrap());
        let target = writ_core::target::TargetName::new("reports").unwrap();
        let asked = writ_core::assertion::Assertion {
            audience: "api://AzureADTokenExchange",
            subject: writ_core::assertion::AssertedSubject::Target,
            target: &target,
            intended: None,
            claims: std::collections::BTreeMap::new(),
        };
        let token = issuer.assert(asked).await.unwrap();
        assert_eq!(token.expose().split(|byte| *byte == b'.').count(), 3);
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_or_is_not_ours_is_said_so() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let wrong: [(&str, VaultKey, &str); 4] = [
        ("disabled", VaultKey { enabled: false, ..key("RSA") }, "make an enabled key for `sign`"),
        (
            "for something else",
            VaultKey { operations: vec!["encrypt"], ..key("RSA") },
            "make an enabled key for `sign`",
        ),
        ("of another kind", VaultKey { kind: "oct", ..key("RSA") }, "make an enabled key for `sign`"),
        ("another's", VaultKey { users: Vec::new(), ..key("RSA") }, "the role `Key Vault Crypto User`"),
    ];
    for (what, key, words) in wrong {
        let id = world.entra.vault_key("issuer", &key).unwrap();
        let fault = open(&world, &machine, &id).await.unwrap_err();
        assert_eq!(fault.code(), "provider.misconfigured", "{what}: {fault:?}");
        assert!(fault.detail().contains(words), "{what}: {fault:?}");
    }
    let absent = "https://writ.vault.azure.net/keys/issuer/0123456789abcdef0123456789abcdef";
    let fault = open(&world, &machine, absent).await.unwrap_err();
    assert!(fault.detail().contains("correct `kms_key`"), "{fault:?}");
}

/// A managed HSM's host, and what answers there says that it is a vault: it is shown no token.
#[tokio::test]
async fn who_wants_a_token_for_somewhere_else_is_shown_none() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let id = world.entra.vault_key("issuer", &key("RSA")).unwrap().replace("vault.azure.net", "managedhsm.azure.net");
    let fault = open(&world, &machine, &id).await.unwrap_err();
    assert_eq!(fault.code(), "provider.refused");
    assert!(fault.detail().contains("no token was shown to it"), "{fault:?}");
}

#[tokio::test]
async fn a_broker_without_an_identity_is_told_what_to_give_it() {
    let world = World::start("reports");
    let other = App { client_id: crate::world::STRANGER.to_owned(), ..identity() };
    let machine = Machine::start(&world.entra, other).unwrap();
    let id = world.entra.vault_key("issuer", &VaultKey { users: Vec::new(), ..key("RSA") }).unwrap();
    let fault = open(&world, &machine, &id).await.unwrap_err();
    assert_eq!(fault.code(), "provider.misconfigured", "{fault:?}");
    // Nobody answers where the metadata service should be.
    let nowhere = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    let ambient = Ambient::of_machine(&nowhere);
    let (url, ca_pem) = (world.entra.url(), world.entra.ca_pem());
    let fault = KeyVaultSigner::open_with(&id, Some(url), Some(ca_pem), ambient).await.unwrap_err();
    assert_eq!(fault.code(), "provider.unreachable", "{fault:?}");
}
