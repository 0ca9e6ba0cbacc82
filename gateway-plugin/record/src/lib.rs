//! The recording: what is written down of a session, and how.
//!
//! Format only: no files, no clock, no runtime, so that an auditor's tool reads a recording without any data plane. The
//! exact bytes stand in `FORMAT.md` beside this crate's manifest. Two containers hold the same entries:
//!
//! - the **spool**, written by the gateway before anything is forwarded: one encrypted record for each entry ([`spool`]);
//! - the **segments**, made from it off the hot path: compressed, encrypted, chained, with an index ([`segment`]).
//!
//! What no part of this crate may do: panic on any input, reserve memory by a length that the input gave, use a nonce
//! twice under one key, or show a key.
//!
//! Read in this order: [`entry`] (what is recorded), [`known`] (what verdicts on it depended on), [`spool`], [`segment`], [`timeline`] (what a replay shows).

pub mod bytes;
pub mod entry;
pub mod key;
pub mod known;
pub mod segment;
pub mod spool;
pub mod timeline;

pub use entry::{Entry, Kind, Recorded};
pub use key::DataKey;

#[cfg(test)]
mod tests;
