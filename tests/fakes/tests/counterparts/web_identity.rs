//! AssumeRoleWithWebIdentity: what opens, and everything that does not.

use serde_json::{Value, json};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::sts::{ACCOUNT, Front, OidcProvider, Role};

use crate::support::{AUDIENCE, Boto, EVERYTHING, SUBJECT, World, environment, shared};

#[test]
fn the_aws_cli_assumes_a_role_by_its_token_file() {
    let world = shared();
    let name = world.fresh("cli");
    let role = world.role(&name);
    let file = world.file(&name, &world.token());
    let environment = [
        ("AWS_ROLE_ARN", role.as_str()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &file),
        ("AWS_ROLE_SESSION_NAME", "from-file"),
    ];
    let who = world.cli(&environment, &["sts", "get-caller-identity"]).unwrap();
    assert_eq!(who["Arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/from-file"));
    let report = world.file(&format!("{name}.txt"), "a report");
    let place = format!("s3://reports/{name}.txt");
    world.cli(&environment, &["s3", "cp", &report, &place]).unwrap();
    let read = world.cli(&environment, &["s3", "cp", &place, "-"]).unwrap();
    assert_eq!(read, "a report");
}

#[test]
fn boto3_hears_everything_that_aws_says_of_a_session() {
    let world = shared();
    let name = world.fresh("boto");
    let role = world.role(&name);
    let mut claims = world.claims();
    claims["https://aws.amazon.com/tags"] =
        json!({ "principal_tags": { "Writ": ["w1"], "Team": ["a b"] }, "transitive_tag_keys": ["Writ"] });
    claims["https://aws.amazon.com/source_identity"] = json!("writ-w1");
    let policy =
        r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}"#;
    let more = json!({ "DurationSeconds": 900, "Policy": policy });
    let before = writ_world_now();
    let heard = world.web_identity(&role, &world.token_of(&claims), &more);
    let answer = heard.answer();
    assert_eq!(answer["SubjectFromWebIdentityToken"], SUBJECT);
    assert_eq!(answer["Audience"], AUDIENCE);
    assert_eq!(answer["Provider"], world.issuer.url());
    assert_eq!(answer["SourceIdentity"], "writ-w1");
    assert_eq!(answer["AssumedRoleUser"]["Arn"], format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/writ-session"));
    // The policy without its spaces is 96 bytes, the tags 4 + 2 + 2 and 4 + 3 + 2: of 2048.
    assert_eq!(answer["PackedPolicySize"], 6);
    let keys = heard.keys();
    assert!(keys.access_key.starts_with("ASIA"));
    let issued = world.front.session(&keys.access_key).unwrap();
    assert!((before + 900..=writ_world_now() + 900).contains(&issued.expires), "{issued:?}");
    assert_eq!(issued.policies, [policy]);
    assert_eq!(issued.tags["Team"], "a b");
    assert_eq!(issued.transitive, ["Writ"]);
    let who = world.boto(Some(&keys), "sts", "get_caller_identity", &json!({}));
    assert_eq!(who.answer()["Arn"], issued.arn);
    // moto itself takes the credentials too: they are its own.
    let moto = [("AWS_ENDPOINT_URL", world.front.moto().url())];
    let mut environment = environment(&keys);
    environment.extend(moto.iter().map(|(name, value)| (*name, value.as_str())));
    let who = world.cli(&environment, &["sts", "get-caller-identity"]).unwrap();
    assert_eq!(who["Arn"], issued.arn);
}

fn writ_world_now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn six_algorithms_are_taken_and_no_other() {
    let world = shared();
    let role = world.role(&world.fresh("algorithms"));
    for algorithm in Algorithm::ALL {
        let heard = world.web_identity(&role, &world.issuer.token(algorithm, &world.claims()).unwrap(), &json!({}));
        if matches!(algorithm, Algorithm::Ps256 | Algorithm::EdDsa) {
            heard.refused("InvalidIdentityToken", 400);
        } else {
            heard.keys();
        }
    }
}

