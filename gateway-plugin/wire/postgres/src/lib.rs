//! The PostgreSQL wire protocol, version 3, sans-I/O.
//!
//! A session passes three states, each a type: [`startup::ClientLogin`] reads the client's login up to its token,
//! [`upstream::ServerLogin`] logs in at the target with the minted credential, [`relay::Relay`] carries commands and
//! replies between the two. None does I/O, reads a clock, or reserves memory by a length that a peer gave; each is total
//! on any input.
//!
//! Never: forward the target's authentication requests or cancel key to the client; forward a command that was not
//! released; let an unknown message pass.
//!
//! Read next: [`relay`].

pub mod ask;
pub mod cancel;
pub mod error;
pub mod frame;
pub mod relay;
pub mod startup;
pub mod upstream;
