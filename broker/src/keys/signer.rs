//! One key that signs, wherever it is: in a file here, or behind an API that never gives it away.
//!
//! Signing is asked for and waited for, so that a key management service can stand behind it. What comes back is checked
//! with the public key before anything is made of it: a signer is trusted with its key, not with having signed the right bytes.

use core::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use writ_core::provider::Pending;

use super::{KeyFault, files};

/// Nothing was signed. The detail is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the key `{key}` signed nothing: {why}")]
pub struct SignFault {
    /// Which key.
    pub key: String,
    /// Why, in words.
    pub why: String,
}

/// Signs with one Ed25519 key (RFC 8032).
pub trait Signer: Send + Sync + fmt::Debug {
    /// What tells the key from others: its public part, or its name where it is kept.
    fn key_id(&self) -> &str;

    /// The public key: 32 bytes.
    fn public(&self) -> &[u8];

    /// Signs `message`: 64 bytes. The caller says how long it waits.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, SignFault>>;
}

/// A key in this process, made from what a file holds.
pub struct FileSigner {
    pair: Ed25519KeyPair,
    id: String,
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSigner({})", self.id)
    }
}

impl FileSigner {
    /// The key that 32 secret bytes make.
    ///
    /// # Errors
    /// [`KeyFault::Crypto`] if the algorithm refuses them.
    pub fn from_seed(seed: &[u8; 32], purpose: &'static str) -> Result<Self, KeyFault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyFault::Crypto(purpose))?;
        let id = files::hex(pair.public_key().as_ref());
        Ok(Self { pair, id })
    }
}

impl Signer for FileSigner {
    fn key_id(&self) -> &str {
        &self.id
    }

    fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, SignFault>> {
        Box::pin(async move { Ok(self.pair.sign(message).as_ref().to_vec()) })
    }
}
