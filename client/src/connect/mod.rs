//! A way to a gateway for a client program that is to see no token: a Unix socket in a directory that is this user's alone, or a
//! port of loopback that answers to this user's processes alone.
//!
//! Each connection gets a token of its own, so that a job may run for longer than a token lives. [`Door`] and [`Port`] take
//! connections, `tunnel` logs one in and carries its bytes, `startup` reads and writes the few messages before and during a login,
//! [`Gateway`] is dialled with the run's [`ClientKey`], [`Watch`] is told what became of each.
//!
//! Never: let another user in; show a token to the client, or to a gateway that is not verified; judge what passes: the gateway
//! does.

mod door;
mod gateway;
mod hearing;
mod key;
mod peer;
mod port;
mod serve;
mod startup;
#[cfg(feature = "testing")]
pub mod testing;
mod tunnel;
mod watch;

pub use door::{Door, PORT};
pub use gateway::Gateway;
pub use key::ClientKey;
pub use port::Port;
pub use watch::{Event, Unwatched, Watch};

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::found::Found;
use crate::token::Audience;

/// Where the connections of one door or port lead.
#[derive(Debug)]
pub struct Passage {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where tokens come from.
    pub found: Arc<Found>,
    /// Whom they are for.
    pub audience: Audience,
    /// The target, or `TARGET/ROLE`: what the gateway takes as user name.
    pub target: String,
    /// The database, where a client names none.
    pub database: String,
    /// Why the run connects: one line of plain text of at most 256 bytes, which the gateway takes off.
    pub reason: Option<String>,
    /// The most connections at the same time.
    pub most: usize,
    /// Who is told what becomes of each.
    pub watch: Box<dyn Watch>,
    /// How many there were.
    pub count: AtomicU64,
}

impl Passage {
    /// The next connection's number.
    fn number(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A passage that many connections share.
type Shared = Arc<Passage>;
