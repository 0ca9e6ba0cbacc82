//! `writ dev` before a database that was there already, with a login that may create roles and nothing more.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use writ_world::packages;
use writ_world::postgres::{self, Cluster, Version};
use writ_world::stack::{binary, printed};

const LIMIT: Duration = Duration::from_secs(60);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn superuser(cluster: &Cluster, database: &str, statement: &str) -> String {
    let mut command = Command::new(packages::need(Path::new("/usr/bin/psql"), "`apt-get install postgresql`").unwrap());
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, "-d", database, "-h", "127.0.0.1"]);
    command.args(["-U", postgres::SUPERUSER, "-p", &cluster.port().to_string()]);
    printed(command.env("PGPASSWORD", cluster.password()).stdin(Stdio::null())).unwrap()
}

#[test]
fn a_login_that_the_database_refuses_is_said_at_once() {
    let cluster = Cluster::start(Version::V15).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (state, said) = (directory.path().join("state"), directory.path().join("said"));
    let output = std::fs::File::create(&said).unwrap();
    let mut command = Command::new(binary().unwrap());
    command.arg("--state").arg(&state).args(["dev", "--target"]);
    command.arg(format!("postgres://nobody@127.0.0.1:{}/postgres", cluster.port())).env("PGPASSWORD", "wrong");
    command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
    let mut running = Running(command.spawn().unwrap());
    let until = Instant::now() + LIMIT;
    let said = loop {
        let text = std::fs::read_to_string(&said).unwrap();
        if text.contains("(provider.misconfigured, request ") {
            break text;
        }
        assert!(running.0.try_wait().unwrap().is_none() && Instant::now() < until, "nothing is said: {text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(said.contains("sessions at `postgres` will be refused until its database takes the login"), "{said}");
    assert!(said.contains("password authentication failed for user \"nobody\""), "{said}");
}

#[test]
fn an_existing_database_is_reached_with_what_is_printed() {
    let cluster = Cluster::start(Version::V15).unwrap();
    let password = postgres::random_hex().unwrap();
    for statement in [
        "create role app".to_owned(),
        format!("create role maker login createrole password '{password}'"),
        "grant app to maker with admin option".to_owned(),
        "create database shop owner app".to_owned(),
    ] {
        superuser(&cluster, "postgres", &statement);
    }
    let directory = tempfile::tempdir().unwrap();
    let (state, said) = (directory.path().join("state"), directory.path().join("said"));
    let output = std::fs::File::create(&said).unwrap();
    let mut command = Command::new(binary().unwrap());
    command.arg("--state").arg(&state).args(["dev", "--role", "app", "--target"]);
    command.arg(format!("postgres://maker@127.0.0.1:{}/shop", cluster.port())).env("PGPASSWORD", &password);
    command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
    let mut running = Running(command.spawn().unwrap());
    let until = Instant::now() + LIMIT;
    let said = loop {
        let text = std::fs::read_to_string(&said).unwrap();
        if text.contains("Ctrl-C ends it") {
            break text;
        }
        assert!(running.0.try_wait().unwrap().is_none() && Instant::now() < until, "it is not up: {text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(said.contains("sslmode=verify-full sslrootcert=") && !said.contains(&password), "{said}");

    let printed_lines: Vec<&str> = said.lines().filter(|line| line.starts_with("  ")).map(str::trim).collect();
    let [export, psql, connect] = printed_lines.as_slice() else { panic!("{said}") };
    let path = format!("{}:{}", binary().unwrap().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let paste = format!("{export}; {psql} -X -A -t -c 'select current_user, current_database()'");
    let rows = printed(Command::new("bash").args(["-c", &paste]).env("PATH", &path).stdin(Stdio::null()));
    assert_eq!(rows.unwrap(), "app|shop");

    // The same without seeing a token: the gateway, its authority and the issuer are found in the state directory.
    let sees_none = format!("{connect} -X -A -t -c 'select current_user, current_database()'");
    let rows = printed(Command::new("bash").args(["-c", &sees_none]).env("PATH", &path).stdin(Stdio::null()));
    assert_eq!(rows.unwrap(), "app|shop");
    let shown = printed(Command::new(binary().unwrap()).arg("whoami").arg("--state").arg(&state)).unwrap();
    assert!(shown.starts_with("source") && shown.contains("dev (`http://127.0.0.1:"), "{shown}");

    // Denied by a policy that is changed while it runs, and the operator finds out why by what the client was told.
    let policy = state.join("policies").join("dev.cedar");
    let narrow = std::fs::read_to_string(&policy).unwrap().replace("\"production\"", "\"test\"");
    std::fs::write(&policy, narrow).unwrap();
    let again = || printed(Command::new("bash").args(["-c", &paste]).env("PATH", &path).stdin(Stdio::null()));
    let until = Instant::now() + LIMIT;
    let refused = loop {
        match again() {
            Err(refused) if refused.contains("(request ") => break refused,
            // Broker and gateway change one after the other.
            Err(refused) => assert!(refused.contains("try again in a moment") && Instant::now() < until, "{refused}"),
            Ok(_) => assert!(Instant::now() < until, "the changed policy is not in force"),
        }
    };
    let (_, request) = refused.split_once("(request ").unwrap();
    let (request, _) = request.split_once(')').unwrap();
    let find =
        |id: &str| printed(Command::new(binary().unwrap()).arg("--state").arg(&state).args(["ledger", "find", id]));
    let found = loop {
        // The ledger's files are written a moment after the entry is durable.
        match find(request) {
            Ok(found) => break found,
            Err(fault) => assert!(fault.contains("no entry of the ledger names") && Instant::now() < until, "{fault}"),
        }
    };
    assert!(found.contains("policy.no_permit") && found.contains(request), "{found}");
    assert!(find("req-1").unwrap_err().contains("`req-1` is no identifier"));

    for secret in ["admin-token", "request-token", "shop.password"] {
        assert_eq!(std::fs::metadata(state.join(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
    kill(Pid::from_raw(i32::try_from(running.0.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(running.0.wait().unwrap().success());
    assert_eq!(
        superuser(&cluster, "shop", "select count(*) from pg_roles where rolname like 'writ-%'"),
        "0",
        "{}",
        std::fs::read_to_string(directory.path().join("said")).unwrap()
    );
}

#[test]
fn another_machine_is_not_served() {
    let mut command = Command::new(binary().unwrap());
    command.args(["dev", "--listen", "0.0.0.0:0", "--target", "postgres://maker@127.0.0.1:1/shop"]);
    let refused = printed(&mut command).unwrap_err();
    assert!(refused.contains("`0.0.0.0:0` is not a loopback address"), "{refused}");
}
