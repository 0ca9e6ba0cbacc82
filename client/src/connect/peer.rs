//! Whose the other end of a connection over loopback is, by what the kernel says of it.
//!
//! A Unix socket names its peer; a TCP socket does not. The kernel lists every socket of this network with its owner
//! (`/proc/net/tcp` and `tcp6`), the two ends of a connection over loopback among them. The peer's end is looked up first and
//! this end afterwards: while this end is established the peer has not closed, so that the end that was seen is the peer's, and
//! not one that another process made at the same address since.

use std::io;
use std::net::{IpAddr, SocketAddr};

/// The state of a connection that neither side has closed, as the kernel writes it.
const ESTABLISHED: &str = "01";
/// Where the kernel lists sockets. A client may hold a socket of the newer family though it speaks the older: Java does.
const LISTS: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The user whose process made the socket at `peer` that is connected to `own`; `None` where there is none, or not any more.
///
/// # Errors
/// If the kernel does not say.
pub(super) fn owner(own: SocketAddr, peer: SocketAddr) -> io::Result<Option<u32>> {
    let Some(user) = find(peer, own)? else { return Ok(None) };
    Ok(find(own, peer)?.map(|_| user))
}

fn find(from: SocketAddr, to: SocketAddr) -> io::Result<Option<u32>> {
    for (number, list) in LISTS.into_iter().enumerate() {
        let newer = number == 1;
        let text = match std::fs::read_to_string(list) {
            Ok(text) => text,
            // A kernel without the newer family has no list of it.
            Err(error) if newer && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let found = line(&text, &written(from, newer), &written(to, newer));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The owner in the line of the established connection between these two.
fn line(list: &str, from: &str, to: &str) -> Option<u32> {
    list.lines().find_map(|line| {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_it = words.next() == Some(from) && words.next() == Some(to) && words.next() == Some(ESTABLISHED);
        if is_it { words.nth(3)?.parse().ok() } else { None }
    })
}

/// An address as the kernel writes it: words of four bytes in this machine's own order, in hexadecimal.
fn written(address: SocketAddr, newer: bool) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) if newer => ip.to_ipv6_mapped().octets().to_vec(),
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).filter_map(|word| word.first_chunk().copied()).map(u32::from_ne_bytes);
    let address_text: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{address_text}:{:04X}", address.port())
}

#[cfg(test)]
mod tests;
