//! The header with which a load balancer says for whom it connects: HAProxy's "The PROXY protocol", version 2.
//!
//! It decides which address stands in the evidence and which one policy sees. So it is taken from listed peers alone, it must be
//! there where it may be there, and what is not understood whole is refused.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// What each header begins with (section 2.2).
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The length of a header's fixed part: signature, command, family, length of the rest.
pub const FIXED: usize = 16;
/// The longest rest that is taken, in bytes. The addresses have 36 at most; what follows them is not used here.
const LONGEST: u16 = 2048;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Peers, by address or network: `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Peers(IpNet);

impl Peers {
    /// Whether `peer` is one of them. An IPv4 address is the same whether it came in over IPv6 or not.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.contains(&peer.to_canonical())
    }
}

/// The text does not name peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPeers(String);

impl fmt::Display for NotPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotPeers {}

impl FromStr for Peers {
    type Err = NotPeers;

    fn from_str(text: &str) -> Result<Self, NotPeers> {
        let unclear =
            || NotPeers(format!("`{text}` is neither an address nor a network: write `10.1.2.3` or `10.0.0.0/8`"));
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| unclear())?,
        };
        if network.addr() != network.network() {
            return Err(NotPeers(format!(
                "`{text}` names one address and a whole network: write `{}` or `{}`",
                network.addr(),
                network.trunc()
            )));
        }
        if network.addr() != network.addr().to_canonical() {
            return Err(NotPeers(format!("`{text}` is IPv4 written as IPv6: write it as IPv4")));
        }
        Ok(Self(network))
    }
}

impl TryFrom<String> for Peers {
    type Error = NotPeers;

    fn try_from(text: String) -> Result<Self, NotPeers> {
        text.parse()
    }
}

/// Why a header is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin as a header does.
    Signature,
    /// Another version than 2, or another command than `LOCAL` and `PROXY`.
    Command,
    /// Other than TCP over IPv4 or IPv6.
    Family,
    /// Longer than is taken.
    TooLong,
    /// The addresses, or what follows them, do not fit into the length.
    Truncated,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "the connection does not begin with a PROXY header of version 2",
            Self::Command => "the PROXY header has another version than 2 or another command than LOCAL and PROXY",
            Self::Family => "the PROXY header is for something else than TCP over IPv4 or IPv6",
            Self::TooLong => "the PROXY header is too long",
            Self::Truncated => "what the PROXY header holds does not fit into its length",
        })
    }
}

/// How long the rest is behind the fixed part. `start` may be less than the whole fixed part: what cannot become a header is
/// refused at its first wrong byte; `None` where more is needed.
///
/// # Errors
/// It is no header that can be taken.
pub fn rest(start: &[u8]) -> Result<Option<usize>, Malformed> {
    let (signature, fixed) = start.split_at(start.len().min(SIGNATURE.len()));
    if !SIGNATURE.starts_with(signature) {
        return Err(Malformed::Signature);
    }
    if fixed.first().is_some_and(|command| !matches!(*command, LOCAL | PROXY)) {
        return Err(Malformed::Command);
    }
    let Some(length) = fixed.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let length = u16::from_be_bytes(*length);
    if length > LONGEST { Err(Malformed::TooLong) } else { Ok(Some(usize::from(length))) }
}

/// The client's address by a whole header; `None` where the proxy speaks for itself (`LOCAL`, such as a health check).
///
/// # Errors
/// The header is not understood whole.
pub fn source(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let length = rest(header)?.ok_or(Malformed::Truncated)?;
    let body = header.get(FIXED..).filter(|body| body.len() == length).ok_or(Malformed::Truncated)?;
    match header.get(SIGNATURE.len()..) {
        // Section 2.2: what a LOCAL header holds besides is to be left out of account.
        Some([LOCAL, ..]) => Ok(None),
        Some([PROXY, TCP_OVER_IPV4, ..]) => address::<4>(body).map(Some).ok_or(Malformed::Truncated),
        Some([PROXY, TCP_OVER_IPV6, ..]) => address::<16>(body).map(Some).ok_or(Malformed::Truncated),
        _ => Err(Malformed::Family),
    }
}

/// The source in addresses of `N` bytes: source, destination, source port, destination port; then whole additions.
fn address<const N: usize>(body: &[u8]) -> Option<SocketAddr> {
    let (addresses, mut additions) = body.split_at_checked(2 * N + 4)?;
    while !additions.is_empty() {
        // Section 2.2.1: a type, a length, a value.
        let (head, behind) = additions.split_first_chunk::<3>()?;
        let [_, high, low] = *head;
        additions = behind.get(usize::from(u16::from_be_bytes([high, low]))..)?;
    }
    let source: &[u8; N] = addresses.first_chunk()?;
    let port = u16::from_be_bytes(*addresses.get(2 * N..)?.first_chunk()?);
    let ip = match <[u8; 4]>::try_from(source.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(source.as_slice()).ok()?)).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}
