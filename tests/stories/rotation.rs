//! A static password that Writ changes, in turns of two users: sessions open before and after, and go on meanwhile.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::stack::{Stack, printed};

use super::canary::{Canary, files, found};
use super::evidence::{admin, eventually, holding};

const POLICY: &str = "@id(\"orders\")\n@record(\"full\")\npermit (principal is Writ::Workload, action in \
                      Writ::Action::\"use\", resource == Writ::Target::\"orders\");\n";

fn stack() -> Stack {
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        // Before the broker's first look: a turn that finds no users would be begun anew a minute later.
        let statements = "create role app_a login password 'canary-of-app-a'; create role app_b login; \
                          create role writ_rotator login createrole password 'canary-of-the-rotator'";
        printed(Command::new("/usr/bin/psql").arg(cluster.url("postgres")).args(["-X", "-q", "-c", statements]))?;
        let (port, at) = (cluster.port(), at.display().to_string());
        let write = |name: &str, text: &str| std::fs::write(format!("{at}/{name}"), text).unwrap();
        write("policies/orders.cedar", POLICY);
        write("rotator.password", "canary-of-the-rotator");
        write("orders.json", r#"{"username":"app_a","password":"canary-of-app-a","engine":"postgres"}"#);
        Ok(configuration
            + &format!(
                "\n[[broker.target]]\nname = \"orders\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"disable\"\n\n\
                 [broker.target.provider.static]\npassword_file = \"{at}/orders.json\"\n\n\
                 [broker.target.provider.static.rotation]\nusers = [\"app_a\", \"app_b\"]\nevery = \"30d\"\n\n\
                 [broker.target.provider.static.rotation.postgres]\nuser = \"writ_rotator\"\n\
                 password_file = \"{at}/rotator.password\"\n"
            ))
    });
    stack.unwrap()
}

fn shown(stack: &Stack) -> Value {
    serde_json::from_str(&admin(stack, &["targets", "show", "orders", "--json"]).unwrap()).unwrap()
}

/// The secret's user and password, and whether its other field is there still.
fn secret(stack: &Stack) -> (String, String) {
    let text = std::fs::read_to_string(stack.state().join("orders.json")).unwrap();
    let secret: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(secret["engine"], "postgres");
    let text = |name: &str| secret[name].as_str().unwrap().to_owned();
    (text("username"), text("password"))
}

fn psql(stack: &Stack) -> Command {
    let mut psql = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    psql.env("PGUSER", "orders").env("PGDATABASE", "postgres").args(["-X", "-A", "-t", "-q"]);
    psql
}

/// As whom a new session is seen.
fn seen(stack: &Stack) -> String {
    let output = psql(stack).args(["-c", "select session_user"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_static_password_takes_turns_and_nobody_is_shut_out() {
    let stack = stack();
    // The first is due by itself, since nobody knows how old the password is.
    let ended = || {
        let shown = shown(&stack);
        let ended = shown["rotation"]["last"]["state"] == "ended";
        if ended { Ok(shown) } else { Err(shown.to_string()) }
    };
    let first = eventually(ended).or_else(|_| eventually(ended));
    assert_eq!(first.unwrap()["rotation"]["last"]["user"], "app_b");
    assert_eq!((seen(&stack), secret(&stack).0), ("app_b".to_owned(), "app_b".to_owned()));
    let mut passwords = vec![secret(&stack).1];

    let mut lasting = psql(&stack).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = lasting.stdin.take().unwrap();
    let mut output = lasting.stdout.take().unwrap();
    input.write_all(b"select 'begun';\n").unwrap();
    let mut begun = [0; 5];
    output.read_exact(&mut begun).unwrap();
    for user in ["app_a", "app_b"] {
        let said = admin(&stack, &["targets", "rotate", "orders", "--reason", "it leaked"]).unwrap();
        assert!(said.contains(&format!("`{user}` has a new password")) && said.contains("static:file:"), "{said}");
        assert_eq!((seen(&stack), secret(&stack).0), (user.to_owned(), user.to_owned()));
        passwords.push(secret(&stack).1);
    }
    input.write_all(b"select session_user || ' goes on';\n").unwrap();
    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(lasting.wait().unwrap().success() && rest.contains("app_b goes on"), "{rest}");

    // One that cannot be made says why, and is seen by whoever looks.
    let file = stack.state().join("orders.json");
    let kept = std::fs::read(&file).unwrap();
    std::fs::write(&file, "none").unwrap();
    let refused = stack.writ(&["targets", "rotate", "orders", "--reason", "again"]).unwrap();
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.contains("stopped while reading the secret") && refused.contains("no JSON object"), "{refused}");
    std::fs::write(&file, kept).unwrap();
    let told = admin(&stack, &["targets", "show", "orders"]).unwrap();
    assert!(told.contains("failed since: 1") && told.contains("stopped while reading the secret"), "{told}");
    assert!(admin(&stack, &["targets", "ls"]).unwrap().contains("failed since: 1"));
    assert_eq!(seen(&stack), "app_b");

    let ledger = stack.state().join("broker/evidence/ledger");
    let states =
        ["begun", "set", "verified", "switched", "ended", "failed"].map(|state| format!("\"state\":\"{state}\""));
    for words in states.iter().map(String::as_str).chain(["\"credential_turned\"", "\"it leaked\""]) {
        let kept = || holding(&ledger, words.as_bytes());
        eventually(|| if kept().is_empty() { Err(format!("the ledger has no {words}")) } else { Ok(()) }).unwrap();
    }
    admin(&stack, &["ledger", "verify"]).unwrap();
    let canaries: Vec<Canary> = passwords
        .iter()
        .map(|password| Canary::new("a password", password.as_bytes(), std::slice::from_ref(&file)))
        .collect();
    assert_eq!(canaries.len(), 3);
    assert_eq!(found(&canaries, &files(stack.state())), Vec::<String>::new());
    let log = stack.cluster().log();
    assert!(passwords.iter().all(|password| !log.contains(password)));
}
