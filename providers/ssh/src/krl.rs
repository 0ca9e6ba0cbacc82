//! Key revocation lists of OpenSSH (PROTOCOL.krl): the binary form that sshd's `RevokedKeys` takes.
//!
//! Each writ is listed twice under each key, by its certificate's serial number and by its key id: the two follow from the
//! writ alone, and either is enough for sshd.

use writ_core::id::WritId;
use writ_core::ssh::AuthorityKey;
use writ_core::time::Timestamp;

use crate::wire::Wire;

const MAGIC: u64 = 0x5353_484b_524c_0a00;
const FORMAT: u32 = 1;
const CERTIFICATES: u8 = 1;
const SERIAL_LIST: u8 = 0x20;
const KEY_ID: u8 = 0x23;

/// The serial number of a writ's certificate: the last 64 bits of its id, of which 62 are as good as random. It is never 0,
/// which a list could not name.
pub(crate) fn serial(writ: WritId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = writ.to_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1 << 63
}

/// The list, for certificates that these keys signed.
pub(crate) fn list(keys: &[&AuthorityKey], ended: &[WritId], at: Timestamp) -> Vec<u8> {
    let seconds = at.as_second().max(0).unsigned_abs();
    // A list's number only ever grows: the time in milliseconds does.
    let number = at.as_millisecond().max(0).unsigned_abs();
    let head = Wire::default().u64(MAGIC).u32(FORMAT).u64(number).u64(seconds).u64(0).string([]).string("writ");
    if ended.is_empty() {
        return head.finish();
    }
    let mut writs = ended.to_vec();
    writs.sort_unstable_by_key(|writ| serial(*writ));
    writs.dedup();
    let size = writs.len();
    let serials = writs.iter().fold(Wire::with_capacity(size * 8), |list, writ| list.u64(serial(*writ)));
    let ids = writs.iter().fold(Wire::with_capacity(size * 36), |list, writ| list.string(writ.to_string()));
    keys.iter()
        .fold(head, |list, key| {
            let section = Wire::with_capacity(size * 44 + 128)
                .string(&key.blob)
                .string([])
                .byte(SERIAL_LIST)
                .string(serials.bytes())
                .byte(KEY_ID)
                .string(ids.bytes());
            list.byte(CERTIFICATES).string(section.bytes())
        })
        .finish()
}
