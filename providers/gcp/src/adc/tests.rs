use std::path::PathBuf;

use serde_json::{Value, json};
use writ_core::provider::ProviderFault;

use super::found_by;

fn external(change: &Value) -> Value {
    let mut file = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": { "file": "/var/run/token" },
    });
    for (name, value) in change.as_object().unwrap() {
        file[name] = value.clone();
    }
    file
}

/// What comes of a file, named by the environment or where `gcloud` writes it.
fn written(text: &str, named: bool) -> Result<(), ProviderFault> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(if named { "named.json" } else { super::WELL_KNOWN });
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    let found = found_by(named.then(|| path.into_os_string()), Some(home.path().as_os_str().to_owned()));
    found.map(drop)
}

#[tokio::test]
async fn an_identity_of_its_own_is_taken() {
    let user = json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r" });
    let metadata =
        json!({ "credential_source": { "url": "http://169.254.169.254/token", "headers": { "Metadata": "True" } } });
    let aws =
        json!({ "credential_source": { "environment_id": "aws1", "region_url": "http://169.254.169.254/region" } });
    let private = json!({ "token_url": "https://sts-writ.p.googleapis.com/v1/token" });
    let none = json!({ "service_account_impersonation_url": null });
    for file in [user, external(&json!({})), external(&metadata), external(&aws), external(&private), external(&none)] {
        for named in [true, false] {
            written(&file.to_string(), named).unwrap();
        }
    }
}

#[tokio::test]
async fn what_goes_beyond_it_is_refused() {
    let program = json!({ "executable": { "command": "/bin/sh -c id" } });
    let both = json!({ "file": "/var/run/token", "executable": { "command": "/bin/sh -c id" } });
    let iam = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken";
    let user = json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "canary" });
    let mut elsewhere = user.clone();
    elsewhere["token_uri"] = json!("https://oauth2.example/token");
    let impersonated = json!({
        "type": "impersonated_service_account", "service_account_impersonation_url": iam, "source_credentials": user,
    });
    let refused = [
        (external(&json!({ "credential_source": program })).to_string(), "is a program"),
        (external(&json!({ "credential_source": both })).to_string(), "is a program"),
        (external(&json!({ "credential_source": {} })).to_string(), "write one"),
        (external(&json!({ "service_account_impersonation_url": iam })).to_string(), "`federation.delegates`"),
        (
            external(&json!({ "token_url": "https://sts.googleapis.com.example/v1/token" })).to_string(),
            "no address of Google's",
        ),
        (external(&json!({ "token_url": "http://sts.googleapis.com/v1/token" })).to_string(), "no address of Google's"),
        (external(&json!({ "token_url": 7 })).to_string(), "no address of Google's"),
        (elsewhere.to_string(), "`token_uri` is no address of Google's"),
        (impersonated.to_string(), "`federation.delegates`"),
        (json!({ "type": "external_account_authorized_user" }).to_string(), "must be `service_account`"),
        (json!({ "type": "gdch_service_account" }).to_string(), "must be `service_account`"),
        (json!({}).to_string(), "must be `service_account`"),
        ("canary".to_owned(), "not JSON"),
    ];
    for (file, words) in &refused {
        for named in [true, false] {
            let fault = written(file, named).unwrap_err();
            let ProviderFault::Misconfigured(text) = &fault else { panic!("{file}: {fault:?}") };
            assert!(text.contains(words) && text.contains(super::VARIABLE), "{text}");
            assert!(!text.contains("canary") && !text.ends_with('.'), "{text}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there() {
    let fault = found_by(Some(PathBuf::from("/nowhere/adc.json").into_os_string()), None).unwrap_err();
    assert!(fault.detail().contains("`/nowhere/adc.json`, cannot be used"), "{fault:?}");
    // Without one the machine is asked, later.
    let home = tempfile::tempdir().unwrap();
    found_by(None, Some(home.path().as_os_str().to_owned())).map(drop).unwrap();
    found_by(None, None).map(drop).unwrap();
}
