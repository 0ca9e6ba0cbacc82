//! The PostgreSQL wire, from both sides.

mod driver;
mod login;
mod names;
mod relay;

pub(crate) use login::{startup, upstream};
pub(crate) use names::names;
pub(crate) use relay::relay;

pub(crate) const STARTUP_WORDS: &[&[u8]] = &[
    b"user\0",
    b"database\0",
    b"options\0",
    b"-c writ.auth=oauthbearer\0",
    b"replication\0",
    b"_pq_.x\0",
    b"client_encoding\0",
    b"\0\x03\0\0",
    b"\0\x03\0\x02",
    &80_877_103_u32.to_be_bytes(),
    &80_877_104_u32.to_be_bytes(),
    &80_877_102_u32.to_be_bytes(),
    b"p\0\0\0",
    b"OAUTHBEARER\0",
    b"n,,\x01auth=Bearer ",
    b"\x01\x01",
    b"\x01",
];

pub(crate) const UPSTREAM_WORDS: &[&[u8]] = &[
    b"R\0\0\0\x08\0\0\0\0",
    b"R\0\0\0\x08\0\0\0\x03",
    b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
    b"SCRAM-SHA-256-PLUS\0",
    b"\0\0\0\x0b",
    b"\0\0\0\x0c",
    b"r=",
    b",s=c2FsdA==,i=4096",
    b"v=",
    b"K\0\0\0\x0c",
    b"Z\0\0\0\x05I",
    b"S\0\0\0",
    b"E\0\0\0",
];

pub(crate) const RELAY_WORDS: &[&[u8]] = &[
    b"Q\0\0\0\x0cdenied \0",
    b"P\0\0\0\x09a\0s\0\0\0",
    b"B\0\0\0\x0d\0a\0\0\0\0\0\0\0",
    b"E\0\0\0\x09\0\0\0\0\0",
    b"S\0\0\0\x04",
    b"H\0\0\0\x04",
    b"d\0\0\0\x05x",
    b"c\0\0\0\x04",
    b"DSa\0",
    b"denied",
    b"prepare ",
    b"T\0\0\0\x06\0\0",
    b"D\0\0\0\x06\0\0",
    b"C\0\0\0\x0dSELECT 1\0",
    b"C\0\0\0\x0fDEALLOCATE\0",
    b"E\0\0\0\x0dC42601\0\0\0",
    b"Z\0\0\0\x05I",
    b"Z\0\0\0\x05T",
    b"G\0\0\0\x07\0\0\0",
    b"1\0\0\0\x04",
    b"2\0\0\0\x04",
    b"t\0\0\0\x06\0\0",
];
