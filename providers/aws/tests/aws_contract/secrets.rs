//! Secrets of Secrets Manager: with the permission that the documentation shows, and no other; versions; what is not there.

use serde_json::{Value, json};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_fakes::Keys;
use writ_provider_aws::{SecretsManager, SecretsManagerConfig};
use writ_provider_source::{Fetched, SecretSource as _};

use crate::canary;
use crate::providers::{target, writ};
use crate::world::{DEADLINE, LIFE, World, ambient, shared};

const STATIC: &str = include_str!("../../../../docs/providers/static.md");
const FIRST: &str = r#"{"username":"app","password":"secrets-canary-first"}"#;
const SECOND: &str = r#"{"username":"app","password":"secrets-canary-second"}"#;

/// A source as configured, with somebody's keys.
fn source(world: &World, keys: &Keys, secret: &str, more: Value) -> SecretsManager {
    let mut settings = json!({ "region": "us-east-1", "secret": secret, "endpoint": world.front.url() });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config: SecretsManagerConfig = serde_json::from_value(settings).unwrap();
    SecretsManager::with_ambient(&config, ambient(keys)).unwrap()
}

async fn fetched(world: &World, source: &SecretsManager) -> Result<Fetched, ProviderFault> {
    let fetched = source.fetch(&target(world).name, None, DEADLINE).await;
    canary::say(&format!("{fetched:?} {source:?}"));
    if let Err(fault) = &fetched {
        canary::say(fault.detail());
    }
    fetched
}

fn text(fetched: &Fetched) -> &str {
    std::str::from_utf8(fetched.value.expose()).unwrap()
}

/// A session of a role with these permissions, whom an admin lets in.
fn session(world: &World, name: &str, policy: &str) -> Keys {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": "arn:aws:iam::123456789012:user/admin" } }] });
    let role = world.role_that(name, &trust.to_string(), Some(policy));
    let asked = json!({ "RoleArn": role, "RoleSessionName": "broker" });
    let heard = world.boto(&world.admin, "sts", "assume_role", &asked);
    let given = &heard.answer()["Credentials"];
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    Keys { access_key: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) }
}

fn made(world: &World, name: &str, value: Value) -> (String, String) {
    let mut asked = value;
    asked["Name"] = json!(name);
    let heard = world.boto(&world.admin, "secretsmanager", "create_secret", &asked);
    let text = |member: &str| heard.answer()[member].as_str().unwrap().to_owned();
    (text("ARN"), text("VersionId"))
}

#[tokio::test]
async fn a_secret_is_fetched_with_the_documented_permission_and_no_other() {
    let world = shared();
    for secret in [FIRST, SECOND] {
        canary::note(secret);
    }
    let (arn, version) = made(&world, "prod/legacy", json!({ "SecretString": FIRST }));
    let (other, _) = made(&world, "prod/legacy-other", json!({ "SecretString": SECOND }));
    let shown = STATIC.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let placeholder = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/legacy-AbCdEf";
    assert!(shown.contains(placeholder));
    let reader = session(&world, "legacy-reader", &shown.replace(placeholder, &arn));
    let fetched_now = fetched(&world, &source(&world, &reader, &arn, json!({}))).await.unwrap();
    assert_eq!(text(&fetched_now), FIRST);
    assert_eq!(fetched_now.label, format!("aws-secretsmanager:{arn}@{version}"));

    let writ = writ(&world, None, LIFE);
    let intended = writ_provider_kit::intended(&writ);
    let by_writ = source(&world, &reader, &arn, json!({}));
    by_writ.fetch(&target(&world).name, Some(&intended), DEADLINE).await.unwrap();
    let events = world.front.audit_naming(&writ.id.to_string());
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(event["eventName"], "GetSecretValue");
    assert!(event["userAgent"].as_str().unwrap().contains(&writ.id.to_string()));

    // Another secret, and another's keys.
    let nobody = session(
        &world,
        "legacy-nobody",
        &shown.replace(placeholder, &other).replace("GetSecretValue", "DescribeSecret"),
    );
    for (keys, secret) in [(&reader, &other), (&nobody, &arn)] {
        let fault = fetched(&world, &source(&world, keys, secret, json!({}))).await.unwrap_err();
        let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
        assert!(text.contains("secretsmanager:GetSecretValue") && text.contains(secret.as_str()), "{text}");
    }
    let forged = Keys { secret: "0123456789012345678901234567890123456789".to_owned(), ..world.admin.clone() };
    let fault = fetched(&world, &source(&world, &forged, &arn, json!({}))).await.unwrap_err();
    assert!(
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("own credentials are wrong")),
        "{fault:?}"
    );
    canary::check();
}

