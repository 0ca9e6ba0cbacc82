//! The provider against OpenSSH: its server takes the certificates or refuses them, its client shows them, `ssh-keygen` reads
//! them and the revocation lists. The keys are the broker's.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, in its helpers too")]

mod canary;
mod documented;
mod hosts;
mod kit;
mod lists;
mod misses;
mod world;