/// A change of sound claims, and the code that it leads to.
type Miss = (&'static str, fn(&mut Value), &'static str, u64);

const MISSES: [Miss; 20] = [
    ("another audience", |claims| claims["aud"] = json!("other"), "InvalidIdentityToken", 400),
    ("two audiences", |claims| claims["aud"] = json!([AUDIENCE, "other"]), "InvalidIdentityToken", 400),
    ("no audience", |claims| drop(claims.as_object_mut().unwrap().remove("aud")), "InvalidIdentityToken", 400),
    ("another party", |claims| claims["azp"] = json!("other"), "InvalidIdentityToken", 400),
    (
        "an issuer that is not registered",
        |claims| claims["iss"] = json!("https://other.test"),
        "InvalidIdentityToken",
        400,
    ),
    (
        "an issuer with a slash",
        |claims| claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap())),
        "InvalidIdentityToken",
        400,
    ),
    ("another subject", |claims| claims["sub"] = json!("writ:other"), "AccessDenied", 403),
    ("a subject that begins alike", |claims| claims["sub"] = json!("writ:kit2"), "AccessDenied", 403),
    ("no subject", |claims| drop(claims.as_object_mut().unwrap().remove("sub")), "InvalidIdentityToken", 400),
    (
        "an end that is past",
        |claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 1),
        "ExpiredTokenException",
        400,
    ),
    ("no end", |claims| drop(claims.as_object_mut().unwrap().remove("exp")), "InvalidIdentityToken", 400),
    (
        "an end with a fraction",
        |claims| claims["exp"] = json!(claims["exp"].as_f64().unwrap() + 0.5),
        "InvalidIdentityToken",
        400,
    ),
    ("an end as text", |claims| claims["exp"] = json!(claims["exp"].to_string()), "InvalidIdentityToken", 400),
    (
        "a beginning to come",
        |claims| claims["nbf"] = json!(claims["iat"].as_i64().unwrap() + 300),
        "InvalidIdentityToken",
        400,
    ),
    (
        "issued in the future",
        |claims| claims["iat"] = json!(claims["iat"].as_i64().unwrap() + 300),
        "InvalidIdentityToken",
        400,
    ),
    ("no time of issue", |claims| drop(claims.as_object_mut().unwrap().remove("iat")), "InvalidIdentityToken", 400),
    (
        "tags that are no lists",
        |claims| claims["https://aws.amazon.com/tags"] = json!({ "principal_tags": { "Writ": "w1" } }),
        "IDPRejectedClaim",
        403,
    ),
    (
        "fifty-one tags",
        |claims| {
            let tags: serde_json::Map<String, Value> = (0..51).map(|n| (format!("k{n}"), json!(["v"]))).collect();
            claims["https://aws.amazon.com/tags"] = json!({ "principal_tags": tags });
        },
        "IDPRejectedClaim",
        403,
    ),
    (
        "tags as single claims",
        |claims| claims["https://aws.amazon.com/tags/principal_tags/Writ"] = json!(["w1"]),
        "IDPRejectedClaim",
        403,
    ),
    (
        "a source identity with a space",
        |claims| claims["https://aws.amazon.com/source_identity"] = json!("a b"),
        "IDPRejectedClaim",
        403,
    ),
];

#[test]
fn each_near_miss_of_a_token_is_refused_with_its_code() {
    let world = shared();
    let role = world.role(&world.fresh("misses"));
    world.web_identity(&role, &world.token(), &json!({})).keys();
    for (what, change, code, status) in MISSES {
        let mut claims = world.claims();
        change(&mut claims);
        let heard = world.web_identity(&role, &world.token_of(&claims), &json!({}));
        assert_eq!(
            (heard.0["code"].as_str(), heard.0["status"].as_u64()),
            (Some(code), Some(status)),
            "{what}: {heard:?}"
        );
    }
}