#[tokio::test]
async fn versions_are_the_newest_a_label_or_one() {
    let world = shared();
    let (arn, first) = made(&world, "prod/turned", json!({ "SecretString": FIRST }));
    let put = json!({ "SecretId": arn, "SecretString": SECOND });
    let heard = world.boto(&world.admin, "secretsmanager", "put_secret_value", &put);
    let second = heard.answer()["VersionId"].as_str().unwrap().to_owned();
    for (more, value, version) in [
        (json!({}), SECOND, &second),
        (json!({ "stage": "AWSCURRENT" }), SECOND, &second),
        (json!({ "stage": "AWSPREVIOUS" }), FIRST, &first),
        (json!({ "version": first }), FIRST, &first),
    ] {
        let fetched = fetched(&world, &source(&world, &world.admin, "prod/turned", more.clone())).await.unwrap();
        let label = format!("aws-secretsmanager:{arn}@{version}");
        assert_eq!((text(&fetched), &fetched.label), (value, &label), "{more}");
    }
    // botocore takes text for bytes, and writes them in Base64.
    let binary = made(&world, "prod/binary", json!({ "SecretBinary": "bytes" })).0;
    assert_eq!(text(&fetched(&world, &source(&world, &world.admin, &binary, json!({}))).await.unwrap()), "bytes");
}

