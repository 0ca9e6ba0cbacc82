//! The gateway's front door, message by message: what is refused there, before and behind the login.

use std::io::Write as _;
use std::path::Path;

use writ_world::stack::{Stack, TARGET, printed};

use super::raw::{GSSENC_REQUEST, Raw, SSL_REQUEST, V3_0, V3_2, asked, dial, secure};
use super::shared;

#[test]
fn without_tls_the_refusal_comes_before_a_password_is_asked_for() {
    let stack = shared().unwrap();
    let mut raw = Raw::plain(stack.gateway_port());
    raw.startup(V3_0, &[("user", TARGET), ("database", TARGET)]);
    // The first thing said is the error: nothing has invited the client to show its token.
    let error = raw.refusal();
    assert_eq!((error[&'S'].as_str(), error[&'C'].as_str()), ("FATAL", "28000"));
    assert_eq!(error[&'M'], "a token is not taken without TLS");
    assert_eq!(error[&'H'], "connect with sslmode=verify-full");
    assert!(raw.is_closed());

    let mut psql = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    let said = printed(psql.env("PGSSLMODE", "disable").args(["-X", "-c", "select 1"])).unwrap_err();
    assert!(
        said.contains("FATAL:  a token is not taken without TLS\nHINT:  connect with sslmode=verify-full"),
        "{said}"
    );
}

#[test]
fn gssapi_encryption_is_answered_no_and_tls_can_still_be_asked_for() {
    let stack = shared().unwrap();
    let mut socket = dial(stack.gateway_port());
    assert_eq!(asked(&mut socket, &GSSENC_REQUEST), b'N');
    assert_eq!(asked(&mut socket, &SSL_REQUEST), b'S');
    let mut raw = secure(&stack, socket, &[]).unwrap();
    raw.startup(V3_0, &[("user", TARGET), ("database", TARGET)]);
    raw.password(&stack.token().unwrap());
    raw.until(b'Z');

    // Asked for again and again, it is no way to hold a connection.
    let mut socket = dial(stack.gateway_port());
    for _ in 0..3 {
        assert_eq!(asked(&mut socket, &GSSENC_REQUEST), b'N');
    }
    assert_eq!(asked(&mut socket, &GSSENC_REQUEST), b'E');
}

#[test]
fn startup_parameters_that_are_not_on_the_list_are_refused_by_name() {
    let stack = shared().unwrap();
    let choose = "connect as `target/database-role` to choose a role";
    let cases = [
        (("role", "postgres"), "startup parameter `role` is not allowed", choose),
        (("ROLE", "postgres"), "startup parameter `ROLE` is not allowed", choose),
        (("session_authorization", "postgres"), "startup parameter `session_authorization` is not allowed", choose),
        (("options", "-c role=postgres"), "startup parameter `role` is not allowed", choose),
        (("options", "--session-authorization=postgres"), "startup parameter `session_authorization` is not", choose),
        (("options", "-crole=postgres"), "startup parameter `role` is not allowed", choose),
        (("replication", "true"), "startup parameter `replication` is not allowed", "connect without replication"),
        (("replication", "database"), "startup parameter `replication` is not allowed", "connect without replication"),
        (("session_preload_libraries", "x"), "startup parameter `session_preload_libraries` is not", "leave it out"),
        (("options", "-c log_statement=none"), "startup parameter `log_statement` is not allowed", "leave it out"),
        (("options", "-E"), "`-E` in options is not allowed", "options takes `-c name=value`"),
        (("options", "-c writ.auth=none"), "no such login method: `none`", "`-c writ.auth=` takes"),
    ];
    for ((name, value), message, hint) in cases {
        let mut raw = Raw::secured(&stack);
        raw.startup(V3_0, &[("user", TARGET), (name, value)]);
        let error = raw.refusal();
        assert!(error[&'M'].starts_with(message), "{name}={value}: {error:?}");
        assert!(error[&'H'].starts_with(hint), "{name}={value}: {error:?}");
        assert!(["28000", "08P01"].contains(&error[&'C'].as_str()), "{name}={value}: {error:?}");
        assert!(raw.is_closed(), "{name}={value}");
    }
}

#[test]
fn options_on_the_list_take_effect() {
    let stack = shared().unwrap();
    let mut psql = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
    psql.env("PGOPTIONS", "-c statement_timeout=4321 --search-path=pg_catalog -c lock_timeout=1\\ s");
    let said = printed(psql.args(["-X", "-A", "-t", "-c", "show statement_timeout", "-c", "show search_path"]));
    assert_eq!(said.unwrap(), "4321ms\npg_catalog");
}

