//! The login at the target, message by message.

use writ_core::fault::{Blame, Fault};
use writ_wire_postgres::frame;
use writ_wire_postgres::upstream::{Login, ServerLogin, Step, application_name};

fn begin(tls: bool) -> ServerLogin {
    begin_with(tls, b"s3cret".to_vec())
}

fn begin_with(tls: bool, password: Vec<u8>) -> ServerLogin {
    let login = Login {
        user: "writ-1".to_owned(),
        password: password.into(),
        database: "pay".to_owned(),
        application_name: application_name("writ-1", Some("ci")),
        parameters: Vec::new(),
        tls,
    };
    ServerLogin::start(login, &mut Vec::new())
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, tag, |out| out.extend_from_slice(body));
    out
}

fn refused(login: ServerLogin, bytes: &[u8]) -> Option<Fault> {
    let mut out = Vec::new();
    let fault = login.handle(bytes, &mut out).err();
    assert!(out.is_empty());
    assert_eq!(fault.as_ref().map(|fault| fault.blame), Some(Blame::Target));
    fault
}

#[test]
fn a_login_gathers_parameters_and_the_key() {
    let ok = message(b'R', &[0; 4]);
    let rest = [message(b'S', b"TimeZone\0UTC\0"), message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]), message(b'Z', b"I")];
    let (consumed, step) = begin(false).handle(&[ok, rest.concat()].concat(), &mut Vec::new()).unwrap();
    let Step::Ready(upstream) = step else { panic!("not ready") };
    assert_eq!(consumed, 9 + 18 + 13 + 6);
    assert_eq!(upstream.parameters, [(b"TimeZone".to_vec(), b"UTC".to_vec())]);
    assert_eq!(upstream.key.map(|key| key.pid), Some(7));
}

#[test]
fn nothing_secret_goes_out_where_it_should_not() {
    refused(begin(false), &message(b'R', &[0, 0, 0, 3]));
    refused(begin(false), &message(b'R', &[0, 0, 0, 7]));
    refused(begin(true), b"N");
    refused(begin(true), b"Sx");
    let fault = refused(begin(false), &message(b'E', b"SFATAL\0C28P01\0Mpassword wrong\0\0")).unwrap();
    assert!(fault.detail.contains("28P01") && !fault.public.contains("password"));
}

/// Login tokens of RDS are kilobytes long, and servers take 64 KiB.
#[test]
fn a_long_password_goes_out_whole_and_only_inside_tls() {
    let token = b"t".repeat(8 * 1024);
    let (consumed, step) = begin_with(true, token.clone()).handle(b"S", &mut Vec::new()).unwrap();
    let (1, Step::StartTls(login)) = (consumed, step) else { panic!("no TLS") };
    let login = login.secured(None, &mut Vec::new());
    let mut out = Vec::new();
    login.handle(&message(b'R', &[0, 0, 0, 3]), &mut out).unwrap();
    assert_eq!(out, message(b'p', &[token.as_slice(), b"\0"].concat()));
    refused(begin_with(false, token), &message(b'R', &[0, 0, 0, 3]));
}
