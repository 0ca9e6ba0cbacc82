use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Revocation};
use writ_core::provider::{Provider as _, ProviderFault};
use writ_core::target::UpstreamTls;
use writ_core::time::{Timestamp, after};
use writ_core::workload::TokenKind;

use super::world::*;
use crate::{AwsProvider, By, EksConfig, EksProvider, RdsConfig, RdsProvider};

const LIFE: Duration = Duration::from_secs(1200);

fn made(by: By, fake: &Fake, issuer: &Arc<Issuer>) -> AwsProvider {
    let assertions = Arc::clone(issuer) as Arc<dyn Assertions>;
    AwsProvider::with_ambient(&config(by, &fake.url), Some(&assertions), ambient(None)).unwrap()
}

async fn fault(by: By, fake: &Fake) -> ProviderFault {
    let writ = writ(None, None, LIFE);
    let provider = made(by, fake, &Arc::default());
    provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap_err()
}

#[tokio::test]
async fn an_assertion_carries_what_aws_is_told() {
    let (fake, issuer) = (Fake::giving().await, Arc::<Issuer>::default());
    let writ = writ(None, None, LIFE);
    let provider = made(By::Issuer, &fake, &issuer);
    let minted = provider.mint(&target(), intended(&writ, TokenKind::Session), DEADLINE).await.unwrap();
    let asked = &fake.asked()[0];
    assert_eq!(asked["Action"], "AssumeRoleWithWebIdentity");
    assert_eq!(asked["WebIdentityToken"], ASSERTION);
    assert_eq!((asked["RoleArn"].as_str(), &asked["RoleSessionName"]), (ROLE, &writ.id.to_string()));
    assert!((1198..=1200).contains(&asked["DurationSeconds"].parse::<u64>().unwrap()));
    let policy: serde_json::Value = serde_json::from_str(&asked["Policy"]).unwrap();
    assert_eq!(
        policy,
        serde_json::json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::reports/*"]}]})
    );
    assert!(!fake.headers()[0].contains_key("authorization"), "the token alone says who asks");
    let told = issuer.0.lock().unwrap();
    assert_eq!((told[0].audience.as_str(), told[0].for_writ), ("sts.amazonaws.com", true));
    assert_eq!(told[0].claims["https://aws.amazon.com/source_identity"], writ.id.to_string());
    let tags = &told[0].claims["https://aws.amazon.com/tags"];
    assert_eq!(tags["principal_tags"]["writ:id"], serde_json::json!([writ.id.to_string()]));
    assert_eq!(
        tags["principal_tags"].as_object().unwrap().len(),
        tags["transitive_tag_keys"].as_array().unwrap().len()
    );
    drop(told);
    let credential = minted.credential().unwrap();
    assert_eq!(credential.kind, CredentialKind::AwsSession);
    assert_eq!(credential.principal, format!("arn:aws:sts::123456789012:assumed-role/reports/{}", writ.id));
    assert_eq!(credential.fingerprint.as_str(), "aws-access-key:ASIATESTTESTTEST");
    assert_eq!(credential.revocation, Revocation::WholeRole);
    assert!((credential.expires.unwrap().as_second() - writ.expires.as_second()).abs() <= 1);
}

#[tokio::test]
async fn the_workloads_token_is_passed_on_as_it_is() {
    let (fake, issuer) = (Fake::giving().await, Arc::<Issuer>::default());
    let writ = writ(Some("writer"), Some("list"), Duration::from_secs(60));
    let provider = made(By::Workload, &fake, &issuer);
    provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
    let asked = &fake.asked()[0];
    assert_eq!((asked["WebIdentityToken"].as_str(), asked["RoleArn"].as_str()), (TOKEN, OTHER));
    assert_eq!(asked["DurationSeconds"], "900", "AWS gives no shorter session");
    assert!(asked["Policy"].contains("s3:ListBucket") && !asked["Policy"].contains("s3:GetObject"));
    assert!(issuer.0.lock().unwrap().is_empty());
    let session = provider.mint(&target(), intended(&writ, TokenKind::Session), DEADLINE).await.unwrap_err();
    assert!(session.detail().contains("which AWS does not know"), "{session:?}");
    let none = provider.mint(&target(), writ_provider_kit::intended(&writ), DEADLINE).await.unwrap_err();
    assert!(none.detail().contains("no token"), "{none:?}");
    assert_eq!(fake.asked().len(), 1, "nothing else was asked");
}

#[tokio::test]
async fn the_brokers_identity_tells_tags_and_source() {
    let fake = Fake::giving().await;
    let mut config = config(By::Broker, &fake.url);
    config.assume.external_id = Some("writ-prod".to_owned());
    config.assume.tags.insert("team".to_owned(), "payments".to_owned());
    config.assume.max_duration_seconds = 7200;
    let writ = writ(None, None, Duration::from_secs(9000));
    for (session, seconds) in [(None, "7200"), (Some("token"), "3600")] {
        let provider = AwsProvider::with_ambient(&config, None, ambient(session)).unwrap();
        provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
        let asked = fake.asked().pop().unwrap();
        assert_eq!((asked["Action"].as_str(), asked["DurationSeconds"].as_str()), ("AssumeRole", seconds));
        assert_eq!((&asked["SourceIdentity"], asked["ExternalId"].as_str()), (&writ.id.to_string(), "writ-prod"));
        let tags: Vec<(&str, &str)> = (1..=8)
            .map(|n| (&*asked[&format!("Tags.member.{n}.Key")], &*asked[&format!("Tags.member.{n}.Value")]))
            .collect();
        assert!(tags.contains(&("team", "payments")) && tags.contains(&("writ:target", "kit")), "{tags:?}");
        assert_eq!(asked.keys().filter(|key| key.starts_with("TransitiveTagKeys")).count(), 8);
        let headers = fake.headers().pop().unwrap();
        assert!(headers["authorization"].to_str().unwrap().contains("/eu-west-1/sts/aws4_request"));
        assert_eq!(headers.get("x-amz-security-token").map(|value| value.to_str().unwrap()), session);
    }
}

#[tokio::test]
async fn names_that_are_not_in_the_tables_are_refused_unasked() {
    let fake = Fake::giving().await;
    let provider = made(By::Broker, &fake, &Arc::default());
    for (role, scope, refused, expected) in [
        (Some("admin"), None, true, "`admin`, and the provider knows `writer`"),
        (Some(ROLE), None, true, "the provider knows `writer`"),
        (None, Some("all"), false, "the provider knows `list`, `read`"),
    ] {
        let writ = writ(role, scope, LIFE);
        let fault = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap_err();
        assert_eq!(matches!(fault, ProviderFault::Refused(_)), refused, "{fault:?}");
        assert!(fault.detail().contains(expected), "{fault:?}");
    }
    let mut config = config(By::Broker, &fake.url);
    (config.role_arn, config.default_scope) = (None, None);
    let provider = AwsProvider::with_ambient(&config, None, ambient(None)).unwrap();
    for (role, expected) in [(None, "`role_arn`"), (Some("writer"), "`default_scope`")] {
        let writ = writ(role, None, LIFE);
        let fault = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Misconfigured(_)) && fault.detail().contains(expected), "{fault:?}");
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn what_is_not_what_was_asked_for_is_refused() {
    type Change = fn(&mut Given);
    let wrong: &[(Change, &str)] = &[
        (|given| given.arn = given.arn.replace("/reports/", "/admin/"), "AWS gave a session of"),
        (|given| given.arn = format!("{}x", given.arn), "AWS gave a session of"),
        (|given| given.source = Some("somebody".to_owned()), "source identity is `somebody`"),
        (|given| given.expires = after(given.expires, 3600), "set the clock"),
        (|given| given.expires = Timestamp::from_second(given.expires.as_second() - 3600).unwrap(), "set the clock"),
        (|given| given.expires = Timestamp::from_second(0).unwrap(), "set the clock"),
    ];
    for (change, expected) in wrong {
        let change = *change;
        let fake = Fake::saying(move |asked| (200, given(asked, change))).await;
        for by in [By::Issuer, By::Broker] {
            let fault = fault(by, &fake).await;
            assert!(matches!(fault, ProviderFault::Refused(_)) && fault.detail().contains(expected), "{fault:?}");
            assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_error_says_whose_turn_it_is() {
    const REFUSED: &str = "provider.refused";
    const OURS: &str = "provider.misconfigured";
    const UNREACHABLE: &str = "provider.unreachable";
    let all = [
        (403, "AccessDenied", REFUSED, "sts:TagSession"),
        (400, "InvalidIdentityToken", REFUSED, "clock"),
        (400, "ExpiredTokenException", REFUSED, "clock"),
        (400, "RequestExpired", REFUSED, "clock"),
        (403, "IDPRejectedClaim", REFUSED, "vouch"),
        (400, "MalformedPolicyDocument", OURS, "scope"),
        (400, "PackedPolicyTooLarge", OURS, "shorter scope"),
        (403, "RegionDisabledException", OURS, "turn it on"),
        (400, "ValidationError", OURS, "max_duration_seconds"),
        (403, "SignatureDoesNotMatch", OURS, "clock"),
        (403, "InvalidClientTokenId", OURS, "own credentials"),
        (400, "IDPCommunicationError", REFUSED, "the documents of the token's issuer"),
        (500, "InternalFailure", UNREACHABLE, "InternalFailure"),
        (503, "ServiceUnavailable", UNREACHABLE, "ServiceUnavailable"),
        (418, "SomethingNew", REFUSED, "SomethingNew"),
    ];
    for (status, code, expected, words) in all {
        let fake = Fake::saying(move |_| (status, error(code, "what AWS says"))).await;
        let fault = fault(By::Issuer, &fake).await;
        assert_eq!(fault.code(), expected, "{fault:?}");
        assert!(fault.detail().contains(words) && fault.detail().contains("what AWS says"), "{fault:?}");
        assert!(!fault.detail().ends_with('.') && !fault.detail().contains(ASSERTION), "{fault:?}");
        assert_eq!(fake.asked().len(), 1, "{code} is not asked again");
    }
}

#[tokio::test]
async fn only_what_took_no_effect_is_asked_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let fake = Fake::saying(move |asked| match seen.fetch_add(1, Ordering::SeqCst) {
        0 => (400, error("Throttling", "Rate exceeded")),
        _ => (200, given(asked, |_| {})),
    })
    .await;
    let writ = writ(None, None, LIFE);
    let provider = made(By::Issuer, &fake, &Arc::default());
    provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let fake = Fake::saying(|_| (400, error("Throttling", "Rate exceeded"))).await;
    assert_eq!(fault(By::Issuer, &fake).await.code(), "provider.unreachable");
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_none_is_no_answer() {
    for answer in [
        String::new(),
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>".to_owned(),
        "<html>a proxy's own page</html>".to_owned(),
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult/></AssumeRoleWithWebIdentityResponse>"
            .to_owned(),
    ] {
        let fake = Fake::saying(move |_| (200, answer.clone())).await;
        let fault = fault(By::Issuer, &fake).await;
        assert_eq!(fault.code(), "provider.unreachable", "{fault:?}");
    }
    // What a redirect leads to is not asked.
    let fake = Fake::saying(|_| (302, String::new())).await;
    let said = fault(By::Issuer, &fake).await;
    assert_eq!(said.code(), "provider.unreachable", "{said:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn who_is_down_or_silent_is_unreachable_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let down = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", gone.local_addr().unwrap())
    };
    for url in [silent, down] {
        for by in [By::Issuer, By::Workload, By::Broker] {
            let issuer = Arc::<Issuer>::default() as Arc<dyn Assertions>;
            let provider = AwsProvider::with_ambient(&config(by, &url), Some(&issuer), ambient(None)).unwrap();
            let (writ, short, began) = (writ(None, None, LIFE), Duration::from_millis(300), Instant::now());
            let minted = provider.mint(&target(), intended(&writ, TokenKind::Workload), short).await.unwrap_err();
            let probed = provider.probe(&target(), short).await.unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
            assert_eq!((minted.code(), probed.code()), ("provider.unreachable", "provider.unreachable"), "{minted:?}");
        }
    }
}

#[tokio::test]
async fn a_probe_asks_for_each_role_and_for_nothing_that_it_may_do() {
    let (fake, issuer) = (Fake::giving().await, Arc::<Issuer>::default());
    made(By::Issuer, &fake, &issuer).probe(&target(), DEADLINE).await.unwrap();
    let asked = fake.asked();
    let roles: Vec<&str> = asked.iter().map(|asked| asked["RoleArn"].as_str()).collect();
    assert_eq!(roles, [ROLE, OTHER]);
    assert!(asked.iter().all(|asked| asked["Policy"].contains("\"Deny\"") && asked["RoleSessionName"] == "writ-probe"));
    assert!(issuer.0.lock().unwrap().iter().all(|told| !told.for_writ));
    let denied = Fake::saying(|_| (403, error("AccessDenied", "no"))).await;
    assert!(made(By::Broker, &denied, &issuer).probe(&target(), DEADLINE).await.is_err());
    // Nothing can be shown for a workload that is not there.
    made(By::Workload, &denied, &issuer).probe(&target(), DEADLINE).await.unwrap();
}

#[tokio::test]
async fn aws_is_asked_whom_it_sees() {
    for (seen, sound) in [(None, true), (Some("arn:aws:sts::123456789012:assumed-role/other/x"), false)] {
        let fake = Fake::saying(move |asked| match asked["Action"].as_str() {
            "GetCallerIdentity" => {
                let arn = seen.map_or_else(|| "arn:aws:sts::123456789012:assumed-role/reports/WRIT".to_owned(), str::to_owned);
                let result = format!("<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>u</UserId><Account>1</Account></GetCallerIdentityResult>");
                (200, format!("<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>"))
            }
            _ => (200, given(asked, |_| {})),
        })
        .await;
        let provider = made(By::Issuer, &fake, &Arc::default());
        let writ = writ(None, None, LIFE);
        let minted = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
        let minted = minted.credential().unwrap();
        // As whom it is seen must be as whom it was given.
        let credential = Credential {
            kind: minted.kind,
            principal: minted.principal.replace(&writ.id.to_string(), "WRIT"),
            secret: writ_core::credential::Secret::new(minted.secret.expose().to_vec()),
            expires: minted.expires,
            fingerprint: minted.fingerprint.clone(),
            audit: minted.audit.clone(),
            revocation: minted.revocation,
        };
        let presented = provider.present(&target(), &credential, DEADLINE).await;
        assert_eq!(presented.is_ok(), sound, "{presented:?}");
        let headers = fake.headers().pop().unwrap();
        assert_eq!(headers["x-amz-security-token"], "canary-token");
    }
}

fn iam(answer: &'static str) -> impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static {
    move |asked| match asked["Action"].as_str() {
        "GetRolePolicy" if answer.is_empty() => (404, error("NoSuchEntity", "there is none")),
        "GetRolePolicy" => {
            let found = format!("<PolicyDocument>{answer}</PolicyDocument>");
            (
                200,
                format!(
                    "<GetRolePolicyResponse><GetRolePolicyResult>{found}</GetRolePolicyResult></GetRolePolicyResponse>"
                ),
            )
        }
        "PutRolePolicy" => {
            let request = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>";
            (200, format!("<PutRolePolicyResponse>{request}</PutRolePolicyResponse>"))
        }
        _ => (200, given(asked, |_| {})),
    }
}

#[tokio::test]
async fn sessions_are_taken_back_by_role_and_never_given_again() {
    let before: Timestamp = "2026-03-04T05:06:07.5Z".parse().unwrap();
    let written = |asked: &[Asked]| -> Vec<(String, String)> {
        let put = asked.iter().filter(|asked| asked["Action"] == "PutRolePolicy");
        put.map(|asked| (asked["RoleName"].clone(), asked["PolicyDocument"].clone())).collect()
    };
    let fake = Fake::saying(iam("")).await;
    made(By::Broker, &fake, &Arc::default()).revoke_older(&target(), before, DEADLINE).await.unwrap();
    let put = written(&fake.asked());
    assert_eq!(put.iter().map(|(role, _)| role.as_str()).collect::<Vec<_>>(), ["reports", "writer"]);
    let policy: serde_json::Value = serde_json::from_str(&put[0].1).unwrap();
    assert_eq!(policy["Statement"][0]["Effect"], "Deny");
    assert_eq!(policy["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"], "2026-03-04T05:06:08Z");
    let asked = fake.asked();
    assert!(asked.iter().all(|asked| asked["PolicyName"] == "AWSRevokeOlderSessions"), "{asked:?}");
    let headers = fake.headers().pop().unwrap();
    assert!(headers["authorization"].to_str().unwrap().contains("/us-east-1/iam/aws4_request"));

    let at = |time: &str| -> &'static str {
        let document = crate::iam::document(time.parse().unwrap());
        Box::leak(crate::client::escaped(&document).into_boxed_str())
    };
    let later = Fake::saying(iam(at("2026-03-04T05:06:08Z"))).await;
    made(By::Broker, &later, &Arc::default()).revoke_older(&target(), before, DEADLINE).await.unwrap();
    assert!(written(&later.asked()).is_empty(), "an earlier time would give sessions again");
    let earlier = Fake::saying(iam(at("2026-03-04T05:06:07Z"))).await;
    made(By::Broker, &earlier, &Arc::default()).revoke_older(&target(), before, DEADLINE).await.unwrap();
    assert_eq!(written(&earlier.asked()).len(), 2);
    let other = Fake::saying(iam("%7B%7D")).await;
    let fault = made(By::Broker, &other, &Arc::default()).revoke_older(&target(), before, DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("not the usual one") && written(&other.asked()).is_empty(), "{fault:?}");
    let provider = made(By::Broker, &fake, &Arc::default());
    let fault = provider.revoke_older(&target(), after(Timestamp::now(), 3600), DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("in the future"), "{fault:?}");
    let denied = Fake::saying(|_| (403, error("AccessDenied", "no"))).await;
    let fault = made(By::Broker, &denied, &Arc::default()).revoke_older(&target(), before, DEADLINE).await.unwrap_err();
    assert!(fault.code() == "provider.misconfigured" && fault.detail().contains("iam:PutRolePolicy"), "{fault:?}");
}

#[tokio::test]
async fn a_revoker_can_do_that_alone() {
    let (fake, issuer) = (Fake::saying(iam("")).await, Arc::<Issuer>::default());
    let mut config = config(By::Issuer, &fake.url);
    config.assume.revoker = Some("arn:aws:iam::123456789012:role/revoker".to_owned());
    let assertions = Arc::clone(&issuer) as Arc<dyn Assertions>;
    let provider = AwsProvider::with_ambient(&config, Some(&assertions), ambient(None)).unwrap();
    provider.revoke_older(&target(), Timestamp::now(), DEADLINE).await.unwrap();
    let asked = fake.asked();
    assert_eq!(
        (asked[0]["RoleArn"].as_str(), asked[0]["RoleSessionName"].as_str()),
        (config.assume.revoker.as_deref().unwrap(), "writ-revoke")
    );
    assert!(asked[0]["Policy"].contains("iam:PutRolePolicy") && asked[0]["Policy"].contains(OTHER));
    assert_eq!(fake.headers()[1]["x-amz-security-token"], "canary-token");
}

#[tokio::test]
async fn a_login_token_is_signed_by_a_session_that_can_do_that_alone() {
    let fake = Fake::giving().await;
    let text = format!(
        r#"{{"region": "eu-west-1", "user": "app", "users": {{"reader": "app_reader"}}, "resource_id": "db-ABC",
            "role_arn": "{ROLE}", "assume": {{"by": "broker", "endpoint": "{}"}}}}"#,
        fake.url
    );
    let config: RdsConfig = serde_json::from_str(&text).unwrap();
    let place = address("payments.abc.eu-west-1.rds.amazonaws.com", UpstreamTls::VerifyFull);
    let provider = RdsProvider::with_ambient(&config, &place, None, ambient(None)).unwrap();
    let writ = writ(Some("reader"), None, LIFE);
    let minted = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let policy: serde_json::Value = serde_json::from_str(&fake.asked()[0]["Policy"]).unwrap();
    let resource = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABC/app_reader";
    assert_eq!(policy["Statement"][0]["Action"], serde_json::json!(["rds-db:connect"]));
    assert_eq!(policy["Statement"][0]["Resource"], serde_json::json!([resource]));
    let token = std::str::from_utf8(credential.secret.expose()).unwrap();
    assert!(token.starts_with("payments.abc.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=app_reader&"));
    assert!(token.contains("X-Amz-Security-Token=canary-token") && token.contains("X-Amz-Expires=900"));
    assert_eq!((credential.principal.as_str(), credential.kind), ("app_reader", CredentialKind::RdsToken));
    let left = credential.expires.unwrap().as_second() - Timestamp::now().as_second();
    assert!((890..=900).contains(&left), "{left}");
    let end = format!("assumed-role/reports/{}", writ.id);
    assert!(credential.audit.starts_with("app_reader by ASIATESTTESTTEST of ") && credential.audit.ends_with(&end));
    let shown = format!("{credential:?} {provider:?} {minted:?}");
    assert!(!shown.contains("X-Amz-Signature") && !shown.contains("canary"), "{shown}");
    let unknown = super::world::writ(Some("admin"), None, LIFE);
    let fault = provider.mint(&target(), intended(&unknown, TokenKind::Workload), DEADLINE).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Refused(_)) && fault.detail().contains("knows `reader`"), "{fault:?}");
}

#[tokio::test]
async fn a_login_token_does_not_outlive_what_signs_it() {
    let config: RdsConfig = serde_json::from_str(r#"{"region": "eu-west-1", "user": "app"}"#).unwrap();
    let place = address("payments.abc.eu-west-1.rds.amazonaws.com", UpstreamTls::VerifyFull);
    let end = std::time::SystemTime::now() + Duration::from_secs(400);
    let keys = aws_credential_types::Credentials::new("ASIATESTTESTTEST", "s", Some("t".to_owned()), Some(end), "test");
    let ambient = crate::Ambient::given(aws_credential_types::provider::SharedCredentialsProvider::new(keys));
    let provider = RdsProvider::with_ambient(&config, &place, None, ambient).unwrap();
    let writ = writ(None, None, LIFE);
    let minted = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let left = credential.expires.unwrap().as_second() - Timestamp::now().as_second();
    assert!((390..=400).contains(&left), "{left}");
    assert_eq!((credential.audit.as_str(), credential.revocation), ("app by ASIATESTTESTTEST", Revocation::None));
    let fault = provider.revoke_older(&target(), Timestamp::now(), DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("add `role_arn`"), "{fault:?}");
}

#[tokio::test]
async fn a_clusters_token_is_shown_to_aws_as_the_cluster_would() {
    let fake = Fake::saying(|asked| match asked["Action"].as_str() {
        "GetCallerIdentity" => {
            let name = asked["X-Amz-Security-Token"].clone();
            assert_eq!(name, "canary-token");
            let arn = "<Arn>arn:aws:sts::123456789012:assumed-role/reports/writ-probe</Arn>";
            (200, format!("<GetCallerIdentityResponse><GetCallerIdentityResult>{arn}</GetCallerIdentityResult></GetCallerIdentityResponse>"))
        }
        _ => (200, given(asked, |_| {})),
    })
    .await;
    let text = format!(
        r#"{{"region": "eu-west-1", "cluster": "prod", "role_arn": "{ROLE}", "assume": {{"by": "broker", "endpoint": "{}"}}}}"#,
        fake.url
    );
    let config: EksConfig = serde_json::from_str(&text).unwrap();
    let provider = EksProvider::with_ambient(&config, None, ambient(None)).unwrap();
    let writ = writ(None, None, LIFE);
    let minted = provider.mint(&target(), intended(&writ, TokenKind::Workload), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.kind, credential.revocation), (CredentialKind::EksToken, Revocation::None));
    assert!(credential.principal.ends_with(&writ.id.to_string()));
    assert!(fake.asked()[0]["Policy"].contains("\"Deny\""), "asking whom AWS sees needs no permission");
    let left = credential.expires.unwrap().as_second() - Timestamp::now().as_second();
    assert!((890..=900).contains(&left), "{left}");
    let fault = provider.present(&target(), credential, DEADLINE).await.unwrap_err();
    assert!(
        fault.detail().contains("and sees `arn:aws:sts::123456789012:assumed-role/reports/writ-probe`"),
        "{fault:?}"
    );
    let headers = fake.headers().pop().unwrap();
    assert_eq!(
        (headers["x-k8s-aws-id"].as_bytes(), headers["host"].as_bytes()),
        (&b"prod"[..], &b"sts.eu-west-1.amazonaws.com"[..])
    );
}
