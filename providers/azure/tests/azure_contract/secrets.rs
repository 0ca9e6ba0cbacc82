//! Secrets of Key Vault, for the provider `static`.

use serde_json::json;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_fakes::entra::{App, Machine, VaultSecret};
use writ_provider_azure::{Ambient, KeyVaultSecret, KeyVaultSecretConfig};
use writ_provider_source::{Fetched, SecretSource as _};

use crate::canary;
use crate::world::World;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);
const BROKER: &str = "55556666-ffff-7777-aaaa-8888bbbb9999";
const BROKER_OBJECT: &str = "66667777-aaaa-8888-bbbb-9999cccc0000";
const FIRST: &str = "0123456789abcdef0123456789abcdef";
const SECOND: &str = "fedcba9876543210fedcba9876543210";

fn identity() -> App {
    App { client_id: BROKER.to_owned(), object_id: BROKER_OBJECT.to_owned(), federated: Vec::new() }
}

fn version(version: &str, value: &str) -> VaultSecret {
    canary::note(value);
    let (version, value, users) = (version.to_owned(), value.to_owned(), vec![BROKER_OBJECT.to_owned()]);
    VaultSecret { version, value, enabled: true, users, writers: Vec::new(), content_type: None, tags: None }
}

fn source(world: &World, machine: &Machine, secret: &str) -> KeyVaultSecret {
    let settings = json!({ "secret": secret, "endpoint": world.entra.url() });
    let config: KeyVaultSecretConfig = serde_json::from_value(settings).unwrap();
    KeyVaultSecret::with_ambient(&config, Some(world.entra.ca_pem()), Ambient::of_machine(machine.url())).unwrap()
}

async fn fetched(world: &World, machine: &Machine, secret: &str) -> Result<Fetched, ProviderFault> {
    let source = source(world, machine, secret);
    let fetched = source.fetch(&TargetName::new("legacy").unwrap(), None, LIMIT).await;
    canary::say(&format!("{fetched:?} {source:?}"));
    fetched
}

#[tokio::test]
async fn a_version_is_the_newest_or_one_and_the_log_names_the_writ() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let values = ["azure-secret-canary-1", "azure-secret-canary-2"];
    let secret = world.entra.vault_secret("legacy", version(FIRST, values[0]));
    assert_eq!(world.entra.vault_secret("legacy", version(SECOND, values[1])), secret);
    let pinned = format!("{secret}/{FIRST}");
    for (named, value, version) in [(&secret, values[1], SECOND), (&pinned, values[0], FIRST)] {
        let fetched = fetched(&world, &machine, named).await.unwrap();
        assert_eq!(fetched.value.expose(), value.as_bytes());
        assert_eq!(fetched.label, format!("azure-keyvault:{secret}@{version}"));
    }
    let writ = writ_provider_kit::writ(None, LIMIT);
    let intended = writ_provider_kit::intended(&writ);
    let (source, target) = (source(&world, &machine, &secret), TargetName::new("legacy").unwrap());
    let before = world.entra.secrets_asked().len();
    for _ in 0..2 {
        source.fetch(&target, Some(&intended), LIMIT).await.unwrap();
    }
    let asked = world.entra.secrets_asked().split_off(before);
    let shown: Vec<bool> = asked.iter().map(|asked| asked.headers.contains_key("authorization")).collect();
    assert_eq!(shown, [false, true, true], "the vault says for whom tokens must be before it is shown the first");
    assert!(asked[1].headers["user-agent"].contains(&writ.id.to_string()));
    canary::check();
}

