//! The binary as a user runs it.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join("docs").join("examples")
}

fn writ(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(arguments).current_dir(examples()).env("PAYMENTS_PASSWORD", "only a test's");
    command.output().expect("the binary runs")
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_example_is_well_formed() {
    let output = writ(&["check", "--config", "writ.toml"]);
    assert!(output.status.success(), "{}", words(&output.stderr));
    assert_eq!(words(&output.stdout), "writ.toml is well formed\n");
}

/// `{}` as header, the claims given, and no signature worth the name.
fn explained(claims: &str) -> Output {
    use std::os::unix::fs::OpenOptionsExt as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("token");
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).expect("a token file");
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    std::io::Write::write_all(&mut file, token.as_bytes()).expect("a token");
    let path = path.display().to_string();
    let output = writ(&["policy", "explain", "--token", &path, "--target", "payments", "--commands"]);
    assert!(!words(&output.stdout).contains(&token) && !words(&output.stderr).contains(&token), "the token is printed");
    output
}

fn claims(event: &str) -> String {
    format!(
        r#"{{"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/pay:environment:production",
            "aud": "writ", "exp": 4000000000, "repository_id": "123456789", "environment": "production",
            "event_name": "{event}"}}"#
    )
}

#[test]
fn an_explanation_says_what_every_policy_said_and_that_nothing_was_verified() {
    let output = explained(&claims("push"));
    let (told, noted) = (words(&output.stdout), words(&output.stderr));
    assert!(output.status.success(), "{noted}");
    assert!(noted.starts_with("the token was decoded, not verified"), "{noted}");
    assert!(told.starts_with("connect to payments: allowed\n  ttl 900s"), "{told}");
    assert!(told.contains("permit payments-deploy: matched"), "{told}");
    assert!(told.contains("forbid no-pull-requests: does not apply: its conditions do not hold"), "{told}");
    for tag in ["sql_query: allowed", "sql_prepare: allowed", "sql_execute: allowed"] {
        assert!(told.contains(tag), "{tag}: {told}");
    }
}

#[test]
fn an_explanation_names_the_policy_that_forbids() {
    let told = words(&explained(&claims("pull_request")).stdout);
    assert!(told.starts_with("connect to payments: denied (policy.forbidden)"), "{told}");
    assert!(told.contains("forbid no-pull-requests: matched"), "{told}");
}
