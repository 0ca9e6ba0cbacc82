//! The contract that every provider passes, run against the provider's real target.
//!
//! A provider's test makes a [`Harness`] over a server that it started and asserts that [`run`] finds nothing. The kit
//! plays the broker; the harness plays the target's own eyes: it logs in with what was minted and looks for what should
//! be gone. Where a provider cannot do a thing (a static password is not taken back), its description must say so, and
//! the kit holds it to that instead.

pub mod bench;
pub mod canary;
mod cases;
mod harness;
pub mod under;

pub use harness::{Harness, LiveSession, Trouble, intended, writ};

/// Runs every case and gives back what broke: empty means that the contract holds.
pub async fn run(harness: &dyn Harness) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, case) in cases::ALL {
        if let Err(finding) = case(harness).await {
            broken.push(format!("{name}: {finding}"));
        }
    }
    broken
}
