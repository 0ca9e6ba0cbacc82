//! The bundle as data: what the broker signs and a gateway takes in its stead of files.
//!
//! The receiver trusts the signature for the origin and nothing else: it parses and validates the files itself, and
//! takes them only if its own hash over them is the one that the sender states. Keys are the caller's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use writ_core::grant::PolicyHash;
use writ_core::time::Timestamp;

use crate::bundle::{Bundle, MAX_BYTES};
use crate::problem::Problem;

/// What is signed before the bundle's bytes, so that no other signature of the same key serves.
pub const SIGNATURE_DOMAIN: &[u8] = b"writ bundle v1\0";
const VERSION: u32 = 1;
/// JSON may need six bytes for one of text.
const MAX_WIRE_BYTES: usize = MAX_BYTES * 6 + 64 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    number: u64,
    issued_at: Timestamp,
    hash: PolicyHash,
    files: Vec<(String, String)>,
}

/// A bundle as it came over the wire.
#[derive(Debug)]
pub struct Received {
    /// Counts up with each change of policy; a gateway never takes a lower one than it has.
    pub number: u64,
    /// When the broker made it; a gateway stops deciding by one that is too old.
    pub issued_at: Timestamp,
    /// The policies.
    pub bundle: Arc<Bundle>,
}

/// Why bytes are not a bundle to decide by.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The signature is not the broker's.
    #[error("the policy bundle's signature does not verify: it was changed, or another broker signed it")]
    Signature,
    /// The bytes are more than any bundle needs.
    #[error("the policy bundle is larger than any valid one")]
    TooLarge,
    /// The bytes have another form.
    #[error("the policy bundle cannot be read: broker and gateway differ in version")]
    Form(#[source] serde_json::Error),
    /// A version that this build does not know.
    #[error("the policy bundle has version {0}: upgrade this gateway")]
    Version(u32),
    /// The files do not hash to what the sender states.
    #[error("the policy bundle does not have the hash that it states: broker and gateway differ in schema")]
    Hash,
    /// The files have problems.
    #[error("the policy bundle has {} problems: broker and gateway differ in version", .0.len())]
    Problems(Vec<Problem>),
}

impl Bundle {
    /// The bundle as bytes to sign and send.
    ///
    /// # Errors
    /// If it cannot be written as JSON, which only a lack of memory brings about.
    pub fn to_wire(&self, number: u64, issued_at: Timestamp) -> Result<Vec<u8>, serde_json::Error> {
        let (hash, files) = (self.hash().clone(), self.files().to_vec());
        serde_json::to_vec(&Wire { version: VERSION, number, issued_at, hash, files })
    }

    /// The bundle that [`Bundle::to_wire`] wrote. Call [`verify`] instead wherever the bytes come from outside.
    ///
    /// # Errors
    /// [`NotTaken`] for bytes of any other form, and for files that this build does not load to the same hash.
    pub fn from_wire(bytes: &[u8]) -> Result<Received, NotTaken> {
        if bytes.len() > MAX_WIRE_BYTES {
            return Err(NotTaken::TooLarge);
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(NotTaken::Form)?;
        if wire.version != VERSION {
            return Err(NotTaken::Version(wire.version));
        }
        let bundle = Self::load(wire.files).map_err(NotTaken::Problems)?;
        if *bundle.hash() != wire.hash {
            return Err(NotTaken::Hash);
        }
        Ok(Received { number: wire.number, issued_at: wire.issued_at, bundle: Arc::new(bundle) })
    }
}

/// Signs a bundle's bytes with whatever key `sign` holds.
///
/// # Errors
/// What `sign` gives.
pub fn sign<E>(bytes: &[u8], sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    sign(&message(bytes))
}

/// Takes a signed bundle: `check` is given message and signature, before anything is parsed.
///
/// # Errors
/// [`NotTaken`] if `check` says no, and for whatever [`Bundle::from_wire`] refuses.
pub fn verify(bytes: &[u8], signature: &[u8], check: impl FnOnce(&[u8], &[u8]) -> bool) -> Result<Received, NotTaken> {
    if bytes.len() > MAX_WIRE_BYTES {
        return Err(NotTaken::TooLarge);
    }
    if !check(&message(bytes), signature) {
        return Err(NotTaken::Signature);
    }
    Bundle::from_wire(bytes)
}

fn message(bytes: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, bytes].concat()
}
