//! The keys of SSH authorities: the broker keeps them, the provider has certificates signed by them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use writ_broker::keys::{self, FileSigner, Introduced, Signer as _};
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_ssh::{Authority, CaKey, SshConfig};

use crate::failure::{Doing as _, Failure};

/// Where the keys are, and which of them the ledger does not know yet.
pub(super) struct SshKeys {
    /// None where a configuration is only looked at.
    directory: Option<PathBuf>,
    made: Mutex<Vec<Introduced>>,
}

impl SshKeys {
    /// Those in the broker's state.
    pub(super) fn in_state(state: &Path) -> Self {
        Self { directory: Some(state.join("keys")), made: Mutex::default() }
    }

    /// None: nothing is made, and nothing signed.
    pub(super) fn unasked() -> Self {
        Self { directory: None, made: Mutex::default() }
    }

    /// The authority of a target.
    ///
    /// # Errors
    /// If a key cannot be read or made.
    pub(super) fn authority(&self, settings: &SshConfig, target: &TargetName) -> Result<Arc<Authority>, Failure> {
        let key = self.key(settings.authority(target))?;
        let others = settings.other_authorities.iter().map(|name| self.key(name));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        Authority::new(key, &others).map(Arc::new).doing(format!("the SSH authority of target `{target}`"))
    }

    fn key(&self, name: &str) -> Result<Arc<dyn CaKey>, Failure> {
        let name = TargetName::new(name).doing(format!("the SSH authority `{name}`"))?;
        let Some(directory) = &self.directory else { return Ok(Arc::new(Unasked([0; 32]))) };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let signer = keys::ssh_authority(directory, &name, &mut made);
        Ok(Arc::new(Kept(signer.doing(format!("the key of the SSH authority `{name}` cannot be used"))?)))
    }

    /// The keys that were made and that the ledger does not know yet.
    pub(super) fn made(&self) -> Vec<Introduced> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It does now.
    pub(super) fn written(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A key of the broker's.
#[derive(Debug)]
struct Kept(FileSigner);

impl CaKey for Kept {
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        Box::pin(
            async move { self.0.sign(message).await.map_err(|fault| ProviderFault::Unreachable(fault.to_string())) },
        )
    }
}

/// Stands for a key where nothing runs.
#[derive(Debug)]
struct Unasked([u8; 32]);

impl CaKey for Unasked {
    fn public(&self) -> &[u8] {
        &self.0
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        Box::pin(async { Err(ProviderFault::Unreachable("the broker does not run".to_owned())) })
    }
}
