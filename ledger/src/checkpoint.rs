//! Checkpoints: the log's signed tree head (C2SP tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::note::{NoteFault, Signer, Verifier};

/// A tree head. The log's origin is the name of the key that signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries the log has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Signs a head.
    #[must_use]
    pub fn sign(signer: &Signer, size: u64, root: &Hash) -> String {
        signer.sign(&Self::text(signer.verifier().name(), size, root))
    }

    /// The bytes that are signed for a head.
    #[must_use]
    pub fn text(origin: &str, size: u64, root: &Hash) -> String {
        format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.0))
    }

    /// Reads a checkpoint that `verifier` signed.
    ///
    /// # Errors
    /// [`NoteFault`] if the note is malformed, not signed by the key, or not of this log.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, NoteFault> {
        let text = verifier.open(note)?;
        let checkpoint = Self::parse(text).ok_or(NoteFault::Malformed)?;
        if checkpoint.origin == verifier.name() { Ok(checkpoint) } else { Err(NoteFault::Malformed) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let plain = size.bytes().all(|byte| byte.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let root = Hash::from_slice(&STANDARD.decode(root).ok()?)?;
        // Extension lines are not used by this log; a blank one would be ambiguous.
        let extensions = lines.all(|line| !line.is_empty());
        (plain && extensions && !origin.is_empty()).then_some(Self {
            origin: origin.to_owned(),
            size: size.parse().ok()?,
            root,
        })
    }
}
