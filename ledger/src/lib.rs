//! A sans-I/O Merkle log in the C2SP formats: tlog-tiles, tlog-checkpoint, signed-note, tlog-proof.
//!
//! Nothing here reads a clock, a file or the network. [`plan`] says which files a batch of entries makes, [`proof`] makes and
//! checks proofs, [`verify`] reads a whole log through a [`tile::TileSource`] and believes nothing that it reads. Verification
//! builds alone: an auditor needs this crate and the files.
//!
//! On disk, below the log's directory: `checkpoint` (a signed note), `tile/<level>/<number>[.p/<width>]` (hashes),
//! `tile/entries/<number>[.p/<width>]` (entries: big-endian length of two bytes, then the bytes).

pub mod checkpoint;
pub mod hash;
pub mod note;
pub mod plan;
pub mod proof;
pub mod tile;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use hash::Hash;
pub use plan::{Head, Plan};
pub use tile::TileSource;

#[cfg(test)]
mod tests;
