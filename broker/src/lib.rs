//! The control plane: verify, decide, mint, log, seal.

pub mod ca;
pub mod duration;
pub mod identity;
pub mod keys;
