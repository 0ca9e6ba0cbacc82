use writ_core::target::UpstreamTls;

use super::world::{ROLE, address, ambient, config};
use crate::{AwsConfig, AwsProvider, By, EksConfig, RdsConfig, RdsProvider};

type Change = fn(&mut AwsConfig);

fn said(change: Change, by: By) -> String {
    let mut config = config(by, "https://sts.test");
    change(&mut config);
    let text = config.validate().unwrap_err().to_string();
    assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    text
}

#[test]
fn a_sound_configuration_is_taken() {
    for by in [By::Issuer, By::Workload, By::Broker] {
        config(by, "https://sts.test").validate().unwrap();
    }
    for (region, partition) in [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("ap-southeast-2", "aws")] {
        let text = format!(
            r#"{{"region": "{region}", "role_arn": "arn:{partition}:iam::123456789012:role/r",
                "scopes": {{"all": [{{"actions": ["*"], "resources": ["*"]}}]}}}}"#
        );
        serde_json::from_str::<AwsConfig>(&text).unwrap().validate().unwrap();
    }
}

#[test]
fn a_mistake_says_what_to_write() {
    let wrong: &[(Change, By, &str)] = &[
        (|c| c.region = String::new(), By::Issuer, "write a region's name, such as `eu-west-1`"),
        (|c| c.region = "eu-west".to_owned(), By::Issuer, "write a region's name"),
        (|c| c.region = "EU-WEST-1".to_owned(), By::Issuer, "write a region's name"),
        (|c| c.region = "eu-west-1.evil.example".to_owned(), By::Issuer, "write a region's name"),
        (|c| c.region = "us-iso-east-1".to_owned(), By::Issuer, "partition that is not known here"),
        (|c| c.region = "us-isob-east-1".to_owned(), By::Issuer, "partition that is not known here"),
        (|c| c.region = "eusc-de-east-1".to_owned(), By::Issuer, "partition that is not known here"),
        (|c| c.region = "cn-north-1".to_owned(), By::Issuer, "`cn-north-1` lies in `aws-cn`"),
        (|c| c.role_arn = Some("reports".to_owned()), By::Issuer, "write the role's ARN"),
        (|c| c.role_arn = Some(ROLE.replace("role/", "user/")), By::Issuer, "not a role"),
        (|c| c.role_arn = Some(ROLE.replace("123456789012", "1234")), By::Issuer, "12 digits"),
        (|c| c.role_arn = Some(format!("{ROLE} ")), By::Issuer, "no role can have"),
        (|c| c.role_arn = Some(format!("{ROLE}/{}", "x".repeat(65))), By::Issuer, "no role can have"),
        (|c| drop(c.roles.insert("x".to_owned(), "y".to_owned())), By::Issuer, "`roles.x`"),
        (
            |c| {
                c.role_arn = None;
                c.roles.clear();
            },
            By::Issuer,
            "write `role_arn`, or `roles`",
        ),
        (|c| c.scopes.clear(), By::Issuer, "write `scopes`"),
        (|c| c.default_scope = Some("none".to_owned()), By::Issuer, "`none`, which is not in `scopes`"),
        (|c| drop(c.scopes.insert("x".to_owned(), Vec::new())), By::Issuer, "it allows nothing"),
        (|c| c.scopes.get_mut("read").unwrap()[0].actions.clear(), By::Issuer, "without `actions`"),
        (|c| c.scopes.get_mut("read").unwrap()[0].actions[0] = "GetObject".to_owned(), By::Issuer, "service:Action"),
        (|c| c.scopes.get_mut("read").unwrap()[0].resources[0] = "reports".to_owned(), By::Issuer, "write an ARN"),
        (
            |c| c.scopes.get_mut("read").unwrap()[0].resources[0] = "arn:aws-cn:s3:::reports".to_owned(),
            By::Issuer,
            "`arn:aws:...`",
        ),
        (
            |c| c.scopes.get_mut("read").unwrap()[0].resources[0] = format!("arn:aws:s3:::{}", "x".repeat(2048)),
            By::Issuer,
            "AWS takes 2048: write less",
        ),
        (
            |c| c.scopes.get_mut("read").unwrap()[0].resources[0] = "arn:aws:s3:::\u{142}".to_owned(),
            By::Issuer,
            "which AWS does not take",
        ),
        (|c| drop(c.scope_files.insert("x".to_owned(), "/nowhere".into())), By::Issuer, "write an IAM policy in JSON"),
        (|c| drop(c.assume.tags.insert("aws:x".to_owned(), "y".to_owned())), By::Issuer, "belong to AWS and Writ"),
        (|c| drop(c.assume.tags.insert("Writ:id".to_owned(), "y".to_owned())), By::Issuer, "belong to AWS and Writ"),
        (|c| drop(c.assume.tags.insert("a*".to_owned(), "y".to_owned())), By::Issuer, "cannot be a key"),
        (|c| drop(c.assume.tags.insert("a".to_owned(), "y\n".to_owned())), By::Issuer, "no tag can have"),
        (|c| drop(c.assume.tags.insert("a".to_owned(), "y".repeat(257))), By::Issuer, "no tag can have"),
        (
            |c| {
                c.assume.tags.insert("team".to_owned(), String::new());
                c.assume.tags.insert("Team".to_owned(), String::new());
            },
            By::Issuer,
            "is there twice",
        ),
        (
            |c| c.assume.tags.extend((0..44).map(|number| (format!("t{number}"), String::new()))),
            By::Issuer,
            "write at most 43",
        ),
        (|c| drop(c.assume.tags.insert("a".to_owned(), "b".to_owned())), By::Workload, "cannot be told"),
        (|c| c.assume.audience = "other".to_owned(), By::Broker, "with `by = \"issuer\"` alone"),
        (|c| c.assume.audience = String::new(), By::Issuer, "`audience` is no client id"),
        (|c| c.assume.external_id = Some("writ-prod".to_owned()), By::Issuer, "with `by = \"broker\"` alone"),
        (|c| c.assume.external_id = Some("x".to_owned()), By::Broker, "2 to 1224"),
        (|c| c.assume.external_id = Some("a b".to_owned()), By::Broker, "2 to 1224"),
        (|c| c.assume.max_duration_seconds = 899, By::Issuer, "write a number from 900 to 43200"),
        (|c| c.assume.max_duration_seconds = 43_201, By::Issuer, "write a number from 900 to 43200"),
        (|c| c.assume.call_timeout_ms = 1, By::Issuer, "write a number from 100 to 60000"),
        (|c| c.assume.revoker = Some("x".to_owned()), By::Issuer, "`revoker`"),
        (|c| c.assume.endpoint = Some("http://sts.test".to_owned()), By::Issuer, "in the clear"),
        (|c| c.assume.endpoint = Some("https://sts.test/path".to_owned()), By::Issuer, "more than a host and a port"),
        (|c| c.assume.endpoint = Some("https://a@sts.test".to_owned()), By::Issuer, "more than a host and a port"),
        (|c| c.assume.iam_endpoint = Some("iam".to_owned()), By::Issuer, "`iam_endpoint`"),
    ];
    for (change, by, expected) in wrong {
        let text = said(*change, *by);
        assert!(text.contains(expected), "wanted `{expected}`: {text}");
    }
}

