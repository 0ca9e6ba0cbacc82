//! The recording key: wraps the data key of each session's recording, so that destroying a wrapped key erases a session.
//!
//! Wrapped form: version (1 byte, 1), key id (8 bytes), nonce (12 bytes), ciphertext and tag (48 bytes) of AES-256-GCM with
//! the session's id as associated data.

use core::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use writ_core::id::SessionId;
use zeroize::Zeroizing;

use super::{KeyFault, Seed, files};

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;

/// Wraps data keys. In a file here; a cloud's key management can stand behind it.
pub trait RecordingKey: Send + Sync + fmt::Debug {
    /// Wraps a session's data key.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn wrap(&self, session: SessionId, data_key: &[u8; 32]) -> Result<Vec<u8>, KeyFault>;

    /// Unwraps what [`Self::wrap`] gave for the same session.
    ///
    /// # Errors
    /// If it was wrapped by another key, for another session, or was changed.
    fn unwrap_key(&self, session: SessionId, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyFault>;
}

/// A recording key in a file.
pub struct FileRecordingKey {
    key: LessSafeKey,
    id: [u8; KEY_ID_LENGTH],
}

impl fmt::Debug for FileRecordingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRecordingKey({})", files::hex(&self.id))
    }
}

/// A public identifier of the key.
#[must_use]
pub fn key_id(seed: &[u8; 32]) -> String {
    files::hex(&id(seed))
}

fn id(seed: &[u8; 32]) -> [u8; KEY_ID_LENGTH] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"writ recording key id v1\0");
    context.update(seed);
    let mut id = [0; KEY_ID_LENGTH];
    id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    id
}

impl FileRecordingKey {
    /// The key that these 32 bytes are.
    ///
    /// # Errors
    /// If the algorithm refuses them.
    pub fn new(seed: Seed) -> Result<Self, KeyFault> {
        let key = UnboundKey::new(&AES_256_GCM, seed.expose()).map_err(|_| KeyFault::Crypto("recording"))?;
        Ok(Self { key: LessSafeKey::new(key), id: id(seed.expose()) })
    }
}

impl RecordingKey for FileRecordingKey {
    fn wrap(&self, session: SessionId, data_key: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeyFault::Crypto("recording"))?;
        let mut sealed = Zeroizing::new(data_key.to_vec());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(session.to_bytes()), &mut *sealed)
            .map_err(|_| KeyFault::Crypto("recording"))?;
        Ok([&[VERSION], self.id.as_slice(), nonce.as_slice(), sealed.as_slice()].concat())
    }

    fn unwrap_key(&self, session: SessionId, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
        let opened = || {
            let (version, rest) = wrapped.split_first()?;
            let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>()?;
            let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
            if *version != VERSION || *id != self.id {
                return None;
            }
            let mut plain = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let plain = self.key.open_in_place(nonce, Aad::from(session.to_bytes()), &mut plain).ok()?;
            <[u8; 32]>::try_from(&*plain).ok().map(Zeroizing::new)
        };
        opened().ok_or(KeyFault::Crypto("recording"))
    }
}
