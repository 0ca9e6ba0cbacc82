//! Near misses: each is refused by AWS, and told with whose turn it is and what to do.

use serde_json::{Value, json};
use writ_core::provider::Provider;
use writ_core::target::TargetName;
use writ_fakes::Keys;
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_provider_aws::{AwsConfig, AwsProvider, By};

use crate::canary;
use crate::clients::keys;
use crate::documented;
use crate::providers::{aws, mint, mint_showing, target, writ};
use crate::world::{DEADLINE, LIFE, World, ambient, shared};

const REFUSED: &str = "provider.refused";
const MISCONFIGURED: &str = "provider.misconfigured";
const TRUST: &str = "the role's trust policy and the caller's permissions must allow the call, `sts:TagSession` and \
                     `sts:SetSourceIdentity` with it, see docs/providers/aws.md";
const TOKEN: &str = "the account needs an OIDC provider with the token's issuer and audience";

/// No session, and a fault of this code with these words.
#[track_caller]
fn missed(
    world: &World,
    id: &str,
    minted: Result<impl Sized, writ_core::provider::ProviderFault>,
    code: &str,
    words: &[&str],
) {
    let fault = minted.err().unwrap_or_else(|| panic!("{words:?}: a session was given"));
    assert_eq!(fault.code(), code, "{fault:?}");
    for word in words {
        assert!(fault.detail().contains(word), "`{word}` is not in {fault:?}");
    }
    assert!(world.front.sessions().iter().all(|session| session.name != id), "{fault:?}");
}

/// A way in, another setting, and how that is refused.
struct Miss {
    by: By,
    change: fn(&mut Value),
    seconds: u64,
    code: &'static str,
    words: &'static [&'static str],
}

const MISSES: [Miss; 9] = [
    Miss {
        by: By::Issuer,
        change: |settings| settings["assume"]["audience"] = json!("sts.amazonaws.com.cn"),
        seconds: 300,
        code: REFUSED,
        words: &["Incorrect token audience", "InvalidIdentityToken, status 400", TOKEN],
    },
    Miss {
        by: By::Issuer,
        change: |settings| settings["role_arn"] = json!("arn:aws:iam::123456789012:role/nobody"),
        seconds: 300,
        code: REFUSED,
        words: &["role/nobody", "AccessDenied, status 403", TRUST],
    },
    Miss {
        by: By::Issuer,
        change: |settings| settings["role_arn"] = json!("arn:aws:iam::210987654321:role/reports"),
        seconds: 300,
        code: REFUSED,
        words: &["role/reports", "AccessDenied, status 403", TRUST],
    },
    Miss {
        by: By::Issuer,
        change: |settings| settings["assume"]["max_duration_seconds"] = json!(7_200),
        seconds: 7_200,
        code: MISCONFIGURED,
        words: &["MaxSessionDuration", "a smaller `max_duration_seconds`"],
    },
    Miss {
        by: By::Workload,
        change: |settings| settings["assume"]["max_duration_seconds"] = json!(7_200),
        seconds: 7_200,
        code: MISCONFIGURED,
        words: &["MaxSessionDuration", "a smaller `max_duration_seconds`"],
    },
    Miss {
        by: By::Issuer,
        change: |settings| {
            settings["scopes"]["read"][0]["conditions"] = json!({ "StringAlike": { "s3:prefix": ["a"] } })
        },
        seconds: 300,
        code: MISCONFIGURED,
        words: &["MalformedPolicyDocument", "correct it in `scopes`"],
    },
    Miss {
        by: By::Broker,
        change: |settings| settings["assume"]["external_id"] = json!("writ-test"),
        seconds: 300,
        code: REFUSED,
        words: &["not authorized to perform: sts:AssumeRole on", TRUST],
    },
    Miss {
        by: By::Broker,
        change: |settings| settings["assume"]["external_id"] = Value::Null,
        seconds: 300,
        code: REFUSED,
        words: &["not authorized to perform: sts:AssumeRole on", TRUST],
    },
    Miss {
        by: By::Broker,
        change: |settings| settings["role_arn"] = json!("arn:aws:iam::123456789012:role/nobody"),
        seconds: 300,
        code: REFUSED,
        words: &["role/nobody", TRUST],
    },
];

