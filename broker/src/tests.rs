//! The broker whole: a static issuer, policies in files, a provider that is held to its contract, a clock that tests step.

mod approvals;
mod canary;
mod channels;
mod clock;
mod connections;
mod evidence;
mod freeze;
mod gateways;
mod holders;
mod issuance;
mod keys;
mod panics;
mod provider;
mod rates;
mod recordings;
mod rotation;
mod settlement;
mod spans;
mod ssh;
mod store;
mod targets;
mod tokens;
mod trials;
mod world;
