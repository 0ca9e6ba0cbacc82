//! One session's side of the spool.

use writ_core::id::SessionId;
use writ_record::spool::SessionWriter;

/// What a worker keeps of each session to record it. Belongs to the worker that opened it.
#[derive(Debug)]
pub struct SessionSpool {
    pub(super) writer: SessionWriter,
    /// The clear opening, written again at the start of each further file.
    pub(super) opening: Box<[u8]>,
    /// The file that has the opening.
    pub(super) file: Option<u32>,
}

impl SessionSpool {
    /// Whose it is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.writer.session()
    }

    /// How many records it has, staged ones included.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.writer.next()
    }
}
