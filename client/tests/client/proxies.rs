//! Proxies that the environment names: no source uses one, whatever library it asks with.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

#[test]
fn a_proxy_of_the_environment_is_told_nothing() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    // The tests of all sources again, in a process whose environment names the proxy.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["clouds::", "jobs::"]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, &address).env(name.to_ascii_lowercase(), &address);
    }
    let done = again.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("test clouds::sts_gives_a_token_for_credentials_in_variables ... ok"), "{said}");
    proxy.set_nonblocking(true).unwrap();
    assert_eq!(proxy.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
}
