//! What was minted, in the hands of whoever uses it, and what AWS has on record of it.

use serde_json::json;
use writ_core::credential::CredentialKind;
use writ_core::provider::Provider;
use writ_core::writ::Writ;
use writ_fakes::Keys;
use writ_provider_aws::By;

use crate::canary;
use crate::clients::{cli, keys};
use crate::eyes::{Eyes, presigned};
use crate::providers::{aws, eks, mint, target, writ};
use crate::world::{DEADLINE, LIFE, World, shared};

const WAYS: [By; 3] = [By::Issuer, By::Workload, By::Broker];

#[tokio::test]
async fn a_session_works_with_the_cli_and_boto_within_its_scope() {
    let world = shared();
    for by in WAYS {
        let provider = aws(&world, by, world.front.url(), &|_| ());
        let writ = writ(&world, None, LIFE);
        let minted = mint(&world, &provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        let arn = format!("arn:aws:sts::123456789012:assumed-role/reports/{}", writ.id);
        assert_eq!((credential.kind, &credential.principal), (CredentialKind::AwsSession, &arn), "{by:?}");
        let keys = keys(credential);
        let cli = |arguments: &[&str]| cli(world.front.url(), &keys, arguments);
        assert_eq!(cli(&["sts", "get-caller-identity"]).unwrap()["Arn"], arn, "{by:?}");
        let get = |bucket: &str| cli(&["s3api", "get-object", "--bucket", bucket, "--key", "2026/march", "/dev/null"]);
        assert_eq!(get("reports").unwrap()["ContentLength"], 7, "{by:?}");
        let outside = get("elsewhere").unwrap_err();
        assert!(outside.contains("AccessDenied") && outside.contains("no session policy allows"), "{outside}");
        assert_eq!(world.read(&keys, "reports").answer()["Body"], "reports");
        world.read(&keys, "elsewhere").refused("AccessDenied", "no session policy allows the s3:GetObject action");
        let put = json!({ "Bucket": "reports", "Key": "planted", "Body": "x" });
        world.boto(&keys, "s3", "put_object", &put).refused("AccessDenied", "no session policy");
        // The role may all of that: it is the scope that takes it away.
        world
            .boto(&keys, "iam", "get_role", &json!({ "RoleName": "reports" }))
            .refused("AccessDenied", "session policy");
        let presented = provider.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
        assert_eq!((&presented.principal, &presented.audit), (&arn, &arn));
        the_record_leads_to_the_writ(&world, by, &writ, &keys);
    }
    canary::check();
}

/// In each way all that AWS can be told: no tags with a token of the workload's own.
fn the_record_leads_to_the_writ(world: &World, by: By, writ: &Writ, keys: &Keys) {
    let id = writ.id.to_string();
    let session = world.front.session(&keys.access_key).unwrap();
    assert_eq!((&session.name, session.expires - session.issued), (&id, 900));
    let told = by != By::Workload;
    assert_eq!(session.source_identity.as_deref(), told.then_some(id.as_str()), "{by:?}");
    let tags = ["id", "issuer", "policy", "session", "subject", "target", "workload"].map(|tag| format!("writ:{tag}"));
    let expected = if told { &tags[..] } else { &[] };
    assert_eq!(session.tags.keys().cloned().collect::<Vec<_>>(), expected, "{by:?}");
    assert_eq!(session.transitive, expected, "{by:?}");
    let record = world.front.audit_naming(&id);
    let event = |name: &str| record.iter().find(|event| event["eventName"] == name).unwrap();
    let issued = event(if by == By::Broker { "AssumeRole" } else { "AssumeRoleWithWebIdentity" });
    assert_eq!(issued["requestParameters"]["roleSessionName"], id);
    assert_eq!(issued["responseElements"]["credentials"]["accessKeyId"], keys.access_key);
    assert!(issued["requestParameters"]["policy"].as_str().unwrap().contains("arn:aws:s3:::reports/*"));
    let used = event("GetObject");
    assert_eq!(used["userIdentity"]["accessKeyId"], keys.access_key);
    assert!(used["userIdentity"]["arn"].as_str().unwrap().ends_with(&id));
    if told {
        assert_eq!(issued["requestParameters"]["sourceIdentity"], id);
        assert_eq!(issued["requestParameters"]["principalTags"]["writ:subject"], writ.subject.as_str());
        assert_eq!(used["userIdentity"]["sessionContext"]["sourceIdentity"], id);
        assert_eq!(session.tags["writ:target"], world.target);
        assert_eq!(session.tags["writ:id"], id);
    }
    let all = record.iter().map(ToString::to_string).collect::<String>();
    assert!(!all.contains(&keys.secret) && !all.contains(keys.token.as_deref().unwrap()));
}

#[tokio::test]
async fn a_policy_picks_role_and_scope() {
    let world = shared();
    let provider = aws(&world, By::Issuer, world.front.url(), &|settings| {
        settings["scopes"]["put"] = json!([{ "actions": ["s3:PutObject"], "resources": ["arn:aws:s3:::reports/${aws:PrincipalTag/writ:target}/*"] }]);
    });
    let mut writ = writ(&world, Some("writer"), LIFE);
    writ.obligations.scope = Some("put".to_owned());
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert!(credential.principal.contains("assumed-role/reports-writer/"), "{}", credential.principal);
    let put = |key: &str| {
        world.boto(&keys(credential), "s3", "put_object", &json!({ "Bucket": "reports", "Key": key, "Body": "x" }))
    };
    put("reports/april").answer();
    put("others/april").refused("AccessDenied", "no session policy");
    world.read(&keys(credential), "reports").refused("AccessDenied", "no session policy");
    canary::check();
}

/// The account's own policies may ask for Writ's tags, and for its source identity.
#[tokio::test]
async fn an_account_can_ask_for_tags() {
    let world = shared();
    let policy = |target: &str| {
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "s3:*", "Resource": "*",
            "Condition": { "StringEquals": { "aws:PrincipalTag/writ:target": target },
                           "StringLike": { "aws:SourceIdentity": "*" } } }] })
        .to_string()
    };
    for (name, of, allowed) in [("ours", "reports", true), ("theirs", "payments", false)] {
        let role = world.role_that(name, &world.trust(&json!({})), Some(&policy(of)));
        let provider = aws(&world, By::Issuer, world.front.url(), &|settings| settings["role_arn"] = json!(role));
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        assert_eq!(world.read(&keys(minted.credential().unwrap()), "reports").is_answer(), allowed, "{name}");
    }
    canary::check();
}

