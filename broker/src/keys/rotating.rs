//! Keys that change on a schedule: one in use, and those before it while a token of theirs can still be good.
//!
//! A key stands in `<purpose>-<seconds>.key`, named by when it was made; one without a time, `<purpose>.key`, counts as
//! older than all. A key goes when the one after it has signed for longer than any token lives: its file too, so that a copy
//! of the directory forges nothing of the past.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::KeyPair as _;
use writ_core::time::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{Introduced, KeyFault, files};

/// What keys of one purpose are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// What their files begin with, and what the ledger calls them.
    pub name: &'static str,
    /// What they are.
    pub form: Form,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// ECDSA on P-256.
    P256,
    /// RSA with 2048 bits.
    Rsa2048,
}

/// The keys of session tokens.
pub const SESSION_TOKEN: Purpose = Purpose { name: "session-token", form: Form::P256 };

/// One key, in PKCS#8.
pub struct RotatingKey {
    pkcs8: Zeroizing<Vec<u8>>,
    made: Timestamp,
}

impl core::fmt::Debug for RotatingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "RotatingKey(made {})", self.made)
    }
}

/// A key that was made and stands in no file yet.
#[derive(Debug)]
pub struct Fresh {
    key: RotatingKey,
    /// What the ledger must know before it is used.
    pub introduced: Introduced,
}

impl Fresh {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyFault::Crypto`] if that fails.
    pub fn make(purpose: Purpose, now: Timestamp) -> Result<Self, KeyFault> {
        let crypto = || KeyFault::Crypto(purpose.name);
        let (pkcs8, public) = match purpose.form {
            Form::P256 => {
                let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| crypto())?;
                (Zeroizing::new(pair.serialize_der()), pair.public_key_raw().to_vec())
            }
            Form::Rsa2048 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| crypto())?;
                let pkcs8: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| crypto())?;
                (Zeroizing::new(pkcs8.as_ref().to_vec()), pair.public_key().as_ref().to_vec())
            }
        };
        let introduced = Introduced { purpose: purpose.name, public: files::hex(&public), file: None };
        Ok(Self { key: RotatingKey { pkcs8, made: now }, introduced })
    }
}

/// The keys, the oldest first; never none.
#[derive(Debug)]
pub struct RotatingKeys {
    purpose: Purpose,
    directory: PathBuf,
    newest: RotatingKey,
    former: Vec<RotatingKey>,
}

impl RotatingKeys {
    /// Reads the keys in `directory`, and makes one if there is none.
    ///
    /// # Errors
    /// [`KeyFault`] as for any key file.
    pub fn load_or_create(
        directory: &Path,
        purpose: Purpose,
        now: Timestamp,
        introduced: &mut Vec<Introduced>,
    ) -> Result<Self, KeyFault> {
        let mut keys = read_all(directory, purpose, introduced)?;
        let directory = directory.to_owned();
        if let Some(newest) = keys.pop() {
            return Ok(Self { purpose, directory, newest, former: keys });
        }
        let fresh = Fresh::make(purpose, now)?;
        let file = path(&directory, purpose.name, &fresh.key);
        files::create_new(&file, &fresh.key.pkcs8)?;
        introduced.push(Introduced { file: Some(file), ..fresh.introduced });
        Ok(Self { purpose, directory, newest: fresh.key, former: Vec::new() })
    }

    /// What they are for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// All of them, the oldest first, each with whether it is older than `age`.
    pub fn all(&self, now: Timestamp, age: Duration) -> impl Iterator<Item = (&[u8], bool)> {
        let keys = self.former.iter().chain([&self.newest]);
        keys.map(move |key| (key.pkcs8.as_slice(), older(key, now, age)))
    }

    /// The newest key.
    #[must_use]
    pub fn signing(&self) -> &[u8] {
        &self.newest.pkcs8
    }

    /// The keys before it whose tokens are still accepted.
    pub fn former(&self) -> impl Iterator<Item = &[u8]> {
        self.former.iter().map(|key| key.pkcs8.as_slice())
    }

    /// Whether the newest key is older than `life`.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, life: Duration) -> bool {
        older(&self.newest, now, life)
    }

    /// Takes a key into use, once the ledger knows it.
    ///
    /// # Errors
    /// [`KeyFault`] if its file cannot be written; then the one before stays in use.
    pub fn rotate(&mut self, fresh: Fresh) -> Result<(), KeyFault> {
        files::create(&path(&self.directory, self.purpose.name, &fresh.key), &fresh.key.pkcs8)?;
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
        let forgotten: Vec<RotatingKey> = self.former.drain(..ended).collect();
        let removed = forgotten.iter().map(|key| files::remove(&path(&self.directory, self.purpose.name, key)));
        removed.fold(Ok(()), Result::and).map(|()| ended > 0)
    }
}

fn older(key: &RotatingKey, now: Timestamp, than: Duration) -> bool {
    now.duration_since(key.made) >= SignedDuration::try_from(than).unwrap_or(SignedDuration::MAX)
}

fn path(directory: &Path, purpose: &str, key: &RotatingKey) -> PathBuf {
    match key.made.as_second() {
        0 => directory.join(format!("{purpose}.key")),
        seconds => directory.join(format!("{purpose}-{seconds}.key")),
    }
}

/// When the key in a file of this name was made; `None` for other files.
fn made(name: &str, purpose: &str) -> Option<Timestamp> {
    let middle = name.strip_prefix(purpose)?.strip_suffix(".key")?;
    let seconds = if middle.is_empty() { 0 } else { middle.strip_prefix('-')?.parse().ok()? };
    Timestamp::from_second(seconds).ok()
}

/// All keys, the oldest first; those that the ledger does not know are in `introduced` as well.
fn read_all(
    directory: &Path,
    purpose: Purpose,
    introduced: &mut Vec<Introduced>,
) -> Result<Vec<RotatingKey>, KeyFault> {
    let fault = |source| KeyFault::Io { path: directory.display().to_string(), verb: "read", source };
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        let new = name.strip_suffix(files::NEW);
        let (name, is_new) = (new.unwrap_or(name), new.is_some());
        let Some(made) = made(name, purpose.name) else { continue };
        let Some(pkcs8) = files::read(&path)? else { continue };
        let pair = rcgen::KeyPair::try_from(pkcs8.as_slice());
        let pair = pair.map_err(|_| files::malformed(&path, "a key in PKCS#8"))?;
        if is_new {
            let (public, file) = (files::hex(pair.public_key_raw()), Some(directory.join(name)));
            introduced.push(Introduced { purpose: purpose.name, public, file });
        }
        keys.push(RotatingKey { pkcs8, made });
    }
    keys.sort_by_key(|key| key.made);
    Ok(keys)
}
