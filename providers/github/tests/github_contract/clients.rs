//! GitHub's own client, Octokit, talks to the same fake: it is not shaped after ours.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use writ_world::packages;

use crate::world::{CLIENT_ID, INSTALLATION, World};

fn octokit(asked: &Value) -> Value {
    let program = packages::cache().join("github-client/app.mjs");
    let program = packages::need(&program, "`tests/world/scripts/fetch-github-client`").unwrap();
    let mut node = Command::new("node");
    node.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().unwrap();
    node.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn octokit_gets_the_same_token_by_the_same_way() {
    let world = World::start();
    let key = std::fs::read_to_string(world.key()).unwrap();
    let asked = |changes: Value| {
        let mut asked = json!({
            "api": world.github.url(), "app": CLIENT_ID, "key": key, "installation": INSTALLATION,
            "repositories": ["octo-repo", "docs"], "permissions": { "contents": "write" },
        });
        asked.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        asked
    };
    let said = octokit(&asked(json!({})));
    assert_eq!((&said["app"], &said["refused"]), (&json!(CLIENT_ID), &Value::Null), "{said}");
    assert_eq!(said["token"]["permissions"], json!({ "contents": "write", "metadata": "read" }));
    assert_eq!(said["token"]["repositories"], json!(["octo-repo", "docs"]));
    assert_eq!(said["seen"], json!(["octo-org/octo-repo", "octo-org/docs"]));
    assert_eq!((&said["after"], world.github.living()), (&json!(401), 0));
    for (changes, status, words) in [
        (json!({ "app": "424243" }), 404, "Integration not found"),
        (json!({ "permissions": { "administration": "read" } }), 422, "not granted to this installation"),
        (json!({ "repositories": ["secret"] }), 422, "at least one repository"),
        (json!({ "installation": 78 }), 404, "Not Found"),
    ] {
        let said = octokit(&asked(changes.clone()));
        let refused = &said["refused"];
        assert_eq!(refused["status"], status, "{changes}: {said}");
        assert!(refused["message"].as_str().unwrap().contains(words), "{said}");
    }
}
