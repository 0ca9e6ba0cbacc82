//! The providers against what there is of AWS: moto behind a strict front of STS and IAM, the AWS CLI, boto3, and a real
//! PostgreSQL that takes login tokens as RDS does.
//!
//! Whom AWS trusts, what roles may do and what is configured are taken from the documentation, so that what it says to paste
//! is what is tested.

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
mod eyes;
mod kit;
mod minted;
mod misses;
mod packed;
mod providers;
mod revocation;
mod secrets;
mod tokens;
mod world;
