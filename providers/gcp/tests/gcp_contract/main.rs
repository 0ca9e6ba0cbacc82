//! The providers against a strict stand-in of Google's, with Google's own library for Python beside them, and a real PostgreSQL that
//! takes tokens as Cloud SQL does.
//!
//! Whom Google trusts and what is configured are taken from the documentation, so that what it says to paste is what is tested.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

mod answers;
mod canary;
mod clients;
mod configured;
mod documented;
mod eyes;
mod kit;
mod logins;
mod minted;
mod misses;
mod providers;
mod secrets;
mod signer;
mod world;
