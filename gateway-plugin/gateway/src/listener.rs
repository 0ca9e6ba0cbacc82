//! Accepting: sockets and, from listed peers, the PROXY header.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use writ_core::fault::{Blame, Fault};

use crate::proxy::{self, FIXED};

/// Sends at once, and notices a peer that is gone.
pub fn tune(socket: &TcpStream) {
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let socket = SockRef::from(socket);
    // A socket that cannot be tuned works all the same.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&alive));
}

/// Reads a PROXY header, and not one byte behind it, and gives the client's address; `None` where the proxy speaks for itself.
///
/// # Errors
/// It is not there, not understood, or the connection broke.
pub async fn proxied(socket: &mut TcpStream) -> Result<Option<SocketAddr>, Fault> {
    let unread =
        |error: io::Error| refused(&format!("the connection broke before its PROXY header was whole: {error}"));
    let mut header = Vec::with_capacity(FIXED);
    let mut wanted = FIXED;
    while header.len() < wanted {
        let missing = u64::try_from(wanted - header.len()).unwrap_or_default();
        if (&mut *socket).take(missing).read_buf(&mut header).await.map_err(unread)? == 0 {
            return Err(unread(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(rest) = proxy::rest(&header).map_err(|why| refused(&why))? {
            wanted = FIXED + rest;
        }
    }
    proxy::source(&header).map_err(|why| refused(&why))
}

/// What the peer is told is the same whatever is wrong; the reason is for the log.
fn refused(why: &dyn fmt::Display) -> Fault {
    Fault::new("login.proxy", Blame::Peer, "a PROXY header of version 2 is expected from this peer")
        .help("turn the PROXY protocol on in the load balancer, or take it out of proxy_protocol_from")
        .detail(why.to_string())
}
