//! AssumeRole: tags, chains, external ids, and who may.

use serde_json::{Value, json};
use writ_fakes::Keys;
use writ_fakes::sts::ACCOUNT;

use crate::support::{EVERYTHING, Heard, World, environment, shared};

fn assume(world: &World, keys: &Keys, role: &str, more: &Value) -> Heard {
    let mut arguments = json!({ "RoleArn": role, "RoleSessionName": "writ-session" });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.boto(Some(keys), "sts", "assume_role", &arguments)
}

fn trust(principal: &str, actions: &[&str], conditions: &Value) -> String {
    let statement = json!({
        "Effect": "Allow", "Principal": { "AWS": principal }, "Action": actions, "Condition": conditions,
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

const ALL: [&str; 3] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

fn root() -> String {
    format!("arn:aws:iam::{ACCOUNT}:root")
}

fn tags(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

#[test]
fn the_aws_cli_assumes_a_role_with_tags_and_uses_it() {
    let world = shared();
    let name = world.fresh("cli-assume");
    let user = world.front.user(&name, EVERYTHING).unwrap();
    let role = world.role_with(&name, trust(&root(), &ALL, &json!({})));
    let asked = [
        "sts",
        "assume-role",
        "--role-arn",
        &role,
        "--role-session-name",
        "tagged",
        "--duration-seconds",
        "900",
        "--source-identity",
        "writ-w1",
        "--tags",
        "Key=Writ,Value=w 1",
        "Key=Team,Value=",
        "--transitive-tag-keys",
        "Writ",
    ];
    let answer = world.cli(&environment(&user), &asked).unwrap();
    assert_eq!(answer["SourceIdentity"], "writ-w1");
    let heard = Heard(json!({ "answer": answer }));
    let keys = heard.keys();
    let who = world.cli(&environment(&keys), &["sts", "get-caller-identity"]).unwrap();
    assert_eq!(who["Arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/tagged"));
    let report = world.file(&format!("{name}.txt"), "by a role");
    let place = format!("s3://reports/{name}.txt");
    world.cli(&environment(&keys), &["s3", "cp", &report, &place]).unwrap();
    let listed = world.cli(&environment(&keys), &["s3", "ls", "s3://reports/"]).unwrap();
    assert!(listed.as_str().unwrap().contains(&format!("{name}.txt")), "{listed}");
    let issued = world.front.session(&keys.access_key).unwrap();
    assert_eq!((issued.tags["Writ"].as_str(), issued.tags["Team"].as_str()), ("w 1", ""));
    let events = world.front.audit_naming(&keys.access_key);
    assert_eq!(events[0]["userIdentity"]["userName"], json!(name));
    assert_eq!(events[0]["requestParameters"]["sourceIdentity"], "writ-w1");
}

#[test]
fn near_misses_are_refused_with_their_codes() {
    let world = shared();
    let user = world.front.user(&world.fresh("misses"), EVERYTHING).unwrap();
    let role = world.role_with(&world.fresh("misses"), trust(&root(), &ALL, &json!({})));
    let ask = |more: Value| assume(&world, &user, &role, &more);
    ask(json!({})).keys();
    ask(json!({ "RoleArn": format!("{role}x") })).refused("AccessDenied", 403);
    ask(json!({ "DurationSeconds": 7201 })).refused("ValidationError", 400);
    ask(json!({ "SourceIdentity": "a b" })).refused("ValidationError", 400);
    ask(json!({ "SourceIdentity": "aws:me" })).refused("ValidationError", 400);
    ask(json!({ "ExternalId": "a b" })).refused("ValidationError", 400);
    ask(json!({ "Tags": tags(&[("Writ", "1"), ("writ", "2")]) })).refused("ValidationError", 400);
    ask(json!({ "Tags": tags(&[("aws:writ", "1")]) })).refused("ValidationError", 400);
    ask(json!({ "Tags": tags(&[("Writ", "a*")]) })).refused("ValidationError", 400);
    ask(json!({ "Tags": tags(&[("Writ", "1")]), "TransitiveTagKeys": ["Other"] })).refused("ValidationError", 400);
    ask(json!({ "SerialNumber": "arn:aws:iam::123456789012:mfa/x", "TokenCode": "123456" }))
        .refused("ValidationError", 400);
    let refused = |keys: &Keys, code| assume(&world, keys, &role, &json!({})).refused(code, 403);
    refused(&Keys { secret: "other".to_owned(), ..user.clone() }, "SignatureDoesNotMatch");
    refused(&Keys { access_key: "AKIAUNKNOWN".to_owned(), ..user.clone() }, "InvalidClientTokenId");
    refused(&Keys { token: Some("none".to_owned()), ..user.clone() }, "InvalidClientTokenId");
}

#[test]
fn trust_and_the_callers_own_policy_must_both_allow() {
    let world = shared();
    let policy = |actions: &[&str]| {
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
            .to_string()
    };
    let name = world.fresh("modest");
    let modest = world.front.user(&name, &policy(&["s3:*"])).unwrap();
    let by_account = world.role_with(&world.fresh("by-account"), trust(&root(), &ALL, &json!({})));
    let by_name = format!("arn:aws:iam::{ACCOUNT}:user/{name}");
    let by_name = world.role_with(&world.fresh("by-name"), trust(&by_name, &ALL, &json!({})));
    assume(&world, &modest, &by_account, &json!({})).refused("AccessDenied", 403);
    assume(&world, &modest, &by_name, &json!({})).keys();
    assume(&world, &modest, &by_name, &json!({ "Tags": tags(&[("Writ", "1")]) })).refused("AccessDenied", 403);
    let able = world.front.user(&world.fresh("able"), &policy(&ALL)).unwrap();
    assume(&world, &able, &by_account, &json!({ "Tags": tags(&[("Writ", "1")]), "SourceIdentity": "me" })).keys();
    assume(&world, &able, &by_name, &json!({})).refused("AccessDenied", 403);
    let plain = world.role_with(&world.fresh("plain"), trust(&root(), &["sts:AssumeRole"], &json!({})));
    assume(&world, &able, &plain, &json!({})).keys();
    assume(&world, &able, &plain, &json!({ "Tags": tags(&[("Writ", "1")]) })).refused("AccessDenied", 403);
    assume(&world, &able, &plain, &json!({ "SourceIdentity": "me" })).refused("AccessDenied", 403);
    // A role for web identities is for nobody who signs.
    assume(&world, &able, &world.role(&world.fresh("web")), &json!({})).refused("AccessDenied", 403);
}

#[test]
fn an_external_id_is_asked_for_and_must_be_the_one() {
    let world = shared();
    let user = world.front.user(&world.fresh("partner"), EVERYTHING).unwrap();
    let condition = json!({ "StringEquals": { "sts:ExternalId": "writ-42" } });
    let role = world.role_with(&world.fresh("partner"), trust(&root(), &ALL, &condition));
    assume(&world, &user, &role, &json!({ "ExternalId": "writ-42" })).keys();
    assume(&world, &user, &role, &json!({ "ExternalId": "writ-43" })).refused("AccessDenied", 403);
    assume(&world, &user, &role, &json!({})).refused("AccessDenied", 403);
}

#[test]
fn a_chain_keeps_identity_and_transitive_tags_and_an_hour() {
    let world = shared();
    let user = world.front.user(&world.fresh("chain"), EVERYTHING).unwrap();
    let role = |stem: &str| world.role_with(&world.fresh(stem), trust(&root(), &ALL, &json!({})));
    let (first, second) = (role("first"), role("second"));
    let given = tags(&[("Writ", "w1"), ("Team", "x")]);
    let more = json!({ "Tags": given, "TransitiveTagKeys": ["Writ"], "SourceIdentity": "writ-w1" });
    let keys = assume(&world, &user, &first, &more).keys();
    assume(&world, &keys, &second, &json!({ "DurationSeconds": 3601 })).refused("ValidationError", 400);
    assume(&world, &keys, &second, &json!({ "SourceIdentity": "other" })).refused("AccessDenied", 403);
    assume(&world, &keys, &second, &json!({ "Tags": tags(&[("writ", "w2")]) })).refused("ValidationError", 400);
    let heard = assume(&world, &keys, &second, &json!({ "Tags": tags(&[("Team", "y")]) }));
    assert_eq!(heard.answer()["SourceIdentity"], "writ-w1");
    let issued = world.front.session(&heard.keys().access_key).unwrap();
    assert_eq!(issued.tags, [("Team".to_owned(), "y".to_owned()), ("Writ".to_owned(), "w1".to_owned())].into());
    assert_eq!(issued.transitive, ["Writ"]);
    assert_eq!(issued.expires - issued.issued, 3600);
}

#[test]
fn eks_learns_who_stands_behind_a_token_of_the_aws_cli() {
    use base64::Engine as _;
    let world = shared();
    let name = world.fresh("eks");
    let user = world.front.user(&name, EVERYTHING).unwrap();
    let role = world.role_with(&name, trust(&root(), &ALL, &json!({})));
    let keys = assume(&world, &user, &role, &json!({})).keys();
    let mut environment = environment(&keys);
    // Presigned for the real host, and shown to the front alone.
    environment.push(("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"));
    let given = world.cli(&environment, &["eks", "get-token", "--cluster-name", "payments"]).unwrap();
    let token = given["status"]["token"].as_str().unwrap().strip_prefix("k8s-aws-v1.").unwrap();
    let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap();
    let url = String::from_utf8(url).unwrap();
    let who = |url: &str, cluster: &str| world.front.who(url, &[("x-k8s-aws-id", cluster)]);
    assert_eq!(who(&url, "payments").unwrap(), format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/writ-session"));
    assert_eq!(who(&url, "orders").unwrap_err().code, "SignatureDoesNotMatch");
    assert_eq!(world.front.who(&url, &[]).unwrap_err().code, "SignatureDoesNotMatch");
    assert_eq!(who(&url.replace("://sts.", "://sts2."), "payments").unwrap_err().code, "SignatureDoesNotMatch");
    assert_eq!(
        who(&url.replace("GetCallerIdentity", "GetSessionToken"), "payments").unwrap_err().code,
        "SignatureDoesNotMatch"
    );
    assert_eq!(who(&format!("{url}&Action=GetCallerIdentity"), "payments").unwrap_err().code, "SignatureDoesNotMatch");
}

/// The same over the wire, as EKS asks: a presigned GET, and JSON for whoever accepts it.
#[tokio::test]
async fn a_presigned_question_is_answered_over_the_wire() {
    let world = shared();
    let name = world.fresh("presigned");
    let user = world.front.user(&name, EVERYTHING).unwrap();
    let asked = json!({ "ClientMethod": "get_caller_identity", "ExpiresIn": 60, "HttpMethod": "GET" });
    let url = world.boto(Some(&user), "sts", "generate_presigned_url", &asked);
    let url = url.answer().as_str().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).header("accept", "application/json").send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let arn = &answer["GetCallerIdentityResponse"]["GetCallerIdentityResult"]["Arn"];
    assert_eq!(*arn, format!("arn:aws:iam::{ACCOUNT}:user/{name}"));
    let answer = client.get(format!("{url}0")).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().await.unwrap().contains("<Code>SignatureDoesNotMatch</Code>"));
}
