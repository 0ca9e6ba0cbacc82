use std::sync::Mutex;

use super::*;

/// Keeps what it hears.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<String>>);

impl Watch for Kept {
    fn saw(&self, connection: u64, event: Event<'_>) {
        self.0.lock().unwrap().push(format!("{connection} {event:?}"));
    }
}

fn said(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), body].concat()
}

/// What is heard of these bytes, in pieces of this size.
fn heard(bytes: &[u8], piece: usize) -> Vec<String> {
    let kept = Kept::default();
    let mut hearing = Hearing::new(&kept, 7);
    for part in bytes.chunks(piece) {
        if hearing.listens() {
            hearing.hear(part);
        }
    }
    drop(hearing);
    kept.0.into_inner().unwrap()
}

const WRIT_ID: &str = "writ-01kbz8w5m3f0v9q2r7c1d4e6g8";

fn welcome(name: &str) -> Vec<u8> {
    let name = format!("application_name\0{name}\0");
    [
        said(b'N', b"SNOTICE\0C00000\0Mwaits\0\0"),
        said(b'R', &[0; 4]),
        said(b'S', b"server_version\x0015.1\0"),
        said(b'S', name.as_bytes()),
        said(b'K', &[1; 8]),
        said(b'Z', b"I"),
        said(b'E', b"C42601\0Msyntax error\0\0"),
    ]
    .concat()
}

#[test]
fn a_login_is_heard_with_its_writ_however_it_is_cut() {
    for piece in [1, 2, 7, 1000] {
        let name = format!("{WRIT_ID} psql");
        assert_eq!(heard(&welcome(&name), piece), [format!("7 Opened(Some(\"{WRIT_ID}\"))"), "7 Closed".to_owned()]);
    }
}

#[test]
fn a_name_that_is_no_writs_is_not_taken_for_one() {
    for name in [
        "psql",
        "",
        "writ-",
        "writ-01KBZ8W5M3F0V9Q2R7C1D4E6G8",
        &format!("{WRIT_ID}x"),
        "writ-01kbz8w5m3f0v9q2r7c1d4e6g ",
    ] {
        assert_eq!(heard(&welcome(name), 50), ["7 Opened(None)", "7 Closed"], "{name}");
    }
}

#[test]
fn a_refusal_is_heard_with_its_words() {
    let refused = said(b'E', b"SFATAL\0C28000\0Mno way\0Hask\0\0");
    assert_eq!(heard(&refused, 3), ["7 Refused(\"28000\", \"no way (ask)\")"]);
}

#[test]
fn a_login_that_breaks_off_is_a_refusal() {
    assert_eq!(heard(&said(b'R', &[0; 4]), 9), ["7 Refused(\"08006\", \"the connection ended during the login\")"]);
}

#[test]
fn what_is_no_message_is_not_listened_to() {
    let kept = Kept::default();
    let mut hearing = Hearing::new(&kept, 1);
    hearing.hear(b"Z\0\0\0\x01");
    assert!(!hearing.listens() && hearing.bytes.is_empty());
    let mut hearing = Hearing::new(&kept, 1);
    hearing.hear(b"S\0\x10\0\0");
    assert!(!hearing.listens() && hearing.bytes.is_empty());
}
