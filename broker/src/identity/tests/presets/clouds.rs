//! Issuers of clouds.

use super::*;

const ACCOUNT_ISSUER: &str = "https://4f0a1b2c-1111-2222-3333-444455556666.tokens.sts.global.api.aws";

fn aws() -> Value {
    json!({
        "iss": ACCOUNT_ISSUER, "sub": "arn:aws:iam::123456789012:role/service/deployer",
        "https://sts.amazonaws.com/": {
            "aws_account": "123456789012", "source_region": "eu-west-1", "org_id": "o-abc1234567",
            "ou_path": ["o-abc1234567/r-ab12/ou-ab12-11111111/"], "principal_id": "arn:aws:iam::123456789012:role/service/deployer",
            "principal_tags": {"team": "payments"}, "request_tags": {"team": "forged"},
            "lambda_source_function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:pay",
        },
    })
}

fn in_object(change: Value) -> Value {
    json!({"https://sts.amazonaws.com/": with(aws()["https://sts.amazonaws.com/"].clone(), change)})
}

#[test]
fn an_aws_role_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "aws", "issuer": ACCOUNT_ISSUER}));
    let found = read(&verifier, &aws()).claims["aws"].clone();
    for (name, value) in [
        ("account", json!("123456789012")),
        ("principal_kind", json!("role")),
        ("principal_name", json!("deployer")),
        ("organization", json!("o-abc1234567")),
        ("tags", json!({"team": "payments"})),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(!found.to_string().contains("forged"), "what the caller chose itself is no attribute");
}

#[test]
fn what_is_nearly_an_aws_token_is_refused() {
    let verifier = verifier_for(json!({"preset": "aws", "issuer": ACCOUNT_ISSUER}));
    near_misses(
        &verifier,
        &aws(),
        &[
            (
                json!({"iss": "https://00000000-1111-2222-3333-444455556666.tokens.sts.global.api.aws"}),
                "identity.unknown_issuer",
            ),
            (json!({"iss": "https://sts.amazonaws.com"}), "identity.unknown_issuer"),
            (json!({"sub": "arn:aws:iam::999999999999:role/deployer"}), "identity.shape"),
            (json!({"sub": "arn:aws:sts::123456789012:assumed-role/deployer/session"}), "identity.shape"),
            (json!({"sub": "arn:aws:iam::123456789012:root"}), "identity.shape"),
            (json!({"sub": "arn:aws:iam::123456789012:role/"}), "identity.shape"),
            (json!({"sub": "arn:evil:iam::123456789012:role/deployer"}), "identity.shape"),
            (json!({"https://sts.amazonaws.com/": null}), "identity.missing_claim"),
            (json!({"https://sts.amazonaws.com/": "aws"}), "identity.malformed_claim"),
            (in_object(json!({"aws_account": "12345678901"})), "identity.malformed_claim"),
            (in_object(json!({"aws_account": "1234567890x2"})), "identity.malformed_claim"),
            (in_object(json!({"principal_tags": {"team": ["payments"]}})), "identity.malformed_claim"),
            (json!({"aws": {"account": "123456789012"}}), "identity.shape"),
        ],
    );
}

fn gcp() -> Value {
    json!({
        "iss": "https://accounts.google.com", "azp": "107517467455664443765", "sub": "107517467455664443765", "jti": null,
        "email": "runner@acme-prod.iam.gserviceaccount.com", "email_verified": true,
        "google": {"compute_engine": {
            "project_id": "acme-prod", "project_number": 739419398126_i64, "zone": "europe-west1-b",
            "instance_id": "152986662232938449", "instance_name": "runner-1", "instance_creation_timestamp": 1496952205,
            "license_id": ["1000204"],
        }},
    })
}

