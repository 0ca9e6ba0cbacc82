//! What is left when a session has ended: a recording, a ledger that verifies, and neither a role nor a secret.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use writ_world::stack::{Stack, printed};

use super::clients::{fetched, program};

const SETTLED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_session_leaves_its_evidence_and_nothing_else() {
    let stack = Stack::start().unwrap();
    let mut client = stack.client(&fetched("venv").unwrap().join("bin/python"), &stack.token().unwrap());
    let mut said = printed(client.arg(program("psycopg_client.py"))).unwrap();

    let listed = eventually(|| {
        let listed = admin(&stack, &["sessions", "ls", "--json"])?;
        let page: Value = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
        let rows = page["items"].as_array().ok_or("no sessions")?;
        let over =
            |row: &Value| !row["closed"].is_null() && row["segments"].as_array().is_some_and(|all| !all.is_empty());
        if rows.len() >= 2 && rows.iter().all(over) { Ok(rows.clone()) } else { Err(listed) }
    })
    .unwrap();
    let longest = listed.iter().max_by_key(|row| row["commands"].as_u64()).unwrap();
    let replay = admin(&stack, &["sessions", "replay", longest["id"].as_str().unwrap(), "--json"]).unwrap();
    let steps: Vec<Value> = replay.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(steps.iter().any(null_beside_its_name), "no step tells NULL from 'NULL' in {} steps", steps.len());
    let commands: Vec<_> = steps.iter().filter(|step| step["parameters"].is_array()).collect();
    assert!(commands.len() > 20, "{} commands", commands.len());
    for command in commands {
        assert!(command["outcomes"].as_array().is_some_and(|all| !all.is_empty()), "no outcome: {command}");
    }

    eventually(|| match stack.superuser("select rolname from pg_roles where rolname like 'writ-%'")? {
        none if none.is_empty() => Ok(()),
        left => Err(format!("roles are left: {left}")),
    })
    .unwrap();

    // The key that the gateway pinned when it joined is the one that the broker shows.
    let pinned = std::fs::read(stack.state().join("gateway/identity/identity.json")).unwrap();
    let pinned: Value = serde_json::from_slice(&pinned).unwrap();
    assert_eq!(pinned["ledger_key"].as_str().unwrap(), admin(&stack, &["ledger", "key"]).unwrap());
    said.push_str(&admin(&stack, &["ledger", "verify"]).unwrap());
    said.push_str(&replay);
    for secret in stack.secrets() {
        assert!(!said.contains(&secret), "a secret was printed");
        let holding = holding(stack.state(), secret.as_bytes());
        assert!(holding.is_empty(), "a secret is in {holding:?}");
    }
}

/// Whether a step has a parameter that is NULL and one that is the text `NULL`.
fn null_beside_its_name(step: &Value) -> bool {
    let Some(parameters) = step["parameters"].as_array() else { return false };
    let null = |parameter: &Value| parameter["value"].is_null();
    let name = |parameter: &Value| !null(parameter) && parameter["value"].to_string().contains("\"NULL\"");
    parameters.iter().any(null) && parameters.iter().any(name)
}

pub(crate) fn admin(stack: &Stack, arguments: &[&str]) -> Result<String, String> {
    let output = stack.writ(arguments)?;
    let out = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(out) } else { Err(format!("{arguments:?}: {out}{complaint}")) }
}

/// The files under `directory` that hold `secret`, but for the one that the login's password is read from.
pub(crate) fn holding(directory: &Path, secret: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, secret));
        } else if !path.ends_with("login.password")
            && std::fs::read(&path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|part| part == secret))
        {
            found.push(path);
        }
    }
    found
}

/// Asks again until it is so.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let until = Instant::now() + SETTLED_WITHIN;
    loop {
        match look() {
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
            answer => return answer,
        }
    }
}
