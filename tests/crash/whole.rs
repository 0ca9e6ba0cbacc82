//! Broker and gateway in one process, killed together.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use writ_world::stack::Stack;

use super::{assert_ledger, assert_no_role_left, assert_recorded, closed_sessions, keep_checkpoint, live_session};
use crate::stories::evidence::{admin, eventually};

const ROUNDS: usize = 4;
/// So many that sessions of one worker share a commit.
const CLIENTS: usize = 6;

/// psql runs numbered statements until it is cut off; each answer stands in `answers` as it arrives.
fn numbered(stack: &Stack, round: usize, client: usize, answers: &Path) -> Child {
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    psql.args(["-X", "-q", "-A", "-t"]);
    for number in 0..400 {
        psql.args(["-c", &format!("select 'seen-{round}-{client}-{number}'"), "-c", "select pg_sleep(0.002)"]);
    }
    psql.stdin(Stdio::null()).stdout(File::create(answers).unwrap()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn kill_nine_loses_nothing_that_was_forwarded_and_leaves_no_credential() {
    let mut stack = Stack::start().unwrap();
    let mut seen = BTreeSet::new();
    let mut before = Vec::new();
    let directory = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let files: Vec<_> = (0..CLIENTS).map(|client| directory.path().join(format!("{round}-{client}"))).collect();
        let clients: Vec<_> =
            files.iter().enumerate().map(|(client, file)| numbered(&stack, round, client, file)).collect();
        let answered = || files.iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 0));
        eventually(|| if answered() { Ok(()) } else { Err("no statement was answered".to_owned()) }).unwrap();
        // The moment is another one in each round; the seed is the round.
        std::thread::sleep(Duration::from_millis(137 * round as u64));
        stack.crash().unwrap();
        for (mut client, file) in clients.into_iter().zip(&files) {
            client.wait().unwrap();
            let said = std::fs::read_to_string(file).unwrap();
            seen.extend(said.lines().filter(|line| line.starts_with("seen-")).map(str::to_owned));
        }
        before.push(keep_checkpoint(&stack, &round.to_string()));
    }
    assert!(!seen.is_empty(), "no answer was whole");

    let sessions = closed_sessions(&stack);
    assert_recorded(&stack, &sessions, &seen);
    assert!(sessions.iter().any(|session| session["end"] == "crash"), "no session was closed as crashed");
    assert_no_role_left(&stack);
    assert_ledger(&stack, &before);
}

#[test]
fn a_killed_session_ends_within_ten_seconds_and_says_why() {
    let stack = Stack::start().unwrap();
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    let client = psql.args(["-X", "-c", "select pg_sleep(60)"]);
    let client = client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever is alive before that may be the session by which the stack was found to be ready.
    eventually(|| {
        let asleep =
            "select count(*) from pg_stat_activity where usename like 'writ-%' and query like '%pg_sleep(60)%'";
        if stack.superuser(asleep)? == "1" { Ok(()) } else { Err("nobody sleeps yet".to_owned()) }
    })
    .unwrap();
    let session = live_session(&stack)["id"].as_str().unwrap().to_owned();
    let ordered = std::time::Instant::now();
    admin(&stack, &["sessions", "kill", &session, "--reason", "a test of the kill switch"]).unwrap();
    let output = client.wait_with_output().unwrap();
    // One second is promised; ten are allowed on a busy machine.
    assert!(ordered.elapsed() < Duration::from_secs(10), "{:?}", ordered.elapsed());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("a test of the kill switch"), "{said}");
}