#[test]
fn a_gcp_machine_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "gcp"}));
    let good = gcp();
    let found = read(&verifier, &good).claims["gcp"].clone();
    for (name, value) in [
        ("service_account", json!("runner@acme-prod.iam.gserviceaccount.com")),
        ("service_account_project", json!("acme-prod")),
        ("project_number", json!("739419398126")),
        ("instance_id", json!("152986662232938449")),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    assert_eq!(found.get("confidential"), None, "the token does not say");
    let engine =
        |change: Value| json!({"google": {"compute_engine": with(good["google"]["compute_engine"].clone(), change)}});
    for (said, confidential) in [(1, true), (0, false)] {
        let token = with(good.clone(), engine(json!({"instance_confidentiality": said})));
        assert_eq!(read(&verifier, &token).claims["gcp"]["confidential"], json!(confidential));
    }
    let no_engine = with(good.clone(), json!({"google": {}}));
    assert_eq!(outcome(&verifier, &signed(&no_engine)), "accepted");
    near_misses(
        &verifier,
        &good,
        &[
            (json!({"iss": "accounts.google.com"}), "identity.unknown_issuer"),
            (json!({"iss": "https://accounts.google.com/"}), "identity.unknown_issuer"),
            (json!({"azp": "32555940559.apps.googleusercontent.com"}), "identity.shape"),
            (json!({"email": "ann@gmail.com"}), "identity.shape"),
            (json!({"email": "ann@evilgserviceaccount.com"}), "identity.shape"),
            (json!({"email_verified": false}), "identity.shape"),
            (json!({"email_verified": null}), "identity.shape"),
            (json!({"email": null}), "identity.missing_claim"),
            (json!({"sub": "runner"}), "identity.malformed_claim"),
            (engine(json!({"project_number": "739419398126"})), "identity.malformed_claim"),
            (engine(json!({"instance_id": "runner-1"})), "identity.malformed_claim"),
            (engine(json!({"instance_confidentiality": "1"})), "identity.malformed_claim"),
            (json!({"google": "compute_engine"}), "identity.malformed_claim"),
            (json!({"exp": NOW + 3700}), "identity.lifetime"),
        ],
    );
}

const DIRECTORY: &str = "11111111-2222-3333-4444-555555555555";
const IDENTITY: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

fn azure() -> Value {
    json!({
        "iss": format!("https://sts.windows.net/{DIRECTORY}/"), "tid": DIRECTORY, "ver": "1.0", "idtyp": "app",
        "oid": IDENTITY, "sub": IDENTITY, "appid": "99999999-bbbb-cccc-dddd-eeeeeeeeeeee", "appidacr": "2",
        "xms_mirid": "/subscriptions/s/resourcegroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/runner",
        "jti": null, "uti": "AbCd", "exp": NOW + 86_400, "iat": NOW - 10,
    })
}

#[test]
fn an_azure_identity_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "azure", "tenant": DIRECTORY}));
    let good = azure();
    let found = read(&verifier, &good).claims["azure"].clone();
    assert_eq!((&found["object_id"], &found["tenant"]), (&json!(IDENTITY), &json!(DIRECTORY)));
    let issuer = format!("https://login.microsoftonline.com/{DIRECTORY}/v2.0");
    let newer = verifier_for(json!({"preset": "azure", "tenant": DIRECTORY, "issuer": issuer}));
    let mut second = with(good.clone(), json!({"iss": issuer, "ver": "2.0", "azp": good["appid"]}));
    second.as_object_mut().unwrap().remove("appid");
    assert_eq!(outcome(&newer, &signed(&second)), "accepted");
    let other = "00000000-2222-3333-4444-555555555555";
    near_misses(
        &verifier,
        &good,
        &[
            (json!({"iss": format!("https://sts.windows.net/{other}/")}), "identity.unknown_issuer"),
            (json!({"iss": format!("https://sts.windows.net/{DIRECTORY}")}), "identity.unknown_issuer"),
            (json!({"iss": "https://sts.windows.net/common/"}), "identity.unknown_issuer"),
            (json!({"tid": other}), "identity.shape"),
            (json!({"tid": null}), "identity.missing_claim"),
            (json!({"ver": "2.0"}), "identity.shape"),
            (json!({"ver": null}), "identity.missing_claim"),
            (json!({"scp": "User.Read"}), "identity.shape"),
            (json!({"idtyp": "user"}), "identity.shape"),
            (json!({"sub": "pairwise"}), "identity.shape"),
            (json!({"oid": "runner"}), "identity.malformed_claim"),
            (json!({"appid": null}), "identity.missing_claim"),
            (json!({"exp": NOW + 2 * 86_400}), "identity.lifetime"),
        ],
    );
}