#[test]
fn an_unknown_setting_is_refused() {
    for text in [
        r#"{"region": "eu-west-1", "rolearn": "x"}"#,
        r#"{"region": "eu-west-1", "assume": {"as": "x"}}"#,
        r#"{"region": "eu-west-1", "assume": {"by": "keys"}}"#,
        r#"{"region": "eu-west-1", "scopes": {"x": [{"actions": [], "resources": [], "effect": "Deny"}]}}"#,
        r#"{"role_arn": "x"}"#,
    ] {
        assert!(serde_json::from_str::<AwsConfig>(text).is_err(), "{text}");
    }
}

#[test]
fn a_scope_in_a_file_is_read_when_the_settings_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("scope.json");
    let allow = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}"#;
    for (text, expected) in [
        (allow.to_owned(), None),
        ("{".to_owned(), Some("is not JSON")),
        ("{}".to_owned(), Some("no list of statements")),
        (allow.replace("2012-10-17", "2008-10-17"), Some("`Version`")),
        (allow.replace("Allow", "Deny"), Some("allows nothing")),
        (allow.replace("\"Effect\"", "\"Principal\": \"*\", \"Effect\""), Some("names a principal")),
        (" ".repeat(65 * 1024), Some("no file of at most 64 KiB")),
        (allow.replace("s3:*", &"x".repeat(2048)), Some("AWS takes 2048")),
    ] {
        std::fs::write(&path, &text).unwrap();
        let mut config = config(By::Issuer, "https://sts.test");
        config.scope_files.insert("file".to_owned(), path.clone());
        let found = config.validate().err().map(|fault| fault.to_string());
        match expected {
            None => assert_eq!(found, None),
            Some(expected) => assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{found:?}"),
        }
    }
    std::fs::write(&path, allow).unwrap();
    let mut config = config(By::Issuer, "https://sts.test");
    config.scope_files.insert("read".to_owned(), path);
    assert!(config.validate().unwrap_err().to_string().contains("keep one"));
}

