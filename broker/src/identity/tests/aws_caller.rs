//! Callers of AWS: what they sign, what STS says, and what is nearly either.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};
use writ_core::workload::{TokenId, TokenKind, Workload};

use super::sts::*;
use super::support::*;
use crate::identity::aws_caller::Proof;
use crate::identity::config::IssuerConfig;
use crate::identity::fault::IdentityFault;
use crate::identity::verify::Verifier;

fn callers(changes: Value) -> IssuerConfig {
    let config = json!({
        "name": "aws-prod", "preset": "aws-caller", "regions": ["eu-west-1", "us-east-1"], "accounts": ["123456789012"],
    });
    serde_json::from_value(with(config, changes)).unwrap()
}

fn asking(sts: &Sts, changes: Value) -> Verifier {
    Verifier::new(&[callers(changes), config()], AUDIENCE, None).unwrap().with_sts(&sts.url)
}

async fn verified(token: &str) -> Result<Workload, IdentityFault> {
    let sts = Sts::honest().await;
    asking(&sts, json!({})).verify(token, now()).await.map(writ_core::proof::Verified::into_inner)
}

async fn code_of(token: &str) -> &'static str {
    verified(token).await.map_or_else(|fault| fault.code(), |_| "accepted")
}

#[test]
fn a_role_is_known_by_what_it_signs() {
    let workload = wait(verified(&Signer::new().token())).unwrap();
    assert_eq!(workload.issuer.as_str(), "https://sts.amazonaws.com");
    assert_eq!(workload.subject.as_str(), "arn:aws:sts::123456789012:assumed-role/deployer");
    assert_eq!(
        workload.claims["aws"],
        json!({
            "account": "123456789012", "arn": "arn:aws:sts::123456789012:assumed-role/deployer", "principal_kind": "role",
            "principal_name": "deployer", "unique_id": "AROAIOSFODNN7EXAMPLE1", "session": "i-0abc",
        })
    );
    assert_eq!((workload.token_kind, workload.bound_target), (TokenKind::Workload, None));
    assert_eq!(workload.token_expires, at(NOW - 10 + 900 + 30), "as long as STS would say it again");
    let TokenId::Digest(digest) = workload.token_id else { panic!("a digest") };
    assert!(!Signer::new().url().contains(&digest), "the signature itself is kept nowhere");
}

/// What botocore 1.43.11 made of the program in docs/issuers/aws.md, at 2026-11-30T09:13:29Z, with the keys that [`Sts`] knows.
const OF_BOTOCORE: &str = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
     &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20261130%2Feu-west-1%2Fsts%2Faws4_request\
     &X-Amz-Date=20261130T091329Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host%3Bx-writ-audience\
     &X-Amz-Security-Token=IQoJb3JpZ2luX2VjEJr%2F%2F%2F%2F%2F%2F%2F%2F%2F%2FwEaCWV1LXdlc3QtMSJHMEUCIQ%3D%3D\
     &X-Amz-Signature=bf57da658166061b19782de4e9156d29259c5850893812d08f7c58a4ed469d9b";

#[test]
fn what_botocore_signs_is_taken() {
    let signed_at = 1_796_030_009;
    wait(async {
        let sts = Sts::at(signed_at, || reply(200, "application/json", said(&role()))).await;
        let token = format!("aws-v1.{}", b64(OF_BOTOCORE));
        let found = asking(&sts, json!({})).verify(&token, at(signed_at + 5)).await.unwrap();
        assert_eq!(found.get().subject.as_str(), "arn:aws:sts::123456789012:assumed-role/deployer");
    });
}

#[test]
fn a_user_is_known_by_its_arn() {
    let user = json!({
        "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/service/runner", "UserId": "AIDAIOSFODNN7EXAMPLE1",
    });
    let workload = wait(answered(move || reply(200, "application/json; charset=utf-8", said(&user)))).unwrap();
    assert_eq!(workload.subject.as_str(), "arn:aws:iam::123456789012:user/service/runner");
    assert_eq!(workload.claims["aws"]["principal_kind"], "user");
    assert_eq!(workload.claims["aws"]["principal_name"], "runner");
    assert_eq!(workload.claims["aws"].get("session"), None);
}