#[tokio::test]
async fn a_clusters_token_shows_the_writ_to_that_cluster_alone() {
    let world = shared();
    for by in WAYS {
        let provider = eks(&world, by, world.front.url(), &|_| ());
        let writ = writ(&world, None, LIFE * 12);
        let minted = mint(&world, &provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        let url = presigned(credential.secret.expose()).unwrap();
        assert!(url.starts_with("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&"));
        let who = |url: &str, cluster: &str| world.front.who(url, &[("x-k8s-aws-id", cluster)]);
        let arn = format!("arn:aws:sts::123456789012:assumed-role/cluster-reader/{}", writ.id);
        assert_eq!(who(&url, "prod").unwrap(), arn, "{by:?}");
        assert_eq!(who(&url, "staging").unwrap_err().code, "SignatureDoesNotMatch");
        assert_eq!(world.front.who(&url, &[]).unwrap_err().code, "SignatureDoesNotMatch");
        let other = url.replace("GetCallerIdentity", "GetSessionToken");
        assert_eq!(who(&other, "prod").unwrap_err().code, "SignatureDoesNotMatch");
        let presented = provider.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
        assert_eq!((&presented.principal, &presented.audit), (&arn, &credential.audit));
        // It ends sooner than the session that signed it, and is said to end no later than it does.
        let end = Eyes::Cluster("prod".to_owned()).end_of(&world, credential.secret.expose());
        assert_eq!(credential.expires, end, "{by:?}");
        let session = world.front.sessions().into_iter().find(|session| session.arn == arn).unwrap();
        assert!(session.policies[0].contains("\"Deny\"") && session.expires - session.issued > 900, "{session:?}");
    }
    canary::check();
}