#[tokio::test]
async fn each_near_miss_of_the_settings_is_named() {
    let world = shared();
    for Miss { by, change, seconds, code, words } in MISSES {
        let provider = aws(&world, by, world.front.url(), &change);
        let writ = writ(&world, None, std::time::Duration::from_secs(seconds));
        missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, code, words);
    }
    canary::check();
}

#[tokio::test]
async fn another_target_is_not_trusted() {
    let world = shared();
    let provider = aws(&world, By::Issuer, world.front.url(), &|_| ());
    let mut writ = writ(&world, None, LIFE);
    writ.target = TargetName::new("payments").unwrap();
    missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, REFUSED, &["AccessDenied", TRUST]);
    let mut other = target(&world);
    other.name = TargetName::new("payments").unwrap();
    let fault = provider.probe(&other, DEADLINE).await.unwrap_err();
    assert!(fault.code() == REFUSED && fault.detail().contains(TRUST), "{fault:?}");
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    canary::check();
}

/// The trust without one of the actions that tags and source identity need.
#[tokio::test]
async fn tags_and_source_identity_need_the_trusts_leave() {
    let world = shared();
    for (number, without) in ["sts:TagSession", "sts:SetSourceIdentity"].into_iter().enumerate() {
        let trust =
            world.trust(&json!({})).replace(&format!(", \"{without}\""), "").replace(&format!(",\"{without}\""), "");
        assert!(!trust.contains(without));
        // The broker's own policy names `plain`; a name of its own would be refused for that.
        let name = if number == 0 { "plain" } else { "revoker" };
        let role = world.role(name, &trust);
        let change = |settings: &mut Value| settings["role_arn"] = json!(role);
        for by in [By::Issuer, By::Broker] {
            let provider = aws(&world, by, world.front.url(), &change);
            let writ = writ(&world, None, LIFE);
            let said =
                if by == By::Broker { format!("not authorized to perform: {without} on") } else { String::new() };
            missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, REFUSED, &[&said, TRUST]);
        }
        // Nothing is told with a token of the workload's, so that nothing more is needed.
        let provider = aws(&world, By::Workload, world.front.url(), &change);
        drop(mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap());
    }
    canary::check();
}

/// A role that assumes another gets an hour, however long both would allow; whoever shows a token gets it all.
#[tokio::test]
async fn a_broker_that_is_a_role_gets_an_hour() {
    let world = World::start("reports");
    let (name, trust) = ("reports".to_owned(), world.trust(&json!({})));
    let policies = [("own".to_owned(), crate::world::EVERYTHING.to_owned())].into();
    let long = writ_fakes::sts::Role { name, trust, policies, longest: 7_200 };
    let role = world.front.role(&long).unwrap();
    let asked =
        json!({ "RoleArn": role, "RoleSessionName": "by-hand", "DurationSeconds": 3_601, "ExternalId": "writ-prod" });
    world.boto(&world.broker, "sts", "assume_role", &asked).refused("ValidationError", "role chaining");
    for (by, seconds) in [(By::Broker, 3_600), (By::Issuer, 7_200), (By::Workload, 7_200)] {
        let longer = |settings: &mut Value| settings["assume"]["max_duration_seconds"] = json!(7_200);
        let provider = aws(&world, by, world.front.url(), &longer);
        let minted = mint(&world, &provider, &writ(&world, None, LIFE * 24)).await.unwrap();
        let credential = minted.credential().unwrap();
        let session = world.front.session(&keys(credential).access_key).unwrap();
        // The writ began a moment before.
        assert!((seconds - 5..=seconds).contains(&(session.expires - session.issued)), "{by:?}: {session:?}");
        assert_eq!(credential.expires.unwrap().as_second(), session.expires, "{by:?}");
    }
    canary::check();
}

#[test]
fn a_role_of_another_partition_is_a_mistake_of_the_configuration() {
    for (region, role, words) in [
        (
            "eu-west-1",
            "arn:aws-cn:iam::123456789012:role/reports",
            "is of the partition `aws-cn`, and `eu-west-1` lies in `aws`",
        ),
        (
            "cn-north-1",
            "arn:aws:iam::123456789012:role/reports",
            "is of the partition `aws`, and `cn-north-1` lies in `aws-cn`",
        ),
        ("us-gov-west-1", "arn:aws:iam::123456789012:role/reports", "lies in `aws-us-gov`"),
    ] {
        let mut settings = documented::aws_settings();
        (settings["region"], settings["role_arn"], settings["roles"]) = (json!(region), json!(role), json!({}));
        settings["assume"] = json!({ "by": "broker" });
        let config: AwsConfig = serde_json::from_value(settings).unwrap();
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words) && fault.contains("write the role's ARN"), "{fault}");
    }
}

