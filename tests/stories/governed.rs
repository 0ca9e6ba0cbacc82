//! Each client where policy masks, holds and denies at once, with approvers who answer while it runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use writ_world::packages;
use writ_world::stack::{Stack, printed};

use super::clients::{fetched, program};
use super::evidence::{admin, eventually};

const POLICY: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands") @uses("1000") @mask("governed")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("usual")
permit (principal is Writ::Workload, action in [Writ::Action::"sql:select", Writ::Action::"sql:insert", Writ::Action::"sql:copy_out",
    Writ::Action::"sql:copy_in", Writ::Action::"sql:transaction", Writ::Action::"sql:cursor", Writ::Action::"sql:prepared",
    Writ::Action::"sql:show", Writ::Action::"sql:set"], resource in Writ::Target::"payments");

@id("delete") @hold("2m")
permit (principal is Writ::Workload, action == Writ::Action::"sql:delete", resource in Writ::Target::"payments");

@id("secrets")
forbid (principal, action in Writ::Action::"sql", resource == Writ::Relation::"payments/public.secrets");
"#;

const MASKS: &str = r#"rules = [
    { name = "cards", detector = "pan", action = "partial" },
    { name = "names", column = "public.people.name", action = "redact" },
]
"#;

const TABLES: &str = "create table people (id int8 primary key, name text, card text, number int8); \
     insert into people values (0, 'Ada Lovelace', '4111111111111111', 4111111111111111), \
     (1, 'Grace Hopper', '5555555555554444', 5555555555554444); \
     create table notes as select n from generate_series(1, 99) n; create table secrets (n int); \
     grant all on people, notes, secrets to app";

fn stack() -> Stack {
    let stack = Stack::start_with(&[], |_, at, configuration| {
        for (name, text) in [("workload.cedar", POLICY), ("governed.mask.toml", MASKS)] {
            std::fs::write(at.join("policies").join(name), text).map_err(|error| error.to_string())?;
        }
        Ok(configuration)
    })
    .unwrap();
    stack.superuser(TABLES).unwrap();
    eventually(|| {
        let seen = stack.psql(&stack.token()?, "select id from people where id = 0")??;
        if seen == "0" { Ok(()) } else { Err(format!("`{seen}` came")) }
    })
    .unwrap();
    stack
}

/// Answers while `client` runs: a statement about a number that ends in 2 is denied, every other is approved.
fn answered(stack: &Stack, client: &mut Command) -> Result<String, String> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let approver = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let listed: Vec<Value> = serde_json::from_str(&admin(stack, &["approvals", "ls", "--json"])?)
                    .map_err(|error| error.to_string())?;
                for asked in listed.iter().filter(|approval| approval["state"] == "asked") {
                    let answer = if number(asked).is_some_and(|number| number % 10 == 2) { "deny" } else { "approve" };
                    // It may have been withdrawn meanwhile; then the client says what is wrong.
                    drop(admin(
                        stack,
                        &["approvals", answer, asked["id"].as_str().unwrap_or_default(), "--reason", "a test"],
                    ));
                }
                std::thread::park_timeout(std::time::Duration::from_millis(50));
            }
            Ok::<(), String>(())
        });
        let said = printed(client.env("PGCONNECT_TIMEOUT", "60"));
        over.store(true, Ordering::SeqCst);
        approver.thread().unpark();
        approver.join().map_err(|_| "the approver failed".to_owned())??;
        said
    })
}

/// The number that a question is about: its parameter, in text or in binary, or the first of its statement.
fn number(asked: &Value) -> Option<i64> {
    let parameter = &asked["parameters"][0];
    let digits =
        |text: &str| text.split(|letter: char| !letter.is_ascii_digit()).find(|part| !part.is_empty())?.parse().ok();
    match (parameter["value"].as_str(), parameter["binary"].as_bool()) {
        (Some(hex), Some(true)) => i64::from_str_radix(hex, 16).ok(),
        (Some(text), _) => digits(text),
        (None, _) => digits(asked["statement"].as_str()?),
    }
}

fn python(stack: &Stack, name: &str) -> String {
    let python = fetched("venv").unwrap().join("bin/python");
    let mut command = stack.client(&python, &stack.session_token().unwrap());
    answered(stack, command.arg(program(name))).unwrap()
}

