//! The servers of MySQL and MariaDB start, are what they say, and leave nothing behind.

use std::net::TcpStream;

use writ_world::mysql::{Release, Server};

#[test]
fn every_release_starts_and_goes() {
    for release in Release::ALL {
        let server = Server::start(release).unwrap();
        let (port, directory) = (server.port(), server.directory().to_owned());
        TcpStream::connect((server.host(), port)).unwrap();
        let number = release.name().rsplit_once('-').unwrap().1;
        assert!(server.log().contains(&format!("ersion: '{number}.")), "{}", server.log());
        drop(server);
        assert!(!directory.exists());
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    }
}

#[test]
fn a_panicking_test_leaves_no_server() {
    let port = std::thread::spawn(|| {
        let server = Server::start(Release::Mariadb10).unwrap();
        std::panic::panic_any(server.port());
    })
    .join()
    .unwrap_err();
    let port = *port.downcast::<u16>().unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
}
