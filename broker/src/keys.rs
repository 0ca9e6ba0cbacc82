//! The broker's keys: each has one purpose and its own file.
//!
//! | file | purpose |
//! |---|---|
//! | `ca.key`, `ca.pem` | signs certificates of gateways and of the broker's own listener |
//! | `ledger.key` | signs checkpoints |
//! | `bundle.key` | signs policy bundles |
//! | `session-token-<seconds>.key` | signs session tokens; made anew on a schedule |
//! | `issuer-<seconds>.key` | signs assertions to targets, where the broker is an issuer; made anew on a schedule |
//! | `ssh-authority-<name>.key` | signs certificates of SSH users and hosts, where a target's provider is `ssh` |
//! | `recording.key` | wraps the data keys of recordings |
//! | `mask.key` | the keyed masks: goes, sealed, to gateways whose sessions are masked; one for all, so that joins work |
//!
//! All but `mask.key` never leave this process.
//!
//! The directory is 0700 and each file 0600; a file that others may read is refused. A missing key is made, and its making
//! is an event in the ledger: the caller writes down [`Keys::introduced`]. Until it has, the file is called `NAME.key.new`, so that a
//! start that fails in between leaves a key that the next start introduces.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::sync::Mutex;
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::ca::CertificateAuthority;

pub mod files;
pub mod recording;
pub mod rotating;
pub mod signer;

pub use recording::{FileRecordingKey, RecordingKey};
pub use rotating::RotatingKeys;
pub use signer::{FileSigner, SignFault, Signer};

/// A key that cannot be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// The file system refused.
    #[error("the key file `{path}` cannot be {verb}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// `read`, `written` or `removed`.
        verb: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the key file `{path}` can be read by others (mode {mode:o}): set it to 0600")]
    Mode {
        /// Which file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The bytes are no such key.
    #[error("`{path}` does not hold {what}: restore it from a backup, or remove it to have a new one made")]
    Malformed {
        /// Which file.
        path: String,
        /// What was expected.
        what: &'static str,
    },
    /// The random source or the algorithm failed.
    #[error("the {0} key cannot be made or used")]
    Crypto(&'static str),
}

/// A key that was made just now, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduced {
    /// What it is for.
    pub purpose: &'static str,
    /// Its public part, or its identifier.
    pub public: String,
    /// The file that has it; none where it is kept elsewhere, or stands in no file yet.
    pub(crate) file: Option<PathBuf>,
}

impl Introduced {
    /// The ledger knows the key: its file gets the name that says so.
    ///
    /// # Errors
    /// [`KeyFault`] if it cannot be renamed; then the key is good, and introduced once more at the next start.
    pub fn written(&self) -> Result<(), KeyFault> {
        self.file.as_deref().map_or(Ok(()), files::introduced)
    }
}

/// The broker's keys.
#[derive(Debug)]
pub struct Keys {
    /// Signs certificates.
    pub ca: Arc<CertificateAuthority>,
    /// Signs checkpoints.
    pub ledger: Arc<dyn Signer>,
    /// Signs policy bundles.
    pub bundle: BundleKey,
    /// Sign session tokens.
    pub session_token: Mutex<RotatingKeys>,
    /// Wraps data keys.
    pub recording: Arc<dyn RecordingKey>,
    /// Makes the tokens of keyed masks.
    pub mask: Seed,
    /// Those that were made just now.
    pub introduced: Vec<Introduced>,
}

/// 32 secret bytes, from which an Ed25519 key is made.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Signs policy bundles with Ed25519.
pub struct BundleKey(Ed25519KeyPair);

impl core::fmt::Debug for BundleKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("BundleKey(..)")
    }
}

impl BundleKey {
    /// The key that a seed makes.
    ///
    /// # Errors
    /// If the algorithm refuses it.
    pub fn from_seed(seed: &Seed) -> Result<Self, KeyFault> {
        Ed25519KeyPair::from_seed_unchecked(seed.expose()).map(Self).map_err(|_| KeyFault::Crypto("bundle"))
    }

    /// The public key: 32 bytes.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// Signs `message`: 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}

impl Keys {
    /// Reads the keys in `directory` and makes those that are missing.
    ///
    /// # Errors
    /// [`KeyFault`] if a file cannot be read or written, can be read by others, or holds something else.
    pub fn load_or_create(directory: &Path, now: Timestamp) -> Result<Self, KeyFault> {
        files::create_private_directory(directory)?;
        let mut introduced = Vec::new();
        let ca = CertificateAuthority::load_or_create(directory, &mut introduced)?;
        let ledger = FileSigner::from_seed(seed(directory, "ledger", &mut introduced)?.expose(), "ledger")?;
        let bundle = BundleKey::from_seed(&seed(directory, "bundle", &mut introduced)?)?;
        let session_token =
            Mutex::new(RotatingKeys::load_or_create(directory, rotating::SESSION_TOKEN, now, &mut introduced)?);
        let recording = seed(directory, "recording", &mut introduced)?;
        let mask = seed(directory, "mask", &mut introduced)?;
        Ok(Self {
            ca: Arc::new(ca),
            ledger: Arc::new(ledger),
            bundle,
            session_token,
            recording: Arc::new(FileRecordingKey::new(recording)?),
            mask,
            introduced,
        })
    }
}

/// The key of the SSH authority of this name, made where there is none. It is in `introduced` each time until it is
/// [written](Introduced::written).
///
/// # Errors
/// [`KeyFault`] as for any key file.
pub fn ssh_authority(
    directory: &Path,
    name: &TargetName,
    introduced: &mut Vec<Introduced>,
) -> Result<FileSigner, KeyFault> {
    files::create_private_directory(directory)?;
    let seed = seed_in(&directory.join(format!("{SSH_AUTHORITY}-{name}.key")), SSH_AUTHORITY, introduced)?;
    FileSigner::from_seed(seed.expose(), SSH_AUTHORITY)
}

/// What the ledger calls keys of SSH authorities.
const SSH_AUTHORITY: &str = "ssh-authority";

fn seed(directory: &Path, purpose: &'static str, introduced: &mut Vec<Introduced>) -> Result<Seed, KeyFault> {
    seed_in(&directory.join(format!("{purpose}.key")), purpose, introduced)
}

fn seed_in(path: &Path, purpose: &'static str, introduced: &mut Vec<Introduced>) -> Result<Seed, KeyFault> {
    let (bytes, file) = files::read_or_make(path, || {
        let mut seed = Zeroizing::new(vec![0; 32]);
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyFault::Crypto(purpose))?;
        Ok(seed)
    })?;
    let seed = bytes.as_slice().try_into().map_err(|_| files::malformed(path, "32 bytes of key"))?;
    let seed = Seed(Zeroizing::new(seed));
    if file.is_none() {
        return Ok(seed);
    }
    let public = if matches!(purpose, "recording" | "mask") {
        recording::key_id(seed.expose())
    } else {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyFault::Crypto(purpose))?;
        files::hex(pair.public_key().as_ref())
    };
    let this = Introduced { purpose, public, file };
    // Some keys are asked for more than once.
    if !introduced.contains(&this) {
        introduced.push(this);
    }
    Ok(seed)
}

#[cfg(test)]
mod tests;
