//! Both logins: the client's at the gateway, the gateway's at the target.

use std::sync::Arc;

use writ_wire_postgres::startup::{AuthMethod, ClientLogin, LoginSettings, OAuth, Transport};
use writ_wire_postgres::upstream::{Login, ServerLogin};
use writ_wire_postgres::{startup, upstream};

use crate::{Input, pieces};

/// What the target's password is; it must never be sent as it is.
const PASSWORD: &[u8] = b"canary-password";

/// How a login came out: what was sent, and what it ended as.
type Ended = (Vec<u8>, String);

/// The first byte chooses how the listener is configured, the second a seed for the pieces; the rest is what a client sends.
pub(crate) fn startup(data: &[u8]) {
    let mut input = Input(data);
    let (choice, seed) = (input.byte(), input.byte());
    let settings = Arc::new(LoginSettings {
        tls: choice & 1 == 0,
        auth: if choice & 2 == 0 { AuthMethod::Password } else { AuthMethod::OAuthBearer },
        oauth: (choice & 4 == 0).then(|| OAuth {
            discovery_url: "https://id.example/.well-known/openid-configuration".to_owned(),
            scope: "openid".to_owned(),
        }),
    });
    let transport = match choice >> 6 {
        0 => Transport::Plain,
        1 => Transport::PlainAllowed,
        _ => Transport::Tls,
    };
    let whole = client(ClientLogin::new(Arc::clone(&settings), transport), &[input.0]);
    let cut = client(ClientLogin::new(settings, transport), &pieces(input.0, seed.into(), 9));
    assert_eq!(whole, cut, "a client's login depends on how its bytes are cut");
    assert!(transport != Transport::Plain || !whole.1.starts_with("token"), "a token was taken in the clear");
}

fn client(mut login: ClientLogin, pieces: &[&[u8]]) -> Ended {
    let (mut held, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let (consumed, step) = match login.handle(&held, &mut out) {
                Ok(step) => step,
                Err(fault) => return (out, format!("refused {} {}", fault.code, fault.public)),
            };
            assert!(consumed <= held.len());
            held.drain(..consumed);
            login = match step {
                startup::Step::More(next) => next,
                startup::Step::StartTls(_) => return (out, "tls".to_owned()),
                startup::Step::Told(_) => return (out, "told".to_owned()),
                startup::Step::Cancel(key) => return (out, format!("cancel {} {:?}", key.pid, key.key.expose())),
                startup::Step::Token(pending) => {
                    return (out, format!("token {:?} {:?}", pending.token(), pending.startup()));
                }
            };
            if consumed == 0 {
                break;
            }
        }
    }
    (out, "more".to_owned())
}

/// The first byte chooses where the login stands: without TLS, before it, inside it; the second is a seed for the pieces;
/// the rest is what a target sends.
pub(crate) fn upstream(data: &[u8]) {
    let mut input = Input(data);
    let (choice, seed) = (input.byte() % 3, input.byte());
    if choice == 1 {
        drop(server(begin(true), &[input.0]));
        return;
    }
    let start = || if choice == 0 { begin(false) } else { inside() };
    let whole = server(start(), &[input.0]);
    let told = whole.0.windows(PASSWORD.len()).any(|part| part == PASSWORD);
    assert!(choice == 2 || !told, "the password went out in the clear");
    let cut = server(start(), &pieces(input.0, seed.into(), 9));
    assert_eq!(whole.1, cut.1, "a target's login depends on how its bytes are cut");
}

fn begin(tls: bool) -> (ServerLogin, Vec<u8>) {
    let login = Login {
        user: "writ-1".to_owned(),
        password: PASSWORD.to_vec().into(),
        database: "pay".to_owned(),
        application_name: "writ-1".to_owned(),
        parameters: Vec::new(),
        tls,
    };
    let mut out = Vec::new();
    let login = ServerLogin::start(login, &mut out);
    (login, out)
}

/// A login whose TLS handshake is done.
fn inside() -> (ServerLogin, Vec<u8>) {
    let (login, mut out) = begin(true);
    let login = match login.handle(b"S", &mut out) {
        Ok((1, upstream::Step::StartTls(login))) => login.secured(Some(vec![7; 32]), &mut out),
        _ => return begin(false),
    };
    (login, out)
}

fn server((mut login, mut out): (ServerLogin, Vec<u8>), pieces: &[&[u8]]) -> Ended {
    let mut held = Vec::new();
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let (consumed, step) = match login.handle(&held, &mut out) {
                Ok(step) => step,
                Err(fault) => return (out, format!("refused {}", fault.code)),
            };
            assert!(consumed <= held.len());
            held.drain(..consumed);
            login = match step {
                upstream::Step::More(next) => next,
                upstream::Step::StartTls(_) => return (out, "tls".to_owned()),
                upstream::Step::Ready(ready) => return (out, format!("ready {ready:?}")),
            };
            if consumed == 0 {
                break;
            }
        }
    }
    (out, "more".to_owned())
}