/// What becomes of a good proof where STS answers like this.
async fn answered(answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Result<Workload, IdentityFault> {
    let sts = Sts::open(answer).await;
    asking(&sts, json!({})).verify(&Signer::new().token(), now()).await.map(writ_core::proof::Verified::into_inner)
}

#[test]
fn what_is_nearly_a_proof_is_refused_before_anybody_is_asked() {
    let signer = Signer::new;
    let spoiled = |from: &str, to: &str| {
        let url = signer().url();
        assert!(url.contains(from), "{from}");
        format!("aws-v1.{}", b64(url.replacen(from, to, 1)))
    };
    let elsewhere = |host: &str| format!("aws-v1.{}", b64(signer().url().replace("sts.eu-west-1.amazonaws.com", host)));
    let table: Vec<(String, &str)> = vec![
        // Where it leads.
        (elsewhere("sts.eu-west-1.amazonaws.com.evil.example"), "identity.shape"),
        (elsewhere("sts.eu-west-1.evil.example"), "identity.shape"),
        (elsewhere("evil.example"), "identity.shape"),
        (elsewhere("127.0.0.1"), "identity.shape"),
        (elsewhere("sts.eu-west-1.amazonaws.com:8443"), "identity.shape"),
        (elsewhere("sts.eu-west-1.amazonaws.com@evil.example"), "identity.shape"),
        (elsewhere("user@sts.eu-west-1.amazonaws.com"), "identity.shape"),
        (elsewhere("STS.eu-west-1.amazonaws.com"), "identity.shape"),
        (elsewhere("sts.amazonaws.com"), "identity.shape"),
        (elsewhere("sts.eu-west-1.amazonaws.com."), "identity.shape"),
        (elsewhere("sts.eu-central-1.amazonaws.com"), "identity.shape"),
        (elsewhere("sts.us-east-1.amazonaws.com"), "identity.shape"),
        (spoiled("https://", "http://"), "identity.shape"),
        (spoiled("/?", "//?"), "identity.shape"),
        (spoiled("/?", "/latest/?"), "identity.shape"),
        (spoiled("/?", "?"), "identity.shape"),
        (spoiled("X-Amz-Signature", "X-Amz-Signature=#"), "identity.shape"),
        // What it asks.
        (spoiled("GetCallerIdentity", "GetSessionToken"), "identity.shape"),
        (spoiled("Action=", "Action=AssumeRole&Action="), "identity.shape"),
        (spoiled("Action=", "action=AssumeRole&Action="), "identity.shape"),
        (spoiled("Action=", "action="), "identity.shape"),
        (spoiled("Action=", "Act%69on=AssumeRole&Action="), "identity.shape"),
        (spoiled("Version=", "RoleArn=x&Version="), "identity.shape"),
        (spoiled("2011-06-15", "2010-05-08"), "identity.shape"),
        (spoiled("Version=2011-06-15&", ""), "identity.shape"),
        (spoiled("Version=2011-06-15&", "Version&"), "identity.shape"),
        (spoiled("Version=2011-06-15&", "&Version=2011-06-15&"), "identity.shape"),
        (spoiled("GetCallerIdentity", "GetCaller+Identity"), "identity.shape"),
        (spoiled("GetCallerIdentity", "GetCallerIdentity%0a"), "identity.shape"),
        (spoiled("GetCallerIdentity", "GetCallerIdentity%0"), "identity.shape"),
        (spoiled("GetCallerIdentity", "GetCallerIdentity%zz"), "identity.shape"),
        // How it is signed.
        (spoiled("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "identity.shape"),
        (signer().with("X-Amz-SignedHeaders", "host").token(), "identity.shape"),
        (signer().with("X-Amz-SignedHeaders", "host;x-other;x-writ-audience").token(), "identity.shape"),
        (signer().with("X-Amz-SignedHeaders", "x-writ-audience;host").token(), "identity.shape"),
        (signer().with("X-Amz-Expires", "901").token(), "identity.shape"),
        (signer().with("X-Amz-Expires", "0").token(), "identity.shape"),
        (signer().with("X-Amz-Expires", "-1").token(), "identity.shape"),
        (signer().with("X-Amz-Expires", "0300").token(), "identity.shape"),
        (signer().with("X-Amz-Expires", "").token(), "identity.shape"),
        (signer().with("X-Amz-Date", "20270115T0759").token(), "identity.shape"),
        (signer().with("X-Amz-Date", "20271315T075950Z").token(), "identity.shape"),
        (signer().with("X-Amz-Date", "+0270115T075950Z").token(), "identity.shape"),
        (spoiled("20270115%2F", "20270114%2F"), "identity.shape"),
        (spoiled("%2Feu-west-1%2F", "%2Fus-east-1%2F"), "identity.shape"),
        (spoiled("%2Fsts%2F", "%2Fiam%2F"), "identity.shape"),
        (spoiled("aws4_request", "aws4_requests"), "identity.shape"),
        (spoiled("X-Amz-Signature=", "X-Amz-Signature=0"), "identity.shape"),
        (format!("aws-v1.{}", b64(signer().url().to_uppercase())), "identity.shape"),
        // How it is written.
        (format!("aws-v1.{}==", b64(signer().url())), "identity.shape"),
        (format!("aws-v1.{}", signer().url()), "identity.shape"),
        ("aws-v1.".to_owned(), "identity.shape"),
        (format!("aws-v1.{}", b64(format!("{}\n", signer().url()))), "identity.shape"),
        (format!("aws-v1.{}", b64([0xff, 0xfe])), "identity.shape"),
        (format!("aws-v1.{}", "A".repeat(30_000)), "identity.too_long"),
        (format!("aws-v2.{}", b64(signer().url())), "identity.parts"),
        // When it was signed.
        (Signer::at(NOW - 331).token(), "identity.expired"),
        (Signer::at(NOW - 5000).token(), "identity.expired"),
        (Signer::at(NOW - 100).with("X-Amz-Expires", "60").token(), "identity.expired"),
        (Signer::at(NOW + 31).token(), "identity.issued_in_future"),
    ];
    wait(async {
        let sts = Sts::honest().await;
        let verifier = asking(&sts, json!({}));
        for (token, expected) in table {
            let found = verifier.verify(&token, now()).await.map_or_else(|fault| fault.code(), |_| "accepted");
            assert_eq!(found, expected, "{token}");
        }
        assert_eq!(sts.questions(), 0);
        assert!(verifier.verify(&signer().token(), now()).await.is_ok());
    });
}

#[test]
fn a_region_that_is_not_configured_is_an_unknown_issuer() {
    let moved = |region: &str, suffix: &str| {
        let url = Signer::new().url().replace("sts.eu-west-1.amazonaws.com", &format!("sts.{region}.{suffix}"));
        format!("aws-v1.{}", b64(url.replace("%2Feu-west-1%2F", &format!("%2F{region}%2F"))))
    };
    for (region, suffix, expected) in [
        ("eu-central-1", "amazonaws.com", "identity.unknown_issuer"),
        ("cn-north-1", "amazonaws.com.cn", "identity.unknown_issuer"),
        ("us-gov-west-1", "amazonaws.com", "identity.unknown_issuer"),
        ("cn-north-1", "amazonaws.com", "identity.shape"),
        ("eu-west-1", "amazonaws.com.cn", "identity.shape"),
        ("us-iso-east-1", "amazonaws.com", "identity.shape"),
        ("us-east-1", "amazonaws.com", "identity.unconfirmed"),
    ] {
        assert_eq!(wait(code_of(&moved(region, suffix))), expected, "{region} {suffix}");
    }
}

#[test]
fn what_is_signed_for_another_or_by_another_is_not_confirmed() {
    for token in [
        Signer::new().for_audience("writ:gateways/us").token(),
        Signer::new().for_audience("").token(),
        format!("aws-v1.{}", b64(Signer::new().url().replace("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLF"))),
        format!("aws-v1.{}", b64(Signer::new().url().replace("X-Amz-Expires=300", "X-Amz-Expires=301"))),
        Signer::new().with("X-Amz-Security-Token", "another").token(),
    ] {
        let fault = wait(verified(&token)).unwrap_err();
        assert_eq!(fault.code(), "identity.unconfirmed");
        let words = fault.to_string();
        assert!(words.contains("status 403 (`"), "{words}");
        assert!(!words.contains("X-Amz") && !words.contains("sts."), "{words}");
    }
}

#[test]
fn an_answer_that_names_another_is_refused() {
    let of = |changes: Value| said(&with(role(), changes));
    let table: Vec<(String, &str)> = vec![
        (of(json!({})), "accepted"),
        (of(json!({"Account": "999999999999"})), "identity.shape"),
        (
            of(json!({"Account": "999999999999", "Arn": "arn:aws:sts::999999999999:assumed-role/deployer/i-0abc"})),
            "identity.shape",
        ),
        (of(json!({"Account": 123_456_789_012_i64})), "identity.shape"),
        (of(json!({"Arn": "arn:aws-cn:sts::123456789012:assumed-role/deployer/i-0abc"})), "identity.shape"),
        (of(json!({"Arn": "arn:aws:iam::123456789012:role/deployer"})), "identity.shape"),
        (of(json!({"Arn": "arn:aws:iam::123456789012:root", "UserId": "123456789012"})), "identity.shape"),
        (
            of(json!({"Arn": "arn:aws:sts::123456789012:federated-user/ann", "UserId": "123456789012:ann"})),
            "identity.shape",
        ),
        (of(json!({"Arn": "arn:aws:sts::123456789012:assumed-role/deployer"})), "identity.shape"),
        (of(json!({"Arn": "arn:aws:sts::123456789012:assumed-role/deployer/i-0abc/x"})), "identity.shape"),
        (of(json!({"Arn": "arn:aws:sts::123456789012:assumed-role/deployer/other"})), "identity.shape"),
        (of(json!({"UserId": "AIDAIOSFODNN7EXAMPLE1:i-0abc"})), "identity.shape"),
        (of(json!({"UserId": "AROAIOSFODNN7EXAMPLE1"})), "identity.shape"),
        (of(json!({"UserId": null})), "identity.shape"),
        ("[]".to_owned(), "identity.shape"),
        ("{}".to_owned(), "identity.shape"),
        (said(&role()).replace("\"Account\":", "\"Account\":\"999999999999\",\"Account\":"), "identity.shape"),
    ];
    for (body, expected) in table {
        let answer = body.clone();
        let found = wait(answered(move || reply(200, "application/json", answer.clone())));
        assert_eq!(found.map_or_else(|fault| fault.code(), |_| "accepted"), expected, "{body}");
    }
}

/// STS has too much to do, which says nothing of the proof.
fn turned_away(code: &str) -> Response<Body> {
    let error = json!({"Error": {"Code": code, "Message": "Rate exceeded", "Type": "Sender"}, "RequestId": "r"});
    reply(400, "application/json", error.to_string())
}

#[test]
fn an_sts_that_misbehaves_is_not_believed() {
    type Answer = fn() -> Response<Body>;
    let table: [(Answer, &str); 9] = [
        (|| turned_away("Throttling"), "status 400 (`Throttling`)"),
        (|| turned_away("ThrottlingException"), "status 400 (`ThrottlingException`)"),
        (|| reply(200, "text/xml", "<GetCallerIdentityResponse/>"), "something other than JSON"),
        (|| reply(200, "application/jsonp", said(&role())), "something other than JSON"),
        (|| reply(200, "application/json", vec![b' '; 64 * 1024 + 1]), "more than 65536 bytes"),
        (|| reply(201, "application/json", said(&role())), "status 201"),
        (|| reply(429, "application/json", "{}"), "status 429"),
        (|| reply(503, "text/html", "down"), "status 503"),
        (
            || Response::builder().status(302).header("location", "/elsewhere").body(Body::empty()).unwrap(),
            "status 302",
        ),
    ];
    for (answer, words) in table {
        let fault = wait(answered(answer)).unwrap_err();
        assert_eq!(fault.code(), "identity.unavailable", "{words}");
        assert!(fault.to_string().contains(words), "{fault}");
        assert!(!fault.to_string().contains("X-Amz"), "{fault}");
    }
    let nobody = "http://127.0.0.1:1/".parse().unwrap();
    let verifier = Verifier::new(&[callers(json!({}))], AUDIENCE, None).unwrap().with_sts(&nobody);
    let fault = wait(verifier.verify(&Signer::new().token(), now())).unwrap_err();
    assert_eq!(fault.code(), "identity.unavailable");
    assert!(!fault.to_string().contains("X-Amz") && !format!("{fault:?}").contains("X-Amz"), "{fault:?}");
}

#[test]
fn sts_is_asked_once_about_one_proof() {
    wait(async {
        let sts = Sts::honest().await;
        let verifier = asking(&sts, json!({}));
        let token = Signer::new().token();
        let at_once = futures_util::future::join_all((0..20).map(|_| verifier.verify(&token, now()))).await;
        assert!(at_once.iter().all(Result::is_ok));
        assert_eq!(sts.questions(), 1);
        // Written in another order it is the same proof, and one use the more of it.
        let mut other = Signer::new();
        other.parameters.reverse();
        let (one, two) =
            (verifier.verify(&token, now()).await.unwrap(), verifier.verify(&other.token(), now()).await.unwrap());
        assert_eq!(one.get().token_id, two.get().token_id);
        assert_eq!(sts.questions(), 1);
        // Known as it is, it has its time.
        assert_eq!(verifier.verify(&token, at(NOW + 320)).await.unwrap_err().code(), "identity.expired");
        let refused = Signer::new().for_audience("other").token();
        for _ in 0..3 {
            assert!(verifier.verify(&refused, now()).await.is_err());
        }
        assert_eq!(sts.questions(), 2);
        assert!(verifier.verify(&Signer::at(NOW - 20).token(), now()).await.is_ok());
        assert_eq!(sts.questions(), 3);
    });
}

#[test]
fn what_failed_to_be_heard_is_asked_again() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static TIMES: AtomicUsize = AtomicUsize::new(0);
    wait(async {
        let sts = Sts::open(|| match TIMES.fetch_add(1, Ordering::SeqCst) {
            0 => reply(500, "application/json", "{}"),
            1 => turned_away("Throttling"),
            _ => reply(200, "application/json", said(&role())),
        })
        .await;
        let verifier = asking(&sts, json!({}));
        let token = Signer::new().token();
        for _ in 0..2 {
            assert_eq!(verifier.verify(&token, now()).await.unwrap_err().code(), "identity.unavailable");
        }
        assert!(verifier.verify(&token, now()).await.is_ok());
    });
}

#[test]
fn no_token_is_a_caller_and_no_caller_a_human() {
    wait(async {
        let sts = Sts::honest().await;
        let verifier = asking(&sts, json!({}));
        let dressed = token(&EC, &header(), &with(claims(), json!({"iss": "https://sts.amazonaws.com"})));
        assert_eq!(verifier.verify(&dressed, now()).await.unwrap_err().code(), "identity.unknown_issuer");
        assert!(verifier.verify_claims(&Signer::new().token(), now()).await.is_err());
        assert_eq!(sts.questions(), 0);
    });
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2_000, failure_persistence: None, ..Default::default() })]

    /// Whatever is taken has one form, which is taken for the same.
    #[test]
    fn what_is_read_is_what_is_sent(changes in proptest::collection::vec((0_usize..600, proptest::prelude::any::<u8>()), 0..4)) {
        let mut url = Signer::new().url().into_bytes();
        let length = url.len();
        for (place, byte) in changes {
            url[place % length] = byte;
        }
        if let Ok(proof) = Proof::read(&format!("aws-v1.{}", b64(&url))) {
            proptest::prop_assert!(proof.host().starts_with("sts.") && proof.host().ends_with(".amazonaws.com"));
            let sent = format!("https://{}/?{}", proof.host(), proof.query());
            let again = Proof::read(&format!("aws-v1.{}", b64(&sent))).unwrap();
            proptest::prop_assert_eq!(again.query(), proof.query());
            proptest::prop_assert_eq!(again.digest(), proof.digest());
            let parsed: reqwest::Url = sent.parse().unwrap();
            proptest::prop_assert_eq!(parsed.as_str(), sent.as_str(), "it is sent as it was made");
        }
    }
}

