use std::time::Duration;

use mysql_async::{Column, Row, Value, consts::ColumnType};
use mysql_common::row::new_row;
use writ_core::credential::Secret;
use writ_core::id::{SessionId, WritId};
use writ_core::provider::ProviderFault;
use writ_core::target::{Address, UpstreamTls};
use writ_core::time::Timestamp;

use super::config::MysqlConfig;
use super::connect::Connector;
use super::dialect::Server;
use super::{fault, mint, revoke, rights, rows, sql, verifier};

type Change = fn(&mut MysqlConfig);

fn config() -> MysqlConfig {
    MysqlConfig {
        user: "writ_broker".to_owned(),
        password_file: None,
        password_env: Some("WRIT_DB_PASSWORD".to_owned()),
        host: None,
        port: None,
        client_host: "%".to_owned(),
        default_roles: Vec::new(),
        pool_size: 4,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    }
}

/// As crypt(3) of the C library and `openssl passwd -5` say, for the default of 5000 rounds.
#[test]
fn the_digest_is_that_of_crypt() {
    let stored = verifier::caching_sha2(b"Hello world!", b"saltstring");
    assert_eq!(stored, "$A$005$saltstring5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5");
}

/// RFC 8032, section 7.1, test 1.
#[test]
fn the_public_key_of_the_rfcs_example() {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    assert_eq!(verifier::ed25519(&seed).unwrap(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    verifier::ed25519(b"too short").unwrap_err();
}

#[test]
fn passwords_are_fresh_and_plain() {
    for (server, length) in [(Server::Mysql, 43), (Server::Mariadb, 32)] {
        let (one, stored) = verifier::fresh(server).unwrap();
        let (other, _) = verifier::fresh(server).unwrap();
        assert!(one != other);
        assert_eq!(one.expose().len(), length);
        assert!(one.expose().iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert!(!stored.contains(['\'', '\\', '`']));
    }
    // `$A$005$`, 20 characters of salt and 43 of digest.
    assert_eq!(verifier::fresh(Server::Mysql).unwrap().1.len(), 2 * (7 + 20 + 43));
}

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!(sql::name("a`; DROP ROLE x; --"), "`a``; DROP ROLE x; --`");
    assert_eq!(sql::account("a`b", "%"), "`a``b`@`%`");
    assert_eq!(sql::text("it's\\"), "X'697427735C'");
    for wrong in ["", "ends in space ", "zero\0"] {
        assert!(!sql::can_name(wrong));
    }
    assert!(sql::can_name(&"é".repeat(32)));
    assert!(!sql::can_name(&"x".repeat(33)));
}

#[test]
fn the_writ_is_in_the_name() {
    let (id, end) = (WritId::fresh(), Timestamp::from_second(1_790_000_000).unwrap());
    assert!(Server::Mysql.principal(id, end).len() <= 32);
    assert!(Server::Mariadb.principal(id, end).len() <= 80);
    let attribute = end.to_string();
    for server in [Server::Mysql, Server::Mariadb] {
        assert_eq!(server.writ_of(&server.principal(id, end), Some(&attribute)), Some((id, end)));
    }
    assert_eq!(Server::Mysql.writ_of(&id.to_string(), None), None);
    for name in
        ["writ-like".to_owned(), id.to_string(), format!("{id}-"), format!("{id}-x"), SessionId::fresh().to_string()]
    {
        assert_eq!(Server::Mariadb.writ_of(&name, Some(&attribute)), None, "{name}");
    }
}

#[test]
fn servers_are_told_apart() {
    for (version, server) in [
        ("9.7.4-2", Server::Mysql),
        ("8.4.3", Server::Mysql),
        ("10.11.19-MariaDB-0+deb12u1-log", Server::Mariadb),
        ("11.8.9-MariaDB-0+deb13u1 from Debian", Server::Mariadb),
    ] {
        assert_eq!(Server::of_version(version), Ok(server));
    }
    for version in ["8.0.46", "5.7.44", "10.6.1-MariaDB", "", "nonsense"] {
        let text = Server::of_version(version).unwrap_err();
        assert!(text.detail().contains("or later is needed"), "{text:?}");
    }
}

#[test]
fn rights_are_read_from_grants() {
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let mysql = [
        "GRANT PROCESS, CREATE USER ON *.* TO `writ_broker`@`%`",
        "GRANT ALLOW_NONEXISTENT_DEFINER,CONNECTION_ADMIN ON *.* TO `writ_broker`@`%`",
    ];
    rights::suffice(Server::Mysql, &lines(&mysql), "writ_broker").unwrap();
    let text = rights::suffice(Server::Mysql, &lines(&mysql[..1]), "writ_broker").unwrap_err();
    let expected = "GRANT CONNECTION_ADMIN, ALLOW_NONEXISTENT_DEFINER ON *.* TO `writ_broker`";
    assert!(text.detail().contains(expected), "{text:?}");
    let mariadb = [
        "GRANT PROCESS, CREATE USER, CONNECTION ADMIN ON *.* TO `writ_broker`@`%` IDENTIFIED BY PASSWORD '*D8' REQUIRE SSL",
        "GRANT SELECT, UPDATE ON `mysql`.* TO `writ_broker`@`%`",
    ];
    rights::suffice(Server::Mariadb, &lines(&mariadb), "writ_broker").unwrap();
    let text = rights::suffice(Server::Mariadb, &lines(&mariadb[..1]), "writ_broker").unwrap_err();
    assert!(text.detail().contains("GRANT SELECT, UPDATE ON mysql.*") && !text.detail().contains("*D8"), "{text:?}");
    // A right on one schema, or a column's, is not the right on all.
    let narrow = ["GRANT CREATE USER, PROCESS ON `payments`.* TO `writ_broker`@`%`"];
    rights::suffice(Server::Mysql, &lines(&narrow), "writ_broker").unwrap_err();
}

#[test]
fn a_syntax_errors_excerpt_is_left_out() {
    let answer = mysql_async::ServerError {
        code: 1064,
        message: "You have an error near 'AS 0x244124-canary'".to_owned(),
        state: "42000".to_owned(),
    };
    let fault = fault::of("making the user", &mysql_async::Error::Server(answer));
    assert!(!fault.detail().contains("canary") && fault.detail().contains("1064"), "{fault:?}");
}

fn row(values: &[Value]) -> Row {
    let columns: Vec<Column> = values.iter().map(|_| Column::new(ColumnType::MYSQL_TYPE_VAR_STRING)).collect();
    new_row(values.to_vec(), columns.into())
}

/// A server that is odd, or that lies: the client crate's own conversions would panic.
#[test]
fn rows_of_another_form_are_a_fault() {
    let text = || Value::from("text");
    assert_eq!(rows::read::<String>("asking", vec![row(&[text()])]), Ok(vec!["text".to_owned()]));
    for odd in [row(&[Value::NULL]), row(&[]), row(&[text(), text()]), row(&[Value::Bytes(vec![0xff])])] {
        let fault = rows::read::<String>("asking", vec![row(&[text()]), odd.clone()]).unwrap_err();
        assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("another form")), "{odd:?}: {fault:?}");
    }
    for odd in [row(&[Value::NULL, text()]), row(&[text()]), row(&[])] {
        rows::read::<(String, Option<String>)>("asking", vec![odd]).unwrap_err();
    }
}