#[tokio::test]
async fn a_turn_puts_a_current_version_there_with_the_documented_permission() {
    let world = shared();
    for secret in [FIRST, SECOND] {
        canary::note(secret);
    }
    let (arn, first) = made(&world, "prod/rotated", json!({ "SecretString": FIRST }));
    let shown = STATIC.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(
        STATIC.contains("`secretsmanager:PutSecretValue` and `secretsmanager:UpdateSecretVersionStage` on the secret")
    );
    let shown = shown.replace("arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/legacy-AbCdEf", &arn);
    let allowed = |actions: &str| shown.replace("\"secretsmanager:GetSecretValue\"", actions);
    let all = r#"["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"]"#;
    let writer = session(&world, "rotated-writer", &allowed(all));
    let putter = session(
        &world,
        "rotated-putter",
        &allowed(r#"["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]"#),
    );
    let reader = session(&world, "rotated-reader", &shown);
    let (target, value) = (target(&world).name, Secret::new(SECOND.as_bytes().to_vec()));
    let kept = source(&world, &writer, &arn, json!({}));
    let before = fetched(&world, &kept).await.unwrap();
    let label = kept.keeper().unwrap().replace(&target, &before, &value, DEADLINE).await.unwrap();
    let now = fetched(&world, &kept).await.unwrap();
    assert_eq!((text(&now), &now.label), (SECOND, &label));
    let former = source(&world, &writer, &arn, json!({ "stage": "AWSPREVIOUS" }));
    let former = fetched(&world, &former).await.unwrap();
    assert_eq!((text(&former), &former.label), (FIRST, &format!("aws-secretsmanager:{arn}@{first}")));

    // Whoever read the version before does not write over this one, and what it put there is given to nobody.
    let fault = kept.keeper().unwrap().replace(&target, &before, &value, DEADLINE).await.unwrap_err();
    canary::say(&format!("{fault:?}"));
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("by somebody else")), "{fault:?}");
    assert_eq!(fetched(&world, &kept).await.unwrap().label, label);
    let next = kept.keeper().unwrap().replace(&target, &now, &value, DEADLINE).await.unwrap();
    assert_ne!(next, label, "what was put there in vain is not in the way");
    let half = source(&world, &putter, &arn, json!({}));
    let fault = half.keeper().unwrap().replace(&target, &now, &value, DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("\"Action\":\"secretsmanager:UpdateSecretVersionStage\""), "{fault:?}");

    let reading = source(&world, &reader, &arn, json!({}));
    let fault = reading.keeper().unwrap().replace(&target, &before, &value, DEADLINE).await.unwrap_err();
    canary::say(&format!("{fault:?}"));
    let ProviderFault::Misconfigured(words) = &fault else { panic!("{fault:?}") };
    assert!(words.contains("\"Action\":\"secretsmanager:PutSecretValue\""), "{words}");
    for more in [json!({ "stage": "AWSPREVIOUS" }), json!({ "version": first })] {
        let pinned = source(&world, &writer, &arn, more);
        assert!(pinned.keeper().err().unwrap().to_string().contains("leave it out"));
    }
    source(&world, &writer, &arn, json!({ "stage": "AWSCURRENT" })).keeper().unwrap();
    let absent = source(&world, &world.admin, "prod/absent", json!({}));
    let fault = absent.keeper().unwrap().replace(&target, &before, &value, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("no such secret")), "{fault:?}");
    let down = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    let down = source(&world, &writer, &arn, json!({ "endpoint": down }));
    let limit = std::time::Duration::from_millis(300);
    let fault = down.keeper().unwrap().replace(&target, &before, &value, limit).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    canary::check();
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = shared();
    made(&world, "prod/doomed", json!({ "SecretString": FIRST }));
    world.boto(&world.admin, "secretsmanager", "delete_secret", &json!({ "SecretId": "prod/doomed" })).answer();
    for (secret, more, words) in [
        ("prod/absent", json!({}), "no such secret"),
        ("prod/doomed", json!({}), "about to be deleted"),
        ("prod/legacy", json!({ "version": "00000000-0000-4000-8000-000000000000" }), "no such"),
    ] {
        let fault = fetched(&world, &source(&world, &world.admin, secret, more)).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains(words)), "{secret}: {fault:?}");
    }
    let silent = writ_fakes::dead::Silent::start().unwrap();
    let down = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    for url in [silent.url(), down] {
        let source = source(&world, &world.admin, "prod/legacy", json!({ "endpoint": url }));
        let limit = std::time::Duration::from_millis(300);
        let fault = source.fetch(&target(&world).name, None, limit).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    }
}

#[test]
fn each_mistake_says_what_to_write_instead() {
    for (settings, words) in [
        (json!({ "region": "eu-west", "secret": "a" }), "region's name"),
        (json!({ "region": "eu-west-1", "secret": "" }), "no secret's name"),
        (json!({ "region": "eu-west-1", "secret": "a b" }), "no secret's name"),
        (
            json!({ "region": "eu-west-1", "secret": "arn:aws:secretsmanager:us-east-1:1:secret:a" }),
            "in another region",
        ),
        (json!({ "region": "eu-west-1", "secret": "a", "version": "1" }), "`version` is none"),
        (json!({ "region": "eu-west-1", "secret": "a", "stage": "" }), "`stage` is none"),
        (
            json!({ "region": "eu-west-1", "secret": "a", "stage": "b", "version": "x".repeat(32) }),
            "both `version` and",
        ),
        (json!({ "region": "eu-west-1", "secret": "a", "endpoint": "http://sm.example" }), "`endpoint`"),
    ] {
        let config: SecretsManagerConfig = serde_json::from_value(settings.clone()).unwrap();
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{settings}: {fault}");
    }
}
