use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use super::*;

fn pair(address: SocketAddr) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(SocketAddr::new(address.ip(), port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

fn owner_of(server: &TcpStream) -> Option<u32> {
    owner(server.local_addr().unwrap(), server.peer_addr().unwrap()).unwrap()
}

#[test]
fn the_owner_of_the_other_end_is_named() {
    let own = rustix::process::geteuid().as_raw();
    let newer = SocketAddr::from((Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1]), 0));
    for address in [SocketAddr::from(([127, 0, 0, 1], 0)), newer] {
        let (_listener, _client, server) = pair(address);
        assert_eq!(owner_of(&server), Some(own), "{address}");
    }
}

#[test]
fn an_end_that_was_closed_is_nobodys() {
    let (_listener, client, server) = pair(SocketAddr::from(([127, 0, 0, 1], 0)));
    drop(client);
    assert_eq!(owner_of(&server), None);
}

#[test]
fn a_line_counts_only_whole_and_established() {
    let list = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                 0: 0100007F:1538 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1001        0 71\n\
                 1: 0100007F:1539 0100007F:9C41 08 00000000:00000000 00:00000000 00000000  1002        0 72\n\
                 2: 0100007F:153A 0100007F:9C42 01\n";
    assert_eq!(line(list, "0100007F:1538", "0100007F:9C40"), Some(1001));
    for (from, to) in [
        ("0100007F:9C40", "0100007F:1538"),
        ("0100007F:1538", "0100007F:9C41"),
        ("0100007F:1539", "0100007F:9C41"),
        ("0100007F:153A", "0100007F:9C42"),
        ("local_address", "rem_address"),
    ] {
        assert_eq!(line(list, from, to), None, "{from} {to}");
    }
}
