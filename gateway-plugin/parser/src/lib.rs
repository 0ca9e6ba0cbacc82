//! What SQL does, by PostgreSQL's own grammar (libpg_query), in a child process that holds nothing.
//!
//! The grammar is C and reads a stranger's text. So it runs apart: [`child::serve`] in a process without environment, files,
//! sockets or rights; [`Parser`] in the gateway asks it over two pipes. Whatever goes wrong, the answer is that the text was not
//! understood: never a guess, never a wait without an end.
//!
//! Read next: [`analyse`] (text to statements), `walk` (a parse tree to a statement), [`child`], [`parent`].

mod analyse;
pub mod child;
pub mod parent;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tree;
mod walk;

pub use analyse::analyse;
pub use parent::{Parser, Settings};
