//! The gateway's back door: how it makes sure whom it logs in to, and what it never gives to a server that asks.

use std::path::Path;

use serde_json::Value;
use writ_world::postgres::{Cluster, Version};
use writ_world::stack::{Stack, printed};

use super::evidence::{admin, eventually};
use super::middle::{Middle, Plus};

const PASSWORD: &str = "upstream-4a51c07d";

/// A target of the provider `static`: its name is also its user at the server.
struct Target<'a> {
    name: &'a str,
    host: &'a str,
    port: u16,
    tls: &'a str,
    ca_file: &'a str,
}

impl Target<'_> {
    fn table(&self, at: &Path) -> String {
        let Self { name, host, port, tls, ca_file } = self;
        let ca_file =
            if *tls == "disable" { String::new() } else { format!("ca_file = \"{}/{ca_file}\"\n", at.display()) };
        format!(
            "\n[[broker.target]]\nname = \"{name}\"\nhost = \"{host}\"\nport = {port}\ntls = \"{tls}\"\n{ca_file}\n\
             [broker.target.provider.static]\nuser = \"{name}\"\npassword_file = \"{}/upstream.password\"\n",
            at.display()
        )
    }
}

/// A stack with more targets, the users behind them, and these lines before the others in the server's `pg_hba.conf`.
fn stack(
    settings: &[&str],
    rules: &str,
    targets: impl FnOnce(&Cluster, &Path) -> Vec<(String, &'static str)>,
) -> Stack {
    let mut users = Vec::new();
    let stack = Stack::start_with(settings, |cluster, at, configuration| {
        let policy = "@id(\"static\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", resource)\n\
                      unless { resource == Writ::Target::\"payments\" };\n";
        std::fs::write(at.join("policies/static.cedar"), policy).unwrap();
        std::fs::write(at.join("upstream.password"), PASSWORD).unwrap();
        std::fs::write(at.join("ca.pem"), cluster.ca_pem()).unwrap();
        let tables = targets(cluster, at);
        users.extend(tables.iter().map(|(_, user)| *user));
        Ok(tables.into_iter().fold(configuration, |text, (table, _)| text + &table))
    })
    .unwrap();
    for user in users {
        let encryption = if user.contains("md5") { "md5" } else { "scram-sha-256" };
        let create =
            format!("set password_encryption = '{encryption}'; create role {user} login password '{PASSWORD}'");
        stack.superuser(&create).unwrap();
    }
    let file = stack.cluster().data().join("pg_hba.conf");
    let others = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{rules}\n{others}")).unwrap();
    stack.superuser("select pg_reload_conf()").unwrap();
    let read = || stack.superuser("select count(*) from pg_hba_file_rules where user_name && '{md5_tls,clear_tls}'");
    eventually(|| read().and_then(|count| if rules.is_empty() || count != "0" { Ok(()) } else { Err(count) })).unwrap();
    stack
}

/// Runs a statement on the database `payments` behind `target`.
fn ask(stack: &Stack, target: &str, statement: &str) -> Result<String, String> {
    let mut psql = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    printed(psql.env("PGUSER", target).args(["-X", "-A", "-t", "-c", statement]))
}

/// The client hears no more than that it failed; the operator reads why.
fn refused(stack: &Stack, target: &str, why: &str) {
    let said = ask(stack, target, "select 1").unwrap_err();
    let told = ["FATAL:  the target cannot be logged in to", "FATAL:  the target cannot be reached"];
    assert!(told.iter().any(|words| said.contains(words)) && !said.contains(why), "{target}: {said}");
    eventually(|| if stack.log().contains(why) { Ok(()) } else { Err(format!("{target}: {}", stack.log())) }).unwrap();
    eventually(|| {
        let page: Value =
            serde_json::from_str(&admin(stack, &["sessions", "ls", "--json"])?).map_err(|error| error.to_string())?;
        let rows = page["items"].as_array().ok_or("no sessions")?;
        let row = rows.iter().find(|row| row["writ"]["target"] == target).ok_or("no session")?;
        if row["end"] == "not_opened" && row["writ"]["state"] != "open" { Ok(()) } else { Err(row.to_string()) }
    })
    .unwrap();
}

#[test]
fn the_gateway_logs_in_as_the_server_asks_if_that_is_safe() {
    let rules = "hostssl all md5_tls all md5\nhostnossl all md5_plain all md5\nhostssl all clear_tls all password\n\
                 hostnossl all clear_plain all password\nhost all trusted all trust\nhost all ident_only all ident\n";
    let stack = stack(&["log_connections=on"], rules, |cluster, at| {
        let names =
            ["scram_tls", "scram_plain", "md5_tls", "md5_plain", "clear_tls", "clear_plain", "trusted", "ident_only"];
        let target = |name: &'static str| {
            let tls = if name.ends_with("plain") { "disable" } else { "verify-full" };
            Target { name, host: "localhost", port: cluster.port(), tls, ca_file: "ca.pem" }.table(at)
        };
        names.map(|name| (target(name), name)).into()
    });
    const SHOWN: &str = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()";
    for (name, shown) in [
        ("scram_tls", "scram_tls|t"),
        ("scram_plain", "scram_plain|f"),
        ("md5_tls", "md5_tls|t"),
        ("md5_plain", "md5_plain|f"),
        ("clear_tls", "clear_tls|t"),
        ("trusted", "trusted|t"),
    ] {
        assert_eq!(ask(&stack, name, SHOWN).unwrap(), shown);
    }
    refused(&stack, "clear_plain", "asks for the password in the clear on a connection without TLS");
    refused(&stack, "ident_only", "the target refused the login: 28000");
    let log = stack.cluster().log();
    for (name, method) in [("scram_tls", "scram-sha-256"), ("md5_tls", "md5"), ("clear_tls", "password")] {
        assert!(
            log.contains(&format!("connection authenticated: identity=\"{name}\" method={method}")),
            "{name}: {log}"
        );
    }
    assert!(!log.contains("identity=\"clear_plain\""), "{log}");

    // Whoever reads the writ sees that its credential outlives it.
    let page: Value = serde_json::from_str(&admin(&stack, &["sessions", "ls", "--json"]).unwrap()).unwrap();
    let rows = page["items"].as_array().unwrap();
    let row = rows.iter().find(|row| row["writ"]["target"] == "scram_tls").unwrap();
    let credential = &row["writ"]["credential"];
    assert_eq!((&credential["kind"], &credential["long_lived"]), (&"static_password".into(), &true.into()));
}

