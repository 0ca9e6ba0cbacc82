//! The sources of clouds.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use writ_client::{Audience, Found, Places, Proof, Source};

use super::support::fakes::{self, Fake};
use super::support::{SECRET, asked, checked, environment, nowhere, token, token_for, within, writ};

const NOTHING: &str = "/nonexistent";

fn places(sts: &Fake) -> Places {
    Places { sts: Some(sts.url.clone()), ..nowhere() }
}

fn variables() -> Vec<(&'static str, &'static str)> {
    vec![
        ("AWS_ACCESS_KEY_ID", "ASIAVARIABLES"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", "session-token"),
        ("AWS_REGION", "eu-west-1"),
    ]
}

#[tokio::test]
async fn sts_gives_a_token_for_credentials_in_variables() {
    let sts = fakes::sts(true).await;
    let given = asked(Source::Aws, within(&variables(), NOTHING.as_ref(), places(&sts))).await.unwrap();
    assert_eq!(given, token_for("writ"));
    sts.refused_nothing();
}

#[tokio::test]
async fn the_machine_is_asked_in_the_second_version_alone() {
    let (sts, ec2) = (fakes::sts(true).await, fakes::ec2().await);
    let at = Places { ec2: ec2.url.clone(), ..places(&sts) };
    assert_eq!(asked(Source::Aws, within(&[], NOTHING.as_ref(), at)).await.unwrap(), token_for("writ"));
    ec2.refused_nothing();
    sts.refused_nothing();

    // A server that knows the first version alone gives no session; what it would give without one is not asked for.
    let first = Fake::start(|asked| match asked.path.as_str() {
        "/latest/api/token" => StatusCode::NOT_FOUND.into_response(),
        _ => "deployer".into_response(),
    })
    .await;
    let at = Places { ec2: first.url.clone(), ..places(&sts) };
    let fault = asked(Source::Aws, within(&[("AWS_REGION", "eu-west-1")], NOTHING.as_ref(), at)).await.unwrap_err();
    assert!(fault.what().contains("EC2's metadata server refused with status 404"), "{fault}");
    assert!(fault.remedy().unwrap().contains("hop limit"), "{fault:?}");
    assert_eq!(first.asked().len(), 1);
}

#[tokio::test]
async fn containers_have_an_endpoint_of_their_own() {
    let sts = fakes::sts(true).await;
    let ecs = fakes::container(SECRET).await;
    let relative = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", SECRET),
        ("AWS_REGION", "eu-west-1"),
    ];
    let at = Places { ecs: ecs.url.clone(), ..places(&sts) };
    assert_eq!(asked(Source::Aws, within(&relative, NOTHING.as_ref(), at)).await.unwrap(), token_for("writ"));
    ecs.refused_nothing();

    // EKS Pod Identity: a full URL, and a token in a file that is read anew.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, SECRET).unwrap();
    let (file, full) = (file.display().to_string(), format!("{}/v1/credentials", ecs.url));
    let pod = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file),
        ("AWS_REGION", "eu-west-1"),
    ];
    assert_eq!(asked(Source::Aws, within(&pod, NOTHING.as_ref(), places(&sts))).await.unwrap(), token_for("writ"));

    for path in ["@evil.example/v1/credentials", ".evil.example/v1/credentials", ":1@evil.example/", "v1/credentials"] {
        let astray = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path), ("AWS_REGION", "eu-west-1")];
        let fault = asked(Source::Aws, within(&astray, NOTHING.as_ref(), places(&sts))).await.unwrap_err();
        assert_eq!(fault.what(), "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` is no path");
    }
    for url in
        ["http://192.0.2.1/v1/credentials", "http://169.254.169.254/x", "http://credentials.example/", "nonsense"]
    {
        let far = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url), ("AWS_REGION", "eu-west-1")];
        let fault = asked(Source::Aws, within(&far, NOTHING.as_ref(), places(&sts))).await.unwrap_err();
        assert!(fault.what().starts_with("`AWS_CONTAINER_CREDENTIALS_FULL_URI` is no"), "{fault}");
    }
}

