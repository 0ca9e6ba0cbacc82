//! What stands between the configuration and the calls.

mod answers;
mod config;
