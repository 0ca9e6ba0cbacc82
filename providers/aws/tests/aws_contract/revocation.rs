//! Taking sessions back: everything of a role that is older than a time, in everything but the one call that nobody can deny.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use writ_core::provider::{Provider, ProviderFault};
use writ_core::time::{Timestamp, after};
use writ_fakes::sts::Role;
use writ_provider_aws::By;

use crate::canary;
use crate::clients::{cli, keys};
use crate::documented;
use crate::eyes::{Database, Eyes};
use crate::providers::{aws, eks, mint, rds, target, writ};
use crate::world::{DEADLINE, LIFE, World};

const POLICY: &str = "AWSRevokeOlderSessions";
const REVOKER: &str = "arn:aws:iam::123456789012:role/revoker";

/// With a role that takes sessions back, and may what the documentation says.
fn revoker(settings: &mut Value) {
    settings["assume"]["revoker"] = json!(REVOKER);
}

fn start() -> World {
    let world = World::start("reports");
    world.role_that("revoker", &world.trust(&json!({})), Some(&revoker_policy()));
    world
}

/// What the documentation says that this role needs, on one role more.
fn revoker_policy() -> String {
    let mut policy: Value = serde_json::from_str(&documented::revoker_policy()).unwrap();
    let roles = policy["Statement"][0]["Resource"].as_array_mut().unwrap();
    roles.push(json!("arn:aws:iam::123456789012:role/payments-login"));
    policy.to_string()
}

