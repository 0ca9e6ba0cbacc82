//! Rotation against real servers: three turns at each, and every way to stop on the way.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking, in its helpers too"
)]

mod documented;
mod mysql;
mod place;
mod postgres;
mod stops;
mod turns;
