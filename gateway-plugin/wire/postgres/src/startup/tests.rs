use std::sync::Arc;

use writ_core::fault::{Blame, Fault};

use super::{AuthMethod, ClientLogin, LoginSettings, OAuth, Pending, Step, Transport};
use crate::cancel::{BackendKey, CancelKey};
use crate::frame;

const V3_0: u32 = 196_608;
const V3_2: u32 = 196_610;

fn settings() -> Arc<LoginSettings> {
    let oauth = OAuth { discovery_url: "https://i\"/x".to_owned(), scope: "openid".to_owned() };
    Arc::new(LoginSettings { tls: true, auth: AuthMethod::Password, oauth: Some(oauth) })
}

fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_untagged(&mut out, |out| {
        out.extend_from_slice(&version.to_be_bytes());
        for (name, value) in parameters {
            frame::write_text(out, name.as_bytes());
            frame::write_text(out, value.as_bytes());
        }
        out.push(0);
    });
    out
}

fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_untagged(&mut out, |out| {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(rest);
    });
    out
}

fn password(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'p', |out| out.extend_from_slice(text));
    out
}

fn begin(transport: Transport) -> ClientLogin {
    ClientLogin::new(settings(), transport)
}

fn more(step: Step) -> ClientLogin {
    match step {
        Step::More(login) => login,
        other => panic!("{other:?}"),
    }
}

