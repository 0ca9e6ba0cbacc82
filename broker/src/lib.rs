//! The control plane: verify, decide, mint, log, seal.

pub mod ca;
pub mod keys;