#[tokio::test]
async fn a_pods_role_is_taken_for_its_projected_token() {
    let sts = fakes::sts(true).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, fakes::token_for_irsa()).unwrap();
    let file = file.display().to_string();
    let irsa = |role: &'static str| {
        let variables =
            [("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()), ("AWS_ROLE_ARN", role), ("AWS_REGION", "eu-west-1")];
        within(&variables, NOTHING.as_ref(), places(&sts))
    };
    assert_eq!(asked(Source::Aws, irsa("arn:aws:iam::123456789012:role/pod")).await.unwrap(), token_for("writ"));
    sts.refused_nothing();
    let fault = asked(Source::Aws, irsa("arn:aws:iam::123456789012:role/other")).await.unwrap_err();
    assert_eq!(fault.what(), "STS did not give the pod its role: `AccessDenied`");
}

#[tokio::test]
async fn where_the_account_gives_no_tokens_a_proof_is_signed() {
    let sts = fakes::sts(false).await;
    let found = Found::named(Source::Aws, within(&variables(), NOTHING.as_ref(), places(&sts)));
    let token = found.token(&writ()).await.unwrap();
    let url = URL_SAFE_NO_PAD.decode(token.expose().strip_prefix("aws-v1.").unwrap()).unwrap();
    let url = reqwest::Url::parse(std::str::from_utf8(&url).unwrap()).unwrap();
    assert_eq!((url.scheme(), url.host_str(), url.path()), ("https", Some("sts.eu-west-1.amazonaws.com"), "/"));
    let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let value = |name: &str| {
        let all: Vec<&str> = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0].to_owned()
    };
    assert_eq!((value("Action"), value("Version")), ("GetCallerIdentity".to_owned(), "2011-06-15".to_owned()));
    assert_eq!((value("X-Amz-Algorithm"), value("X-Amz-Expires")), ("AWS4-HMAC-SHA256".to_owned(), "300".to_owned()));
    assert_eq!(value("X-Amz-SignedHeaders"), "host;x-writ-audience");
    assert_eq!(value("X-Amz-Security-Token"), "session-token");
    assert_eq!(query.len(), 9, "{query:?}");
    assert!(!url.as_str().contains(SECRET) && !url.as_str().contains('+'));

    let date = value("X-Amz-Date");
    let (signature, credential) = (value("X-Amz-Signature"), value("X-Amz-Credential"));
    assert_eq!(credential, format!("ASIAVARIABLES/{}/eu-west-1/sts/aws4_request", date.get(..8).unwrap()));
    let right = super::support::sigv4::signature(&url, "writ", SECRET, &date, "eu-west-1");
    assert_eq!(signature, right, "signed as the specification says it, by another hand");
    let elsewhere = super::support::sigv4::signature(&url, "other", SECRET, &date, "eu-west-1");
    assert_ne!(signature, elsewhere, "the audience is signed");

    let shown = Proof::of(&token).unwrap();
    assert_eq!((shown.host.as_str(), shown.access_key.as_str()), ("sts.eu-west-1.amazonaws.com", "ASIAVARIABLES"));
    assert_eq!((shown.signed.as_str(), shown.seconds), (date.as_str(), 300));
    assert!(!format!("{shown:?}").contains(&signature) && !format!("{shown:?}").contains("session-token"));
}

#[tokio::test]
async fn a_proof_is_for_the_endpoint_of_its_partition() {
    let sts = Fake::start(|_| fakes::error(StatusCode::FORBIDDEN, "AccessDenied")).await;
    for (region, host) in [
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "sts.eusc-de-east-1.amazonaws.eu"),
    ] {
        let mut variables = variables();
        variables[3].1 = region;
        let found = Found::named(Source::Aws, within(&variables, NOTHING.as_ref(), places(&sts)));
        assert_eq!(Proof::of(&found.token(&writ()).await.unwrap()).unwrap().host, host);
    }
}

#[tokio::test]
async fn what_sts_refuses_for_another_reason_is_no_reason_for_a_proof() {
    let sts = fakes::sts(true).await;
    let mut variables = variables();
    variables[2].1 = "another";
    let fault = asked(Source::Aws, within(&variables, NOTHING.as_ref(), places(&sts))).await.unwrap_err();
    assert_eq!(fault.what(), "STS gave no token: `InvalidClientTokenId`");
}

