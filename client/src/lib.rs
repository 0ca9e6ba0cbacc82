//! Finds the token that a workload already has, wherever it runs, and connects with it.
//!
//! [`Found::detect`] looks at the places of [`Source`], in their order, and gives the first that is this workload's;
//! [`Found::token`] gets a token there for an audience. [`connect`] lets a client program reach a gateway without seeing one.
//!
//! Never: fall through from a job to the machine that it runs on; send a secret in the clear off this machine; follow a
//! redirect; use a proxy; show a token in an error.

pub mod connect;

mod environment;
mod fault;
mod found;
mod http;
mod machine;
mod program;
mod source;
mod sources;
mod token;

pub use environment::{Environment, Places};
pub use fault::Fault;
pub use found::{Found, Undetected, preset_of};
pub use source::Source;
pub use sources::aws::Proof;
pub use token::{Audience, Claims, LONGEST, Token};
