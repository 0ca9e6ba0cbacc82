//! A socket with or without TLS, as one type: the hot path takes no virtual call for it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use writ_core::client::ClientKey;

/// One peer's connection.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS, where we are the server.
    Accepted(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// TLS, where we are the client.
    Dialled(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// Taken out, for a handshake.
    Gone,
}

impl Stream {
    /// Whether TLS is on.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Accepted(_) | Self::Dialled(_))
    }
}

impl Stream {
    /// The key that the client proved in its handshake, if it showed one.
    #[must_use]
    pub fn client_key(&self) -> Option<ClientKey> {
        let Self::Accepted(stream) = self else { return None };
        // What the handshake did not take did not become a stream.
        crate::client_key::of(stream.get_ref().1.peer_certificates()?.first()?).ok()
    }

    /// Whether the peer has closed its side, though what it sent before was not read yet.
    #[must_use]
    pub fn is_left(&self) -> bool {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Accepted(stream) => stream.get_ref().0,
            Self::Dialled(stream) => stream.get_ref().0,
            Self::Gone => return true,
        };
        let mut ready = std::pin::pin!(socket.ready(Interest::READABLE));
        let state = ready.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        matches!(state, Poll::Ready(Ok(ready)) if ready.is_read_closed()) || matches!(state, Poll::Ready(Err(_)))
    }
}

macro_rules! each {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $call,
            Self::Accepted(boxed) => {
                let $stream = &mut **boxed;
                $call
            }
            Self::Dialled(boxed) => {
                let $stream = &mut **boxed;
                $call
            }
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
