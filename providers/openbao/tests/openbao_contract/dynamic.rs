//! Dynamic secrets: what OpenBao's audit says of them, how long they live, what is refused.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::{Provider as _, ProviderFault, Swept};
use writ_core::time::Timestamp;
use writ_core::writ::CredentialFacts;
use writ_provider_kit as kit;
use writ_provider_openbao::policy;

use crate::world::{World, config, example};
use crate::{DEADLINE, LIFE};

pub(crate) async fn check(world: &World) {
    the_examples_policy_is_what_is_needed(world);
    the_audit_leads_to_the_writ(world).await;
    token_and_lease_end_with_the_writ(world).await;
    a_role_that_grants_less_says_so(world).await;
    a_secret_is_taken_back_by_another_broker_alone(world).await;
    fields_together_are_json(world).await;
    an_engine_that_wants_parameters_gets_them(world).await;
    without_a_lease_nothing_is_given(world).await;
    a_sweep_leaves_what_is_not_its_own(world).await;
}

fn the_examples_policy_is_what_is_needed(world: &World) {
    let script = example("setup.sh");
    let pasted = script.split("<<'HCL'\n").nth(1).unwrap().split("\nHCL").next().unwrap();
    let mut config = config(&world.place(), &json!({}));
    config.dynamic.as_mut().unwrap().paths.pop();
    assert_eq!(pasted, policy(&config));
}

async fn the_audit_leads_to_the_writ(world: &World) {
    let writ = kit::writ(None, LIFE);
    let id = writ.id.to_string();
    let minted = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.kind, credential.revocation), (CredentialKind::OpenbaoSecret, Revocation::Individual));
    assert!(credential.principal.starts_with("v-jwt-"), "{}", credential.principal);
    let password = String::from_utf8(credential.secret.expose().to_vec()).unwrap();
    world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
    let events = world.bao.audit();
    let of = |path: &str, found: &dyn Fn(&Value) -> bool| {
        let event = |event: &&Value| event["type"] == "response" && event["request"]["path"] == path && found(event);
        events.iter().find(event).unwrap_or_else(|| panic!("{path}")).clone()
    };
    let login = of("auth/jwt/login", &|event| event["auth"]["metadata"]["writ"] == id.as_str());
    assert_eq!(login["auth"]["metadata"]["session"], writ.session.to_string());
    assert_eq!(login["auth"]["metadata"]["workload"], writ.subject.as_str());
    let made = of("database/creds/orders-reader", &|event| event["auth"]["metadata"]["writ"] == id.as_str());
    assert_eq!(made["response"]["secret"]["lease_id"], credential.audit.as_str());
    let text = events.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains(&password));
}

async fn token_and_lease_end_with_the_writ(world: &World) {
    for seconds in [20_u64, 3_600] {
        let writ = kit::writ(None, Duration::from_secs(seconds));
        let minted = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let credential = minted.credential().unwrap();
        let latest = writ.expires.as_second() + 1;
        let body = json!({ "lease_id": credential.audit });
        let (_, lease) = world.bao.ask("POST", "sys/leases/lookup", Some(&body)).await.unwrap();
        let end: Timestamp = lease["data"]["expire_time"].as_str().unwrap().parse().unwrap();
        assert!((latest - 3..=latest).contains(&end.as_second()), "{seconds}: {end} is not {}", writ.expires);
        let [(_, life)] = world.tokens(&writ.id.to_string()).await[..] else { panic!("one token") };
        assert!((seconds - 3..=seconds).contains(&life), "{seconds}: {life}");
        world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
        assert!(world.tokens(&writ.id.to_string()).await.is_empty());
    }
}

/// An engine that gives less than the writ's life: the credential says so.
async fn a_role_that_grants_less_says_so(world: &World) {
    let mut role = world.bao.ask("GET", "database/roles/orders-owner", None).await.unwrap().1["data"].clone();
    role["max_ttl"] = json!(60);
    world.bao.write("database/roles/orders-owner", &role).await.unwrap();
    let writ = kit::writ(Some("database/creds/orders-owner".to_owned()), LIFE);
    let minted = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let expires = minted.credential().unwrap().expires.unwrap().as_second();
    let asked = writ.opened.as_second();
    assert!((asked + 55..=asked + 62).contains(&expires), "{expires} after {asked}");
    world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
}

async fn a_secret_is_taken_back_by_another_broker_alone(world: &World) {
    // By its note, by what the ledger has, or by both.
    for (noted, told) in [(true, false), (false, true), (true, true)] {
        let mut writ = kit::writ(None, LIFE);
        let minted = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let user = minted.credential().unwrap().principal.clone();
        if told {
            writ.credential = Some(CredentialFacts::of(minted.credential().unwrap(), false));
        }
        if !noted {
            world.bao.ask("DELETE", &format!("writ/metadata/{}", writ.id), None).await.unwrap();
        }
        world.another().revoke(&world.target, &writ, DEADLINE).await.unwrap();
        if told {
            assert!(!world.has_user(&user).await, "a lease that is known is gone before the revocation says so");
        }
        gone(world, &writ.id.to_string(), &user).await;
    }
}