#[test]
fn a_server_that_is_not_who_it_should_be_gets_nothing() {
    let plain = Cluster::start_with(Version::V15, &["ssl=off"]).unwrap();
    let stranger = Cluster::start(Version::V15).unwrap();
    let stack = stack(&["listen_addresses=localhost,127.0.0.2", "log_connections=on"], "", |cluster, at| {
        std::fs::write(at.join("stranger.pem"), stranger.ca_pem()).unwrap();
        let target = |name, host, port, ca_file| Target { name, host, port, tls: "verify-full", ca_file }.table(at);
        vec![
            (target("wrong_authority", "localhost", cluster.port(), "stranger.pem"), "wrong_authority"),
            (target("wrong_name", "127.0.0.2", cluster.port(), "ca.pem"), "wrong_name"),
            (target("no_tls", "localhost", plain.port(), "ca.pem"), "no_tls"),
            (target("nobody", "localhost", 1, "ca.pem"), "nobody"),
            (target("right", "127.0.0.1", cluster.port(), "ca.pem"), "right"),
        ]
    });
    refused(&stack, "wrong_authority", "invalid peer certificate");
    refused(&stack, "wrong_name", "not valid for name");
    refused(&stack, "no_tls", "the target offers no TLS; turn it on there");
    refused(&stack, "nobody", "Connection refused");
    assert_eq!(ask(&stack, "right", "select 6 * 7").unwrap(), "42");
    // Not so much as a user's name came before the verification.
    let log = stack.cluster().log();
    assert!(!log.contains("user=wrong_") && log.contains("user=right"), "{log}");
    assert!(!plain.log().contains("no_tls"), "{}", plain.log());
}

/// Somebody stands between gateway and server with a certificate of an authority that the gateway trusts.
#[test]
fn channel_binding_tells_a_server_from_somebody_between() {
    let middles = [Plus::Kept, Plus::Taken].map(|plus| Middle::start(plus).unwrap());
    let rules = "hostssl all md5_tls all md5\n";
    let stack = stack(&["log_connections=on"], rules, |cluster, at| {
        let authorities = middles.iter().fold(cluster.ca_pem().to_owned(), |all, middle| all + middle.ca_pem());
        std::fs::write(at.join("both.pem"), authorities).unwrap();
        for middle in &middles {
            middle.forward_to(cluster.port());
        }
        let target =
            |name, port| Target { name, host: "localhost", port, tls: "verify-full", ca_file: "both.pem" }.table(at);
        vec![
            (target("md5_tls", middles[0].port()), "md5_tls"),
            (target("bound", middles[0].port()), "bound"),
            (target("downgraded", middles[1].port()), "downgraded"),
            (target("straight", cluster.port()), "straight"),
        ]
    });
    assert_eq!(ask(&stack, "straight", "select 6 * 7").unwrap(), "42");
    // It does stand between, and md5 does not notice.
    assert_eq!(ask(&stack, "md5_tls", "select 6 * 7").unwrap(), "42");
    refused(&stack, "bound", "28000 `SCRAM channel binding check failed`");
    refused(&stack, "downgraded", "the target refused the login: 28000");
    let log = stack.cluster().log();
    assert!(log.contains("SCRAM channel binding check failed"), "{log}");
    assert!(log.contains("SCRAM channel binding negotiation error"), "{log}");
}
