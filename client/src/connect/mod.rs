//! A way to a gateway for a client program that is to see no token: a Unix socket in a directory that is this user's alone.
//!
//! Each connection gets a token of its own, so that a job may run for longer than a token lives. [`Door`] takes connections,
//! `tunnel` logs one in and carries its bytes, `startup` reads and writes the few messages before and during a login,
//! [`Gateway`] is dialled.
//!
//! Never: let another user in; show a token to the client, or to a gateway that is not verified; judge what passes: the gateway
//! does.

mod door;
mod gateway;
mod startup;
mod tunnel;

pub use door::{Door, PORT};
pub use gateway::Gateway;

use std::sync::Arc;

use crate::found::Found;
use crate::token::Audience;

/// Where the connections of one door lead.
#[derive(Debug)]
pub struct Passage {
    /// The gateway.
    pub gateway: Gateway,
    /// Where tokens come from.
    pub found: Found,
    /// Whom they are for.
    pub audience: Audience,
    /// The target, or `TARGET/ROLE`: what the gateway takes as user name.
    pub target: String,
    /// The database, where a client names none.
    pub database: String,
    /// The most connections at the same time.
    pub most: usize,
}

/// A passage that many connections share.
type Shared = Arc<Passage>;
