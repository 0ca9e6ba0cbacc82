use writ_core::grant::PolicyHash;
use writ_core::time::Timestamp;
use writ_core::workload::{Issuer, Subject};

use super::world::{ROLE, writ};
use crate::arn::RoleArn;
use crate::region::Region;
use crate::session::{Session, moment, timestamp};
use crate::tags::{Tags, of_writ};
use crate::{client, eks, xml};

fn tags_of(issuer: &str, subject: &str) -> Tags {
    let mut writ = writ(None, None, super::world::DEADLINE);
    writ.issuer = Issuer::new(issuer);
    writ.subject = Subject::new(subject);
    writ.policy_hash = PolicyHash::new("0123456789abcdef".repeat(4));
    of_writ(&writ, &Tags::new())
}

/// The pattern and lengths of `Tag` in STS's model.
fn is_tag(key: &str, value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
    (1..=128).contains(&key.len()) && value.len() <= 256 && key.chars().chain(value.chars()).all(allowed)
}

#[test]
fn tags_are_ones_that_aws_takes_whatever_the_subject_is() {
    let subjects = [
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        "",
        "a*b",
        "ä\u{1F600}",
        "a\nb",
        "x\0y",
        "a,b;c",
        &"long".repeat(100),
        "<script>",
        "${aws:username}",
    ];
    for subject in subjects {
        let tags = tags_of("https://token.actions.githubusercontent.com", subject);
        assert_eq!(tags.len(), 7);
        for (key, value) in &tags {
            assert!(is_tag(key, value), "{key}={value}");
        }
    }
    let tags = tags_of("https://issuer.test", "repo:a/b");
    assert_eq!(tags["writ:subject"], "repo:a/b");
    assert_eq!(tags["writ:issuer"], "https://issuer.test");
    assert_eq!(tags["writ:policy"], "0123456789abcdef");
    assert!(tags["writ:id"].starts_with("writ-") && tags["writ:session"].starts_with("sess-"));
}

#[test]
fn two_workloads_never_have_the_same_tags() {
    let subject = |text: &str| tags_of("https://issuer.test", text)["writ:subject"].clone();
    assert_ne!(subject("a*b"), subject("a_b"));
    assert_ne!(subject("a*b"), subject("a?b"));
    assert_ne!(subject(&subject("a*b")), subject("a*b"), "a subject that looks like a digest is not one");
    assert_ne!(subject(&"x".repeat(256)), subject(&"x".repeat(257)));
    let workload = |issuer: &str, subject: &str| tags_of(issuer, subject)["writ:workload"].clone();
    assert_ne!(workload("https://a.test", "x"), workload("https://b.test", "x"));
    // As `writ issuer subject` prints it: SHA-256 over issuer, line feed and subject.
    assert_eq!(
        workload("https://token.actions.githubusercontent.com", "repo:octo-org/octo-repo:environment:prod").len(),
        32
    );
}

#[test]
fn a_session_is_named_without_its_roles_path() {
    let region = Region::parse("eu-west-1").unwrap();
    let role = RoleArn::parse("role_arn", ROLE, &region).unwrap();
    assert_eq!((role.name(), role.account()), ("reports", "123456789012"));
    assert_eq!(role.session(&region, "writ-1"), "arn:aws:sts::123456789012:assumed-role/reports/writ-1");
}

#[test]
fn hosts_are_those_of_the_partition() {
    let host = |name: &str| Region::parse(name).unwrap().sts_host();
    assert_eq!(host("eu-west-1"), "sts.eu-west-1.amazonaws.com");
    assert_eq!(host("cn-northwest-1"), "sts.cn-northwest-1.amazonaws.com.cn");
    assert_eq!(host("us-gov-east-1"), "sts.us-gov-east-1.amazonaws.com");
}

