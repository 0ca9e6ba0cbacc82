//! The providers against a strict fake of Entra: whom it trusts and what is configured are taken from the documentation, so that
//! what it says to paste is what is tested.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

mod canary;
mod clients;
mod documented;
mod exact;
mod kit;
mod minted;
mod misses;
mod providers;
mod secrets;
mod signer;
mod world;
