//! The composition root: from `writ.toml` to running roles. The only place that knows providers by name.

pub mod broker;
pub mod config;
pub mod serve;
pub mod telemetry;
