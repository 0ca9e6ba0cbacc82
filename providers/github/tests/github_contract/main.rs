//! The provider against a strict fake of GitHub's API, which GitHub's own client talks to as well.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod canary;
mod clients;
mod documented;
mod kit;
mod misses;
mod requests;
mod revocation;
mod world;
