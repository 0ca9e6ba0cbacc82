//! The gateway in front of a real PostgreSQL, driven by real clients.
//!
//! `world` has the server, the gateway and a fake of who admits and records. The fake keeps every record in memory and can be
//! told to fail.
#![cfg(test)]

mod cancels;
mod described;
mod ends;
mod held;
mod leaks;
mod logins;
mod logs;
mod long;
mod masks;
mod slow;
mod spool;
mod tokens;
mod verdicts;
mod versions;
mod waits;
mod world;
