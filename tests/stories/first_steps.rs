//! An operator's first steps: broker and gateway in one process under a public name, the first login by the broker's own token.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use writ_world::stack::{Stack, printed};

use super::evidence::{admin, eventually};

fn stack() -> Stack {
    Stack::start_with(&[], |_, at, configuration| {
        let policy = std::fs::read_dir(at.join("policies")).unwrap().next().unwrap().unwrap().path();
        let text = std::fs::read_to_string(&policy).unwrap();
        std::fs::write(&policy, text.replace("@record(\"commands\")", "@record(\"full\")")).unwrap();
        let own = configuration.lines().find(|line| line.starts_with("url = ")).unwrap();
        Ok(configuration.replace(own, "url = \"https://broker.example:7443\"").replace("names = [\"localhost\"]\n", ""))
    })
    .unwrap()
}

fn login(stack: &Stack, token_file: &Path, state: &Path) -> Result<String, String> {
    let mut command = Command::new(stack.binary());
    command.arg("--state").arg(state).args(["login", "--broker", &stack.broker(), "--ca-file"]).arg(stack.authority());
    printed(command.arg("--token-file").arg(token_file))
}

#[test]
fn a_public_name_and_the_brokers_own_token_are_enough() {
    let stack = stack();
    let rows = stack.psql(&stack.token().unwrap(), "select n, null as nothing from generate_series(1, 30) n").unwrap();
    rows.unwrap();
    let home = tempfile::tempdir().unwrap();
    let (state, token_file) = (home.path().join("admin"), stack.state().join("admin-token"));
    assert!(login(&stack, &token_file, &state).unwrap().contains("logged in"));

    let listed = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "ls", "--json"])?).unwrap();
        let session = page["items"][0].clone();
        if session["closed"].is_null() { Err(format!("it is not over: {session}")) } else { Ok(session) }
    });
    let session = listed.unwrap()["id"].as_str().unwrap().to_owned();
    let mut replay = Command::new(stack.binary());
    replay.arg("--state").arg(&state).args(["sessions", "replay", &session, "--speed", "0", "--rows", "3"]);
    let replayed = printed(&mut replay).unwrap();
    assert!(replayed.contains("    | n | nothing\n    | 1 | NULL\n"), "{replayed}");
    assert!(replayed.contains("    | 3 | NULL\n    | and 27 more\n"), "{replayed}");
}

#[test]
fn a_token_that_the_broker_does_not_know_is_not_kept() {
    let stack = super::shared().unwrap();
    let home = tempfile::tempdir().unwrap();
    let (state, token_file) = (home.path().join("admin"), home.path().join("token"));
    std::fs::write(&token_file, "not-the-token-of-anybody").unwrap();
    std::fs::set_permissions(&token_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let refused = login(&stack, &token_file, &state).unwrap_err();
    assert!(refused.contains("the broker refused"), "{refused}");
    assert!(!state.join("client.toml").exists());
}