#[test]
fn python_clients_are_masked_held_and_denied() {
    let stack = stack();
    assert_eq!(python(&stack, "asyncpg_governed.py").trim(), "held denied copy");
    assert_eq!(python(&stack, "sqlalchemy_governed.py").trim(), "psycopg asyncpg");
}

#[test]
fn node_postgres_is_masked_held_and_denied() {
    let stack = stack();
    let node = packages::need(Path::new("/usr/bin/node"), "`apt-get install nodejs`").unwrap();
    let mut command = stack.client(&node, &stack.session_token().unwrap());
    command.env("WRIT_NODE_MODULES", fetched("node").unwrap().join("package.json")).arg(program("pg_governed.mjs"));
    assert_eq!(answered(&stack, &mut command).unwrap().trim(), "held denied cursor");
}

#[test]
fn jdbc_is_masked_held_and_denied() {
    let stack = stack();
    let java = packages::need(Path::new("/usr/bin/java"), "`apt-get install default-jdk-headless`").unwrap();
    let mut command = stack.client(&java, &stack.session_token().unwrap());
    command.args(["-cp", "/usr/share/java/postgresql.jar"]).arg(program("JdbcGoverned.java"));
    assert_eq!(answered(&stack, &mut command).unwrap().trim(), "extended extendedForPrepared simple done");
}

/// A script of pgbench, in each of its modes: what it selects is masked, its delete waits, and its update ends it.
#[test]
fn pgbench_and_psql_are_masked_held_and_denied() {
    let stack = stack();
    let pgbench =
        packages::need(Path::new("/usr/lib/postgresql/15/bin/pgbench"), "`apt-get install postgresql`").unwrap();
    let scripts = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = scripts.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let held = "\\set id 1\nselect name, card from people where id = :id;\ndelete from notes where n = :n;\nselect card from people where id = :id;\n";
    let held = script("held", held);
    let denied = script("denied", "select card from people where id = 0;\nupdate notes set n = 0;\n");
    let run = |mode: &str, script: &Path, n: &str| {
        let mut command = stack.client(&pgbench, &stack.session_token().unwrap());
        command.args(["-n", "-c", "1", "-t", "2", "-M", mode, "-D", &format!("n={n}"), "-f"]).arg(script);
        answered(&stack, &mut command)
    };
    for (mode, n) in [("simple", "71"), ("extended", "73"), ("prepared", "74")] {
        let said = run(mode, &held, n).unwrap();
        assert!(said.contains("number of transactions actually processed: 2/2"), "{mode}: {said}");
        assert_eq!(stack.superuser(&format!("select count(*) from notes where n = {n}")).unwrap().trim(), "0");
        let said = run(mode, &denied, n).unwrap_err();
        assert!(said.contains("permission denied") || said.contains("policy"), "{mode}: {said}");
    }
    let session = "begin; insert into notes values (170); select name, card from people where id = 0; \\
        update notes set n = 0; commit; select count(*) from notes where n = 170";
    let file = script("psql", &session.replace("; ", ";\n"));
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    psql.args(["-X", "-A", "-t", "-f"]).arg(file).stderr(Stdio::piped());
    let said = answered(&stack, &mut psql).unwrap();
    assert!(said.contains("REDACTED|411111******1111") && said.trim().ends_with("\n0"), "{said}");
    let mut psql = stack.client("psql".as_ref(), &stack.token().unwrap());
    let copied = answered(&stack, psql.args(["-X", "-c", "\\copy public.people to stdout csv"])).unwrap();
    assert_eq!(copied.trim(), "0,REDACTED,411111******1111,\n1,REDACTED,555555******4444,");
}

/// What pg_dump asks of the catalog takes functions that this policy does not permit: nothing is dumped.
#[test]
fn pg_dump_is_refused_where_policy_does_not_permit_what_it_asks() {
    let stack = stack();
    let pg_dump =
        packages::need(Path::new("/usr/lib/postgresql/15/bin/pg_dump"), "`apt-get install postgresql`").unwrap();
    let mut command = stack.client(&pg_dump, &stack.token().unwrap());
    let refused = printed(command.args(["--data-only", "--table", "public.people"])).unwrap_err();
    assert!(refused.contains("policy") && !refused.contains("Lovelace") && !refused.contains("4111"), "{refused}");
}
