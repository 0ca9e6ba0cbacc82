//! A statement that policy holds waits in the protocol until a human has answered, with clients as they are.

use std::io::Read as _;
use std::process::{Child, Stdio};

use serde_json::Value;
use writ_world::stack::{Stack, printed};

use super::clients::{fetched, program};
use super::evidence::{admin, eventually};

const POLICY: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands") @uses("100")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("all")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:select", Writ::Action::"sql:insert",
    Writ::Action::"sql:transaction", Writ::Action::"sql:prepared"], resource in Writ::Target::"payments");

@id("delete") @hold("2m")
permit (principal is Writ::Workload, action == Writ::Action::"sql:delete", resource in Writ::Target::"payments");

@id("truncate") @hold("1s")
permit (principal is Writ::Workload, action == Writ::Action::"sql:truncate", resource in Writ::Target::"payments");

@id("update") @hold("2m") @approvers("dba") @hold_in_transaction("1m")
permit (principal is Writ::Workload, action == Writ::Action::"sql:update", resource in Writ::Target::"payments");
"#;

pub(super) fn stack() -> Stack {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        std::fs::write(at.join("policies/workload.cedar"), POLICY).map_err(|error| error.to_string())?;
        Ok(configuration)
    });
    let stack = stack.unwrap();
    stack.superuser("create table notes as select n from generate_series(1, 10) n; grant all on notes to app").unwrap();
    stack
}

pub(super) fn psql(stack: &Stack, statement: &str) -> Child {
    let mut command = stack.client("psql".as_ref(), &stack.token().unwrap());
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn output(mut child: Child) -> (bool, String) {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().success(), said)
}

/// The only question that waits for an answer.
pub(super) fn asked(stack: &Stack) -> Result<Value, String> {
    eventually(|| {
        let listed = admin(stack, &["approvals", "ls", "--json"])?;
        let all: Vec<Value> = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
        let mut asked: Vec<Value> = all.into_iter().filter(|approval| approval["state"] == "asked").collect();
        asked.pop().ok_or_else(|| "nothing is asked".to_owned())
    })
}

pub(super) fn state(stack: &Stack, approval: &str, expected: &str) {
    eventually(|| {
        let shown: Value = serde_json::from_str(&admin(stack, &["approvals", "show", approval, "--json"])?).unwrap();
        if shown["state"] == expected { Ok(()) } else { Err(format!("it is {}", shown["state"])) }
    })
    .unwrap();
}

pub(super) fn id(approval: &Value) -> String {
    approval["id"].as_str().unwrap().to_owned()
}

pub(super) fn left(stack: &Stack) -> String {
    stack.superuser("select count(*) from notes").unwrap().trim().to_owned()
}

#[test]
fn what_is_approved_goes_through_and_what_is_denied_does_not() {
    let stack = stack();
    let held = psql(&stack, "delete from notes where n <= 3");
    let question = asked(&stack).unwrap();
    assert_eq!(question["statement"], "delete from notes where n <= 3");
    assert_eq!(left(&stack), "10", "nothing reached the server");
    let shown = admin(&stack, &["approvals", "show", &id(&question)]).unwrap();
    assert!(shown.contains("held by    delete") && shown.contains("delete from notes where n <= 3"), "{shown}");
    let answered = admin(&stack, &["approvals", "approve", &id(&question), "--reason", "a test"]).unwrap();
    assert!(answered.ends_with("is approved"), "{answered}");
    let (good, said) = output(held);
    assert!(good && said.contains("DELETE 3"), "{said}");
    assert!(said.contains("NOTICE:  writ: this statement waits for an approval: https://"), "{said}");
    assert_eq!(left(&stack), "7");
    state(&stack, &id(&question), "used");
    let again = admin(&stack, &["approvals", "approve", &id(&question), "--reason", "a test"]).unwrap_err();
    assert!(again.contains("nobody waits for an answer any more"), "{again}");

    let held = psql(&stack, "delete from notes");
    let question = asked(&stack).unwrap();
    admin(&stack, &["approvals", "deny", &id(&question), "--reason", "not today"]).unwrap();
    let (good, said) = output(held);
    assert!(!good && said.contains("an approver denied it: not today"), "{said}");
    assert_eq!(left(&stack), "7");

    let session = question["session"].as_str().unwrap().to_owned();
    let verified = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "show", &session, "--json"])?).unwrap();
        if page["closed"].is_null() { Err("it is not over".to_owned()) } else { Ok(()) }
    });
    verified.unwrap();
    let replayed = admin(&stack, &["sessions", "replay", &session, "--speed", "0"]).unwrap();
    assert!(replayed.contains("approval.denied"), "{replayed}");
}

/// Whom a list of the broker names; what it says of them may still change.
fn ids(stack: &Stack, list: &str) -> Vec<String> {
    let page: Value = serde_json::from_str(&admin(stack, &[list, "ls", "--json"]).unwrap()).unwrap();
    page["items"].as_array().unwrap().iter().map(id).collect()
}

