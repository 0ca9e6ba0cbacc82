//! The settings: what is taken, and what each mistake is told.

use serde_json::{Value, json};

use crate::config::OpenbaoConfig;
use crate::rights::policy;

fn sound() -> Value {
    json!({
        "address": "https://bao.example:8200", "role": "writ", "audience": "https://bao.example",
        "user_field": "username", "password_field": "password",
        "dynamic": { "path": "database/creds/reader", "notes": "writ" },
    })
}

fn changed(changes: &Value) -> OpenbaoConfig {
    let mut config = sound();
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

#[test]
fn sound_settings_are_taken() {
    let kv = json!({ "dynamic": null, "kv": { "mount": "secret", "path": "shop/app", "version": 3 } });
    let together = json!({ "user_field": null, "password_field": null, "fields": ["key", "certificate"] });
    let named = json!({ "user_field": null, "user": "app" });
    let proxied =
        json!({ "address": "https://bao.example/behind/proxy/", "namespace": "team/a", "auth_mount": "jwt-writ" });
    for changes in [json!({}), kv, together, named, proxied] {
        changed(&changes).validate().unwrap_or_else(|fault| panic!("{changes}: {fault}"));
    }
}

#[test]
fn each_mistake_says_what_to_write_instead() {
    let kv = json!({ "mount": "secret", "path": "app" });
    for (changes, words) in [
        (json!({ "address": "http://bao.example:8200" }), "`address` is no address"),
        (json!({ "address": "https://me@bao.example" }), "`address` is no address"),
        (json!({ "address": "https://bao.example/?a=b" }), "`address` is no address"),
        (json!({ "role": " " }), "`role` is empty"),
        (json!({ "audience": "a\nb" }), "`audience` is empty or not plain"),
        (json!({ "namespace": "/team" }), "`namespace` is no path"),
        (json!({ "auth_mount": "a//b" }), "`auth_mount` is no path"),
        (json!({ "dynamic": null }), "add the table `kv` or the table `dynamic`"),
        (json!({ "kv": kv }), "both `kv` and `dynamic`"),
        (json!({ "dynamic": { "path": "a/../sys/raw", "notes": "writ" } }), "`dynamic.path` is no path"),
        (json!({ "dynamic": { "path": "a/b?list=true", "notes": "writ" } }), "`dynamic.path` is no path"),
        (json!({ "dynamic": { "path": "a/b", "notes": "w*" } }), "`dynamic.notes` is no path"),
        (json!({ "dynamic": { "path": "a/b", "paths": ["%2e%2e"], "notes": "writ" } }), "`dynamic.paths` is no path"),
        (json!({ "dynamic": { "path": "a/b", "paths": vec!["a/c"; 64], "notes": "writ" } }), "at most 64"),
        (json!({ "dynamic": null, "kv": { "mount": "secret", "path": "app", "version": 0 } }), "versions begin with 1"),
        (json!({ "user_field": null, "password_field": null }), "or `fields`"),
        (json!({ "fields": ["a"] }), "both `password_field` and `fields`"),
        (json!({ "user": "app" }), "either `user_field` or `user`"),
        (json!({ "user_field": null }), "either `user_field` or `user`"),
        (json!({ "password_field": null, "fields": ["a"] }), "go with `password_field`"),
        (json!({ "call_timeout_ms": 99 }), "from 100 to 60000"),
        (json!({ "sweep_limit": 0 }), "from 1 to 10000"),
    ] {
        let fault = changed(&changes).validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{changes}: {fault}");
    }
}

#[test]
fn settings_that_are_not_known_are_refused() {
    for (place, name) in [("", "token"), ("/dynamic", "ttl")] {
        let mut config = sound();
        config.pointer_mut(place).unwrap()[name] = json!("x");
        assert!(serde_json::from_value::<OpenbaoConfig>(config).is_err(), "{place}/{name}");
    }
}

#[test]
fn a_policy_names_every_path_and_no_more() {
    let config = changed(&json!({ "dynamic": {
        "path": "pki/issue/web", "paths": ["pki/issue/job"], "notes": "notes/writ", "parameters": { "common_name": "a" },
    } }));
    let policy = policy(&config);
    assert!(
        policy.starts_with("path \"pki/issue/web\" { capabilities = [\"update\"] }\npath \"pki/issue/job\""),
        "{policy}"
    );
    assert!(policy.contains("\npath \"notes/writ/data/*\" { capabilities = [\"create\", \"read\"] }\n"), "{policy}");
    assert_eq!(policy.lines().count(), 10);
    let kv = json!({ "dynamic": null, "kv": { "mount": "secret", "path": "app" } });
    let expected = "path \"secret/data/app\" { capabilities = [\"read\"] }\n\
                    path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n\
                    path \"sys/capabilities-self\" { capabilities = [\"update\"] }";
    assert_eq!(crate::rights::policy(&changed(&kv)), expected);
}
