//! What becomes of connections, told to whoever opened the way.

use core::fmt;

/// Hears of each connection. It is called where bytes are carried: it has to be quick.
pub trait Watch: fmt::Debug + Send + Sync {
    /// Hears what became of a connection; `connection` is its number, from 1 for each way.
    fn saw(&self, connection: u64, event: Event<'_>);
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The gateway let it in. Under which writ, where the session says so.
    Opened(Option<&'a str>),
    /// It was not let in: the SQLSTATE and the words that the client heard.
    Refused(&'a str, &'a str),
    /// One that was let in is over.
    Closed,
}

/// Nobody hears.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn saw(&self, _: u64, _: Event<'_>) {}
}