/// Waits until nothing is left of a writ. What hangs on a token OpenBao takes back in the background.
pub(crate) async fn gone(world: &World, writ: &str, user: &str) {
    assert!(!world.noted(writ).await, "the note is left");
    assert!(world.tokens(writ).await.is_empty(), "the token is left");
    let until = Instant::now() + Duration::from_secs(20);
    while world.has_user(user).await {
        assert!(Instant::now() < until, "the user is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn fields_together_are_json(world: &World) {
    let together = json!({ "user_field": null, "password_field": null, "fields": ["username", "password"] });
    let provider = world.with(&together);
    let writ = kit::writ(None, LIFE);
    let minted = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(credential.principal, "database/creds/orders-reader");
    let fields: Value = serde_json::from_slice(credential.secret.expose()).unwrap();
    assert!(world.has_user(fields["username"].as_str().unwrap()).await);
    assert_eq!(fields.as_object().unwrap().len(), 2);
    provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
    let absent = json!({ "user_field": null, "password_field": null, "fields": ["username", "token"] });
    let provider = world.with(&absent);
    let writ = kit::writ(None, LIFE);
    let before = world.users().await;
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("no field `token`")), "{fault:?}");
    assert_eq!(world.users().await, before, "what could not be given out is taken back");
    assert!(!world.noted(&writ.id.to_string()).await);
}

/// One of another kind: an SSH password for one use, for which OpenBao must be told the machine.
async fn an_engine_that_wants_parameters_gets_them(world: &World) {
    world.bao.write("sys/mounts/ssh", &json!({ "type": "ssh" })).await.unwrap();
    let role = json!({ "key_type": "otp", "default_user": "deploy", "cidr_list": "192.0.2.0/24" });
    world.bao.write("ssh/roles/deploy", &role).await.unwrap();
    let changes = json!({
        "user_field": "username", "password_field": "key",
        "dynamic": { "path": "ssh/creds/deploy", "notes": "writ", "parameters": { "ip": "192.0.2.7" } },
    });
    let provider = world.with(&changes);
    let policy = policy(&config(&world.place(), &changes));
    world.bao.write("sys/policies/acl/writ-ssh", &json!({ "policy": policy })).await.unwrap();
    let writ = kit::writ(None, LIFE);
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    assert!(
        matches!(&fault, ProviderFault::Refused(text) if text.contains("let a policy of the role allow it")),
        "{fault:?}"
    );
    add_policy(world, "writ-ssh").await;
    // Its lease is of 32 days, and cannot be renewed: nothing that ends the engine's secret is known to end with the writ.
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    let told =
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("write `ends_when_revoked = true`"));
    assert!(told, "{fault:?}");
    assert!(!world.noted(&writ.id.to_string()).await && world.tokens(&writ.id.to_string()).await.is_empty());
    let mut changes = changes;
    changes["dynamic"]["ends_when_revoked"] = json!(true);
    let provider = world.with(&changes);
    let writ = kit::writ(None, LIFE);
    let minted = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(credential.principal, "deploy");
    assert!(credential.expires.unwrap() <= writ.expires, "its token ends with the writ, and it with its token");
    let otp = json!({ "otp": String::from_utf8(credential.secret.expose().to_vec()).unwrap() });
    provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
    // Looking uses it up: the lease must be gone first.
    let until = Instant::now() + Duration::from_secs(20);
    let lease = json!({ "lease_id": credential.audit });
    while world.bao.ask("POST", "sys/leases/lookup", Some(&lease)).await.unwrap().0 == 200 {
        assert!(Instant::now() < until, "the lease is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(world.bao.ask("POST", "ssh/verify", Some(&otp)).await.unwrap().0, 200);
}

pub(crate) async fn add_policy(world: &World, policy: &str) {
    let path = "auth/jwt/role/writ-orders";
    let mut role = world.bao.ask("GET", path, None).await.unwrap().1["data"].clone();
    role["token_policies"].as_array_mut().unwrap().push(json!(policy));
    world.bao.write(path, &role).await.unwrap();
}

async fn without_a_lease_nothing_is_given(world: &World) {
    world.bao.write("secret/data/leaseless", &json!({ "data": { "username": "a", "password": "b" } })).await.unwrap();
    let policy = r#"path "secret/data/leaseless" { capabilities = ["read"] }"#;
    world.bao.write("sys/policies/acl/writ-leaseless", &json!({ "policy": policy })).await.unwrap();
    add_policy(world, "writ-leaseless").await;
    let provider = world.with(&json!({ "dynamic": { "path": "secret/data/leaseless", "notes": "writ" } }));
    let writ = kit::writ(None, LIFE);
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("without a lease")), "{fault:?}");
    assert!(!world.noted(&writ.id.to_string()).await);
}

async fn a_sweep_leaves_what_is_not_its_own(world: &World) {
    let mut over = kit::writ(None, LIFE);
    over.expires = "2020-01-01T00:00:00Z".parse().unwrap();
    let mut second = kit::writ(None, LIFE);
    second.expires = over.expires;
    for writ in [&over, &second] {
        drop(world.provider.mint(&world.target, kit::intended(writ), DEADLINE).await.unwrap());
    }
    world.bao.write("writ/data/keep", &json!({ "data": { "accessor": "x" } })).await.unwrap();
    let one = world.with(&json!({ "sweep_limit": 1 }));
    assert_eq!(one.sweep(&world.target, &[], DEADLINE).await, Ok(Swept { removed: 1, left: 2 }));
    assert_eq!(world.provider.sweep(&world.target, &[], DEADLINE).await, Ok(Swept { removed: 1, left: 1 }));
    assert!(world.noted("keep").await);
    world.bao.ask("DELETE", "writ/metadata/keep", None).await.unwrap();
}
