//! Accepting: sockets and, from listed peers, the PROXY header.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The longest header that is taken, in bytes behind its fixed part.
const LONGEST: u16 = 1024;

/// Sends at once, and notices a peer that is gone.
pub fn tune(socket: &TcpStream) {
    let alive = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let socket = SockRef::from(socket);
    // A socket that cannot be tuned works all the same.
    drop(socket.set_tcp_nodelay(true));
    drop(socket.set_tcp_keepalive(&alive));
}

/// Reads the header (HAProxy's "The PROXY protocol", version 2) and gives the client's address; `None` where the proxy
/// speaks for itself.
///
/// # Errors
/// It is not there or malformed.
pub async fn proxied(socket: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut signature = [0; 12];
    socket.read_exact(&mut signature).await?;
    let (command, family, length) = (socket.read_u8().await?, socket.read_u8().await?, socket.read_u16().await?);
    if signature != SIGNATURE || length > LONGEST {
        return Err(invalid());
    }
    let mut body = vec![0; usize::from(length)];
    socket.read_exact(&mut body).await?;
    match (command, family) {
        (0x20, _) => Ok(None),
        (0x21, 0x11) => Ok(Some(address::<4>(&body).ok_or_else(invalid)?)),
        (0x21, 0x21) => Ok(Some(address::<16>(&body).ok_or_else(invalid)?)),
        _ => Err(invalid()),
    }
}

/// The source in addresses of `N` bytes: source, destination, source port, destination port.
fn address<const N: usize>(body: &[u8]) -> Option<SocketAddr> {
    let source: &[u8; N] = body.first_chunk()?;
    let port = u16::from_be_bytes(*body.get(2 * N..)?.first_chunk()?);
    let ip = match <[u8; 4]>::try_from(source.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(source.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}