#[test]
fn who_is_no_issuer_shows_no_assertion() {
    let config = config(By::Issuer, "https://sts.test");
    let said = AwsProvider::with_ambient(&config, None, ambient(None)).unwrap_err().to_string();
    assert!(said.contains("add `[broker.issues]`"), "{said}");
}

fn rds() -> RdsConfig {
    serde_json::from_str(r#"{"region": "eu-west-1", "user": "app"}"#).unwrap()
}

const ENDPOINT: &str = "payments.abc.eu-west-1.rds.amazonaws.com";

#[test]
fn a_token_is_made_only_for_a_server_that_is_known() {
    let made = |config: &RdsConfig, host: &str, tls| {
        RdsProvider::with_ambient(config, &address(host, tls), None, ambient(None))
            .map(drop)
            .map_err(|fault| fault.to_string())
    };
    made(&rds(), ENDPOINT, UpstreamTls::VerifyFull).unwrap();
    let said = made(&rds(), ENDPOINT, UpstreamTls::Disable).unwrap_err();
    assert!(said.contains("write `tls = \"verify-full\"`"), "{said}");
    for host in ["payments.internal", "localhost", "10.0.0.5", "payments.abc.eu-west-2.rds.amazonaws.com"] {
        let said = made(&rds(), host, UpstreamTls::VerifyFull).unwrap_err();
        assert!(said.contains("the host") && said.contains(host), "{said}");
    }
    let config = RdsConfig { endpoint_host: Some(ENDPOINT.to_owned()), ..rds() };
    made(&config, "payments.internal", UpstreamTls::VerifyFull).unwrap();
    let china = RdsConfig { region: "cn-north-1".to_owned(), ..rds() };
    made(&china, "payments.abc.rds.cn-north-1.amazonaws.com.cn", UpstreamTls::VerifyFull).unwrap();
    assert!(
        made(&china, ENDPOINT, UpstreamTls::VerifyFull).unwrap_err().contains("`.rds.cn-north-1.amazonaws.com.cn`")
    );
    let config = RdsConfig { endpoint_port: Some(443), ..rds() };
    assert!(made(&config, ENDPOINT, UpstreamTls::VerifyFull).unwrap_err().contains("1150"));
}

type Mistake = (fn(&mut RdsConfig), &'static str);

#[test]
fn a_mistake_of_rds_says_what_to_write() {
    let wrong: &[Mistake] = &[
        (|c| c.user = None, "write `user`, or `users`"),
        (|c| c.user = Some("a&DBUser=admin".to_owned()), "cannot log in by IAM"),
        (|c| drop(c.users.insert("x".to_owned(), String::new())), "cannot log in by IAM"),
        (|c| c.endpoint_host = Some("payments.internal".to_owned()), "is no endpoint of RDS in `eu-west-1`"),
        (|c| c.resource_id = Some("payments".to_owned()), "`db-...`"),
        (|c| c.resource_id = Some("db-ABC".to_owned()), "add `role_arn`"),
        (|c| c.assume.by = By::Broker, "add `role_arn`"),
        (|c| c.role_arn = Some("x".to_owned()), "write the role's ARN"),
    ];
    for (change, expected) in wrong {
        let mut config = rds();
        change(&mut config);
        let text = config.validate().unwrap_err().to_string();
        assert!(text.contains(expected) && !text.ends_with('.'), "wanted `{expected}`: {text}");
    }
}

#[test]
fn a_mistake_of_eks_says_what_to_write() {
    let of = |cluster: &str, role: &str| {
        let text = format!(r#"{{"region": "eu-west-1", "cluster": "{cluster}"{role}}}"#);
        serde_json::from_str::<EksConfig>(&text).unwrap().validate().map_err(|fault| fault.to_string())
    };
    let role = format!(r#", "role_arn": "{ROLE}""#);
    of("prod", &role).unwrap();
    for cluster in ["", "-prod", "a b", "a/b", &"x".repeat(101)] {
        assert!(of(cluster, &role).unwrap_err().contains("no cluster's name"));
    }
    assert!(of("prod", "").unwrap_err().contains("write `role_arn`, or `roles`"));
}
