//! The keys that sign session tokens: one in use, and those before it while a token of theirs can still be good.
//!
//! A key stands in `session-token-<seconds>.key`, named by when it was made; one without a time, `session-token.key`, counts as
//! older than all. The newest signs. A key goes when the one after it is older than any token can be: its file too, so that
//! a copy of the directory forges nothing of the past.

use std::path::{Path, PathBuf};
use std::time::Duration;

use writ_core::time::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{Introduced, KeyFault, files};

const PURPOSE: &str = "session-token";

/// One key: PKCS#8 of ECDSA P-256.
pub struct SessionKey {
    pkcs8: Zeroizing<Vec<u8>>,
    made: Timestamp,
}

impl core::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SessionKey(made {})", self.made)
    }
}

/// A key that was made and stands in no file yet.
#[derive(Debug)]
pub struct Fresh {
    key: SessionKey,
    /// What the ledger must know before it is used.
    pub introduced: Introduced,
}

impl Fresh {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyFault::Crypto`] if that fails.
    pub fn make(now: Timestamp) -> Result<Self, KeyFault> {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256);
        let pair = made.map_err(|_| KeyFault::Crypto(PURPOSE))?;
        let introduced = Introduced { purpose: PURPOSE, public: files::hex(pair.public_key_raw()) };
        Ok(Self { key: SessionKey { pkcs8: Zeroizing::new(pair.serialize_der()), made: now }, introduced })
    }
}

/// The keys, the oldest first; never none.
#[derive(Debug)]
pub struct SessionKeys {
    directory: PathBuf,
    newest: SessionKey,
    former: Vec<SessionKey>,
}

impl SessionKeys {
    /// Reads the keys in `directory`, and makes one if there is none.
    ///
    /// # Errors
    /// [`KeyFault`] as for any key file.
    pub fn load_or_create(
        directory: &Path,
        now: Timestamp,
        introduced: &mut Vec<Introduced>,
    ) -> Result<Self, KeyFault> {
        let mut keys = read_all(directory)?;
        let directory = directory.to_owned();
        if let Some(newest) = keys.pop() {
            return Ok(Self { directory, newest, former: keys });
        }
        let fresh = Fresh::make(now)?;
        store(&directory, &fresh.key)?;
        introduced.push(fresh.introduced);
        Ok(Self { directory, newest: fresh.key, former: Vec::new() })
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &[u8] {
        &self.newest.pkcs8
    }

    /// The keys before it whose tokens are still accepted.
    pub fn former(&self) -> impl Iterator<Item = &[u8]> {
        self.former.iter().map(|key| key.pkcs8.as_slice())
    }

    /// Whether the key that signs is older than `life`.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, life: Duration) -> bool {
        older(&self.newest, now, life)
    }

    /// Takes a key into use, once the ledger knows it.
    ///
    /// # Errors
    /// [`KeyFault`] if its file cannot be written; then the one before stays in use.
    pub fn rotate(&mut self, fresh: Fresh) -> Result<(), KeyFault> {
        store(&self.directory, &fresh.key)?;
        self.former.push(core::mem::replace(&mut self.newest, fresh.key));
        Ok(())
    }

    /// Forgets the keys whose last token ended: those whose successor is older than `overlap`. Says whether there were any.
    ///
    /// # Errors
    /// [`KeyFault`] if a file cannot be removed; its key is forgotten all the same.
    pub fn forget(&mut self, now: Timestamp, overlap: Duration) -> Result<bool, KeyFault> {
        let successors = self.former.iter().skip(1).chain([&self.newest]);
        let pairs = self.former.iter().zip(successors);
        let ended = pairs.take_while(|(_, successor)| older(successor, now, overlap)).count();
        let forgotten: Vec<SessionKey> = self.former.drain(..ended).collect();
        let removed = forgotten.iter().map(|key| remove(&path(&self.directory, key)));
        removed.fold(Ok(()), Result::and).map(|()| ended > 0)
    }
}

fn older(key: &SessionKey, now: Timestamp, than: Duration) -> bool {
    now.duration_since(key.made) >= SignedDuration::try_from(than).unwrap_or(SignedDuration::MAX)
}

fn path(directory: &Path, key: &SessionKey) -> PathBuf {
    match key.made.as_second() {
        0 => directory.join(format!("{PURPOSE}.key")),
        seconds => directory.join(format!("{PURPOSE}-{seconds}.key")),
    }
}

fn store(directory: &Path, key: &SessionKey) -> Result<(), KeyFault> {
    files::create(&path(directory, key), &key.pkcs8)
}

fn remove(path: &Path) -> Result<(), KeyFault> {
    let fault = |source| KeyFault::Io { path: path.display().to_string(), verb: "removed", source };
    std::fs::remove_file(path).map_err(fault)
}

/// When the key in a file of this name was made; `None` for other files.
fn made(name: &str) -> Option<Timestamp> {
    let middle = name.strip_prefix(PURPOSE)?.strip_suffix(".key")?;
    let seconds = if middle.is_empty() { 0 } else { middle.strip_prefix('-')?.parse().ok()? };
    Timestamp::from_second(seconds).ok()
}

fn read_all(directory: &Path) -> Result<Vec<SessionKey>, KeyFault> {
    let fault = |source| KeyFault::Io { path: directory.display().to_string(), verb: "read", source };
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let Some(made) = entry.file_name().to_str().and_then(made) else { continue };
        let path = entry.path();
        let Some(pkcs8) = files::read(&path)? else { continue };
        if rcgen::KeyPair::try_from(pkcs8.as_slice()).is_err() {
            return Err(files::malformed(&path, "a P-256 key in PKCS#8"));
        }
        keys.push(SessionKey { pkcs8, made });
    }
    keys.sort_by_key(|key| key.made);
    Ok(keys)
}
