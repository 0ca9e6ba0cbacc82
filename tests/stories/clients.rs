//! Ordinary programs and drivers: each does its own checks, and fails if one does not hold.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use writ_world::packages;
use writ_world::stack::{Stack, printed};

use super::shared;

#[test]
fn psql_runs_a_statement_as_the_role_that_policy_grants() {
    for stack in stacks().unwrap() {
        let token = stack.token().unwrap();
        assert_eq!(stack.psql(&token, "select current_user, 6 * 7").unwrap().unwrap(), "app|42");
    }
}

/// Where statements are not judged, and where each is and policy permits all of them: clients must not notice.
const ALL: &str = r#"
@id("workload") @ttl("15m") @role("app") @record("commands")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");

@id("all") @rows("1000000")
permit (principal is Writ::Workload, action in [Writ::Action::"sql", Writ::Action::"sql:unknown"],
    resource in Writ::Target::"payments");
"#;

fn stacks() -> Result<[Arc<Stack>; 2], String> {
    static JUDGED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut known = JUDGED.lock().unwrap_or_else(PoisonError::into_inner);
    let judged = match known.upgrade() {
        Some(running) => running,
        None => Arc::new(Stack::start_with(&[], |_, at, configuration| {
            std::fs::write(at.join("policies/workload.cedar"), ALL).map_err(|error| error.to_string())?;
            Ok(configuration)
        })?),
    };
    *known = Arc::downgrade(&judged);
    drop(known);
    Ok([shared()?, judged])
}

#[test]
fn pgbench_runs_in_every_mode() {
    stacks().unwrap().iter().for_each(|stack| pgbench_runs(stack));
}

fn pgbench_runs(stack: &Stack) {
    let pgbench =
        packages::need(Path::new("/usr/lib/postgresql/15/bin/pgbench"), "`apt-get install postgresql`").unwrap();
    let mut initialise = Command::new(&pgbench);
    initialise.args([
        "-i",
        "-q",
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
        "-p",
        &stack.cluster().port().to_string(),
        "payments",
    ]);
    printed(initialise.env("PGPASSWORD", stack.cluster().password())).unwrap();
    for table in ["accounts", "branches", "tellers", "history"] {
        stack.superuser(&format!("alter table pgbench_{table} owner to app")).unwrap();
    }
    let token = stack.session_token().unwrap();
    for mode in ["simple", "extended", "prepared"] {
        for workload in ["select-only", "tpcb-like"] {
            let mut command = stack.client(&pgbench, &token);
            command.args(["-n", "-c", "8", "-j", "2", "-t", "20", "-M", mode, "-b", workload]);
            let said = printed(&mut command).unwrap();
            assert!(said.contains("number of transactions actually processed: 160/160"), "{mode} {workload}: {said}");
        }
    }
}

#[test]
fn psycopg_works() {
    python("psycopg_client.py", "cancel").unwrap();
}

#[test]
fn asyncpg_works() {
    python("asyncpg_client.py", "parameters").unwrap();
}

#[test]
fn sqlalchemy_works() {
    python("sqlalchemy_client.py", "check").unwrap();
}

#[test]
fn node_postgres_works() {
    let node = packages::need(Path::new("/usr/bin/node"), "`apt-get install nodejs`").unwrap();
    let node_modules = fetched("node").unwrap();
    run("notify", |stack, token| {
        let mut command = stack.client(&node, token);
        command.env("WRIT_NODE_MODULES", node_modules.join("package.json")).arg(program("pg_client.mjs"));
        command
    })
    .unwrap();
}

#[test]
fn jdbc_works() {
    let java = packages::need(Path::new("/usr/bin/java"), "`apt-get install default-jre-headless`").unwrap();
    stacks().unwrap().iter().for_each(|stack| jdbc_runs(stack, &java));
}

fn jdbc_runs(stack: &Stack, java: &Path) {
    let classes = format!("{}:/usr/share/java/postgresql.jar", fetched("java").unwrap().display());
    let mut command = stack.client(java, &stack.session_token().unwrap());
    let said = printed(command.args(["-cp", &classes, "JdbcClient"])).unwrap();
    assert!(said.contains("parameters"), "{said}");
}

fn python(name: &str, check: &str) -> Result<(), String> {
    let python = fetched("venv")?.join("bin/python");
    run(check, |stack, token| {
        let mut command = stack.client(&python, token);
        command.arg(program(name));
        command
    })
}

/// Runs a client with its pool, so that it reconnects, with a session token.
fn run(check: &str, client: impl Fn(&Stack, &str) -> Command) -> Result<(), String> {
    for stack in stacks()? {
        let mut command = client(&stack, &stack.session_token()?);
        let said = printed(command.env("WRIT_POOL", "1"))?;
        assert!(said.contains(check) && said.contains("pool"), "{said}");
    }
    Ok(())
}

pub(super) fn program(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// The drivers are the invoking user's: they are only read.
pub(super) fn fetched(name: &str) -> Result<std::path::PathBuf, String> {
    let cache = std::env::var_os("WRIT_TEST_CACHE").map(std::path::PathBuf::from);
    let cache = cache.unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cache/writ-test"));
    packages::need(&cache.join("clients").join(name), "`tests/world/scripts/fetch-clients`")
}
