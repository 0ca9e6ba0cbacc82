//! What a kill at the wrong moment leaves: nothing that was forwarded is missing, and nothing that was minted stays.
//!
//! [`whole`] kills broker and gateway together, [`apart`] one of them under the other.

mod apart;
mod talk;
mod whole;

use std::collections::BTreeSet;

use serde_json::Value;
use writ_world::stack::Stack;

use crate::stories::evidence::{admin, eventually};

/// The sessions, once all of them are closed.
fn closed_sessions(stack: &Stack) -> Vec<Value> {
    eventually(|| {
        let page: Value = serde_json::from_str(&admin(stack, &["sessions", "ls", "--json", "--limit", "1000"])?)
            .map_err(|error| error.to_string())?;
        let rows = page["items"].as_array().ok_or("no sessions")?.clone();
        if rows.iter().all(|row| !row["closed"].is_null()) { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .unwrap()
}

/// The one session that lives.
fn live_session(stack: &Stack) -> Value {
    eventually(|| {
        let page: Value = serde_json::from_str(&admin(stack, &["sessions", "ls", "--live", "--json"])?)
            .map_err(|error| error.to_string())?;
        match page["items"].as_array().map(Vec::as_slice) {
            Some([one]) => Ok(one.clone()),
            other => Err(format!("not one live session: {other:?}")),
        }
    })
    .unwrap()
}

/// Every statement that was answered is in a recording.
fn assert_recorded(stack: &Stack, sessions: &[Value], answered: &BTreeSet<String>) {
    let recorded: String = sessions
        .iter()
        .filter(|session| session["segments"].as_array().is_some_and(|all| !all.is_empty()))
        .map(|session| admin(stack, &["sessions", "replay", session["id"].as_str().unwrap(), "--json"]).unwrap())
        .collect();
    for statement in answered {
        assert!(recorded.contains(&format!("'{statement}'")), "`{statement}` was answered and is in no recording");
    }
}

/// No role of a writ is left in the database.
fn assert_no_role_left(stack: &Stack) {
    eventually(|| match stack.superuser("select rolname from pg_roles where rolname like 'writ-%'")? {
        none if none.is_empty() => Ok(()),
        left => Err(format!("roles are left: {left}")),
    })
    .unwrap();
}

/// The ledger verifies, and continues each checkpoint that was kept.
fn assert_ledger(stack: &Stack, kept: &[std::path::PathBuf]) {
    let mut verify = vec!["ledger".to_owned(), "verify".to_owned()];
    for checkpoint in kept {
        verify.extend(["--since".to_owned(), checkpoint.display().to_string()]);
    }
    let said = admin(stack, &verify.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert!(said.contains("verified:"), "{said}");
}

/// Keeps the ledger's checkpoint of now.
fn keep_checkpoint(stack: &Stack, name: &str) -> std::path::PathBuf {
    let kept = stack.state().join(format!("checkpoint-{name}"));
    std::fs::copy(stack.state().join("broker/evidence/ledger/checkpoint"), &kept).unwrap();
    kept
}