#[tokio::test]
async fn a_region_becomes_no_other_host() {
    for region in ["eu-west-1.evil.example/", "EU", "a@b", &"a".repeat(41)] {
        let mut variables = variables();
        variables[3].1 = region;
        let fault = asked(Source::Aws, environment(&variables)).await.unwrap_err();
        assert_eq!(fault.what(), "`AWS_REGION` is no region");
    }
    let fault = asked(Source::Aws, environment(&variables()[..3])).await.unwrap_err();
    assert!(fault.remedy().unwrap().contains("set `AWS_REGION`"), "{fault:?}");
}

#[tokio::test]
async fn googles_metadata_server_gives_an_identity_token() {
    let google = fakes::google().await;
    let at = Places { google: google.url.clone(), ..nowhere() };
    assert_eq!(asked(Source::Gcp, within(&[], NOTHING.as_ref(), at)).await.unwrap(), token_for("writ"));
    let host = google.url.strip_prefix("http://").unwrap();
    assert_eq!(asked(Source::Gcp, environment(&[("GCE_METADATA_HOST", host)])).await.unwrap(), token_for("writ"));
    google.refused_nothing();

    let stranger = Fake::start(|_| token_for("writ").into_response()).await;
    let at = Places { google: stranger.url.clone(), ..nowhere() };
    let fault = asked(Source::Gcp, within(&[], NOTHING.as_ref(), at)).await.unwrap_err();
    assert!(fault.what().contains("in the place of Google's metadata server is something else"), "{fault}");
    let bare = Fake::start(|_| (StatusCode::NOT_FOUND, [("metadata-flavor", "Google")]).into_response()).await;
    let at = Places { google: bare.url.clone(), ..nowhere() };
    let fault = asked(Source::Gcp, within(&[], NOTHING.as_ref(), at)).await.unwrap_err();
    assert_eq!(fault.what(), "this machine has no service account");
}

async fn azure(environment: writ_client::Environment, audience: &str) -> Result<String, writ_client::Fault> {
    let audience = Audience::new(audience).unwrap();
    let found = Found::named(Source::Azure, environment);
    found.token(&audience).await.map(|token| token.expose().to_owned()).map_err(checked)
}

#[tokio::test]
async fn azures_identities_have_tokens_of_both_versions() {
    let fake = fakes::azure().await;
    let machine =
        |more: &[(&str, &str)]| within(more, NOTHING.as_ref(), Places { azure: fake.url.clone(), ..nowhere() });
    assert_eq!(azure(machine(&[]), "api://writ").await.unwrap(), token_for("api://writ"));
    let second = json!({ "ver": "2.0", "aud": "11111111-2222-3333-4444-555555555555", "exp": 4_000_000_000_i64 });
    assert_eq!(azure(machine(&[]), "api://second").await.unwrap(), token(&second));
    assert_eq!(azure(machine(&[("AZURE_CLIENT_ID", "id-1")]), "api://writ").await.unwrap(), token_for("api://writ"));
    assert_eq!(fake.asked().last().unwrap().0.query["client_id"], "id-1");
    fake.refused_nothing();
    let fault = azure(machine(&[]), "writ").await.unwrap_err();
    assert_eq!(fault.what(), "Azure's metadata server gave no token for `writ`: `invalid_resource`");
    assert!(fault.remedy().unwrap().contains("`api://writ`"), "{fault:?}");
}

#[tokio::test]
async fn app_service_has_an_endpoint_of_its_own() {
    let fake = fakes::app_service().await;
    let endpoint = format!("{}/msi/token", fake.url);
    let here = environment(&[("IDENTITY_ENDPOINT", &endpoint), ("IDENTITY_HEADER", SECRET)]);
    assert_eq!(azure(here, "api://writ").await.unwrap(), token_for("api://writ"));
    fake.refused_nothing();
    for far in ["http://192.0.2.1/msi/token", "http://identity.example/"] {
        let fault = azure(environment(&[("IDENTITY_ENDPOINT", far), ("IDENTITY_HEADER", SECRET)]), "api://writ").await;
        assert_eq!(fault.unwrap_err().what(), "`IDENTITY_ENDPOINT` is no https URL");
    }
}