#[test]
fn a_token_that_others_signed_or_nobody_did_is_refused() {
    let world = shared();
    let role = world.role(&world.fresh("signers"));
    let refused = |token: &str| world.web_identity(&role, token, &json!({})).refused("InvalidIdentityToken", 400);
    let other = Issuer::start().unwrap();
    refused(&other.token(Algorithm::Es256, &world.claims()).unwrap());
    let header = |algorithm: &str, key: &str| json!({ "alg": algorithm, "kid": key });
    let with = |header: &Value| world.issuer.token_with(Algorithm::Rs256, header, &world.claims()).unwrap();
    refused(&with(&header("none", "rsa")));
    refused(&with(&header("HS256", "rsa")));
    refused(&with(&header("RS512", "rsa")));
    refused(&with(&header("RS256", "p256")));
    refused(&with(&header("RS256", "unknown")));
    refused(&with(&json!({ "alg": "RS256" })));
    refused(&with(&json!({ "alg": "RS256", "kid": "rsa", "crit": ["exp"] })));
    let sound = world.token();
    refused(&sound[..sound.len() - 4]);
    refused(&sound.replace('.', ".."));
    refused(&format!("{}.", sound.rsplit_once('.').unwrap().0));
    refused("not-a-token");
}

#[test]
fn each_near_miss_of_a_request_is_refused_with_its_code() {
    let world = shared();
    let role = world.role(&world.fresh("requests"));
    let ask = |more: Value| world.web_identity(&role, &world.token(), &more);
    ask(json!({ "RoleArn": format!("{role}x") })).refused("AccessDenied", 403);
    ask(json!({ "RoleArn": "arn:aws:iam::210987654321:role/other" })).refused("AccessDenied", 403);
    ask(json!({ "RoleArn": "short" })).refused("ValidationError", 400);
    ask(json!({ "RoleSessionName": "a" })).refused("ValidationError", 400);
    ask(json!({ "RoleSessionName": "a b" })).refused("ValidationError", 400);
    ask(json!({ "RoleSessionName": "a/b" })).refused("ValidationError", 400);
    ask(json!({ "RoleSessionName": "x".repeat(65) })).refused("ValidationError", 400);
    ask(json!({ "DurationSeconds": 899 })).refused("ValidationError", 400);
    // The role lets two hours, and an hour too many is not cut down.
    ask(json!({ "DurationSeconds": 7200 })).keys();
    ask(json!({ "DurationSeconds": 7201 })).refused("ValidationError", 400);
    ask(json!({ "DurationSeconds": 43201 })).refused("ValidationError", 400);
    ask(json!({ "ProviderId": "www.amazon.com" })).refused("ValidationError", 400);
    ask(json!({ "WebIdentityToken": "abc" })).refused("ValidationError", 400);
    ask(json!({ "WebIdentityToken": "x".repeat(20_001) })).refused("ValidationError", 400);
    ask(json!({ "Policy": "{" })).refused("MalformedPolicyDocument", 400);
    ask(json!({ "Policy": r#"{"Version":"2012-10-17"}"# })).refused("MalformedPolicyDocument", 400);
    ask(json!({ "Policy": EVERYTHING.replace("\"*\"", &format!("\"{}\"", "x".repeat(2048))) }))
        .refused("ValidationError", 400);
    let mut claims = world.claims();
    let tags: serde_json::Map<String, Value> = (0..40).map(|n| (format!("key{n}"), json!(["v".repeat(100)]))).collect();
    claims["https://aws.amazon.com/tags"] = json!({ "principal_tags": tags });
    world.web_identity(&role, &world.token_of(&claims), &json!({})).refused("PackedPolicyTooLarge", 400);
}

#[test]
fn tags_and_source_identity_need_the_trusts_leave() {
    let world = shared();
    let tagged = |key: &str| {
        let mut claims = world.claims();
        claims["https://aws.amazon.com/tags"] = json!({ "principal_tags": { key: ["w1"] } });
        world.token_of(&claims)
    };
    let mut named = world.claims();
    named["https://aws.amazon.com/source_identity"] = json!("writ-w1");
    let named = world.token_of(&named);
    let alone = world.role_with(&world.fresh("alone"), world.trust(&["sts:AssumeRoleWithWebIdentity"], &json!({})));
    world.web_identity(&alone, &world.token(), &json!({})).keys();
    world.web_identity(&alone, &tagged("Writ"), &json!({})).refused("AccessDenied", 403);
    world.web_identity(&alone, &named, &json!({})).refused("AccessDenied", 403);
    let actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"];
    let conditions = json!({ "aws:RequestTag/Writ": "w1", "sts:RoleSessionName": "writ-session" });
    let bound = world.role_with(&world.fresh("bound"), world.trust(&actions, &conditions));
    world.web_identity(&bound, &tagged("Writ"), &json!({})).keys();
    world.web_identity(&bound, &tagged("Other"), &json!({})).refused("AccessDenied", 403);
    world.web_identity(&bound, &tagged("Writ"), &json!({ "RoleSessionName": "other" })).refused("AccessDenied", 403);
    world.web_identity(&bound, &world.token(), &json!({})).refused("AccessDenied", 403);
}

#[test]
fn an_issuer_that_is_away_or_says_something_else_is_named() {
    let world = shared();
    let role = world.role(&world.fresh("away"));
    let away = format!("http://127.0.0.1:{}", writ_fakes::dead::refusing().unwrap());
    let provider =
        |url: &str| OidcProvider { url: url.to_owned(), client_ids: vec![AUDIENCE.to_owned()], ca_pem: None, at: None };
    world.front.oidc_provider(provider(&away));
    let mut claims = world.claims();
    claims["iss"] = json!(away);
    world.web_identity(&role, &world.token_of(&claims), &json!({})).refused("IDPCommunicationError", 400);
    // The same server under another name: its document does not say that name.
    let other = world.issuer.url().replace("127.0.0.1", "localhost");
    world.front.oidc_provider(provider(&other));
    claims["iss"] = json!(other);
    world.web_identity(&role, &world.token_of(&claims), &json!({})).refused("InvalidIdentityToken", 400);
}

#[test]
fn over_tls_with_an_issuer_over_tls() {
    let front = Front::start_tls(&[]).unwrap();
    let issuer = Issuer::start_tls().unwrap();
    let provider = |ca_pem: Option<&str>| OidcProvider {
        url: issuer.url().to_owned(),
        client_ids: vec![AUDIENCE.to_owned()],
        ca_pem: ca_pem.map(str::to_owned),
        at: None,
    };
    let arn = front.oidc_provider(provider(issuer.ca_pem()));
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Federated": arn }, "Action": "sts:AssumeRoleWithWebIdentity" }] });
    let policies = [("all".to_owned(), EVERYTHING.to_owned())].into();
    let role = front.role(&Role { name: "tls".to_owned(), trust: trust.to_string(), policies, longest: 3600 }).unwrap();
    front.bucket("sealed").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.pem");
    std::fs::write(&authority, front.ca_pem().unwrap()).unwrap();
    let mut boto = Boto::start(front.url(), Some(&authority));
    let token = issuer.token(Algorithm::Rs256, &issuer.claims(AUDIENCE, SUBJECT)).unwrap();
    let asked = json!({ "RoleArn": role, "RoleSessionName": "sealed", "WebIdentityToken": token });
    let keys = boto.ask(None, "sts", "assume_role_with_web_identity", &asked).keys();
    let put = json!({ "Bucket": "sealed", "Key": "a", "Body": "text" });
    boto.ask(Some(&keys), "s3", "put_object", &put).answer();
    let read = boto.ask(Some(&keys), "s3", "get_object", &json!({ "Bucket": "sealed", "Key": "a" }));
    assert_eq!(read.answer()["Body"], "text");
    // An authority that did not sign the issuer's certificate.
    front.oidc_provider(provider(front.ca_pem()));
    boto.ask(None, "sts", "assume_role_with_web_identity", &asked).refused("IDPCommunicationError", 400);
}

/// What only a client of one's own would send: the raw protocol.
#[tokio::test]
async fn the_query_protocol_is_taken_to_the_letter() {
    let world = shared();
    let role = world.role(&world.fresh("letter"));
    let sound = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={role}&RoleSessionName=raw&WebIdentityToken={}",
        world.token()
    );
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let kind = "application/x-www-form-urlencoded";
    let ask = async |form: String| {
        let request = client.post(world.front.url()).header("content-type", kind).body(form);
        let response = request.send().await.unwrap();
        assert!(response.headers().contains_key("x-amzn-requestid"));
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, answer) = ask(sound.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer.starts_with("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">")
    );
    for (form, expected, code) in [
        (sound.replace("&Version=2011-06-15", ""), 400, "InvalidAction"),
        (sound.replace("2011-06-15", "2010-05-08"), 400, "InvalidAction"),
        (sound.replace("Action=AssumeRoleWithWebIdentity&", ""), 400, "MissingAction"),
        (sound.replace("Action=AssumeRoleWithWebIdentity", "Action=AssumeRoleWithSAML"), 400, "InvalidAction"),
        (format!("{sound}&Tags.member.1.Key=a&Tags.member.1.Value=b"), 400, "ValidationError"),
        (format!("{sound}&SourceIdentity=someone"), 400, "ValidationError"),
        (format!("{sound}&DurationSecond=900"), 400, "ValidationError"),
        (format!("{sound}&RoleSessionName=raw"), 400, "ValidationError"),
        (format!("{sound}&DurationSeconds=1e3"), 400, "MalformedInput"),
        (sound.replace("RoleSessionName=raw", "RoleSessionName=%zz"), 400, "MalformedQueryString"),
        ("Action=AssumeRole&Version=2011-06-15".to_owned(), 403, "MissingAuthenticationToken"),
        ("Action=GetCallerIdentity&Version=2011-06-15".to_owned(), 403, "MissingAuthenticationToken"),
    ] {
        let (status, answer) = ask(form.clone()).await;
        assert_eq!(status, expected, "{form}: {answer}");
        let shape = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>");
        assert!(answer.contains(&shape) && answer.contains("<RequestId>"), "{form}: {answer}");
    }
}

#[test]
fn the_audit_shows_who_asked_and_leads_to_what_was_given() {
    let world: std::sync::Arc<World> = shared();
    let name = world.fresh("audited");
    let role = world.role(&name);
    let mut claims = world.claims();
    claims["https://aws.amazon.com/tags"] = json!({ "principal_tags": { "Writ": [name] } });
    claims["https://aws.amazon.com/source_identity"] = json!(name);
    let token = world.token_of(&claims);
    let keys = world.web_identity(&role, &token, &json!({ "RoleSessionName": name })).keys();
    world.boto(Some(&keys), "s3", "list_objects_v2", &json!({ "Bucket": "reports" })).answer();
    let events = world.front.audit_naming(&keys.access_key);
    let [given, used] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(given["eventName"], "AssumeRoleWithWebIdentity");
    assert_eq!(given["userIdentity"]["type"], "WebIdentityUser");
    assert_eq!(given["userIdentity"]["userName"], SUBJECT);
    assert_eq!(given["requestParameters"]["principalTags"]["Writ"], json!(name));
    assert_eq!(given["responseElements"]["credentials"]["accessKeyId"], json!(keys.access_key));
    assert_eq!(used["eventName"], "ListBucket");
    assert_eq!(used["userIdentity"]["type"], "AssumedRole");
    assert_eq!(used["userIdentity"]["sessionContext"]["sourceIdentity"], json!(name));
    // Tags do not show in use, and a secret nowhere.
    assert!(used["requestParameters"].get("principalTags").is_none());
    for secret in [&keys.secret, keys.token.as_ref().unwrap(), &token] {
        assert!(world.front.audit_naming(secret).is_empty());
    }
    world.web_identity(&role, "not-a-token", &json!({ "RoleSessionName": format!("{name}-x") }));
    let refused = world.front.audit_naming(&format!("{name}-x"));
    assert_eq!(refused[0]["errorCode"], "InvalidIdentityToken");
}
