//! The gateway's shell: listeners, workers, and the driver that carries out what a protocol machine says.
//!
//! A connection is accepted on the caller's runtime and handed to the least loaded worker. A worker is one thread with its
//! own single-threaded runtime; both sockets of a session live there, so that a batch of bytes costs a read, a write of
//! the spool and a write, and no lock or hand-over.
//!
//! Read next: [`relay`], then [`batch`].

pub mod batch;
pub mod cancel;
pub mod catalog;
mod client_key;
pub mod config;
pub mod embedded;
pub mod evidence;
pub mod gateway;
pub mod listener;
pub mod login;
pub mod masking;
pub mod proxy;
pub mod relay;
pub mod spill;
pub mod sql;
mod started;
pub mod stream;
pub mod tls;
pub mod waiting;
pub mod worker;

pub use config::GatewayConfig;
pub use gateway::Gateway;
