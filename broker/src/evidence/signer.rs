//! Signing the ledger's checkpoints.

use std::sync::Arc;
use std::time::Duration;

use writ_ledger::note::{NoteFault, Verifier};
use writ_ledger::{Checkpoint, Hash};

use super::EvidenceFault;
use crate::keys::Signer;

/// How long a signature may take.
const WITHIN: Duration = Duration::from_secs(5);

/// Signs checkpoints in the ledger's name.
#[derive(Debug)]
pub struct LedgerSigner {
    verifier: Verifier,
    key: Arc<dyn Signer>,
}

impl LedgerSigner {
    /// Signs as `name` with `key`.
    ///
    /// # Errors
    /// [`NoteFault::MalformedKey`] if the name cannot stand in a note, or the key is not Ed25519.
    pub fn new(name: &str, key: Arc<dyn Signer>) -> Result<Self, NoteFault> {
        Ok(Self { verifier: Verifier::from_public(name, key.public())?, key })
    }

    /// The key that verifies what this signs.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) async fn checkpoint(&self, size: u64, root: &Hash) -> Result<String, EvidenceFault> {
        let unwritable = |why: String| EvidenceFault::Unwritable(why);
        let text = Checkpoint::text(self.verifier.name(), size, root);
        let signature = match tokio::time::timeout(WITHIN, self.key.sign(text.as_bytes())).await {
            Ok(signature) => signature.map_err(|fault| unwritable(fault.to_string()))?,
            Err(_) => return Err(unwritable(format!("the key `{}` did not sign in its time", self.key.key_id()))),
        };
        let note = self.verifier.note(&text, &signature);
        self.verifier.open(&note).map_err(|fault| unwritable(fault.to_string()))?;
        Ok(note)
    }
}
