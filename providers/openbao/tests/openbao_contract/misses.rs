//! Ten near misses of the trust, and roles that the provider does not work with: the right one gets in, each of these does not.

use serde_json::{Value, json};
use writ_core::provider::{Provider as _, ProviderFault};
use writ_provider_kit as kit;

use crate::https::{self, Https};
use crate::world::{Place, World, provider, target};
use crate::{DEADLINE, LIFE};

const ROLE: &str = "auth/jwt/role/writ-orders";

pub(crate) async fn check(world: &World) {
    near_misses_of_the_trust(world).await;
    unsound_roles(world).await;
    missing_rights_are_named(world).await;
    what_is_sealed_a_standby_or_elsewhere_is_said(world).await;
    what_could_not_be_undone_is_come_back_for(world).await;
}

/// Each takes the role that lets us in and changes one thing of it.
async fn near_misses_of_the_trust(world: &World) {
    let sound = world.bao.ask("GET", ROLE, None).await.unwrap().1["data"].clone();
    let bound = |claims: Value| json!({ "bound_claims": claims });
    let subject = |subject: &str| bound(json!({ "sub": [subject] }));
    let misses = [
        ("another audience", json!({ "bound_audiences": ["https://bao.example.org"] })),
        ("an audience with a slash at its end", json!({ "bound_audiences": ["https://bao.example/"] })),
        ("another target", subject("target:orders2")),
        ("a target of which ours is the beginning", subject("target:orders-archive")),
        ("a target that is the beginning of ours", subject("target:order")),
        ("another case", subject("target:Orders")),
        ("a workload's subject", subject("workload:orders")),
        ("a writ of another workload", bound(json!({ "workload_subject": ["repo:writ/other"] }))),
        ("another issuer", json!({ "issuer": "https://issuer.example.org/writ" })),
        ("no claim of that name", bound(json!({ "environment": ["prod"] }))),
    ];
    for (miss, change) in misses {
        if let Some(issuer) = change.get("issuer") {
            bind_issuer(world, issuer).await;
        } else {
            change_role(world, &sound, &change).await;
        }
        let writ = kit::writ(None, LIFE);
        let fault = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("is not taken")), "{miss}: {fault:?}");
        assert!(world.tokens(&writ.id.to_string()).await.is_empty(), "{miss}");
        bind_issuer(world, &json!(world.issuer.url)).await;
        world.bao.write(ROLE, &sound).await.unwrap();
    }
    let writ = kit::writ(None, LIFE);
    for other in ["orders2", "order"] {
        let fault = world.provider.mint(&target(other), kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Refused(_)), "{fault:?}");
    }
    drop(world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap());
    world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
}

async fn bind_issuer(world: &World, issuer: &Value) {
    let config = json!({
        "oidc_discovery_url": world.issuer.url, "oidc_discovery_ca_pem": world.issuer.pem, "bound_issuer": issuer,
    });
    world.bao.write("auth/jwt/config", &config).await.unwrap();
}

async fn change_role(world: &World, sound: &Value, change: &Value) {
    let mut role = sound.clone();
    for (name, value) in change.as_object().unwrap() {
        role[name] = value.clone();
    }
    world.bao.write(ROLE, &role).await.unwrap();
}

async fn unsound_roles(world: &World) {
    let sound = world.bao.ask("GET", ROLE, None).await.unwrap().1["data"].clone();
    for (change, words) in [
        (json!({ "token_ttl": 3_600 }), "`token_ttl=60s`"),
        (json!({ "token_num_uses": 3 }), "`token_num_uses=0`"),
        (json!({ "token_type": "batch" }), "`token_type=service`"),
        (json!({ "claim_mappings": {} }), "`claim_mappings="),
        (json!({ "token_period": 120 }), "`token_period=0`"),
    ] {
        change_role(world, &sound, &change).await;
        // Short enough that a period is longer than what is asked for.
        let writ = kit::writ(None, std::time::Duration::from_secs(60));
        let fault = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(fault.detail().contains(words), "{change}: {fault:?}");
        world.bao.write(ROLE, &sound).await.unwrap();
        world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
        assert!(world.tokens(&writ.id.to_string()).await.is_empty(), "{change}");
    }
}

