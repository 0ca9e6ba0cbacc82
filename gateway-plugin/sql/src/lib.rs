//! SQL without a grammar: its tokens, the shape of a text, and the frames between a gateway and the parser that has the grammar.
//!
//! Pure: bytes in, values out; nothing here waits, reads a clock or allocates for a token. What it cannot cut is an error, and
//! a text that cannot be cut is not understood: it must never be guessed at, since a verdict follows from it.
//!
//! Read next: [`lexer`] (PostgreSQL's tokens), [`shape`] (the key of a cache of verdicts), [`wire`] (the frames).

pub mod lexer;
pub mod shape;
pub mod wire;

pub use lexer::{Class, Lexer, Token, Uncut};
pub use shape::{Outline, Shape, fingerprint, outline};
