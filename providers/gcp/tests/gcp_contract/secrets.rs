//! Secrets of Secret Manager, for the provider `static`.

use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_fakes::gcp::Spoilt;
use writ_provider_gcp::{SecretManager, SecretManagerConfig};
use writ_provider_source::{Fetched, SecretSource as _};

use crate::canary;
use crate::world::{BROKER, World};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
const READER: (&str, &str) =
    ("roles/secretmanager.secretAccessor", "serviceAccount:writ-broker@acme-prod.iam.gserviceaccount.com");

fn source(world: &World, secret: &str, more: &Value) -> SecretManager {
    let mut settings = json!({ "secret": secret, "endpoint": world.google.url() });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config: SecretManagerConfig = serde_json::from_value(settings).unwrap();
    SecretManager::with_ambient(&config, world.ambient()).unwrap()
}

async fn fetched(world: &World, secret: &str, more: &Value) -> Result<Fetched, ProviderFault> {
    let source = source(world, secret, more);
    let fetched = source.fetch(&TargetName::new("legacy").unwrap(), None, LIMIT).await;
    canary::say(&format!("{fetched:?} {source:?}"));
    fetched
}

#[tokio::test]
async fn a_version_is_the_newest_or_one_and_the_audit_names_the_writ() {
    let world = World::start("reports");
    let versions = ["gcp-secret-canary-1", "gcp-secret-canary-2"];
    versions.iter().for_each(|value| canary::note(value));
    let secret = world.google.secret("legacy", &versions.map(Some), &[READER]);
    for (more, value, version) in [(json!({}), versions[1], 2), (json!({ "version": 1 }), versions[0], 1)] {
        let fetched = fetched(&world, &secret, &more).await.unwrap();
        assert_eq!(fetched.value.expose(), value.as_bytes());
        assert_eq!(fetched.label, format!("gcp-secretmanager:{secret}@{version}"));
    }
    let writ = writ_provider_kit::writ(None, LIMIT);
    let intended = writ_provider_kit::intended(&writ);
    let target = TargetName::new("legacy").unwrap();
    source(&world, &secret, &json!({})).fetch(&target, Some(&intended), LIMIT).await.unwrap();
    let events = world.google.audit_naming(&writ.id.to_string());
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["protoPayload"]["methodName"], "AccessSecretVersion");
    assert_eq!(event["protoPayload"]["requestMetadata"]["requestAttributes"]["reason"], writ.id.to_string());
    assert_eq!(event["protoPayload"]["authenticationInfo"]["principalEmail"], BROKER);
    canary::check();
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let world = World::start("reports");
    let value = "gcp-secret-canary-3";
    canary::note(value);
    let sound = world.google.secret("legacy", &[Some(value)], &[READER]);
    let locked = world.google.secret("locked", &[Some(value)], &[("roles/secretmanager.viewer", READER.1)]);
    let disabled = world.google.secret("disabled", &[Some(value), None], &[READER]);
    let empty = world.google.secret("empty", &[Some("")], &[READER]);
    for (secret, more, code, words) in [
        (&locked, json!({}), "provider.misconfigured", "`roles/secretmanager.secretAccessor` on `projects/acme-prod/"),
        (&format!("{sound}-not"), json!({}), "provider.misconfigured", "secretmanager.versions.access"),
        (&sound, json!({ "version": 2 }), "provider.refused", "no such version"),
        (&disabled, json!({}), "provider.refused", "disabled or destroyed"),
        (&empty, json!({}), "provider.misconfigured", "it has no value"),
    ] {
        let fault = fetched(&world, secret, &more).await.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "{secret}: {fault:?}");
        assert!(!fault.detail().contains("workloadIdentityUser"), "{fault:?}");
    }
    world.google.spoil(Some(Spoilt::Secret));
    let fault = fetched(&world, &sound, &json!({})).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("changed on its way")), "{fault:?}");
    let target = TargetName::new("legacy").unwrap();
    let silent = writ_fakes::dead::Silent::start().unwrap();
    let down = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    for url in [silent.url(), down] {
        let source = source(&world, &sound, &json!({ "endpoint": url }));
        let fault = source.fetch(&target, None, std::time::Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_version_is_added_and_is_the_newest() {
    let world = World::start("reports");
    let values = ["gcp-secret-canary-4", "gcp-secret-canary-5"];
    values.iter().for_each(|value| canary::note(value));
    let adder = ("roles/secretmanager.secretVersionAdder", READER.1);
    let secret = world.google.secret("turned", &[Some(values[0])], &[READER, adder]);
    let target = TargetName::new("legacy").unwrap();
    let turned = source(&world, &secret, &json!({}));
    let before = turned.fetch(&target, None, LIMIT).await.unwrap();
    let value = Secret::new(values[1].as_bytes().to_vec());
    let label = turned.keeper().unwrap().replace(&target, &before, &value, LIMIT).await.unwrap();
    assert_eq!(label, format!("gcp-secretmanager:{secret}@2"));
    let now = turned.fetch(&target, None, LIMIT).await.unwrap();
    assert_eq!((now.value.expose(), now.label), (values[1].as_bytes(), label));
    let locked = world.google.secret("read", &[Some(values[0])], &[READER]);
    let fault = turned.keeper().unwrap().replace(&target, &before, &value, LIMIT).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("somebody else's")), "{fault:?}");
    assert_eq!(turned.fetch(&target, None, LIMIT).await.unwrap().label, format!("gcp-secretmanager:{secret}@2"));
    let locked = source(&world, &locked, &json!({}));
    let before = locked.fetch(&target, None, LIMIT).await.unwrap();
    let fault = locked.keeper().unwrap().replace(&target, &before, &value, LIMIT).await.unwrap_err();
    canary::say(&format!("{fault:?}"));
    assert!(
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("`roles/secretmanager.secretVersionAdder` on")),
        "{fault:?}"
    );
    let pinned = source(&world, &secret, &json!({ "version": 1 }));
    assert!(pinned.keeper().err().unwrap().to_string().contains("leave it out"));
    let down = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    let down = source(&world, &secret, &json!({ "endpoint": down }));
    let fault = down.keeper().unwrap().replace(&target, &before, &value, LIMIT).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    canary::check();
}

#[test]
fn each_mistake_says_what_to_write_instead() {
    for (settings, words) in [
        (json!({ "secret": "legacy" }), "write `projects/PROJECT/secrets/NAME`"),
        (json!({ "secret": "projects/acme/secrets/a/versions/1" }), "write `projects/PROJECT/secrets/NAME`"),
        (json!({ "secret": "projects/../secrets/a" }), "write `projects/PROJECT/secrets/NAME`"),
        (json!({ "secret": "projects/acme/secrets/a?b" }), "write `projects/PROJECT/secrets/NAME`"),
        (json!({ "secret": "projects/acme/secrets/a", "version": 0 }), "versions begin with 1"),
        (json!({ "secret": "projects/acme/secrets/a", "endpoint": "http://sm.example" }), "in the clear"),
    ] {
        let config: SecretManagerConfig = serde_json::from_value(settings.clone()).unwrap();
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{settings}: {fault}");
    }
}
