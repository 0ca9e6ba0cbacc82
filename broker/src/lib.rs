//! The control plane: verify, decide, mint, log, seal.

pub mod approve;
pub mod bundle;
pub mod ca;
pub mod config;
pub mod duration;
pub mod evidence;
pub mod identity;
pub mod keys;
pub mod refusal;
pub mod store;
pub mod targets;