#[tokio::test]
async fn a_token_of_the_workloads_must_be_the_one_that_the_trust_names() {
    let world = shared();
    let provider = aws(&world, By::Workload, world.front.url(), &|_| ());
    let with = |name: &str, value: Value| {
        let mut claims = world.claims();
        claims[name] = value;
        world.token_of(&claims)
    };
    let now = world.claims()["iat"].as_i64().unwrap();
    let ended = {
        let mut claims = world.claims();
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(now - 700), json!(now - 700), json!(now - 100));
        world.token_of(&claims)
    };
    let impostor = Issuer::start().unwrap().token(Algorithm::Rs256, &world.claims()).unwrap();
    for (token, words) in [
        (with("sub", json!("repo:octo-org/octo-repo:ref:refs/heads/feature")), &["AccessDenied", TRUST][..]),
        (with("sub", json!("repo:octo-org/octo-repo:environment:prod2")), &["AccessDenied", TRUST]),
        (with("aud", json!("sts.amazonaws.com")), &["Incorrect token audience", TOKEN]),
        (with("iss", json!("https://issuer.test")), &["No OpenIDConnect provider found", TOKEN]),
        (with("nbf", json!(now + 600)), &["not valid yet", "the clock of the broker's machine must be right"]),
        (ended, &["Token expired", "what was shown has ended or not begun by the clock of AWS"]),
        (impostor, &["not by the identity provider's key", TOKEN]),
        ("abc".to_owned(), &["AWS takes tokens of 4 to 20000 characters"]),
    ] {
        let writ = writ(&world, None, LIFE);
        let minted = mint_showing(&world, &provider, &writ, &token).await;
        missed(&world, &writ.id.to_string(), minted, REFUSED, words);
    }
    // There is no falling back: the broker could have asked as itself.
    let writ = writ(&world, None, LIFE);
    let minted = provider.mint(&target(&world), writ_provider_kit::intended(&writ), DEADLINE).await;
    missed(&world, &writ.id.to_string(), minted, REFUSED, &["there is no token of the workload's to pass on"]);
    canary::check();
}

#[tokio::test]
async fn a_broker_that_is_nobody_any_more_is_told_so() {
    let world = World::start("reports");
    let by = |keys: &Keys| {
        let mut settings = documented::aws_settings();
        settings["assume"] = json!({ "by": "broker", "external_id": "writ-prod", "endpoint": world.front.url() });
        let config: AwsConfig = serde_json::from_value(settings).unwrap();
        AwsProvider::with_ambient(&config, None, ambient(keys)).unwrap()
    };
    let sound = &world.broker;
    let changed = |change: fn(&mut Keys)| {
        let mut keys = sound.clone();
        change(&mut keys);
        keys
    };
    let words = "AWS does not know the broker's own credentials";
    for (keys, code, words) in [
        (changed(|keys| keys.access_key = "ASIANOBODYNOBODY".to_owned()), MISCONFIGURED, words),
        (changed(|keys| keys.secret.push('x')), MISCONFIGURED, "the broker's own credentials are wrong"),
        (changed(|keys| keys.token = Some("another".to_owned())), MISCONFIGURED, words),
        (world.admin.clone(), REFUSED, TRUST),
    ] {
        let writ = writ(&world, None, LIFE);
        missed(&world, &writ.id.to_string(), mint(&world, &by(&keys), &writ).await, code, &[words]);
    }
    drop(mint(&world, &by(sound), &writ(&world, None, LIFE)).await.unwrap());
    for (ahead, words) in [
        (1_200, "expired (SignatureDoesNotMatch, status 403)"),
        (-1_200, "not yet current (SignatureDoesNotMatch, status 403)"),
        (3_700, "ExpiredToken, status 403"),
    ] {
        world.front.clock_ahead(ahead);
        let writ = writ(&world, None, LIFE);
        let clock = "set the clock of the broker's machine, and see that the broker's own credentials are fresh";
        missed(&world, &writ.id.to_string(), mint(&world, &by(sound), &writ).await, REFUSED, &[words, clock]);
    }
    canary::check();
}
