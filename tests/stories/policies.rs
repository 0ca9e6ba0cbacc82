//! Other policies held against what was recorded.

use std::path::Path;

use serde_json::Value;
use writ_world::stack::{Stack, TARGET, printed};

use super::clients::{fetched, program};
use super::evidence::{admin, eventually};

/// The policies of the stack, and more.
fn other(stack: &Stack, more: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let own = std::fs::read_to_string(stack.state().join("policies/workload.cedar")).unwrap();
    std::fs::write(directory.path().join("workload.cedar"), own).unwrap();
    std::fs::write(directory.path().join("more.cedar"), more).unwrap();
    directory
}

fn replay(stack: &Stack, policies: &Path, more: &[&str]) -> String {
    let policies = policies.to_str().unwrap();
    admin(stack, &[&["policy", "replay", "--since", "1h", "--with", policies], more].concat()).unwrap()
}

/// Waits until every session has ended and its recording is there.
fn recorded(stack: &Stack, sessions: usize) {
    eventually(|| {
        let page: Value = serde_json::from_str(&admin(stack, &["sessions", "ls", "--json"])?).unwrap();
        let rows = page["items"].as_array().ok_or("no sessions")?;
        let over =
            |row: &Value| !row["closed"].is_null() && row["segments"].as_array().is_some_and(|all| !all.is_empty());
        if rows.len() == sessions && rows.iter().all(over) { Ok(()) } else { Err(page.to_string()) }
    })
    .unwrap();
}

#[test]
fn a_replay_finds_the_commands_that_other_policies_would_answer_otherwise() {
    let stack = Stack::start().unwrap();
    stack.superuser("create table report (id int, note text); grant select, delete on report to public").unwrap();
    let run = |statements: &str| stack.psql(&stack.token().unwrap(), statements).unwrap().unwrap();
    run("select id from report");
    run("select note from report where id = 4");
    run("begin; set local search_path = pg_temp, public; select id from report; rollback");
    run("delete from report where id = 1");
    // The first is the stack's own, which looked whether it serves.
    recorded(&stack, 5);

    let same = other(&stack, "");
    let told = replay(&stack, same.path(), &[]);
    assert!(told.contains("5 commands of 5 sessions") && told.ends_with(": 0 would change"), "{told}");

    let strict = other(
        &stack,
        &format!(
            r#"@id("reads") permit (principal, action in [Writ::Action::"sql:select", Writ::Action::"sql:transaction",
                   Writ::Action::"sql:set"], resource in Writ::Target::"{TARGET}");
               @id("deletes") @hold("5m") permit (principal, action == Writ::Action::"sql:delete", resource in Writ::Target::"{TARGET}");
               @id("no-notes") forbid (principal, action, resource == Writ::Column::"{TARGET}/public.report.note");"#
        ),
    );
    let lines: Vec<Value> =
        replay(&stack, strict.path(), &["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let changes: Vec<(&str, &str, &str)> = lines
        .iter()
        .filter(|line| line["type"] == "change")
        .map(|line| {
            (line["statement"].as_str().unwrap(), line["now"].as_str().unwrap(), line["policies"][0].as_str().unwrap())
        })
        .collect();
    assert_eq!(changes.len(), 2, "{lines:#?}");
    assert!(changes.contains(&("select note from report where id = 4", "deny", "no-notes")), "{changes:?}");
    assert!(changes.contains(&("delete from report where id = 1", "hold", "deletes")), "{changes:?}");
    let sum = lines.last().unwrap();
    assert_eq!((&sum["type"], &sum["sessions_without_claims"]), (&"sum".into(), &0.into()), "{sum}");
    assert_eq!(sum["changes"], serde_json::json!({ "allow_to_deny": 1, "allow_to_hold": 1 }));

    let by_statement = replay(&stack, strict.path(), &["--by-statement"]);
    assert!(by_statement.contains("1 times, first in sess-"), "{by_statement}");

    // The claims are known: a policy that reads one decides as it would have.
    let none = other(
        &stack,
        r#"forbid (principal, action == Writ::Action::"connect", resource) when { principal.hasTag("sub") };"#,
    );
    let told = replay(&stack, none.path(), &["--target", TARGET]);
    assert!(told.contains("5 sessions would not be opened"), "{told}");
    assert!(replay(&stack, none.path(), &["--workload", "nobody"]).starts_with("0 commands of 0 sessions"));
    assert!(admin(&stack, &["ledger", "verify"]).unwrap().contains("verified"));
}

#[test]
fn a_proposal_covers_what_was_done_and_nothing_beside_it() {
    let stack = Stack::start().unwrap();
    stack.superuser("create table report (id int, note text); grant select, delete on report to public").unwrap();
    let run = |statements: &str| stack.psql(&stack.token().unwrap(), statements).unwrap().unwrap();
    for statement in
        ["select id from report where id = 4", "delete from report where id = 1", "select now(), pg_backend_pid()"]
    {
        run(statement);
    }
    run("begin; set local search_path = pg_temp, public; select count(*) from public.report; rollback");
    recorded(&stack, 5);

    let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "ls", "--json"]).unwrap()).unwrap();
    let writ = &page["items"][0]["writ"];
    let workload = format!("{}|{}", writ["issuer"].as_str().unwrap(), writ["subject"].as_str().unwrap());
    let proposal = admin(&stack, &["policy", "suggest", "--since", "1h", "--workload", &workload]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("suggested.cedar"), &proposal).unwrap();
    let told = replay(&stack, directory.path(), &[]);
    assert!(told.contains("5 commands of 5 sessions") && told.ends_with(": 0 would change"), "{told}\n{proposal}");

    let cases = tempfile::tempdir().unwrap();
    let denied = [
        "select note from other",
        "delete from report",
        "update report set id = 1",
        "set work_mem = '1GB'",
        "select pg_sleep(1)",
    ];
    let mut text = format!(
        "defaults:\n  claims: {{ iss: '{}', sub: '{}' }}\n  target: {TARGET}\ncases:\n",
        writ["issuer"].as_str().unwrap(),
        writ["subject"].as_str().unwrap()
    );
    for statement in denied {
        text.push_str(&format!("  - {{ statement: \"{statement}\", verdict: deny }}\n"));
    }
    std::fs::write(cases.path().join("cases.yaml"), text).unwrap();
    let (cases, policies) = (cases.path().to_str().unwrap(), directory.path().to_str().unwrap());
    let told = admin(&stack, &["policy", "test", cases, "--policies", policies]);
    assert_eq!(told.as_deref(), Ok("5 cases: 5 passed, 0 failed"), "{proposal}");
}

/// Prepared statements are executed by names and numbers: their texts are found again.
#[test]
fn what_a_driver_prepared_is_understood_when_it_is_executed() {
    let stack = Stack::start().unwrap();
    let mut client = stack.client(&fetched("venv").unwrap().join("bin/python"), &stack.token().unwrap());
    printed(client.arg(program("psycopg_client.py"))).unwrap();
    recorded(&stack, 2);
    let all = other(
        &stack,
        r#"permit (principal, action in [Writ::Action::"sql", Writ::Action::"sql:function"], resource);"#,
    );
    let told = replay(&stack, all.path(), &[]);
    assert!(told.ends_with(": 0 would change"), "{told}");
    let commands: u32 = told.split(' ').next().unwrap().parse().unwrap();
    assert!(commands > 20, "{told}");
}