#[test]
fn function_calls_and_what_is_not_of_the_protocol_are_refused() {
    let stack = shared().unwrap();
    let mut raw = Raw::session(&stack, &stack.token().unwrap());
    // pg_backend_pid() by its number, no arguments, result in text.
    raw.message(b'F', &[2026_u32.to_be_bytes().as_slice(), &[0; 6]].concat());
    let error = raw.refusal();
    assert_eq!(error[&'C'], "42501", "{error:?}");
    assert!(error[&'M'].contains("function call"), "{error:?}");
    assert_eq!(raw.until(b'Z').last().unwrap().1, b"I");
    raw.message(b'Q', b"select 1\0");
    raw.until(b'Z');

    // Behind login there is no `p`, and no tag that the protocol does not have: the session ends.
    for tag in [b'p', b'!', 0, b'W'] {
        let mut raw = Raw::session(&stack, &stack.token().unwrap());
        raw.message(tag, b"\0");
        let error = raw.refusal();
        assert_eq!((error[&'S'].as_str(), error[&'C'].as_str()), ("FATAL", "08P01"), "{tag}: {error:?}");
        assert!(raw.is_closed());
    }
}

#[test]
fn a_replication_command_reaches_no_walsender() {
    let stack = shared().unwrap();
    for command in ["IDENTIFY_SYSTEM", "START_REPLICATION 0/0", "CREATE_REPLICATION_SLOT s PHYSICAL"] {
        let said = stack.psql(&stack.token().unwrap(), command).unwrap().unwrap_err();
        assert!(said.contains("syntax error"), "{command}: {said}");
    }
}

#[test]
fn a_newer_minor_version_is_negotiated_down_and_an_older_protocol_refused() {
    let stack = shared().unwrap();
    let mut raw = Raw::secured(&stack);
    raw.startup(0x0003_0009, &[("user", TARGET), ("_pq_.novelty", "1")]);
    let (tag, body) = raw.read().unwrap();
    assert_eq!((tag, &body[..8]), (b'v', [V3_2.to_be_bytes(), 1_u32.to_be_bytes()].concat().as_slice()));
    assert_eq!(&body[8..], b"_pq_.novelty\0");
    raw.password(&stack.token().unwrap());
    let key = raw.until(b'Z').into_iter().find(|(tag, _)| *tag == b'K').unwrap().1;
    assert_eq!(key.len(), 4 + 32);

    let mut raw = Raw::secured(&stack);
    raw.startup(0x0002_0000, &[]);
    assert_eq!(raw.refusal()[&'M'], "unsupported protocol version");
}

#[test]
fn direct_tls_names_the_protocol_or_is_refused() {
    let stack = shared().unwrap();
    let direct = |alpn: &[&[u8]]| secure(&stack, dial(stack.gateway_port()), alpn);
    let mut raw = direct(&[b"postgresql"]).unwrap();
    raw.startup(V3_0, &[("user", TARGET), ("database", TARGET)]);
    raw.password(&stack.token().unwrap());
    raw.until(b'Z');

    let error = direct(&[b"http/1.1"]).err().unwrap();
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // Without a protocol's name the handshake ends, and nothing is said behind it.
    assert!(direct(&[]).is_ok_and(|mut raw| raw.is_closed()));
}

/// Bytes in the clear behind a request for TLS are an attacker's: CVE-2021-23214.
#[test]
fn bytes_stuffed_behind_the_request_for_tls_are_refused() {
    let stack = shared().unwrap();
    let startup = [0, 0, 0, 23, 0, 3, 0, 0].as_slice();
    let stuffed = [&SSL_REQUEST, startup, b"user\0payments\0\0"].concat();
    let mut raw = Raw::plain(stack.gateway_port());
    raw.send(&stuffed);
    let error = raw.refusal();
    assert_eq!((error[&'C'].as_str(), error[&'M'].as_str()), ("08P01", "invalid startup packet"));
    assert!(raw.is_closed());

    // In a segment of their own they reach the TLS library, which takes nothing but a handshake.
    let mut socket = dial(stack.gateway_port());
    assert_eq!(asked(&mut socket, &SSL_REQUEST), b'S');
    socket.write_all(b"Q\0\0\0\x0dselect 1\0").unwrap();
    assert!(secure(&stack, socket, &[]).is_err());
    shows_no_harm(&stack);
    // A log that goes to a file has no colours in it.
    assert!(!stack.log().is_empty() && !stack.log().contains('\u{1b}'));
}

fn shows_no_harm(stack: &Stack) {
    assert_eq!(stack.psql(&stack.token().unwrap(), "select 1").unwrap().unwrap(), "1");
}
