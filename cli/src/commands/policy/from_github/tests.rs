use clap::Parser;
use serde_json::json;
use writ_policy::Bundle;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: FromGithub,
}

const LEAST: [&str; 5] = ["writ", "octo-org/octo-repo", "--target", "payments-db", "--environment=production"];
const NUMBERS: [&str; 4] = ["--repository-id", "74", "--owner-id", "65"];

fn read(more: &[&str]) -> Result<FromGithub, String> {
    Line::try_parse_from(LEAST.iter().chain(more)).map(|line| line.options).map_err(|error| error.to_string())
}

fn written(more: &[&str]) -> String {
    let options = read(&[&NUMBERS, more].concat()).unwrap();
    let repository = Repository { name: options.repository.clone(), id: 74, owner_id: 65 };
    let text = text(&options, &repository);
    sound(&text).unwrap();
    text
}

#[test]
fn a_policy_is_written_by_numbers() {
    let text = written(&["--ref", "refs/heads/main", "--role", "migrator", "--ttl", "1h"]);
    assert!(
        text.contains("@id(\"github-octo-org-octo-repo-production-payments-db\")\n@ttl(\"1h\")\n@role(\"migrator\")\n"),
        "{text}"
    );
    for (tag, value) in
        [("repository_id", "74"), ("owner_id", "65"), ("environment", "production"), ("ref", "refs/heads/main")]
    {
        let condition = format!("principal.hasTag(\"ci.{tag}\") && principal.getTag(\"ci.{tag}\") == \"{value}\"");
        assert!(text.contains(&condition), "{condition}: {text}");
    }
    assert!(text.contains(&format!("principal.issuer == \"{ISSUER}\" &&")), "{text}");
}

#[test]
fn names_are_data_wherever_they_stand() {
    let evil = "x\"} || true || principal.issuer == \"\\";
    let text =
        written(&["--ref", &format!("refs/heads/{evil}"), "--role", "a\") @id(\"b", "--issuer", "https://x\"\n// y"]);
    let bundle = Bundle::load(vec![("a.cedar".to_owned(), text.clone())]).unwrap();
    assert_eq!(text.matches("permit (").count(), 1);
    assert!(text.contains("== \"refs/heads/x\\\"} || true || principal.issuer == \\\"\\\\\""), "{text}");
    assert!(text.lines().all(|line| !line.starts_with("// y") && !line.starts_with("@id(\"b")), "{text}");
    drop(bundle);
}

#[test]
fn numbers_are_asked_for_and_never_guessed() {
    for (more, words) in [
        (["--repository-id", "74"].as_slice(), "--owner-id"),
        (&["--owner-id", "65"], "--repository-id"),
        (&["--repository-id", "74", "--owner-id", "65", "--token", "-"], "cannot be used with"),
        (&["--repository-id", "octo", "--owner-id", "65"], "invalid value 'octo'"),
        (&["--api-token-file", "x", "--token", "-"], "cannot be used with"),
        (&["--api-token-file", "x"], "--api <URL>"),
    ] {
        let said = read(more).unwrap_err();
        assert!(said.contains(words), "{more:?}: {said}");
    }
    let said = of_flags("a/b", &read(&[]).unwrap()).unwrap_err().to_string();
    assert!(said.contains("nobody says which number `a/b` has") && said.contains("a name is not enough"), "{said}");
    assert!(Repository::told("a/b", "a/b".to_owned(), 0, 65, "the token").is_err());
    assert!(Repository::told("a/b", "a/b".to_owned(), 74, 0, "the token").is_err());
}

#[test]
fn a_token_tells_the_numbers_of_its_own_repository_alone() {
    let claims = |changes: Value| {
        let mut claims = json!({
            "iss": ISSUER, "repository": "Octo-Org/octo-repo", "repository_id": "74", "repository_owner_id": "65",
        });
        let own = claims.as_object_mut().unwrap();
        own.extend(changes.as_object().unwrap().clone());
        of_claims("octo-org/octo-repo", own, ISSUER).map_err(|failure| failure.to_string())
    };
    let repository = claims(json!({})).unwrap();
    assert_eq!((repository.name.as_str(), repository.id, repository.owner_id), ("Octo-Org/octo-repo", 74, 65));
    for (changes, words) in [
        (json!({ "repository": "octo-org/other" }), "the token is about `octo-org/other`"),
        (json!({ "repository_id": "x" }), "the token has no number"),
        (json!({ "repository_id": "-1" }), "the token has no number"),
        (json!({ "repository_owner_id": null }), "the token has no number"),
        (json!({ "iss": "https://ghe.example" }), "the token is by `https://ghe.example`"),
    ] {
        let said = claims(changes).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_names_no_repository_is_refused() {
    assert_eq!(named("octo-org/octo.repo_1").unwrap(), "octo-org/octo.repo_1");
    for wrong in ["octo", "octo/", "/repo", "a/b/c", "a b/c", "a/..", "a/b\n", "a/b?x"] {
        assert!(named(wrong).unwrap_err().to_string().contains("names no repository"), "{wrong}");
    }
}

#[test]
fn a_ref_is_whole() {
    for wrong in ["main", "heads/main", "refs/heads/", "refs/pull/7/merge", ""] {
        let said = read(&[NUMBERS.as_slice(), &["--ref", wrong]].concat()).map(drop).unwrap_err();
        assert!(said.contains("write `refs/heads/NAME`"), "{said}");
    }
    assert!(read(&[NUMBERS.as_slice(), &["--ref", "refs/tags/v1"]].concat()).is_ok());
}