/// Until a human has answered, psql waits at its login, and there is no session and no writ.
#[test]
fn a_connection_waits_until_it_is_approved() {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        let held = r#"
            @id("held") @hold("2m")
            permit (principal is Writ::Workload, action == Writ::Action::"connect", resource == Writ::Target::"payments")
            when { context has database && context.database == "template1" };
        "#;
        let policies = format!("{POLICY}{}", held.replace("permit", "@role(\"app\") @ttl(\"15m\") @uses(\"100\")\npermit"));
        std::fs::write(at.join("policies/workload.cedar"), policies).map_err(|error| error.to_string())?;
        Ok(configuration)
    })
    .unwrap();
    let before = ["sessions", "writs"].map(|list| ids(&stack, list));
    let psql = |statement| {
        let mut command = stack.client("psql".as_ref(), &stack.token().unwrap());
        command.args(["-X", "-A", "-t", "-d", "template1", "-c", statement]).env("PGCONNECT_TIMEOUT", "60");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let held = psql("select 41 + 1");
    let question = asked(&stack).unwrap();
    assert_eq!((&question["waits"], &question["policies"][0]), (&"connection".into(), &"held".into()));
    let shown = admin(&stack, &["approvals", "show", &id(&question)]).unwrap();
    assert!(shown.contains("connect to payments as app"), "{shown}");
    assert_eq!(["sessions", "writs"].map(|list| ids(&stack, list)), before, "no session and no writ more");
    admin(&stack, &["approvals", "approve", &id(&question), "--reason", "a test"]).unwrap();
    let (good, said) = output(held);
    assert!(good && said.contains("42"), "{said}");
    assert!(said.contains("NOTICE:  writ: this connection waits for an approval: https://"), "{said}");
    let session = question["session"].as_str().unwrap();
    admin(&stack, &["sessions", "show", session]).unwrap();

    let held = psql("select 1");
    let question = asked(&stack).unwrap();
    admin(&stack, &["approvals", "deny", &id(&question), "--reason", "not today"]).unwrap();
    let (good, said) = output(held);
    assert!(!good && said.contains("FATAL:  an approver denied it: not today"), "{said}");

    let mut left = psql("select 1");
    let question = asked(&stack).unwrap();
    left.kill().unwrap();
    left.wait().unwrap();
    state(&stack, &id(&question), "withdrawn");
    let held = psql("select 1");
    let question = asked(&stack).unwrap();
    admin(&stack, &["freeze", "--all", "--reason", "a test"]).unwrap();
    state(&stack, &id(&question), "withdrawn");
    assert!(!output(held).0);
}

#[test]
fn what_nobody_waits_for_is_withdrawn_and_what_nobody_answers_is_over() {
    let stack = stack();
    // A client that cancels.
    let held = psql(&stack, "delete from notes");
    let question = asked(&stack).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(held.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let (good, said) = output(held);
    assert!(!good && said.contains("canceling statement due to user request"), "{said}");
    state(&stack, &id(&question), "withdrawn");
    // A client that leaves.
    let mut held = psql(&stack, "delete from notes");
    let question = asked(&stack).unwrap();
    held.kill().unwrap();
    held.wait().unwrap();
    state(&stack, &id(&question), "withdrawn");
    // Nobody who answers.
    let (good, said) = output(psql(&stack, "truncate notes"));
    assert!(!good && said.contains("the approval was not given in time"), "{said}");
    assert_eq!(left(&stack), "10");
}

#[test]
fn a_window_covers_statements_like_it_so_often_and_no_more() {
    let stack = stack();
    let held = psql(&stack, "delete from notes where n = 1");
    let question = asked(&stack).unwrap();
    let window = ["approvals", "approve", &id(&question), "--reason", "a test", "--window", "5", "--times", "1"];
    admin(&stack, &window).unwrap();
    assert!(output(held).0);
    let (good, said) = output(psql(&stack, "DELETE FROM notes WHERE n = 2"));
    assert!(good && said.contains("DELETE 1"), "{said}");
    let held = psql(&stack, "delete from notes where n = 3");
    let question = asked(&stack).unwrap();
    admin(&stack, &["approvals", "deny", &id(&question), "--reason", "the window is over"]).unwrap();
    assert!(!output(held).0);
    assert_eq!(left(&stack), "8");
}

#[test]
fn an_approver_of_another_group_cannot_answer() {
    let stack = stack();
    let held = psql(&stack, "update notes set n = 0");
    let question = asked(&stack).unwrap();
    let refused = admin(&stack, &["approvals", "approve", &id(&question), "--reason", "a test"]).unwrap_err();
    assert!(refused.contains("a member of `dba` has to answer"), "{refused}");
    drop(stack);
    drop(output(held));
}

#[test]
fn a_bind_waits_with_its_parameters_in_psycopg() {
    let stack = stack();
    let python = fetched("venv").unwrap().join("bin/python");
    let token = stack.session_token().unwrap();
    let mut client = stack.client(&python, &token);
    client.arg(program("psycopg_held.py")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = client.spawn().unwrap();
    for (parameter, approve) in [("1", true), ("2", false), ("3", true)] {
        let question = asked(&stack).unwrap_or_else(|nothing| {
            client.kill().unwrap();
            panic!("{nothing}: {:?}", client.stderr.take().map(std::io::read_to_string));
        });
        assert!(question["statement"].as_str().unwrap().starts_with("delete from notes where n = "), "{question}");
        let shown = question["parameters"][0]["value"].as_str().unwrap();
        assert!(shown.ends_with(parameter), "{question}");
        let answer = if approve { "approve" } else { "deny" };
        admin(&stack, &["approvals", answer, &id(&question), "--reason", "a test"]).unwrap();
    }
    let (good, said) = output(client);
    assert!(good && said.trim() == "held denied transaction pipeline", "{said}");
    assert_eq!(left(&stack), "8");
    let ledger = printed(
        std::process::Command::new(stack.binary()).arg("--state").arg(stack.state()).args(["ledger", "verify"]),
    );
    assert!(ledger.is_ok(), "{ledger:?}");
}
