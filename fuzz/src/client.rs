//! What `writ connect` hears from both sides of a login.

use writ_client::connect::testing;

use crate::{Input, pieces};

pub(crate) const WORDS: &[&[u8]] = &[
    b"user\0",
    b"database\0",
    b"options\0",
    b"-c writ.auth=oauthbearer\0",
    b"application_name\0",
    b"writ-00000000000000000000000000 psql\0",
    b"\0\x03\0\0",
    b"\0\x03\0\x02",
    &80_877_103_u32.to_be_bytes(),
    &80_877_104_u32.to_be_bytes(),
    &80_877_102_u32.to_be_bytes(),
    b"R\0\0\0\x08\0\0\0\x03",
    b"R\0\0\0\x08\0\0\0\0",
    b"S\0\0\0\x0a",
    b"Z\0\0\0\x05I",
    b"E\0\0\0\x0b",
    b"CFATAL\0",
    b"M\xff\0",
    b"N\0\0\0\x05\0",
    b"v\0\0\0\x0c",
    b"\0\0\x75\x30",
];

/// The first byte says who speaks, and how its words are cut.
pub(crate) fn login(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte();
    let held = match choice & 1 {
        0 => testing::begins(input.0),
        _ => testing::says(input.0, pieces(input.0, choice.into(), 7)),
    };
    assert_eq!(held, Ok(()));
}
