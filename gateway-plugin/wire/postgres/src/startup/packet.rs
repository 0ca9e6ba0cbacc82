//! The packets before login: no tag, a length, a code.

use writ_core::fault::{Blame, Fault};

use crate::cancel::{BackendKey, CANCEL_CODE, CancelKey};
use crate::frame::Reader;

/// The longest startup packet, in bytes (`MAX_STARTUP_PACKET_LENGTH`).
pub const LONGEST_STARTUP: usize = 10_000;

pub(crate) const SSL_CODE: u32 = 80_877_103;
pub(crate) const GSSENC_CODE: u32 = 80_877_104;
pub(crate) const PROTOCOL_3_2: u32 = 196_610;

/// A packet before login.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    Ssl,
    Gssenc,
    Cancel(BackendKey),
    /// Protocol version and the parameters' bytes.
    Startup(u32, &'a [u8]),
}

/// The packet at the front of `bytes` and its length, once it is whole.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, Fault> {
    let Some(length) = Reader::new(bytes, 0).u32() else { return Ok(None) };
    let length = length as usize;
    if !(8..=LONGEST_STARTUP).contains(&length) {
        return Err(invalid("the packet's length is out of bounds"));
    }
    let Some(packet) = bytes.get(..length) else { return Ok(None) };
    let mut reader = Reader::new(packet, 4);
    let code = reader.u32().ok_or_else(|| invalid("the packet has no code"))?;
    let parsed = match code {
        SSL_CODE if length == 8 => Packet::Ssl,
        GSSENC_CODE if length == 8 => Packet::Gssenc,
        CANCEL_CODE => {
            let pid = reader.u32();
            let key = CancelKey::new(reader.rest());
            match (pid, key) {
                (Some(pid), Some(key)) => Packet::Cancel(BackendKey { pid, key }),
                _ => return Err(invalid("the cancel request has no valid key")),
            }
        }
        code if code >> 16 == 3 => Packet::Startup(code, reader.rest()),
        _ => {
            return Err(Fault::new("postgres.protocol_version", Blame::Peer, "unsupported protocol version")
                .help("use a client that speaks version 3 of the PostgreSQL protocol"));
        }
    };
    Ok(Some((parsed, length)))
}

pub(crate) fn invalid(why: &'static str) -> Fault {
    Fault::new("postgres.startup", Blame::Peer, "invalid startup packet").detail(why)
}
