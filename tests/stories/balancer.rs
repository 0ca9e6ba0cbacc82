//! Behind a load balancer: the client's own address stands in the evidence, and nobody else can say whose it is.

use std::net::TcpStream;

use serde_json::Value;
use writ_world::postgres::free_port;
use writ_world::stack::{Stack, TARGET};

use super::evidence::{admin, eventually};
use super::raw::{Raw, Refusal, SSL_REQUEST, V3_0, asked, dial, secure};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// 203.0.113.7:4711 to 192.0.2.1:5432, over TCP and IPv4.
const FOUR: [u8; 16] = [0x21, 0x11, 0, 12, 203, 0, 113, 7, 192, 0, 2, 1, 18, 103, 21, 56];

fn header(rest: &[u8]) -> Vec<u8> {
    [SIGNATURE.as_slice(), rest].concat()
}

/// [2001:db8::7]:4711 to [2001:db8::1]:5432.
fn six() -> Vec<u8> {
    let address = |last: u8| [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x21, 0x21, 0, 36], address(7).as_slice(), &address(1), &[18, 103, 21, 56]].concat()
}

/// A stack with a second listener, which takes PROXY headers from these peers.
fn behind(from: &str, host: &str) -> (Stack, u16) {
    let port = free_port().unwrap();
    let listener = format!("\n[[gateway.listeners]]\nlisten = \"{host}:{port}\"\nproxy_protocol_from = [{from}]\n");
    (Stack::start_with(&[], |_, _, configuration| Ok(configuration + &listener)).unwrap(), port)
}

/// A session through a proxy that begins with `header`, and the client's address as the evidence has it.
fn recorded(stack: &Stack, port: u16, header: &[u8]) -> String {
    use std::io::Write as _;
    let mut socket = dial(port);
    socket.write_all(header).unwrap();
    let writ = session(stack, socket);
    eventually(|| {
        let page: Value =
            serde_json::from_str(&admin(stack, &["sessions", "ls", "--json"])?).map_err(|error| error.to_string())?;
        let rows = page["items"].as_array().ok_or("no sessions")?;
        // The session said which writ it runs under.
        let row = rows.iter().find(|row| row["writ"]["id"].as_str().is_some_and(|id| writ == id));
        row.and_then(|row| row["client"].as_str()).map(str::to_owned).ok_or_else(|| page.to_string())
    })
    .unwrap()
}

/// Opens a session and gives the writ that it runs under.
fn session(stack: &Stack, mut socket: TcpStream) -> String {
    assert_eq!(asked(&mut socket, &SSL_REQUEST), b'S');
    let mut raw = secure(stack, socket, &[]).unwrap();
    raw.startup(V3_0, &[("user", TARGET), ("database", TARGET)]);
    raw.password(&stack.token().unwrap());
    raw.until(b'Z');
    raw.message(b'Q', b"show application_name\0");
    let answer = raw.until(b'Z');
    let row = &answer.iter().find(|(tag, _)| *tag == b'D').unwrap().1;
    String::from_utf8(row[6..].to_vec()).unwrap()
}

fn refusal(port: u16, bytes: &[u8]) -> Refusal {
    let mut raw = Raw::plain(port);
    raw.send(bytes);
    let error = raw.refusal();
    assert!(raw.is_closed());
    error
}

#[test]
fn the_clients_own_address_stands_in_the_evidence() {
    let (stack, port) = behind("\"127.0.0.0/8\", \"::1\"", "127.0.0.1");
    assert_eq!(recorded(&stack, port, &header(&FOUR)), "203.0.113.7:4711");
    assert_eq!(recorded(&stack, port, &header(&six())), "[2001:db8::7]:4711");
    let itself = recorded(&stack, port, &header(&[0x20, 0, 0, 0]));
    assert!(itself.starts_with("127.0.0.1:"), "{itself}");

    let expected = "a PROXY header of version 2 is expected from this peer";
    let over_udp = header(&[&[0x21, 0x12], &FOUR[2..]].concat());
    let too_long = header(&[0x21, 0x11, 0xff, 0xff]);
    let version_one = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 5432\r\n".as_slice();
    for wrong in [SSL_REQUEST.as_slice(), version_one, &over_udp, &too_long, &header(&[0x21, 0x11, 0, 0])] {
        let error = refusal(port, wrong);
        assert_eq!((error[&'C'].as_str(), error[&'M'].as_str()), ("08P01", expected), "{wrong:?}");
    }
    logged(&stack, "the PROXY header is too long");

    // A peer that is not listed says nothing of whose connection it is: not even on loopback, not even a right header.
    let error = refusal(stack.gateway_port(), &header(&FOUR));
    assert_eq!((error[&'C'].as_str(), error[&'M'].as_str()), ("08P01", "invalid startup packet"));
    logged(&stack, "its peer is not in proxy_protocol_from");
}

/// The client is told first.
fn logged(stack: &Stack, words: &str) {
    eventually(|| if stack.log().contains(words) { Ok(()) } else { Err(stack.log()) }).unwrap();
}

#[test]
fn a_listener_of_both_families_knows_ipv4_as_ipv4() {
    let (stack, port) = behind("\"10.0.0.0/8\"", "[::]");
    let unlisted = recorded(&stack, port, &[]);
    assert!(unlisted.starts_with("127.0.0.1:"), "{unlisted}");
    assert_eq!(refusal(port, &header(&FOUR))[&'M'], "invalid startup packet");
}
