//! The examples for issuers and providers: each is a configuration that is accepted as it stands, with policies that answer as its cases say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_fakes::gcp::{Account, Gcp, PoolProvider};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::moto;
use writ_fakes::sts::{Front, OidcProvider, Role};
use writ_world::stack::{binary, printed};

use crate::coverage::root;

/// The target that each example has.
const TARGET: &str = "payments-db";
/// Why a near miss may be denied: because of who it is, and not of a slip in the case.
const DENIALS: [&str; 3] = ["policy.no_permit", "policy.forbidden", "policy.exposed"];

/// Presets whose workloads show no token with claims.
const SIGNED_REQUESTS: [&str; 1] = ["aws-caller"];

/// The examples for issuers, by name.
fn examples() -> BTreeMap<String, PathBuf> {
    below("examples/issuers")
}

/// The examples' directories below a folder, by name.
fn below(folder: &str) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), path);
    entries.filter(|path| path.is_dir()).map(named).collect()
}

/// `writ` in an example's directory, as its README says.
fn writ(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.args(arguments).current_dir(directory).env_remove("WRIT_STATE").stdin(Stdio::null());
    command
}

/// The presets that this binary knows: it lists them to who names another.
fn presets() -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let text = "[broker]\n[[broker.issuer]]\nname = \"one\"\npreset = \"no-such-preset\"\n";
    std::fs::write(directory.path().join("writ.toml"), text).unwrap();
    let said = printed(&mut writ(directory.path(), &["check"])).unwrap_err();
    let (_, listed) = said.split_once("help: write one of ").unwrap_or_else(|| panic!("{said}"));
    // What stands between backticks is every other part.
    listed.lines().next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The presets that a configuration names.
fn named(configuration: &str) -> Vec<&str> {
    let values = configuration.lines().filter_map(|line| line.strip_prefix("preset = "));
    values.map(|value| value.trim_matches('"')).collect()
}

#[test]
fn every_preset_has_an_example_that_names_it() {
    let (examples, presets) = (examples(), presets());
    assert!(presets.len() > 10, "only {presets:?} were found");
    assert_eq!(examples.keys().cloned().collect::<BTreeSet<_>>(), presets);
    for (name, directory) in examples {
        let configuration = std::fs::read_to_string(directory.join("writ.toml")).unwrap();
        assert_eq!(named(&configuration), [&name]);
    }
}

#[test]
fn each_example_is_accepted_and_answers_as_its_cases_say() {
    for (name, directory) in examples().into_iter().chain(below("examples/providers")) {
        printed(&mut writ(&directory, &["check", "--config", "writ.toml"]))
            .unwrap_or_else(|said| panic!("{name}: {said}"));
        let tested = printed(&mut writ(&directory, &["policy", "test", "cases", "--policies", "policies", "--json"]));
        let tested: Value = serde_json::from_str(&tested.unwrap_or_else(|said| panic!("{name}: {said}"))).unwrap();
        let cases = tested["cases"].as_array().unwrap();
        let got = |verdict: &str| cases.iter().filter(|case| case["got"]["verdict"] == verdict).collect::<Vec<_>>();
        let (allowed, denied) = (got("allow"), got("deny"));
        assert!(!allowed.is_empty() && denied.len() >= 10, "{name}: {} in, {} not", allowed.len(), denied.len());
        for case in denied {
            let code = case["got"]["code"].as_str().unwrap_or_default();
            assert!(DENIALS.contains(&code), "{name}: `{}` is denied by `{code}`", case["name"]);
        }
        for case in allowed {
            let by = case["expected"]["policies"].as_array().unwrap();
            assert!(!by.is_empty(), "{name}: `{}` does not say by which policy", case["name"]);
        }
    }
}

