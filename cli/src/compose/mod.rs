//! The composition root: from `writ.toml` to running roles. The only place that knows providers by name.

pub(crate) mod broker;
pub(crate) mod config;
pub(crate) mod health;
mod kms;
mod place;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod sources;
mod ssh;
pub(crate) mod telemetry;
pub(crate) mod turns;