/// Waits until sessions are issued in a second that begins after `at`.
async fn a_second_after(at: Timestamp) {
    let until = Instant::now() + Duration::from_secs(20);
    while Timestamp::now().as_second() <= at.as_second() {
        assert!(Instant::now() < until, "the clock stands still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn older_sessions_end_and_newer_ones_do_not() {
    let world = start();
    for by in [By::Issuer, By::Workload, By::Broker] {
        if by == By::Workload {
            // The broker asks as itself then, and tells no external id.
            let trust = world
                .trust(&json!({}))
                .replace("sts:ExternalId", "sts:RoleSessionName")
                .replace("writ-prod", "writ-revoke");
            world.role_that("revoker", &trust, Some(&revoker_policy()));
        } else {
            world.role_that("revoker", &world.trust(&json!({})), Some(&revoker_policy()));
        }
        let provider = aws(&world, by, world.front.url(), &revoker);
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        let older = keys(minted.credential().unwrap());
        world.read(&older, "reports").answer();
        let at = Timestamp::now();
        provider.revoke_older(&target(&world), at, DEADLINE).await.unwrap();
        let denied = "with an explicit deny in an identity-based policy";
        world.read(&older, "reports").refused("AccessDenied", denied);
        let get = ["s3api", "get-object", "--bucket", "reports", "--key", "2026/march", "/dev/null"];
        let said = cli(world.front.url(), &older, &get).unwrap_err();
        assert!(said.contains("AccessDenied") && said.contains(denied), "{said}");
        // Nobody can deny this one.
        world.boto(&older, "sts", "get_caller_identity", &json!({})).answer();
        a_second_after(at).await;
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        world.read(&keys(minted.credential().unwrap()), "reports").answer();
        world.read(&older, "reports").refused("AccessDenied", denied);
        // An earlier time would give sessions again.
        let written = ["reports", "reports-writer"].map(|role| world.front.role_policies(role)[POLICY].clone());
        assert_eq!(written[0], written[1]);
        let earlier = Timestamp::from_second(at.as_second() - 3_600).unwrap();
        provider.revoke_older(&target(&world), earlier, DEADLINE).await.unwrap();
        assert_eq!(["reports", "reports-writer"].map(|role| world.front.role_policies(role)[POLICY].clone()), written);
        let revoker = "arn:aws:sts::123456789012:assumed-role/revoker/writ-revoke";
        assert!(written_by(&world).iter().all(|who| who == revoker), "{:?}", written_by(&world));
    }
    // Two roles, three times, and never for an earlier time.
    assert_eq!(written_by(&world).len(), 6);
    canary::check();
}

/// Who wrote policies, each time.
fn written_by(world: &World) -> Vec<String> {
    let events = world.front.audit().into_iter().filter(|event| event["eventName"] == "PutRolePolicy");
    events.map(|event| event["userIdentity"]["arn"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_others_wrote_is_respected() {
    let world = start();
    let provider = aws(&world, By::Issuer, world.front.url(), &revoker);
    let put = |document: &str| {
        let asked = json!({ "RoleName": "reports", "PolicyName": POLICY, "PolicyDocument": document });
        world.boto(&world.admin, "iam", "put_role_policy", &asked).answer().clone()
    };
    // As the console writes it, for a time that is later.
    let later = after(Timestamp::now(), 240).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let mut console = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": later } } }] });
    put(&format!("{console:#}"));
    provider.revoke_older(&target(&world), Timestamp::now(), DEADLINE).await.unwrap();
    assert_eq!(world.front.role_policies("reports")[POLICY], format!("{console:#}"));
    // The same name for something else is nothing to be written over.
    console["Statement"][0]["Action"] = json!(["s3:*"]);
    put(&console.to_string());
    let found = world.front.role_policies("reports")[POLICY].clone();
    let fault = provider.revoke_older(&target(&world), Timestamp::now(), DEADLINE).await.unwrap_err();
    assert!(fault.code() == "provider.refused" && fault.detail().contains("not the usual one"), "{fault:?}");
    assert_eq!(world.front.role_policies("reports")[POLICY], found);
    canary::check();
}

#[tokio::test]
async fn without_the_right_it_is_said_what_to_add_and_that_mends_it() {
    let world = World::start("reports");
    let broker = |more: Option<&Value>| {
        let mut policy: Value = serde_json::from_str(&documented::broker_policy(&["revoker"])).unwrap();
        policy["Statement"].as_array_mut().unwrap().extend(more.cloned());
        policy.to_string()
    };
    let role = |name: &str, trust: &str, policy: String| {
        let policies = [("own".to_owned(), policy)].into();
        world.front.role(&Role { name: name.to_owned(), trust: trust.to_owned(), policies, longest: 3_600 }).unwrap()
    };
    let anyone = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
    let one_role = |settings: &mut Value| settings["roles"] = json!({});
    let (own, at) = (aws(&world, By::Broker, world.front.url(), &one_role), Timestamp::now());
    let statement = refused_for_its_rights(&own, &world, at).await;
    assert!(!world.front.role_policies("reports").contains_key(POLICY));
    role("writ-broker", anyone, broker(Some(&statement)));
    own.revoke_older(&target(&world), at, DEADLINE).await.unwrap();
    assert!(world.front.role_policies("reports").contains_key(POLICY));
    // The same where a role of its own does it, which may read and not write.
    role("writ-broker", anyone, broker(None));
    let reads = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iam:GetRolePolicy", "Resource": "*" }] });
    role("revoker", &world.trust(&json!({})), reads.to_string());
    let by_revoker = |settings: &mut Value| {
        one_role(settings);
        revoker(settings);
    };
    let (own, at) = (aws(&world, By::Issuer, world.front.url(), &by_revoker), after(at, 2));
    let statement = refused_for_its_rights(&own, &world, at).await;
    role("revoker", &world.trust(&json!({})), json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string());
    own.revoke_older(&target(&world), at, DEADLINE).await.unwrap();
    canary::check();
}

/// The statement that the fault names.
async fn refused_for_its_rights(provider: &dyn Provider, world: &World, at: Timestamp) -> Value {
    let fault = provider.revoke_older(&target(world), at, DEADLINE).await.unwrap_err();
    canary::say(&format!("{fault:?}"));
    let ProviderFault::Misconfigured(text) = &fault else { panic!("{fault:?}") };
    let (before, statement) = text.split_once("this permission: ").unwrap();
    assert!(before.contains("is not authorized to perform: iam:") && before.contains("`assume.revoker`"), "{text}");
    serde_json::from_str(statement).unwrap()
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_said() {
    let world = start();
    let change = |settings: &mut Value| {
        revoker(settings);
        settings["role_arn"] = json!("arn:aws:iam::123456789012:role/nobody");
        settings["roles"] = json!({});
    };
    world.role("revoker", &world.trust(&json!({})));
    let nobody = aws(&world, By::Issuer, world.front.url(), &change);
    let cluster = eks(&world, By::Issuer, world.front.url(), &revoker);
    let sound = aws(&world, By::Issuer, world.front.url(), &revoker);
    let now = Timestamp::now();
    for (provider, at, words) in [
        (&nobody as &dyn Provider, now, "there is no such role in the account: correct `role_arn` or `roles`"),
        (&cluster, now, "remove the role's access entry at the cluster"),
        (&sound, after(now, 3_600), "is in the future"),
    ] {
        let fault = provider.revoke_older(&target(&world), at, DEADLINE).await.unwrap_err();
        assert!(fault.code() == "provider.misconfigured" && fault.detail().contains(words), "{fault:?}");
    }
    canary::check();
}

#[tokio::test]
async fn login_tokens_end_with_the_session_that_signed_them() {
    let world = std::sync::Arc::new(start());
    let database = Database::start(&world).await;
    let provider = rds(&world, By::Issuer, world.front.url(), database.rds.port(), &revoker);
    let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
    let older = String::from_utf8(minted.credential().unwrap().secret.expose().to_vec()).unwrap();
    let eyes = Eyes::Database(database);
    let logged_in = eyes.login(&world, "app", older.as_bytes()).await.unwrap();
    let at = Timestamp::now();
    provider.revoke_older(&target(&world), at, DEADLINE).await.unwrap();
    assert!(eyes.login(&world, "app", older.as_bytes()).await.is_none());
    assert!(logged_in.answers().await, "who is logged in stays so");
    let Eyes::Database(database) = &eyes else { panic!("a database") };
    assert!(database.rds.refusals().last().unwrap().contains("with an explicit deny"), "{:?}", database.rds.refusals());
    a_second_after(at).await;
    let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
    assert!(eyes.login(&world, "app", minted.credential().unwrap().secret.expose()).await.is_some());
    canary::check();
}
