//! Cancel requests and their keys.
//!
//! A key is a secret: whoever has it may cancel. It is compared in constant time and never printed. It has 4 bytes in
//! protocol 3.0 and up to 256 in 3.2.

use std::fmt;

use aws_lc_rs::{constant_time, rand};
use zeroize::Zeroizing;

use crate::frame;

/// The code of a cancel request.
pub const CANCEL_CODE: u32 = 80_877_102;

/// The longest key that protocol 3.2 allows, in bytes.
pub const LONGEST_KEY: usize = 256;

/// The secret that a cancel request shows.
#[derive(Clone)]
pub struct CancelKey(Zeroizing<Vec<u8>>);

impl CancelKey {
    /// A key of these bytes; `None` unless there are 4 to 256.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (4..=LONGEST_KEY).contains(&bytes.len()).then(|| Self(Zeroizing::new(bytes.to_vec())))
    }

    /// A random key of `length` bytes; `None` unless 4 to 256, or when the system has no randomness to give.
    #[must_use]
    pub fn random(length: usize) -> Option<Self> {
        let mut key = Self::new(Zeroizing::new(vec![0; length.min(LONGEST_KEY + 1)]).as_slice())?;
        rand::fill(&mut key.0).ok()?;
        Some(key)
    }

    /// The key's bytes, for the wire alone.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for CancelKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for CancelKey {}

impl fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancelKey({} bytes)", self.0.len())
    }
}

/// A backend and the key that cancels what it does: `BackendKeyData` from a server, `CancelRequest` from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendKey {
    /// The backend's number.
    pub pid: u32,
    /// Its key.
    pub key: CancelKey,
}

impl BackendKey {
    /// Appends the `CancelRequest` that cancels what this backend does.
    pub fn write_cancel_request(&self, out: &mut Vec<u8>) {
        frame::write_untagged(out, |out| {
            out.extend_from_slice(&CANCEL_CODE.to_be_bytes());
            out.extend_from_slice(&self.pid.to_be_bytes());
            out.extend_from_slice(self.key.expose());
        });
    }
}
