//! The servers start, are what they say, and leave nothing behind.

use std::net::TcpStream;

use writ_world::postgres::{Cluster, Version};

#[test]
fn every_version_starts_and_goes() {
    for version in Version::ALL {
        let cluster = Cluster::start(version).unwrap();
        let port = cluster.port();
        let data = cluster.data();
        TcpStream::connect((cluster.host(), port)).unwrap();
        assert!(cluster.log().contains(&format!("PostgreSQL {}.", version.major())), "{}", cluster.log());
        drop(cluster);
        assert!(!data.exists());
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    }
}

#[test]
fn a_panicking_test_leaves_no_server() {
    let port = std::thread::spawn(|| {
        let cluster = Cluster::start(Version::V15).unwrap();
        std::panic::panic_any(cluster.port());
    })
    .join()
    .unwrap_err();
    let port = *port.downcast::<u16>().unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap_err();
}
