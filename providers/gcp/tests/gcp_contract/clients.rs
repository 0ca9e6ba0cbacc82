//! Google's own clients, which know nothing of Writ: the fake takes of them what it takes of Writ, and refuses it in the same cases.
//!
//! `google-auth` for Python always, and `gcloud` wherever the machine has it: no registry of packages does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use writ_fakes::gcp::{self, Kind};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::moto;

use crate::canary;
use crate::documented;
use crate::eyes::read;
use crate::providers::{gcp as provider, mint_showing, writ};
use crate::world::{LIFE, REPORTS, WORKLOADS, World};
use writ_provider_gcp::By;

const GCLOUD: &str = "/usr/bin/gcloud";

/// A running `google_auth_calls.py`.
struct GoogleAuth {
    child: Child,
    asks: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl GoogleAuth {
    fn start() -> Self {
        let mut command = Command::new(gcp::python().unwrap());
        command.arg(moto::clients().join("google_auth_calls.py")).env_clear().env("PATH", "/usr/bin:/bin");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (asks, hears) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asks, hears }
    }

    /// The token, or what the library complains of.
    fn ask(&mut self, asked: &Value) -> Result<String, String> {
        writeln!(self.asks, "{asked}").unwrap();
        let mut line = String::new();
        self.hears.read_line(&mut line).unwrap();
        let heard: Value = serde_json::from_str(&line).unwrap();
        match heard["token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(heard["error"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for GoogleAuth {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What gcloud prints, which is given this configuration and a directory of its own: it keeps tokens.
fn gcloud(configuration: &Value) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let file = directory.join("credentials.json");
    std::fs::write(&file, configuration.to_string()).unwrap();
    let mut command = Command::new(GCLOUD);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", directory)
        .env("CLOUDSDK_CONFIG", directory.join("gcloud"));
    command.env("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", &file).env("CLOUDSDK_CORE_DISABLE_PROMPTS", "1");
    command
        .env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1")
        .env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1");
    let output = command.args(["auth", "print-access-token"]).stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// A configuration for a token in a file, through an account or through none.
fn configuration(world: &World, token: &str, email: Option<&str>) -> Value {
    let file = world.directory.path().join("workload.jwt");
    std::fs::write(&file, token).unwrap();
    let provider = documented::workload_federation();
    let url = world.google.url();
    let mut configuration = json!({
        "type": "external_account",
        "audience": format!("//iam.googleapis.com/{}", provider["pool_provider"].as_str().unwrap()),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{url}/v1/token"),
        "credential_source": { "file": file },
    });
    if let Some(email) = email {
        let impersonation = format!("{url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken");
        configuration["service_account_impersonation_url"] = json!(impersonation);
    }
    configuration
}

/// What is changed of a sound token's claims, and what every client hears of it.
fn cases(world: &World) -> Vec<(String, &'static str)> {
    let with = |changes: Value| {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.token_of(&claims)
    };
    let now = world.claims()["iat"].as_i64().unwrap();
    let impostor = Issuer::start().unwrap().token(Algorithm::Rs256, &world.claims()).unwrap();
    vec![
        (with(json!({ "aud": format!("{WORKLOADS}2") })), "does not match the expected audience"),
        (with(json!({ "iss": "https://issuer.test" })), "does not match the expected ones"),
        (with(json!({ "repository_owner_id": "66" })), "rejected by the attribute condition"),
        (with(json!({ "repository_id": "75" })), "iam.serviceAccounts.getAccessToken"),
        (with(json!({ "iat": now - 700, "nbf": now - 700, "exp": now - 100 })), "is stale to sign-in"),
        (impostor, "The signature of the ID Token is invalid"),
    ]
}

#[tokio::test]
async fn googles_own_clients_are_taken_and_refused_where_writ_is() {
    let world = World::start("reports");
    let mut library = GoogleAuth::start();
    let scopes = json!(["https://www.googleapis.com/auth/devstorage.read_only"]);
    let machine = Path::new(GCLOUD).exists();
    let sound = configuration(&world, &world.token_of(&world.claims()), Some(REPORTS));

    let token = library.ask(&json!({ "configuration": sound, "scopes": scopes })).unwrap();
    assert_eq!(read(&world, &token, "reports", "2026/march").await.unwrap(), "reports 2026/march");
    assert_eq!(world.google.issued(&token).unwrap().principal, REPORTS);
    if machine {
        let token = gcloud(&sound).unwrap();
        assert_eq!(world.google.issued(&token).unwrap().principal, REPORTS);
        read(&world, &token, "reports", "2026/march").await.unwrap();
    }

    let ours = provider(&world, By::Workload, world.google.url(), &|_| ());
    for (token, words) in cases(&world) {
        let fault = mint_showing(&world, &ours, &writ(&world, None, LIFE), &token).await.unwrap_err();
        assert!(fault.detail().contains(words), "`{words}` is not in {fault:?}");
        let near = configuration(&world, &token, Some(REPORTS));
        let said = library.ask(&json!({ "configuration": near, "scopes": scopes })).unwrap_err();
        assert!(said.contains(words), "`{words}`: google-auth heard `{said}`");
        if machine {
            let said = gcloud(&near).unwrap_err();
            assert!(said.contains(words), "`{words}`: gcloud heard `{said}`");
        }
    }
    canary::check();
}

/// The exchange behind an access boundary, and of a token of no account, as Google's library makes them.
#[tokio::test]
async fn googles_own_library_makes_the_other_exchanges_too() {
    let world = World::start("reports");
    let mut library = GoogleAuth::start();
    let token = world.token_of(&world.claims());
    let platform = json!(["https://www.googleapis.com/auth/cloud-platform"]);
    let rule = json!({
        "availableResource": "//storage.googleapis.com/projects/_/buckets/reports",
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
        "availabilityCondition": { "expression": "resource.name.startsWith('projects/_/buckets/reports/objects/2026/')" },
    });
    let through = configuration(&world, &token, Some(REPORTS));
    let bounded = library.ask(&json!({ "configuration": through, "scopes": platform, "boundary": [rule] })).unwrap();
    let issued = world.google.issued(&bounded).unwrap();
    assert_eq!((issued.kind, issued.boundary), (Kind::Bounded, Some(json!([rule]))));
    read(&world, &bounded, "reports", "2026/march").await.unwrap();
    assert_eq!(read(&world, &bounded, "reports", "2025/march").await.unwrap_err().0, 403);

    let direct = configuration(&world, &token, None);
    let federated = library.ask(&json!({ "configuration": direct, "scopes": platform })).unwrap();
    let issued = world.google.issued(&federated).unwrap();
    assert_eq!(issued.kind, Kind::Federated);
    assert!(issued.principal.ends_with("/github/subject/repo:octo-org@65/octo-repo@74:environment:prod"));
    canary::check();
}
