//! What clients can do with a writ's user, and what they cannot.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use mysql_async::prelude::Queryable as _;
use writ_provider_kit as kit;

use crate::server::{LIFE, Login, Server, code};

pub(crate) async fn the_servers_own_client_logs_in(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.mint(&writ).await.unwrap();
    let credential = minted.credential().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("client.cnf");
    let password = std::str::from_utf8(credential.secret.expose()).unwrap();
    let mut open = std::fs::OpenOptions::new();
    let written = open.create_new(true).write(true).mode(0o600).open(&file).unwrap();
    writeln!(&written, "[client]\nuser={}\npassword={password}", credential.principal).unwrap();
    let (program, arguments) = server.world.release().client().unwrap();
    let run = |tls: &[String], statement: &str| {
        let mut command = std::process::Command::new(&program);
        command.arg(format!("--defaults-file={}", file.display())).args(&arguments).args(tls);
        command.args(["--batch", "--skip-column-names", "--protocol=TCP", "--host=127.0.0.1"]);
        command.arg(format!("--port={}", server.world.port())).args(["--execute", statement]);
        let output = command.env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let ca = server.world.ca_file();
    let ca = format!("--ssl-ca={}", ca.display());
    let (secure, plain) = if server.mariadb() {
        (vec!["--ssl-verify-server-cert".to_owned(), ca], vec!["--skip-ssl".to_owned()])
    } else {
        let plain = vec!["--ssl-mode=DISABLED".to_owned(), "--get-server-public-key".to_owned()];
        (vec!["--ssl-mode=VERIFY_IDENTITY".to_owned(), ca], plain)
    };
    let (out, err) = run(&secure, "SELECT CURRENT_USER(), id FROM payments.orders");
    assert_eq!(out.trim_end(), format!("{}@%\t7", credential.principal), "{err}");
    let (out, err) = run(&plain, "SELECT 1");
    assert!(out.is_empty() && err.contains("ERROR 1045"), "{out}{err}");
    // It was the missing TLS, and nothing else.
    server.run(&format!("ALTER USER '{}'@'%' REQUIRE NONE", credential.principal)).await;
    let (out, err) = run(&plain, "SELECT 1");
    assert_eq!(out.trim_end(), "1", "{err}");
    server.revoke(&writ).await;
    let (out, err) = run(&secure, "SELECT 1");
    assert!(out.is_empty() && err.contains("ERROR 1045"), "{out}{err}");
}

pub(crate) async fn sessions_neither_see_nor_end_each_other(server: &Server) {
    let (one, other) = (kit::writ(Some("app".to_owned()), LIFE), kit::writ(Some("app".to_owned()), LIFE));
    let (first, second) = (server.mint(&one).await.unwrap(), server.mint(&other).await.unwrap());
    let mut session = server.session(&first).await.unwrap();
    let mut victim = server.session(&second).await.unwrap();
    let seen: Vec<String> = session.query("SELECT USER FROM information_schema.PROCESSLIST").await.unwrap();
    assert_eq!(seen, [first.credential().unwrap().principal.clone()]);
    assert_eq!(code(session.query_drop(format!("KILL {}", victim.id())).await), 1095);
    victim.query_drop("SELECT 1").await.unwrap();
    // Nor do the revocation of one and its sessions touch the other.
    server.revoke(&one).await;
    session.query_drop("SELECT 1").await.unwrap_err();
    victim.query_drop("SELECT 1").await.unwrap();
    server.revoke(&other).await;
    victim.query_drop("SELECT 1").await.unwrap_err();
}

pub(crate) async fn a_session_cannot_make_a_login_for_itself(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.mint(&writ).await.unwrap();
    let user = &minted.credential().unwrap().principal;
    let mut session = server.session(&minted).await.unwrap();
    for statement in [
        "CREATE USER mine IDENTIFIED BY 'x'",
        "ALTER USER writ_broker@'%' IDENTIFIED BY 'x'",
        "GRANT app TO writ_broker@'%'",
        "GRANT SELECT ON payments.* TO writ_broker@'%'",
    ] {
        let refused = code(session.query_drop(statement).await);
        assert!([1044, 1227, 1396, 1410, 1698].contains(&refused), "{statement}: {refused}");
    }
    let known = session.query_drop("SET PASSWORD = 'known'").await;
    let beside = Login { user, password: b"known-canary-known-canary-known-c", tls: true };
    if server.mariadb() {
        drop(known);
        session.query_drop("SET PASSWORD = PASSWORD('known-canary-known-canary-known-c')").await.unwrap();
        // Its own connection is all that it has room for.
        assert_eq!(code(server.login(&beside).await), 1226);
    } else {
        assert_eq!(code(known), 3892);
        assert_eq!(code(server.login(&beside).await), 1045);
    }
    server.revoke(&writ).await;
    assert_eq!(code(server.login(&beside).await), 1045);
}
