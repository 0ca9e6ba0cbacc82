//! A port of loopback that a client program finds, for those that know no Unix sockets, and who may come in by it.
//!
//! It asks for no password, which would have to stand where a token may not: the kernel says whose each connection is.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::serve::{self, Client, Listener};
use super::{Passage, peer};
use crate::fault::Fault;

/// A port of loopback, for this user's processes alone.
#[derive(Debug)]
pub struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

impl Port {
    /// Listens at this port, or at any free one where it is 0.
    ///
    /// # Errors
    /// If nobody can listen there, or this system does not say whose a connection is.
    pub async fn open(port: u16) -> Result<Self, Fault> {
        let unmade = |error: io::Error| {
            Fault::new(format!("port {port} of this machine cannot be listened at: {error}"))
                .help("name another port, or 0 for any that is free")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(unmade)?;
        let address = listener.local_addr().map_err(unmade)?;
        peer::owner(address, address).map_err(|error| {
            Fault::new(format!("this system does not say whose a connection over loopback is: {error}"))
                .help("name the target without a port: it is found behind a Unix socket then")
        })?;
        Ok(Self { listener, address })
    }

    /// The port's number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.address.port()
    }

    /// Takes connections until `end` comes, which it gives back. Connections that are open then have a moment to say their last
    /// words.
    pub async fn serve<T>(&self, passage: Passage, end: impl Future<Output = T>) -> T {
        serve::serve(&self.listener, passage, end).await
    }
}

impl Listener for TcpListener {
    type Client = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (client, _) = Self::accept(self).await?;
        // It works without, slower.
        let _ = client.set_nodelay(true);
        Ok(client)
    }
}

impl Client for TcpStream {
    type From = OwnedReadHalf;
    type To = OwnedWriteHalf;

    async fn is_this_user(&self) -> bool {
        let (Ok(own), Ok(peer)) = (self.local_addr(), self.peer_addr()) else { return false };
        // The kernel's list may be long.
        let owner = tokio::task::spawn_blocking(move || peer::owner(own, peer)).await;
        owner.is_ok_and(|owner| owner.is_ok_and(|owner| owner == Some(rustix::process::geteuid().as_raw())))
    }

    fn ends(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.into_split()
    }
}
