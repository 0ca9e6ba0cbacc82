//! The issuer's key in KMS.

use std::sync::Arc;

use serde_json::json;
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::{AssertedSubject, Assertion, AssertionSigner, Assertions};
use writ_core::target::TargetName;
use writ_core::time::SystemClock;
use writ_core::workload::Claims;
use writ_fakes::gcp::{KeyForm, Spoilt};
use writ_provider_gcp::KmsSigner;

use crate::canary;
use crate::documented;
use crate::world::{BROKER, World};

const ROLES: [(&str, &str); 2] = [
    ("roles/cloudkms.signer", "serviceAccount:writ-broker@acme-prod.iam.gserviceaccount.com"),
    ("roles/cloudkms.publicKeyViewer", "serviceAccount:writ-broker@acme-prod.iam.gserviceaccount.com"),
];

async fn opened(world: &World, key: &str) -> Result<KmsSigner, writ_core::provider::ProviderFault> {
    KmsSigner::open_with(key, Some(world.google.url()), world.ambient()).await
}

#[tokio::test]
async fn keys_of_both_kinds_sign_assertions() {
    let world = World::start("reports");
    for (form, algorithm) in [(KeyForm::P256, "ES256"), (KeyForm::Rsa2048, "RS256")] {
        let key = world.google.key("issuer", form, &ROLES).unwrap();
        assert_eq!(key, documented::key_name());
        let signer: Arc<dyn AssertionSigner> = Arc::new(opened(&world, &key).await.unwrap());
        assert_eq!(signer.algorithm(), algorithm);
        let (config, limit) = (IssuingConfig::default(), std::time::Duration::from_secs(5));
        // The issuer checks each signature against the public key.
        let issuer =
            OidcIssuer::with_signer(&config, "https://issuer.example", signer, &[], limit, Arc::new(SystemClock))
                .unwrap();
        assert_eq!(issuer.jwks()["keys"][0]["alg"], algorithm);
        let target = TargetName::new("reports").unwrap();
        let (audience, subject, claims) = ("a", AssertedSubject::Target, Claims::default());
        let token =
            issuer.assert(Assertion { audience, subject, target: &target, intended: None, claims }).await.unwrap();
        canary::note(std::str::from_utf8(token.expose()).unwrap());
        let record = world.google.audit_naming("AsymmetricSign");
        assert_eq!(record.last().unwrap()["protoPayload"]["authenticationInfo"]["principalEmail"], BROKER);
    }
    canary::check();
}

#[tokio::test]
async fn what_was_changed_on_its_way_is_not_used() {
    let world = World::start("reports");
    let key = world.google.key("issuer", KeyForm::P256, &ROLES).unwrap();
    world.google.spoil(Some(Spoilt::Public));
    let fault = opened(&world, &key).await.unwrap_err();
    assert!(fault.detail().contains("the key was changed on its way"), "{fault:?}");
    world.google.spoil(None);
    let signer = opened(&world, &key).await.unwrap();
    signer.sign(b"message").await.unwrap();
    for (spoilt, words) in [
        (Spoilt::Signature, "the signature was changed on its way"),
        (Spoilt::Unverified, "KMS did not check what it was given to sign"),
        (
            Spoilt::Version,
            "KMS signed by `projects/acme-prod/locations/europe-west1/keyRings/writ/cryptoKeys/issuer/cryptoKeyVersions/2`",
        ),
    ] {
        world.google.spoil(Some(spoilt));
        let fault = signer.sign(b"message").await.unwrap_err();
        assert!(fault.code() == "provider.refused" && fault.detail().contains(words), "{spoilt:?}: {fault:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_key_that_signs_no_assertion_is_named() {
    let world = World::start("reports");
    let p384 = world.google.key("long", KeyForm::P384, &ROLES).unwrap();
    let locked = world.google.key("locked", KeyForm::P256, &[]).unwrap();
    let seen = world.google.key("seen", KeyForm::P256, &ROLES[1..]).unwrap();
    for (key, code, words) in [
        (p384, "provider.misconfigured", "make a key for `ASYMMETRIC_SIGN` of the algorithm `EC_SIGN_P256_SHA256`"),
        (locked, "provider.refused", "cloudkms.cryptoKeyVersions.viewPublicKey"),
        (documented::key_name(), "provider.misconfigured", "there is no such service account or key"),
        (
            "projects/acme-prod/locations/europe-west1/keyRings/writ/cryptoKeys/issuer".to_owned(),
            "provider.misconfigured",
            "is no version of a key: write its resource name",
        ),
        (
            "projects/../locations/europe-west1/keyRings/writ/cryptoKeys/issuer/cryptoKeyVersions/1".to_owned(),
            "provider.misconfigured",
            "is no version of a key",
        ),
    ] {
        let fault = opened(&world, &key).await.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "{key}: {fault:?}");
    }
    let signer = opened(&world, &seen).await.unwrap();
    let fault = signer.sign(b"message").await.unwrap_err();
    assert!(fault.detail().contains("cloudkms.cryptoKeyVersions.useToSign"), "{fault:?}");
    canary::check();
}

/// What the checks are worth: an answer whose checksums hold, by another key, is refused by the issuer.
#[tokio::test]
async fn another_keys_signature_is_no_assertion() {
    let world = World::start("reports");
    let key = world.google.key("issuer", KeyForm::P256, &ROLES).unwrap();
    let signer: Arc<dyn AssertionSigner> = Arc::new(opened(&world, &key).await.unwrap());
    world.google.key("issuer", KeyForm::P256, &ROLES).unwrap();
    let (config, limit) = (IssuingConfig::default(), std::time::Duration::from_secs(5));
    let issuer =
        OidcIssuer::with_signer(&config, "https://issuer.example", signer, &[], limit, Arc::new(SystemClock)).unwrap();
    let target = TargetName::new("reports").unwrap();
    let (audience, subject, claims) = ("a", AssertedSubject::Target, Claims::default());
    let asked = issuer.assert(Assertion { audience, subject, target: &target, intended: None, claims }).await;
    assert!(asked.is_err(), "{:?}", json!(issuer.jwks()));
    canary::check();
}