async fn missing_rights_are_named(world: &World) {
    let path = "sys/policies/acl/writ-orders";
    let sound = world.bao.ask("GET", path, None).await.unwrap().1["data"]["policy"].as_str().unwrap().to_owned();
    for right in ["writ/data/*", "auth/token/revoke-accessor", "auth/token/renew-self", "sys/leases/renew"] {
        let line = sound.lines().find(|line| line.contains(right)).unwrap();
        world.bao.write(path, &json!({ "policy": sound.replace(line, "") })).await.unwrap();
        let fault = world.provider.probe(&world.target, DEADLINE).await.unwrap_err();
        let named = matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(line));
        assert!(named, "{right}: {fault:?}");
        let place = right.replace('*', "writ-probe");
        assert!(fault.detail().contains(&format!("at `{place}`")), "{fault:?}");
        if right != "auth/token/revoke-accessor" {
            let writ = kit::writ(None, LIFE);
            let fault = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
            assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(line)), "{right}: {fault:?}");
        }
    }
    world.bao.write(path, &json!({ "policy": sound })).await.unwrap();
    world.provider.sweep(&world.target, &[], DEADLINE).await.unwrap();
    world.provider.probe(&world.target, DEADLINE).await.unwrap();
}

/// A mint that failed for good, and whose lease could not be taken back: the broker must come back, whatever the first reason was.
async fn what_could_not_be_undone_is_come_back_for(world: &World) {
    let (port, pem) = (world.bao.port(), world.bao.ca_pem().to_owned());
    let between = Https::start(move |head, body| {
        if head.starts_with("POST /v1/sys/leases/revoke") {
            return https::json("403 Forbidden", r#"{"errors":["permission denied"]}"#);
        }
        https::forward(port, &pem, head, body)
    });
    let absent = json!({ "user_field": "username", "password_field": "token" });
    let provider = provider(&Place::of(&between, world.files.path()), &absent, &world.issuer.trusted);
    let (writ, before) = (kit::writ(None, LIFE), world.users().await);
    let fault = provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    let ProviderFault::Unreachable(text) = &fault else { panic!("{fault:?}") };
    assert!(text.contains("no field `token`") && text.contains("could not be taken back"), "{text}");
    assert_ne!(world.users().await, before, "what was made is there");
    world.provider.revoke(&world.target, &writ, DEADLINE).await.unwrap();
    assert!(!world.noted(&writ.id.to_string()).await);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while world.users().await != before {
        assert!(std::time::Instant::now() < until, "the user is left");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn what_is_sealed_a_standby_or_elsewhere_is_said(world: &World) {
    let elsewhere = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}/v1/auth/jwt/login\r\ncontent-length: 0\r\n\r\n",
        world.bao.url()
    );
    let told = |answer: Vec<u8>| {
        let server = Https::start(move |_, _| answer.clone());
        let provider = provider(&Place::of(&server, world.files.path()), &json!({}), &world.issuer.trusted);
        (server, provider)
    };
    let sealed = https::json("503 Service Unavailable", r#"{"errors":["Vault is sealed"]}"#);
    for (answer, words) in [(elsewhere.into_bytes(), "it sends elsewhere"), (sealed, "it is sealed: unseal it")] {
        let (_server, provider) = told(answer);
        let fault = provider.probe(&world.target, DEADLINE).await.unwrap_err();
        assert!(fault.detail().contains(words), "{fault:?}");
    }
    let mut stranger = crate::world::config(&world.place(), &json!({}));
    stranger.ca_file = Some(world.files.path().join("issuer.pem"));
    let stranger = writ_provider_openbao::OpenbaoProvider::new(&stranger, Some(&world.issuer.trusted)).unwrap();
    let fault = stranger.probe(&world.target, DEADLINE).await.unwrap_err();
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    assert!(text.contains("not vouched for") && text.contains("`ca_file`"), "{text}");
}
