//! What a kill at the wrong moment leaves: nothing that was forwarded is missing, and nothing that was minted stays.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use writ_world::stack::Stack;

use crate::stories::evidence::{admin, eventually};

const ROUNDS: usize = 4;

/// psql runs numbered statements until it is cut off; each answer is printed as it arrives.
fn numbered(stack: &Stack, round: usize) -> Child {
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    psql.args(["-X", "-q", "-A", "-t"]);
    for number in 0..400 {
        psql.args(["-c", &format!("select 'seen-{round}-{number}'"), "-c", "select pg_sleep(0.002)"]);
    }
    psql.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn kill_nine_loses_nothing_that_was_forwarded_and_leaves_no_credential() {
    let mut stack = Stack::start().unwrap();
    let mut seen = BTreeSet::new();
    let mut before = Vec::new();
    for round in 0..ROUNDS {
        let client = numbered(&stack, round);
        // The moment is another one in each round; the seed is the round.
        std::thread::sleep(Duration::from_millis(120 + 137 * round as u64));
        stack.crash().unwrap();
        let output = client.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        seen.extend(said.lines().filter(|line| line.starts_with("seen-")).map(str::to_owned));
        let checkpoint = stack.state().join("broker/evidence/ledger/checkpoint");
        let kept = stack.state().join(format!("checkpoint-{round}"));
        std::fs::copy(checkpoint, &kept).unwrap();
        before.push(kept);
    }
    assert!(!seen.is_empty(), "no statement was answered before a kill");

    let sessions = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "ls", "--json", "--limit", "1000"])?)
            .map_err(|error| error.to_string())?;
        let rows = page["items"].as_array().ok_or("no sessions")?.clone();
        if rows.iter().all(|row| !row["closed"].is_null()) { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
    .unwrap();
    let mut recorded = String::new();
    for session in sessions.iter().filter(|session| session["segments"].as_array().is_some_and(|all| !all.is_empty())) {
        recorded.push_str(&admin(&stack, &["sessions", "replay", session["id"].as_str().unwrap(), "--json"]).unwrap());
    }
    for statement in &seen {
        assert!(recorded.contains(&format!("'{statement}'")), "`{statement}` was answered and is in no recording");
    }
    assert!(sessions.iter().any(|session| session["end"] == "crash"), "no session was closed as crashed");

    eventually(|| match stack.superuser("select rolname from pg_roles where rolname like 'writ-%'")? {
        none if none.is_empty() => Ok(()),
        left => Err(format!("roles are left: {left}")),
    })
    .unwrap();
    let mut verify = vec!["ledger".to_owned(), "verify".to_owned()];
    for kept in &before {
        verify.extend(["--since".to_owned(), kept.display().to_string()]);
    }
    let said = admin(&stack, &verify.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    assert!(said.contains("verified:"), "{said}");
}

#[test]
fn a_killed_session_ends_within_ten_seconds_and_says_why() {
    let stack = Stack::start().unwrap();
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    let client = psql.args(["-X", "-c", "select pg_sleep(60)"]);
    let client = client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let session = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "ls", "--live", "--json"])?)
            .map_err(|error| error.to_string())?;
        page["items"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| "no live session".to_owned())
    })
    .unwrap();
    let ordered = std::time::Instant::now();
    admin(&stack, &["sessions", "kill", &session, "--reason", "a test of the kill switch"]).unwrap();
    let output = client.wait_with_output().unwrap();
    // One second is promised; ten are allowed on a busy machine.
    assert!(ordered.elapsed() < Duration::from_secs(10), "{:?}", ordered.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a test of the kill switch"), "{said}");
}
