use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use writ_core::credential::Secret;

use super::config::DatabaseConfig;
use super::{scram, sql};

type Change = fn(&mut DatabaseConfig);

fn config() -> DatabaseConfig {
    DatabaseConfig {
        user: "writ_broker".to_owned(),
        password_file: None,
        password_env: Some("WRIT_DB_PASSWORD".to_owned()),
        database: "postgres".to_owned(),
        host: None,
        port: None,
        default_roles: Vec::new(),
        scram_iterations: 1,
        pool_size: 4,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    }
}

/// RFC 7677, section 3.
#[test]
fn the_verifier_of_the_rfcs_example() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    assert_eq!(
        scram::verifier_with(&Secret::new(b"pencil".to_vec()), iterations, &salt),
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
         wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
}

#[test]
fn passwords_are_fresh_and_plain() {
    let (one, other) = (scram::password().unwrap(), scram::password().unwrap());
    assert!(one != other);
    assert_eq!(one.expose().len(), 43);
    assert!(one.expose().iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
}

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!(sql::name("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
    assert_eq!(sql::text("it's"), "'it''s'");
    assert_eq!(sql::text("a\\'b"), "E'a\\\\''b'");
    assert!(!sql::can_name_a_role(&"x".repeat(64)));
    assert!(!sql::can_name_a_role(""));
}

#[test]
fn a_mistake_says_what_to_write() {
    config().validate().unwrap();
    let wrong: [(Change, &str); 8] = [
        (|c| c.password_env = None, "write `password_file` or `password_env`"),
        (|c| c.password_file = Some("x".into()), "write one of the two"),
        (|c| c.user = String::new(), "1 to 63 bytes"),
        (|c| c.user = "writ-1".to_owned(), "name another role"),
        (|c| c.default_roles = vec!["writ_broker".to_owned()], "name roles for sessions only"),
        (|c| c.scram_iterations = 0, "write a number from 1 to 100000"),
        (|c| c.pool_size = 65, "write a number from 1 to 64"),
        (|c| c.call_timeout_ms = 1, "write a number from 100 to 60000"),
    ];
    for (change, expected) in wrong {
        let mut config = config();
        change(&mut config);
        let text = config.validate().unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.ends_with('.'), "{text}");
    }
}
