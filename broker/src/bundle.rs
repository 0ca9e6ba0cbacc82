//! The policy set in force: read from files, numbered, signed for gateways.

use std::path::Path;
use std::sync::Arc;

use writ_broker_api::gateway::SignedBundle;
use writ_broker_api::sealed::Base64;
use writ_core::time::Timestamp;
use writ_policy::{Bundle, Problem};

use crate::keys::BundleKey;

/// The longest policy file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// The most policy files.
const MAX_FILES: usize = 1000;

/// A policy set in force.
#[derive(Debug)]
pub struct InForce {
    /// The policies.
    pub bundle: Bundle,
    /// Its number; it only grows.
    pub number: u64,
    /// The form for gateways.
    pub signed: SignedBundle,
}

/// Why policies cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// A file cannot be read.
    #[error("the policy `{path}` cannot be read: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The directory cannot be read.
    #[error("`policies` names the directory of policies; `{path}` cannot be read as one: {source}")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There are too many, or one is too long.
    #[error("there are more than {MAX_FILES} policy files, or one is longer than {MAX_FILE} bytes")]
    TooMuch,
    /// They are wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
    /// The bundle cannot be made.
    #[error("the policy bundle cannot be written: {0}")]
    Encode(String),
}

/// Reads every `*.cedar` and `*.mask.toml` file in a directory.
///
/// # Errors
/// [`PolicyFault`] if one cannot be read or there is too much.
pub fn read_files(directory: &Path) -> Result<Vec<(String, String)>, PolicyFault> {
    let io = |path: &Path| {
        let path = path.display().to_string();
        move |source| PolicyFault::Io { path, source }
    };
    let unread = |source| PolicyFault::Directory { path: directory.display().to_string(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unread)? {
        let path = entry.map_err(io(directory))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".cedar") && !name.ends_with(writ_policy::bundle::MASK_SUFFIX) {
            continue;
        }
        let length = std::fs::metadata(&path).map_err(io(&path))?.len();
        if length > MAX_FILE || files.len() == MAX_FILES {
            return Err(PolicyFault::TooMuch);
        }
        files.push((name, std::fs::read_to_string(&path).map_err(io(&path))?));
    }
    files.sort();
    Ok(files)
}

/// Parses and validates a policy set.
///
/// # Errors
/// [`PolicyFault::Problems`] with every mistake.
pub fn load(files: Vec<(String, String)>) -> Result<Bundle, PolicyFault> {
    Bundle::load(files).map_err(PolicyFault::Problems)
}

/// Numbers and signs a policy set.
///
/// # Errors
/// [`PolicyFault::Encode`] if it cannot be written.
pub fn sign(bundle: Bundle, number: u64, now: Timestamp, key: &BundleKey) -> Result<Arc<InForce>, PolicyFault> {
    let encode = |error: serde_json::Error| PolicyFault::Encode(error.to_string());
    let bytes = bundle.to_wire(number, now).map_err(encode)?;
    let signature =
        writ_policy::wire::sign(&bytes, |message| Ok::<_, serde_json::Error>(key.sign(message))).map_err(encode)?;
    let signed = SignedBundle { bytes: Base64(bytes), signature: Base64(signature) };
    Ok(Arc::new(InForce { bundle, number, signed }))
}
