//! The control plane: verify, decide, mint, log, seal.
//!
//! Begin with [`issue`]: one issuance from token to sealed credential. [`evidence`] is the one place where the ledger grows,
//! [`store`] what is remembered, [`identity`] who asks, [`janitor`] and [`revoke`] what is settled afterwards, [`freeze`] the kill switch, [`rotation`] passwords that are changed in turns, [`server`] the API.

mod approvals;
pub mod approve;
pub mod broker;
pub mod bundle;
pub mod ca;
mod caught;
pub mod config;
pub mod duration;
pub mod evidence;
pub mod freeze;
pub mod gateways;
mod glass;
mod holder;
pub mod humans;
pub mod identity;
pub mod issue;
pub mod issuer;
mod janitor;
pub mod keys;
mod operations;
pub mod rates;
pub mod refusal;
mod revoke;
mod rotation;
pub mod server;
pub mod sessions;
mod ssh;
mod steady;
pub mod store;
pub mod targets;
#[cfg(test)]
mod tests;
pub mod token;
pub mod trial;
mod watch;
pub mod webhooks;

pub use broker::{Broker, GatewayIdentity, Tasks};
