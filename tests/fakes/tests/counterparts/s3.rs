//! S3 behind the front: the session's policy holds, though moto knows nothing of it.

use serde_json::{Value, json};

use crate::support::shared;

fn policy(statements: &Value) -> Value {
    json!({ "Policy": json!({ "Version": "2012-10-17", "Statement": statements }).to_string() })
}

#[test]
fn a_session_policy_narrows_what_the_role_may() {
    let world = shared();
    let name = world.fresh("narrow");
    let role = world.role(&name);
    let wide = world.web_identity(&role, &world.token(), &json!({})).keys();
    for key in ["mine/a", "theirs/a"] {
        world.boto(Some(&wide), "s3", "put_object", &json!({ "Bucket": "reports", "Key": key, "Body": key })).answer();
    }
    let statements = json!([
        { "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/mine/*" },
        { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::reports",
          "Condition": { "StringLike": { "s3:prefix": "mine/*" } } },
    ]);
    let narrow = world.web_identity(&role, &world.token(), &policy(&statements)).keys();
    let ask = |call: &str, arguments: Value| world.boto(Some(&narrow), "s3", call, &arguments);
    let key = |key: &str| json!({ "Bucket": "reports", "Key": key });
    assert_eq!(ask("get_object", key("mine/a")).answer()["Body"], "mine/a");
    ask("get_object", key("theirs/a")).refused("AccessDenied", 403);
    ask("put_object", json!({ "Bucket": "reports", "Key": "mine/b", "Body": "b" })).refused("AccessDenied", 403);
    ask("delete_object", key("mine/a")).refused("AccessDenied", 403);
    ask("list_buckets", json!({})).refused("AccessDenied", 403);
    ask("list_objects_v2", json!({ "Bucket": "reports" })).refused("AccessDenied", 403);
    let listed = ask("list_objects_v2", json!({ "Bucket": "reports", "Prefix": "mine/" }));
    assert_eq!(listed.answer()["KeyCount"], 1);
    // moto alone would have let it.
    assert!(world.boto(Some(&wide), "s3", "get_object", &key("theirs/a")).0.get("answer").is_some());
}

#[test]
fn what_the_front_cannot_name_does_not_pass() {
    let world = shared();
    let keys = world.web_identity(&world.role(&world.fresh("unnamed")), &world.token(), &json!({})).keys();
    let ask = |call: &str, arguments: Value| world.boto(Some(&keys), "s3", call, &arguments);
    ask("get_bucket_policy", json!({ "Bucket": "reports" })).refused("NotImplemented", 501);
    ask("get_object_acl", json!({ "Bucket": "reports", "Key": "a" })).refused("NotImplemented", 501);
    let copy = json!({ "Bucket": "reports", "Key": "b", "CopySource": "other/a" });
    ask("copy_object", copy).refused("NotImplemented", 501);
}

#[test]
fn other_services_pass_by_their_actions() {
    let world = shared();
    let role = world.role(&world.fresh("others"));
    let narrow = json!([{ "Effect": "Allow", "Action": "rds:DescribeDBInstances", "Resource": "*" }]);
    let keys = world.web_identity(&role, &world.token(), &policy(&narrow)).keys();
    let described = world.boto(Some(&keys), "rds", "describe_db_instances", &json!({}));
    assert_eq!(described.answer()["DBInstances"], json!([]));
    world.boto(Some(&keys), "rds", "describe_db_clusters", &json!({})).refused("AccessDenied", 403);
    world.boto(Some(&keys), "dynamodb", "list_tables", &json!({})).refused("AccessDeniedException", 403);
}
