//! What the command line makes of its arguments.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    freeze: Freeze,
}

fn parsed(line: &[&str]) -> Result<Freeze, clap::Error> {
    Line::try_parse_from([&["freeze"], line].concat()).map(|line| line.freeze)
}

fn workload(issuer: Option<&str>, subject: &str) -> FreezeScope {
    FreezeScope::Workload { issuer: issuer.map(Issuer::new), subject: Subject::new(subject) }
}

#[test]
fn a_workload_is_named_with_or_without_its_issuer() {
    assert_eq!(named("https://issuer.example|repo:a/b"), workload(Some("https://issuer.example"), "repo:a/b"));
    assert_eq!(named("https://issuer.example|auth0|7"), workload(Some("https://issuer.example"), "auth0|7"));
    assert_eq!(named("auth0|7"), workload(None, "auth0|7"));
    assert_eq!(named("spiffe://domain/job"), workload(None, "spiffe://domain/job"));
}

#[test]
fn one_scope_and_a_reason_are_needed() {
    for (line, scope) in [
        (&["--all", "--reason", "why"][..], FreezeScope::All),
        (&["--workload", "job", "--reason", "why"], workload(None, "job")),
        (&["--target", "db", "--reason", "why"], FreezeScope::Target { target: TargetName::new("db").unwrap() }),
    ] {
        assert_eq!(parsed(line).unwrap().scope.scope(), scope);
    }
    for line in [
        &["--all"][..],
        &["--reason", "why"],
        &["--all", "--target", "db", "--reason", "why"],
        &["--target", "No Name", "--reason", "why"],
        &["--all", "--reason", "why", "ls"],
        &[],
    ] {
        assert!(parsed(line).is_err(), "{line:?}");
    }
    assert!(parsed(&["ls"]).unwrap().list.is_some());
}

#[test]
fn a_reason_is_one_value_of_the_query() {
    assert_eq!(encoded("it's over & \u{e9}"), "it%27s%20over%20%26%20%C3%A9");
}
