//! A job tries a MySQL server and a MariaDB server: each sees a user of its own for the writ, and forgets it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::mysql::{Release, Server};
use writ_world::stack::Stack;

use super::evidence::{admin, eventually};

const GUIDE: &str = include_str!("../../docs/providers/mysql.md");
const PASSWORD: &str = "broker-login-canary-8d21";

/// A server whose admin has followed the documentation.
fn server(release: Release) -> Server {
    let server = Server::start(release).unwrap();
    let heading = if release.is_mariadb() { "\nMariaDB:\n" } else { "\nMySQL:\n" };
    let (_, after) = GUIDE.split_once(heading).unwrap();
    let block = after.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    server.run("CREATE ROLE app; CREATE DATABASE shop; GRANT SELECT ON shop.* TO app").unwrap();
    server.run(&block.replace("'PASSWORD'", &format!("'{PASSWORD}'"))).unwrap();
    server
}

fn configured(at: &Path, servers: &[(&str, &Server)], mut configuration: String) -> String {
    std::fs::write(at.join("mysql.password"), PASSWORD).unwrap();
    let mut policy = String::new();
    for (name, server) in servers {
        std::fs::write(at.join(format!("{name}.pem")), server.ca_pem()).unwrap();
        policy.push_str(&format!(
            "@id(\"{name}\") @ttl(\"15m\") @role(\"app\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
             resource == Writ::Target::\"{name}\");\n"
        ));
        let (port, at) = (server.port(), at.display());
        configuration.push_str(&format!(
            r#"
[[broker.target]]
name = "{name}"
protocol = "mysql"
host = "localhost"
port = {port}
ca_file = "{at}/{name}.pem"

[broker.target.provider.mysql]
user = "writ_broker"
password_file = "{at}/mysql.password"
client_host = "127.0.0.1"
"#
        ));
    }
    std::fs::write(at.join("policies/mysql.cedar"), policy).unwrap();
    configuration
}

/// `writ try`, as a job runs it.
fn tries(stack: &Stack, target: &str) -> Result<Value, String> {
    let mut command = Command::new(stack.binary());
    command.env_clear().args(["try", target, "--token-stdin", "--json", "--broker", &stack.broker(), "--ca-file"]);
    command.arg(stack.authority()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stack.token().unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_job_is_let_in_as_a_user_of_its_own() {
    let (mysql, mariadb) = (server(Release::Mysql9), server(Release::Mariadb10));
    let servers = [("shop-mysql", &mysql), ("shop-mariadb", &mariadb)];
    let stack = Stack::start_with(&[], |_, at, configuration| Ok(configured(at, &servers, configuration))).unwrap();
    for (name, server) in servers {
        admin(&stack, &["targets", "probe", name]).unwrap();
        let tried = tries(&stack, name).unwrap();
        let (writ, principal) = (tried["writ"].as_str().unwrap(), tried["principal"].as_str().unwrap());
        assert!(principal.starts_with(writ), "{tried}");
        assert_eq!((&tried["presented"], &tried["audit"]), (&Value::Bool(true), &tried["principal"]), "{tried}");
        // The server saw the user log in over TLS, by the writ's name, and knows it no more.
        let log = server.log();
        assert!(log.contains(&format!("{principal}@127.0.0.1 on  using SSL/TLS")), "{name}: {log}");
        // What an entry says is there at once; that it can be found, with the next checkpoint.
        eventually(|| {
            let found = admin(&stack, &["ledger", "find", writ])?;
            if found.contains("credential_presented") { Ok(()) } else { Err(found) }
        })
        .unwrap();
        eventually(|| {
            let left = server.run("SELECT User FROM mysql.user WHERE User LIKE 'writ-%'")?;
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .unwrap();
        assert!(!stack.log().contains(PASSWORD));
    }
    // A target that is down, or whose login has lost its rights, is no reason to let anybody in.
    mysql.run("REVOKE PROCESS ON *.* FROM writ_broker@'%'").unwrap();
    mysql
        .run("SELECT CONCAT('KILL ', ID) FROM information_schema.PROCESSLIST WHERE USER = 'writ_broker'")
        .unwrap()
        .lines()
        .for_each(|kill| {
            let _ = mysql.run(kill);
        });
    eventually(|| {
        let refused = tries(&stack, "shop-mysql").err().ok_or("it got in")?;
        let probed = admin(&stack, &["targets", "probe", "shop-mysql"]).err().ok_or("the probe found nothing")?;
        if probed.contains("GRANT PROCESS ON *.*") { Ok(()) } else { Err(format!("{refused}\n{probed}")) }
    })
    .unwrap();
}
