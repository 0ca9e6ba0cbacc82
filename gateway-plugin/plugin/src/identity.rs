//! The gateway's identity: keys that it made itself, the certificate that the broker gave, and what it pins.
//!
//! `key.der`, `opening.key`: made here, never sent. `identity.json`: certificate and pins. `checkpoint`: the newest checkpoint
//! seen; the ledger must continue it for ever. Every file is 0600 in a directory of 0700.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use writ_broker_api::gateway::EnrolReply;
use writ_broker_api::sealed::{Base64, OpeningKey, SealingKey};
use writ_core::fault::{Blame, Fault};
use writ_core::id::GatewayId;
use zeroize::Zeroizing;

/// The longest file of an identity.
const MAX_BYTES: u64 = 1 << 20;

/// What the broker gave at enrolment, and the public half of what was made here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// The gateway's name.
    pub gateway: GatewayId,
    /// Its certificate.
    pub certificate_pem: String,
    /// The authority.
    pub ca_pem: String,
    /// The ledger's key.
    pub ledger_key: String,
    /// The policy bundles' key.
    pub bundle_key: Base64,
    /// The key to which credentials are sealed.
    pub sealing_key: SealingKey,
}

/// The gateway's identity.
pub struct Identity {
    directory: PathBuf,
    key: KeyPair,
    opening: OpeningKey,
    pinned: Pinned,
}

impl core::fmt::Debug for Identity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Identity").field("gateway", &self.pinned.gateway).finish_non_exhaustive()
    }
}

/// Keys that were made and not yet enrolled.
pub struct Fresh {
    directory: PathBuf,
    key: KeyPair,
    opening: OpeningKey,
    sealing: SealingKey,
}

impl Identity {
    /// Reads the identity in `directory`; `None` if the gateway has not enrolled.
    ///
    /// # Errors
    /// If a file cannot be read, can be read by others, or is malformed.
    pub fn load(directory: &Path) -> Result<Option<Self>, Fault> {
        let Some(pinned) = read(&directory.join("identity.json"))? else { return Ok(None) };
        let pinned: Pinned =
            serde_json::from_slice(&pinned).map_err(|error| broken("identity.json", &error.to_string()))?;
        let key = read(&directory.join("key.der"))?.ok_or_else(|| broken("key.der", "it is missing"))?;
        let key = KeyPair::try_from(key.as_slice()).map_err(|_| broken("key.der", "it is no key"))?;
        let opening = read(&directory.join("opening.key"))?.ok_or_else(|| broken("opening.key", "it is missing"))?;
        let opening = OpeningKey::from_bytes(opening.to_vec());
        Ok(Some(Self { directory: directory.to_owned(), key, opening, pinned }))
    }

    /// Its name.
    #[must_use]
    pub const fn gateway(&self) -> GatewayId {
        self.pinned.gateway
    }

    /// What it pins.
    #[must_use]
    pub const fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// What opens its credentials.
    #[must_use]
    pub const fn opening(&self) -> &OpeningKey {
        &self.opening
    }

    /// Certificate and key in one PEM, for TLS.
    #[must_use]
    pub fn tls_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", self.key.serialize_pem(), self.pinned.certificate_pem))
    }

    /// A signing request for a new certificate of the same key.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn signing_request(&self) -> Result<String, Fault> {
        signing_request(&self.key)
    }

    /// Takes a renewed certificate.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn renewed(&mut self, certificate_pem: String) -> Result<(), Fault> {
        self.pinned.certificate_pem = certificate_pem;
        store(&self.directory, &self.pinned)
    }

    /// When the certificate's first half is over, in seconds since 1970.
    #[must_use]
    pub fn renew_at(&self) -> i64 {
        use rustls_pki_types::pem::PemObject as _;
        let parsed = rustls_pki_types::CertificateDer::from_pem_slice(self.pinned.certificate_pem.as_bytes());
        let Ok(der) = parsed else { return 0 };
        match x509_parser::parse_x509_certificate(&der) {
            Ok((_, certificate)) => {
                let validity = certificate.validity();
                let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
                from + (until - from) / 2
            }
            Err(_) => 0,
        }
    }

    /// The newest checkpoint that was seen.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn checkpoint(&self) -> Result<Option<String>, Fault> {
        let note = read(&self.directory.join("checkpoint"))?;
        Ok(note.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()))
    }

    /// Keeps the newest checkpoint.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_checkpoint(&self, note: &str) -> Result<(), Fault> {
        replace(&self.directory.join("checkpoint"), note.as_bytes())
    }
}

impl Fresh {
    /// Makes keys in `directory`.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn make(directory: &Path) -> Result<Self, Fault> {
        private_directory(directory)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
            .map_err(|_| broken("key.der", "it cannot be made"))?;
        let (opening, sealing) = OpeningKey::generate().map_err(|_| broken("opening.key", "it cannot be made"))?;
        Ok(Self { directory: directory.to_owned(), key, opening, sealing })
    }

    /// A signing request, and the key to which credentials are to be sealed.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn request(&self) -> Result<(String, SealingKey), Fault> {
        Ok((signing_request(&self.key)?, self.sealing.clone()))
    }

    /// Keeps what the broker gave. The identity is there once this returns, and not before.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn enrolled(self, reply: EnrolReply) -> Result<Identity, Fault> {
        let pinned = Pinned {
            gateway: reply.gateway,
            certificate_pem: reply.certificate_pem,
            ca_pem: reply.ca_pem,
            ledger_key: reply.ledger_key,
            bundle_key: reply.bundle_key,
            sealing_key: self.sealing,
        };
        replace(&self.directory.join("key.der"), &Zeroizing::new(self.key.serialize_der()))?;
        replace(&self.directory.join("opening.key"), self.opening.expose())?;
        replace(&self.directory.join("checkpoint"), reply.checkpoint.as_bytes())?;
        store(&self.directory, &pinned)?;
        Ok(Identity { directory: self.directory, key: self.key, opening: self.opening, pinned })
    }
}

fn store(directory: &Path, pinned: &Pinned) -> Result<(), Fault> {
    let text = serde_json::to_vec_pretty(pinned).map_err(|error| broken("identity.json", &error.to_string()))?;
    replace(&directory.join("identity.json"), &text)
}

fn signing_request(key: &KeyPair) -> Result<String, Fault> {
    let request = CertificateParams::default().serialize_request(key).and_then(|request| request.pem());
    request.map_err(|_| broken("key.der", "a signing request cannot be made"))
}

/// Makes a directory that only the gateway can enter.
///
/// # Errors
/// If it cannot be made.
pub fn private_directory(path: &Path) -> Result<(), Fault> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| broken(&path.display().to_string(), &error.to_string()))
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let name = path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(&name, &error.to_string())),
    };
    let mode = file.metadata().map_err(|error| broken(&name, &error.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(broken(&name, "others can read it: set its mode to 0600"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| broken(&name, &error.to_string()))?;
    Ok(Some(bytes))
}

/// Writes a file in one step, durable when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|error: std::io::Error| broken(&path.display().to_string(), &error.to_string()))
}

fn broken(file: &str, why: &str) -> Fault {
    Fault::new("gateway.state", Blame::Ours, "the gateway's state cannot be used").detail(format!("`{file}`: {why}"))
}