/// Logs in inside TLS with these parameters and a password.
fn log_in(version: u32, parameters: &[(&str, &str)]) -> Result<Pending, Fault> {
    let mut out = Vec::new();
    let bytes = startup(version, parameters);
    let (consumed, step) = begin(Transport::Tls).handle(&bytes, &mut out)?;
    assert_eq!(consumed, bytes.len());
    assert!(out.ends_with(b"R\0\0\0\x08\0\0\0\x03"));
    match more(step).handle(&password(b"token\0"), &mut out)?.1 {
        Step::Token(pending) => Ok(pending),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_names_target_role_database_and_settings() {
    let options = r"-c statement_timeout=5s --search-path=a\ b -cwrit.auth=password";
    let pending = log_in(V3_0, &[("user", "pay/reader"), ("application_name", "ci"), ("options", options)]).unwrap();
    let startup = pending.startup();
    assert_eq!(startup.target.as_str(), "pay");
    assert_eq!(startup.role.as_deref(), Some("reader"));
    assert_eq!(startup.database, "pay");
    assert_eq!(startup.application_name.as_deref(), Some("ci"));
    let expected = [("statement_timeout", "5s"), ("search_path", "a b")];
    assert_eq!(startup.parameters, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(pending.token(), b"token");
    assert_eq!(pending.key_length(), 4);
    assert!(!format!("{pending:?}").contains("token\""));
}

#[test]
fn what_is_not_on_the_list_is_refused_by_name() {
    for (name, value, named) in [
        ("role", "postgres", "`role`"),
        ("session_authorization", "postgres", "`session_authorization`"),
        ("replication", "database", "`replication`"),
        ("shared_preload_libraries", "x", "`shared_preload_libraries`"),
        ("options", "-c role=postgres", "`role`"),
        ("options", "--session-authorization=x", "`session_authorization`"),
        ("options", r"-c r\ole=postgres", "`role`"),
        ("options", "-F", "`-F`"),
    ] {
        let fault = log_in(V3_0, &[("user", "pay"), (name, value)]).unwrap_err();
        assert_eq!(fault.blame, Blame::NotAllowed);
        assert!(fault.public.contains(named) && fault.help.is_some(), "{fault}");
    }
}

#[test]
fn a_database_whose_name_the_server_would_cut_is_refused() {
    let name = |length: usize| "d".repeat(length);
    let pending = log_in(V3_0, &[("user", "payments"), ("database", &name(63))]).unwrap();
    assert_eq!(pending.startup().database, name(63));
    let fault = log_in(V3_0, &[("user", "payments"), ("database", &name(64))]).unwrap_err();
    assert_eq!((fault.code, fault.blame), ("postgres.database", Blame::Peer));
}

#[test]
fn a_plain_connection_is_refused_before_a_password_is_asked_for() {
    let mut out = Vec::new();
    let fault = begin(Transport::Plain).handle(&startup(V3_0, &[("user", "pay")]), &mut out).unwrap_err();
    assert_eq!(fault.blame, Blame::NotAllowed);
    assert!(out.is_empty());
    assert!(begin(Transport::PlainAllowed).handle(&startup(V3_0, &[("user", "pay")]), &mut out).is_ok());
}

#[test]
fn bytes_before_tls_are_refused() {
    let request = packet(80_877_103, b"");
    let mut out = Vec::new();
    let (consumed, step) = begin(Transport::Plain).handle(&request, &mut out).unwrap();
    assert!(matches!(step, Step::StartTls(_)) && consumed == 8 && out == b"S");
    let smuggled = [request, startup(V3_0, &[("user", "pay")])].concat();
    out.clear();
    assert!(begin(Transport::Plain).handle(&smuggled, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn gssenc_is_declined_and_cancels_are_read() {
    let mut out = Vec::new();
    let (_, step) = begin(Transport::Plain).handle(&packet(80_877_104, b""), &mut out).unwrap();
    assert_eq!(out, b"N");
    for length in [4, 32, 256] {
        let key = BackendKey { pid: 7, key: CancelKey::random(length).unwrap() };
        let mut bytes = Vec::new();
        key.write_cancel_request(&mut bytes);
        match begin(Transport::Plain).handle(&bytes, &mut out).unwrap().1 {
            Step::Cancel(read) => assert_eq!(read, key),
            other => panic!("{other:?}"),
        }
    }
    drop(step);
    assert!(CancelKey::new(&[0; 3]).is_none() && CancelKey::new(&[0; 257]).is_none());
}

#[test]
fn newer_versions_and_options_are_negotiated() {
    let mut out = Vec::new();
    begin(Transport::Tls).handle(&startup(V3_2 + 5, &[("user", "pay"), ("_pq_.x", "1")]), &mut out).unwrap();
    assert!(out.starts_with(b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0R"), "{out:?}");
    let key = BackendKey { pid: 1, key: CancelKey::random(32).unwrap() };
    let pending = log_in(V3_2, &[("user", "pay")]).unwrap();
    assert_eq!(pending.key_length(), 32);
    let mut out = Vec::new();
    pending.accept([(&b"server_version"[..], &b"18"[..])], &key, &mut out);
    assert!(out.starts_with(b"R\0\0\0\x08\0\0\0\0S") && out.ends_with(b"Z\0\0\0\x05I"));
}

#[test]
fn oauthbearer_takes_a_token_or_says_where_to_get_one() {
    let begun = || {
        let mut out = Vec::new();
        let bytes = startup(V3_0, &[("user", "pay"), ("options", "-c writ.auth=oauthbearer")]);
        more(begin(Transport::Tls).handle(&bytes, &mut out).unwrap().1)
    };
    let initial = |data: &[u8]| {
        let mut body = b"OAUTHBEARER\0".to_vec();
        body.extend_from_slice(&(data.len() as u32).to_be_bytes());
        body.extend_from_slice(data);
        password(&body)
    };
    let mut out = Vec::new();
    match begun().handle(&initial(b"n,,\x01auth=Bearer abc\x01\x01"), &mut out).unwrap().1 {
        Step::Token(pending) => {
            assert_eq!(pending.token(), b"abc");
            let told = String::from_utf8(pending.rejection().unwrap()).unwrap();
            assert!(told.contains(r#""status":"invalid_token""#), "{told}");
        }
        other => panic!("{other:?}"),
    }
    for fine in
        [&b"y,,\x01auth=bearer a.b-c_d~e+f/g==\x01\x01"[..], b"n,,\x01host=x\x01auth=Bearer a\x01port=1\x01\x01"]
    {
        assert!(matches!(begun().handle(&initial(fine), &mut out).unwrap().1, Step::Token(_)));
    }
    let fault = match begun().handle(&initial(b"n,,\x01auth=\x01\x01"), &mut out).unwrap().1 {
        Step::Told(fault) => fault,
        other => panic!("{other:?}"),
    };
    let text = String::from_utf8(out.clone()).unwrap();
    assert!(text.contains(r#"{"status":"invalid_token","scope":"openid","openid-configuration":"https://i\"/x"}"#));
    assert_eq!((fault.code, fault.blame), ("postgres.oauth_discovery", Blame::NotAllowed));
    for bad in [
        &b"p=x,,\x01auth=Bearer a\x01\x01"[..],
        b"n,a=x,\x01auth=Bearer a\x01\x01",
        b"n,,",
        b"",
        b"n,,\x01auth=Basic a\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        b"n,,\x01auth=\x01auth=Bearer b\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer a\0b\x01\x01",
        b"n,,\x01auth=Bearer ==\x01\x01",
        b"n,,\x01auth=Bearer a=b\x01\x01",
        b"n,,\x01auth=Bearer a\x01",
    ] {
        assert!(begun().handle(&initial(bad), &mut out).is_err());
    }
}

#[test]
fn oauthbearer_data_may_come_behind_an_empty_challenge() {
    let mut out = Vec::new();
    let bytes = startup(V3_0, &[("user", "pay"), ("options", "-c writ.auth=oauthbearer")]);
    let login = more(begin(Transport::Tls).handle(&bytes, &mut out).unwrap().1);
    out.clear();
    let login = more(login.handle(&password(b"OAUTHBEARER\0\xff\xff\xff\xff"), &mut out).unwrap().1);
    assert_eq!(out, b"R\0\0\0\x08\0\0\0\x0b");
    match login.handle(&password(b"n,,\x01auth=Bearer abc\x01\x01"), &mut out).unwrap().1 {
        Step::Token(pending) => assert_eq!(pending.token(), b"abc"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn oauthbearer_is_for_tls_alone() {
    let asked = startup(V3_0, &[("user", "pay"), ("options", "-c writ.auth=oauthbearer")]);
    let mut out = Vec::new();
    let fault = begin(Transport::PlainAllowed).handle(&asked, &mut out).unwrap_err();
    assert_eq!((fault.code, fault.blame), ("postgres.oauth_plain", Blame::NotAllowed));
    assert!(out.is_empty());
}

#[test]
fn a_password_that_is_refused_is_answered_with_the_error_alone() {
    assert!(log_in(V3_0, &[("user", "pay")]).unwrap().rejection().is_none());
}

#[test]
fn a_login_method_that_is_not_known_is_refused() {
    for method in ["", "OAUTHBEARER", "scram", "password "] {
        let fault = log_in(V3_0, &[("user", "pay"), ("writ.auth", method)]).unwrap_err();
        assert_eq!(fault.code, "postgres.auth_option", "{method}");
    }
}

#[test]
fn a_reason_is_taken_off_and_held_to_one_plain_line() {
    let reason = |parameters: &[(&str, &str)]| {
        let pending = log_in(V3_0, &[&[("user", "pay")], parameters].concat())?;
        assert!(pending.startup().parameters.is_empty(), "it goes no further");
        Ok(pending.startup().reason.as_ref().map(|reason| reason.as_str().to_owned()))
    };
    let longest = "x".repeat(256);
    assert_eq!(reason(&[]), Ok(None));
    assert_eq!(reason(&[("writ.reason", "")]), Ok(None));
    assert_eq!(reason(&[("options", r"-c writ.reason=ticket\ 42")]), Ok(Some("ticket 42".to_owned())));
    assert_eq!(reason(&[("writ.reason", &longest)]), Ok(Some(longest.clone())));
    let both = [("options", "-c writ.reason=theirs"), ("writ.reason", "the way's")];
    assert_eq!(reason(&both), Ok(Some("the way's".to_owned())), "the last one holds");
    for wrong in [&format!("{longest}x"), "two\nlines", "\u{1b}[2J", "\u{202e}turned"] {
        let fault: Fault = reason(&[("writ.reason", wrong)]).unwrap_err();
        assert_eq!((fault.code, fault.blame), ("postgres.reason", Blame::Peer));
        assert!(fault.help.is_some() && !fault.public.contains(wrong), "{fault}");
    }
}

proptest::proptest! {
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), code in 0_usize..5) {
        let code = [V3_0, V3_2, 80_877_102, 80_877_103, 80_877_104][code];
        let mut out = Vec::new();
        let _ = begin(Transport::Tls).handle(&bytes, &mut out);
        let _ = begin(Transport::Tls).handle(&packet(code, &bytes), &mut out);
    }

    #[test]
    fn no_bearer_message_panics_or_brings_another_token(noise in "[n,y,p=a\\x01uthBer .=\\PC]{0,60}", behind in proptest::bool::ANY) {
        let mut out = Vec::new();
        let asked = startup(V3_0, &[("user", "pay"), ("options", "-c writ.auth=oauthbearer")]);
        let login = more(begin(Transport::Tls).handle(&asked, &mut out).unwrap().1);
        let data = noise.as_bytes();
        let (login, message) = if behind {
            (more(login.handle(&password(b"OAUTHBEARER\0\xff\xff\xff\xff"), &mut out).unwrap().1), data.to_vec())
        } else {
            (login, [b"OAUTHBEARER\0", &(data.len() as u32).to_be_bytes()[..], data].concat())
        };
        if let Ok((_, Step::Token(pending))) = login.handle(&password(&message), &mut out) {
            let shown = String::from_utf8(pending.token().to_vec()).unwrap();
            proptest::prop_assert!(noise.contains(&shown) && !shown.contains([' ', '\x01', ',']));
        }
    }
}

#[test]
fn a_token_in_the_wrong_place_is_not_repeated_whole() {
    let token = "eyJhbGciOiJFUzI1NiJ9.".repeat(9);
    let option = format!("-x{token}");
    for (name, value) in [("user", &token), ("options", &option), (token.as_str(), &"x".to_owned())] {
        let mut parameters = vec![("user", "payments")];
        parameters.push((name, value.as_str()));
        let fault = log_in(V3_0, &parameters).unwrap_err();
        assert!(fault.public.len() < 100 && fault.detail.len() < 200, "{fault:?}");
    }
}

#[test]
fn what_a_client_wrote_makes_no_log_line_of_its_own() {
    let forged = "x\n2026-01-01 INFO all is well\u{1b}[2K";
    for (name, value) in [("user", forged), (forged, "x"), ("options", "-c\u{85}x"), ("options", "-c writ.auth=\u{7}")]
    {
        let fault = log_in(V3_0, &[("user", "pay"), (name, value)]).unwrap_err();
        let shown = format!("{}{fault:?}", fault.public);
        assert!(!shown.contains(|character: char| character.is_control()), "{shown:?}");
    }
}