#[test]
fn a_session_is_read_back_as_it_was_written() {
    let expires: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
    let session = Session {
        key: "ASIATESTTESTTEST".to_owned(),
        secret: "se\"cret/+".to_owned().into(),
        token: "to/ken==".to_owned().into(),
        expires,
        arn: "arn:aws:sts::123456789012:assumed-role/r/writ-1".to_owned(),
    };
    let secret = session.to_secret().unwrap();
    let written: serde_json::Value = serde_json::from_slice(secret.expose()).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "Version": 1,
            "AccessKeyId": "ASIATESTTESTTEST",
            "SecretAccessKey": "se\"cret/+",
            "SessionToken": "to/ken==",
            "Expiration": "2026-03-04T05:06:07Z",
        })
    );
    assert!(!format!("{session:?}").contains("ken=="));
    assert_eq!(timestamp(moment(expires)), Some(expires));
}

/// A token as the cluster's authenticator takes it apart.
#[test]
fn a_token_for_a_cluster_is_a_signed_request_for_its_name() {
    use base64::Engine as _;
    let region = Region::parse("eu-west-1").unwrap();
    let keys =
        aws_credential_types::Credentials::new("ASIATESTTESTTEST", "secret", Some("a/b+c=".to_owned()), None, "t");
    let at: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
    let token = eks::token(&keys, &region, "prod", at).unwrap();
    let token = std::str::from_utf8(token.expose()).unwrap();
    let encoded = token.strip_prefix("k8s-aws-v1.").unwrap();
    let address = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(encoded).unwrap();
    let address = reqwest::Url::parse(std::str::from_utf8(&address).unwrap()).unwrap();
    assert_eq!(
        (address.scheme(), address.host_str(), address.path()),
        ("https", Some("sts.eu-west-1.amazonaws.com"), "/")
    );
    let mut said: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let signature = said.iter().position(|(name, _)| name == "X-Amz-Signature").unwrap();
    let signature = said.remove(signature).1;
    assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
    said.sort();
    let expected = [
        ("Action", "GetCallerIdentity"),
        ("Version", "2011-06-15"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", "ASIATESTTESTTEST/20260304/eu-west-1/sts/aws4_request"),
        ("X-Amz-Date", "20260304T050607Z"),
        ("X-Amz-Expires", "60"),
        ("X-Amz-Security-Token", "a/b+c="),
        ("X-Amz-SignedHeaders", "host;x-k8s-aws-id"),
    ];
    let expected: Vec<(String, String)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(said, expected);
    let long = aws_credential_types::Credentials::new("ASIATESTTESTTEST", "s", Some("x".repeat(4096)), None, "t");
    assert!(eks::token(&long, &region, "prod", at).unwrap_err().detail().contains("write fewer `tags`"));
}

#[test]
fn what_is_not_whole_xml_says_nothing() {
    let sound = "<A xmlns=\"x\"><B><C>a &amp; b</C><D/></B></A>";
    let read = |text: &str| xml::text(text.as_bytes(), &["A", "B", "C"]);
    assert_eq!(read(sound).as_deref(), Some("a & b"));
    assert_eq!(read(&format!("<?xml version=\"1.0\"?>\n{sound}\n")).as_deref(), Some("a & b"));
    for wrong in [
        "",
        "<A><B><C>x</C></B>",
        "<A><B><C>x</B></A>",
        "<X><A><B><C>x</C></B></A></X>",
        "<A><B><C>x</C><C>y</C></B></A>",
        "<A><C>x</C></A>",
        "<A><B><C>x</C></B></A><A/>",
        "x<A><B><C>x</C></B></A>",
        "<!DOCTYPE A [<!ENTITY e \"x\">]><A><B><C>&e;</C></B></A>",
        "<A><B><C>&e;</C></B></A>",
        "<A><B><C><!-- x --></C></B></A>",
        "{\"A\": 1}",
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
    assert_eq!(xml::text(&[0xff, 0xfe], &["A"]), None);
}

#[test]
fn all_but_the_unreserved_is_escaped() {
    assert_eq!(client::escaped("aZ9-_.~"), "aZ9-_.~");
    assert_eq!(client::escaped("a b+/=&*ä"), "a%20b%2B%2F%3D%26%2A%C3%A4");
}
