//! Panics, caught: what breaks off by a bug ends itself and nothing else.
//!
//! A panic's message may hold anything. It is not passed on; the process's own hook prints it.

use core::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

/// It broke off by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// What `call` comes to.
///
/// # Errors
/// [`Panicked`] if it broke off. What it was at is not gone on with.
pub(crate) async fn caught<T>(call: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|_| Panicked)
}
