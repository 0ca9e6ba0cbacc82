//! A session's data key and what is derived from it.
//!
//! One random key for each session, made by the broker. Every use has its own key, by HKDF-SHA256 (RFC 5869) with a label,
//! so that the nonce counters of spool and segments never meet: the spool's key is bound to the session, a segment's to
//! session, stream, sequence and the 32 random bytes of the segment itself.

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use writ_core::id::SessionId;
use zeroize::Zeroizing;

/// The length of a data key in bytes.
pub const KEY_BYTES: usize = 32;
/// The length of an authentication tag in bytes.
pub const TAG_BYTES: usize = 16;

/// A cipher could not be set up or used. Says no more, since more would help only an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recording does not open: the key is another session's, or the bytes were changed")]
pub struct NotOpened;

/// The data key of one session: 32 bytes, zeroized when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl DataKey {
    /// Takes a key.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// Takes a key from bytes of which the caller wipes the original.
    ///
    /// # Errors
    /// If they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, NotOpened> {
        bytes.try_into().map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| NotOpened)
    }

    /// The key for one use.
    pub(crate) fn derive(&self, salt: &[u8], label: &[u8], session: SessionId) -> Result<Cipher, NotOpened> {
        let extracted = Salt::new(HKDF_SHA256, salt).extract(self.0.as_slice());
        let session = session.to_bytes();
        let info = [b"writ recording v1 ".as_slice(), label, session.as_slice()];
        let expanded = extracted.expand(&info, &AES_256_GCM).map_err(|_| NotOpened)?;
        Ok(Cipher(LessSafeKey::new(UnboundKey::from(expanded))))
    }
}

/// A key for one use, with numbers as nonces. Whoever holds it must never seal twice with one number.
pub(crate) struct Cipher(LessSafeKey);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

impl Cipher {
    /// Encrypts in place and returns the tag.
    pub(crate) fn seal(&self, number: u64, associated: &[u8], bytes: &mut [u8]) -> Result<[u8; TAG_BYTES], NotOpened> {
        let aad = aws_lc_rs::aead::Aad::from(associated);
        let tag = self.0.seal_in_place_separate_tag(nonce(number), aad, bytes).map_err(|_| NotOpened)?;
        tag.as_ref().try_into().map_err(|_| NotOpened)
    }

    /// Decrypts in place what [`Self::seal`] made with the tag behind it, and returns the plain part.
    pub(crate) fn open<'b>(
        &self,
        number: u64,
        associated: &[u8],
        bytes: &'b mut [u8],
    ) -> Result<&'b mut [u8], NotOpened> {
        let aad = aws_lc_rs::aead::Aad::from(associated);
        self.0.open_in_place(nonce(number), aad, bytes).map_err(|_| NotOpened)
    }
}

/// Four zero bytes and the number.
fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    if let Some(tail) = bytes.last_chunk_mut::<8>() {
        *tail = number.to_be_bytes();
    }
    Nonce::assume_unique_for_key(bytes)
}