/// The broker comes back for a user that could not be dropped.
#[test]
fn a_user_that_is_left_is_looked_for_again() {
    let refused = || ProviderFault::Misconfigured("granting: denied".to_owned());
    assert_eq!(mint::undone(refused(), Ok(())), refused());
    for left in
        [ProviderFault::Refused("dropping: no".to_owned()), ProviderFault::Unreachable("dropping: late".to_owned())]
    {
        let detail = left.detail().to_owned();
        let fault = mint::undone(refused(), Err(left));
        assert!(
            matches!(&fault, ProviderFault::Unreachable(text) if text.contains("granting: denied") && text.contains(&detail))
        );
    }
}

#[test]
fn a_session_is_killed_once_and_looked_for_less_and_less() {
    let mut killed = revoke::Killed::default();
    assert_eq!(killed.fresh(vec![7, 9]), [7, 9]);
    assert_eq!(killed.fresh(vec![9, 7, 11]), [11]);
    assert!(killed.fresh(vec![7]).is_empty());
    let waits: Vec<Duration> = (0..40).map(|_| killed.wait()).collect();
    assert_eq!(waits[0], Duration::from_millis(10));
    assert!(waits.windows(2).all(|pair| pair[1] == (pair[0] * 2).min(Duration::from_millis(500))), "{waits:?}");
}

#[test]
fn no_plaintext() {
    let address = Address { host: "127.0.0.1".to_owned(), port: 3306, tls: UpstreamTls::Disable, ca_pem: None };
    let refused = Connector::new(&config(), &address, &Secret::new(b"x".to_vec())).err().unwrap().to_string();
    assert!(refused.contains("over TLS alone"), "{refused}");
}

#[test]
fn a_mistake_says_what_to_write() {
    config().validate().unwrap();
    let wrong: [(Change, &str); 12] = [
        (|c| c.password_env = None, "write `password_file` or `password_env`"),
        (|c| c.password_file = Some("x".into()), "write one of the two"),
        (|c| c.user = String::new(), "1 to 32 characters"),
        (|c| c.user = "writ-1".to_owned(), "name another"),
        (|c| c.host = Some(String::new()), "leave it out"),
        (|c| c.client_host = String::new(), "write `%`"),
        (|c| c.client_host = "10.0.0.1' OR '1".to_owned(), "write `%`"),
        (|c| c.default_roles = vec!["writ_broker".to_owned()], "name roles for sessions only"),
        (|c| c.default_roles = vec!["x".repeat(33)], "1 to 32 characters"),
        (|c| c.pool_size = 65, "write a number from 1 to 64"),
        (|c| c.call_timeout_ms = 1, "write a number from 100 to 60000"),
        (|c| c.sweep_limit = 0, "write a number from 1 to 10000"),
    ];
    for (change, expected) in wrong {
        let mut config = config();
        change(&mut config);
        let text = config.validate().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.ends_with('.'), "{text}");
    }
}
