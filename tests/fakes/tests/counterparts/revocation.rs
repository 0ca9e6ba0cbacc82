//! How a session ends: by its time, or by a denial of everything that was issued before a moment.

use serde_json::{Value, json};

use crate::support::{World, shared};

fn deny_before(time: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": time } },
    }]})
    .to_string()
}

#[test]
fn older_sessions_are_refused_everywhere_but_in_get_caller_identity() {
    let world = shared();
    let name = world.fresh("revoked");
    let role = world.role(&name);
    let admin = world.front.user(&name, crate::support::EVERYTHING).unwrap();
    let older = world.web_identity(&role, &world.token(), &json!({})).keys();
    let list = json!({ "Bucket": "reports" });
    world.boto(Some(&older), "s3", "list_objects_v2", &list).answer();
    let policy = json!({ "RoleName": name, "PolicyName": "AWSRevokeOlderSessions" });
    let iam = |call: &str, arguments: &Value| world.boto(Some(&admin), "iam", call, arguments);
    iam("get_role_policy", &policy).refused("NoSuchEntity", 404);
    let mut put = policy.clone();
    put["PolicyDocument"] = json!(deny_before("2099-01-01T00:00:00Z"));
    iam("put_role_policy", &put).answer();
    world.boto(Some(&older), "s3", "list_objects_v2", &list).refused("AccessDenied", 403);
    world.boto(Some(&older), "sts", "get_caller_identity", &json!({})).answer();
    let read = iam("get_role_policy", &policy);
    assert_eq!(read.answer()["PolicyDocument"]["Statement"][0]["Effect"], "Deny");
    // One that was issued after the moment is not touched.
    put["PolicyDocument"] = json!(deny_before("2020-01-01T00:00:00Z"));
    iam("put_role_policy", &put).answer();
    world.boto(Some(&older), "s3", "list_objects_v2", &list).answer();
    assert_eq!(world.front.role_policies(&name).len(), 2);
    iam("delete_role_policy", &policy).answer();
    iam("delete_role_policy", &policy).refused("NoSuchEntity", 404);
}

#[test]
fn a_policy_is_put_by_those_who_may_and_within_its_limits() {
    let world = shared();
    let name = world.fresh("limits");
    world.role(&name);
    let modest = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}]}"#;
    let modest = world.front.user(&world.fresh("modest"), modest).unwrap();
    let able = world.front.user(&world.fresh("able"), crate::support::EVERYTHING).unwrap();
    let put = |document: String| json!({ "RoleName": name, "PolicyName": "p", "PolicyDocument": document });
    let sound = put(deny_before("2026-01-01T00:00:00Z"));
    world.boto(Some(&modest), "iam", "put_role_policy", &sound).refused("AccessDenied", 403);
    let role = world.boto(Some(&modest), "iam", "get_role", &json!({ "RoleName": name }));
    assert_eq!(role.answer()["Role"]["MaxSessionDuration"], 7200);
    let ask = |arguments: &Value| world.boto(Some(&able), "iam", "put_role_policy", arguments);
    ask(&put(deny_before("yesterday"))).refused("MalformedPolicyDocument", 400);
    ask(&put("{}".to_owned())).refused("MalformedPolicyDocument", 400);
    let mut elsewhere = sound.clone();
    elsewhere["RoleName"] = json!("nobody");
    ask(&elsewhere).refused("NoSuchEntity", 404);
    let long = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Action": "*", "Resource": (0..400).map(|n| format!("arn:aws:s3:::bucket-{n}/*")).collect::<Vec<_>>() }]});
    ask(&put(long.to_string())).refused("LimitExceeded", 409);
    ask(&sound).answer();
}

#[test]
fn a_session_ends_with_its_time() {
    let world = World::start();
    let keys = world.web_identity(&world.role("brief"), &world.token(), &json!({ "DurationSeconds": 900 })).keys();
    let who = || world.boto(Some(&keys), "sts", "get_caller_identity", &json!({}));
    // The client's own clock stands: its signature stays within the quarter of an hour that AWS allows.
    world.front.clock_ahead(600);
    let date = who().answer()["ResponseMetadata"]["HTTPHeaders"]["date"].as_str().unwrap().to_owned();
    let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    assert!(date > jiff::Timestamp::now() + jiff::SignedDuration::from_secs(300), "{date}");
    world.front.clock_ahead(900);
    who().refused("ExpiredToken", 403);
    world.boto(Some(&keys), "s3", "list_objects_v2", &json!({ "Bucket": "reports" })).refused("ExpiredToken", 403);
    world.front.clock_ahead(0);
    who().answer();
    world.front.clock_ahead(-1200);
    who().refused("SignatureDoesNotMatch", 403);
}