#[tokio::test]
async fn what_cannot_be_had_is_said() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let value = "azure-secret-canary-3";
    let sound = world.entra.vault_secret("legacy", version(FIRST, value));
    let locked = VaultSecret { users: Vec::new(), ..version(FIRST, value) };
    let locked = world.entra.vault_secret("locked", locked);
    let disabled = VaultSecret { enabled: false, ..version(FIRST, value) };
    let disabled = world.entra.vault_secret("disabled", disabled);
    let empty = VaultSecret { value: String::new(), ..version(FIRST, value) };
    let empty = world.entra.vault_secret("empty", empty);
    for (secret, code, words) in [
        (&locked, "provider.misconfigured", "the role `Key Vault Secrets User`"),
        (&disabled, "provider.refused", "enable it"),
        (&format!("{sound}-not"), "provider.refused", "no such secret"),
        (&format!("{sound}/{SECOND}"), "provider.refused", "no such version"),
        (&empty, "provider.misconfigured", "it has no value"),
    ] {
        let fault = fetched(&world, &machine, secret).await.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "{secret}: {fault:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_new_version_is_set_and_keeps_what_the_one_before_said_of_itself() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let tags = [("owner".to_owned(), "shop".to_owned())].into();
    let first = VaultSecret {
        writers: vec![BROKER_OBJECT.to_owned()],
        content_type: Some("application/json".to_owned()),
        tags: Some(tags),
        ..version(FIRST, "azure-secret-canary-5")
    };
    let secret = world.entra.vault_secret("turned", first);
    let target = TargetName::new("legacy").unwrap();
    let source = source(&world, &machine, &secret);
    let keeper = source.keeper().unwrap();
    let before = source.fetch(&target, None, LIMIT).await.unwrap();
    let next = "azure-secret-canary-6";
    canary::note(next);
    let value = Secret::new(next.as_bytes().to_vec());
    let label = keeper.replace(&target, &before, &value, LIMIT).await.unwrap();
    let now = source.fetch(&target, None, LIMIT).await.unwrap();
    assert_eq!((now.value.expose(), &now.label), (next.as_bytes(), &label));
    assert_ne!(now.label, before.label);
    let bodies = world.entra.secrets_asked();
    let put: serde_json::Value = bodies.iter().find_map(|asked| serde_json::from_str(&asked.body).ok()).unwrap();
    assert_eq!((&put["contentType"], &put["tags"]["owner"]), (&json!("application/json"), &json!("shop")));
    // Somebody else's newer version stays, and so does one that may be read alone.
    let fault = keeper.replace(&target, &before, &value, LIMIT).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("somebody else's")), "{fault:?}");
    let locked = world.entra.vault_secret("read", version(FIRST, "azure-secret-canary-7"));
    let locked = super::secrets::source(&world, &machine, &locked);
    let before = locked.fetch(&target, None, LIMIT).await.unwrap();
    let fault = locked.keeper().unwrap().replace(&target, &before, &value, LIMIT).await.unwrap_err();
    assert!(
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("Key Vault Secrets Officer")),
        "{fault:?}"
    );
    canary::say(&format!("{fault:?} {label}"));
    let pinned = super::secrets::source(&world, &machine, &format!("{secret}/{FIRST}"));
    assert!(pinned.keeper().err().unwrap().to_string().contains("leave `/VERSION` out"));
    canary::check();
}

/// A vault of another cloud's host wants another token than what answers there: it is shown none.
#[tokio::test]
async fn who_wants_a_token_for_somewhere_else_is_shown_none() {
    let world = World::start("reports");
    let machine = Machine::start(&world.entra, identity()).unwrap();
    let secret = world.entra.vault_secret("legacy", version(FIRST, "azure-secret-canary-4"));
    let elsewhere = secret.replace("vault.azure.net", "vault.azure.cn");
    let fault = fetched(&world, &machine, &elsewhere).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("no token was shown to it")), "{fault:?}");
    assert!(world.entra.secrets_asked().iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[test]
fn each_mistake_says_what_to_write_instead() {
    for secret in [
        "legacy",
        "http://acme.vault.azure.net/secrets/a",
        "https://acme.vault.azure.net/keys/a",
        "https://acme.vault.azure.net/secrets/a/1",
        "https://acme.managedhsm.azure.net/secrets/a",
        "https://acme.vault.azure.net.evil.example/secrets/a",
        "https://evil.example/.vault.azure.net/secrets/a",
        "https://me@acme.vault.azure.net/secrets/a",
    ] {
        let config = KeyVaultSecretConfig { secret: secret.to_owned(), endpoint: None };
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains("write `https://VAULT.vault.azure.net/secrets/NAME`"), "{secret}: {fault}");
    }
}
