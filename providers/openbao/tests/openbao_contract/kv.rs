//! Values of the KV engine: versions, what is missing, and that they are marked as what they are.

use serde_json::{Value, json};
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::{Provider as _, ProviderFault};
use writ_provider_kit as kit;
use writ_provider_openbao::{OpenbaoProvider, policy};

use crate::world::{World, config};
use crate::{DEADLINE, LIFE, dynamic};

fn changes(kv: Value) -> Value {
    json!({ "dynamic": null, "kv": kv, "user_field": "user", "password_field": "password" })
}

pub(crate) async fn check(world: &World) {
    for password in ["first", "second"] {
        let data = json!({ "data": { "user": "app", "password": password, "beside": { "deep": [1, "x"] } } });
        world.bao.write("secret/data/shop/app", &data).await.unwrap();
    }
    let newest = changes(json!({ "mount": "secret", "path": "shop/app", "paths": ["shop/none"] }));
    let rights = json!({ "policy": policy(&config(&world.place(), &newest)) });
    world.bao.write("sys/policies/acl/writ-kv", &rights).await.unwrap();
    let provider = world.with(&newest);
    let fault = provider.probe(&world.target, DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("it lacks `read` at `secret/data/shop/app`"), "{fault:?}");
    dynamic::add_policy(world, "writ-kv").await;
    provider.probe(&world.target, DEADLINE).await.unwrap();
    let described = provider.describe();
    assert!(described.long_lived && !described.revocable);
    the_newest_or_a_version(world, &provider).await;
    what_is_not_there_is_said(world, &provider).await;
    fields_together_are_those_named(world).await;
}

async fn the_newest_or_a_version(world: &World, newest: &OpenbaoProvider) {
    let first = world.with(&changes(json!({ "mount": "secret", "path": "shop/app", "version": 1 })));
    for (provider, password, version) in [(newest, "second", 2), (&first, "first", 1)] {
        let writ = kit::writ(None, LIFE);
        let minted = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
        let credential = minted.credential().unwrap();
        assert_eq!(credential.secret.expose(), password.as_bytes());
        assert_eq!((credential.principal.as_str(), credential.expires), ("app", None));
        assert_eq!((credential.kind, credential.revocation), (CredentialKind::OpenbaoSecret, Revocation::None));
        assert_eq!(credential.fingerprint.as_str(), format!("static:openbao:secret/shop/app@{version}"));
        let request = credential.audit.strip_prefix("request=").unwrap();
        let events = world.bao.audit();
        let read = events.iter().find(|event| event["request"]["id"] == request).unwrap();
        assert_eq!(read["auth"]["metadata"]["writ"], writ.id.to_string());
        provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
        assert!(world.tokens(&writ.id.to_string()).await.is_empty(), "the token goes with the read");
    }
}

async fn what_is_not_there_is_said(world: &World, provider: &OpenbaoProvider) {
    let (status, _) = world.bao.ask("DELETE", "secret/data/shop/app", None).await.unwrap();
    assert_eq!(status, 204);
    let absent = kit::writ(Some("shop/none".to_owned()), LIFE);
    for writ in [absent, kit::writ(None, LIFE)] {
        let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        let deleted =
            matches!(&fault, ProviderFault::Refused(text) if text.contains("there is none, or it was deleted"));
        assert!(deleted, "{fault:?}");
    }
    world.bao.write("secret/undelete/shop/app", &json!({ "versions": [2] })).await.unwrap();
    let writ = kit::writ(Some("shop/other".to_owned()), LIFE);
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("add it to `paths`")), "{fault:?}");
}

async fn fields_together_are_those_named(world: &World) {
    let mut together = changes(json!({ "mount": "secret", "path": "shop/app" }));
    together["user_field"] = Value::Null;
    together["password_field"] = Value::Null;
    together["fields"] = json!(["beside", "user"]);
    let writ = kit::writ(None, LIFE);
    let minted = world.with(&together).mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let given: Value = serde_json::from_slice(minted.credential().unwrap().secret.expose()).unwrap();
    assert_eq!(given, json!({ "beside": { "deep": [1, "x"] }, "user": "app" }));
}