/// The cases have claims as a preset leaves them. That it leaves them so shows a token with the claims that the issuer writes.
#[test]
fn a_token_as_the_issuer_writes_it_opens_each_example() {
    for (name, directory) in examples().into_iter().filter(|(name, _)| !SIGNED_REQUESTS.contains(&name.as_str())) {
        let text = std::fs::read_to_string(directory.join("claims.json")).unwrap();
        let mut claims: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        for (claim, time) in [("iat", now), ("nbf", now), ("exp", now + 600)] {
            claims[claim] = json!(time);
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let scratch = tempfile::NamedTempFile::new().unwrap();
        let token = format!("{}.{}.AAAA", part(&json!({"alg": "RS256", "typ": "JWT"})), part(&claims));
        std::fs::write(scratch.path(), token).unwrap();
        let mut explain = writ(&directory, &["policy", "explain", "--token", "-", "--target", TARGET]);
        let output = explain.stdin(scratch.reopen().unwrap()).output().unwrap();
        let (said, noted) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{name}: {noted}");
        assert!(said.starts_with(&format!("connect to {TARGET}: allowed\n")), "{name}: {said}");
        assert!(!noted.contains("would refuse"), "{name}: {noted}");
    }
}

#[test]
fn each_example_is_shown_where_its_issuer_is_described() {
    let overview = std::fs::read_to_string(root().join("examples/README.md")).unwrap();
    let pages = std::fs::read_dir(root().join("docs/issuers")).unwrap();
    let pages: Vec<String> = pages.map(|page| std::fs::read_to_string(page.unwrap().path()).unwrap()).collect();
    for name in examples().keys() {
        assert!(overview.contains(&format!("(issuers/{name})")), "examples/README.md does not show `{name}`");
        let link = format!("(../../examples/issuers/{name})");
        assert!(pages.iter().any(|page| page.contains(&link)), "no page of docs/issuers links `{link}`");
    }
}

/// What an account is given to paste, given to the fake of one: the target's own assertion is let in, and no other's.
#[test]
fn each_trust_policy_lets_its_target_in_and_no_other() {
    for (name, directory) in below("examples/providers") {
        let read = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
        let Some(trust) = read("trust-policy.json") else { continue };
        let front = Front::start().unwrap();
        let issuer = Issuer::start().unwrap();
        let (url, client_ids) = (issuer.url().to_owned(), vec!["sts.amazonaws.com".to_owned()]);
        front.oidc_provider(OidcProvider { url: url.clone(), client_ids, ca_pem: None, at: None });
        let trust = trust.replace("issuer.example/writ", url.trim_start_matches("http://"));
        let policies = read("permissions.json").map(|text| ("permissions".to_owned(), text)).into_iter().collect();
        let arn = front.role(&Role { name: "example".to_owned(), trust, policies, longest: 3600 }).unwrap();
        let configuration = read("writ.toml").unwrap();
        let target = configuration.split("[[broker.target]]\nname = \"").nth(1).unwrap().split('"').next().unwrap();
        let assume = |subject: &str, audience: &str| {
            let token = issuer.token(Algorithm::Es256, &issuer.claims(audience, subject)).unwrap();
            let mut aws = Command::new(moto::aws_cli().unwrap());
            aws.env_clear().env("PATH", "/usr/bin:/bin").args(["--endpoint-url", front.url(), "--region", "eu-west-1"]);
            aws.args(["sts", "assume-role-with-web-identity", "--role-arn", &arn, "--role-session-name", "example"]);
            printed(aws.args(["--web-identity-token", &token]))
        };
        let subject = format!("target:{target}");
        assert!(assume(&subject, "sts.amazonaws.com").unwrap().contains("SessionToken"), "{name}");
        for (subject, audience) in
            [("target:other", "sts.amazonaws.com"), ("workload:0123", "sts.amazonaws.com"), (&subject, "elsewhere")]
        {
            let refused = assume(subject, audience).unwrap_err();
            assert!(refused.contains("AccessDenied") || refused.contains("InvalidIdentityToken"), "{name}: {refused}");
        }
    }
}

/// The same of a project of Google's: the commands that its admin runs, given to the fake, and a token by each of its accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trust_script_lets_its_target_in_and_no_other() {
    for (name, directory) in below("examples/providers") {
        let read = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
        let Some(trust) = read("trust.sh").filter(|text| text.contains("gcloud iam workload-identity-pools")) else {
            continue;
        };
        let (google, issuer) = (Gcp::start().unwrap(), Issuer::start().unwrap());
        let option = |line: &str, option: &str| {
            let value = line.split(&format!("--{option}=")).nth(1)?;
            let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'));
            let value = value.trim_start_matches(['\'', '"']);
            Some(value.split(quote.unwrap_or(' ')).next().unwrap().trim_end().to_owned())
        };
        let made = trust.lines().find(|line| line.contains("create-oidc")).unwrap();
        assert_eq!(option(made, "issuer-uri").unwrap(), "https://issuer.example/writ");
        let (from, to) = option(made, "attribute-mapping")
            .unwrap()
            .split_once('=')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let provider = PoolProvider {
            mapping: BTreeMap::from([(from, to)]),
            condition: option(made, "attribute-condition"),
            ..PoolProvider::of(issuer.url())
        };
        let provider = google.pool_provider(provider).unwrap();
        let configuration = read("writ.toml").unwrap();
        assert!(configuration.contains(&format!("pool_provider = \"{provider}\"")), "{name}");
        let target = configuration.split("[[broker.target]]\nname = \"").nth(1).unwrap().split('"').next().unwrap();
        let bound = trust.lines().filter(|line| line.contains("service-accounts add-iam-policy-binding"));
        let bound: Vec<(String, String)> = bound
            .map(|line| {
                let email = line.split("add-iam-policy-binding ").nth(1).unwrap().split(' ').next().unwrap();
                (email.to_owned(), option(line, "member").unwrap())
            })
            .collect();
        assert!(bound.len() >= 2, "{name}");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = google.url();
        for (email, member) in bound {
            assert!(configuration.contains(&email), "{name}: {email}");
            google.account(Account::of(&email, &[&member])).unwrap();
            let act = async |subject: &str, audience: &str| {
                let token = issuer.token(Algorithm::Es256, &issuer.claims(audience, subject)).unwrap();
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    ("audience", &format!("//iam.googleapis.com/{provider}")),
                    ("scope", "https://www.googleapis.com/auth/iam"),
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
                    ("subject_token", &token),
                ];
                let given = http.post(format!("{url}/v1/token")).form(&form).send().await.unwrap();
                let given: Value = serde_json::from_slice(&given.bytes().await.unwrap()).unwrap();
                let Some(federated) = given["access_token"].as_str() else {
                    return given["error"].as_str().unwrap().to_owned();
                };
                let asked = json!({ "scope": ["https://www.googleapis.com/auth/sqlservice.login"], "lifetime": "60s" });
                let request = http.post(format!("{url}/v1/projects/-/serviceAccounts/{email}:generateAccessToken"));
                request.bearer_auth(federated).json(&asked).send().await.unwrap().status().to_string()
            };
            let (subject, audience) = (format!("target:{target}"), format!("https://iam.googleapis.com/{provider}"));
            assert_eq!(act(&subject, &audience).await, "200 OK", "{name}: {email}");
            for (subject, audience, said) in [
                ("target:other", audience.as_str(), "403 Forbidden"),
                ("workload:0123", &audience, "unauthorized_client"),
                (&subject, "elsewhere", "invalid_grant"),
            ] {
                assert_eq!(act(subject, audience).await, said, "{name}: {email}");
            }
        }
    }
}