#[test]
fn its_configuration_names_who_counts() {
    for (changes, expected) in [
        (json!({"regions": []}), "`regions` is empty"),
        (json!({"regions": ["europe"]}), "`regions` lists `europe`"),
        (json!({"regions": ["eu-west-1", "cn-north-1"]}), "more than one partition"),
        (json!({"accounts": []}), "`accounts` is empty"),
        (json!({"accounts": ["12345678901"]}), "an account has 12 digits"),
        (json!({"audiences": ["a", "b"]}), "more than one entry"),
        (json!({"max_age": "16m"}), "15m that STS takes a signature"),
        (json!({"jwks": "{}"}), "have no meaning"),
        (json!({"algorithms": ["RS256"]}), "have no meaning"),
        (json!({"preset": "aws", "issuer": ISSUER}), "for the preset `aws-caller` alone"),
        (json!({"tenant": "x"}), "has none: remove it"),
    ] {
        let problem = callers(changes.clone()).validate().unwrap_err().problem;
        assert!(problem.contains(expected), "{changes}: {problem}");
    }
    let other = callers(json!({"name": "other", "issuer": "https://sts.other.example"}));
    let twice = Verifier::new(&[callers(json!({})), other], AUDIENCE, None).unwrap_err();
    assert!(twice.problem.contains("another issuer has too"), "{twice}");
    let twice = Verifier::new(&[callers(json!({})), callers(json!({}))], AUDIENCE, None).unwrap_err();
    assert!(twice.problem.contains("configured twice"), "{twice}");
    let audience = Verifier::new(&[callers(json!({}))], "gr\u{fc}n", None).unwrap_err();
    assert!(audience.problem.contains("visible ASCII"), "{audience}");
}
