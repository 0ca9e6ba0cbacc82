//! The child.

/// The parser's stack, in bytes.
pub const STACK: usize = 64 * 1024 * 1024;
