//! The keys of SSH authorities: the broker keeps them, the provider has certificates signed by them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use writ_broker::keys::{self, FileSigner, Introduced, Signer as _};
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_provider_ssh::{Authority, CaKey, SshConfig};

use crate::failure::{Doing as _, Failure};

/// The keys that a configuration names, and which of them the ledger does not know yet.
pub(super) struct SshKeys {
    directory: Option<PathBuf>,
    made: RefCell<Vec<Introduced>>,
}

impl SshKeys {
    /// Those in the broker's state. Without one nothing is made, and nothing signed.
    pub(super) fn in_state(state: Option<&Path>) -> Self {
        Self { directory: state.map(|state| state.join("keys")), made: RefCell::default() }
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
        let signer = keys::ssh_authority(directory, &name, &mut self.made.borrow_mut());
        Ok(Arc::new(Kept(signer.doing(format!("the key of the SSH authority `{name}` cannot be used"))?)))
    }

    /// The keys that the ledger does not know yet.
    pub(super) fn made(self) -> Vec<Introduced> {
        self.made.into_inner()
    }
}

/// The targets that would share what is another's own, and what to write instead. An authority that a target did not name is
/// its alone: it is shared only where that is written in both.
pub(super) fn taken<'a>(
    targets: impl Iterator<Item = (&'a TargetName, &'a SshConfig)> + Clone,
) -> Vec<(TargetName, String)> {
    let mut found = Vec::new();
    for (target, settings) in targets.clone() {
        for name in settings.authority.iter().chain(&settings.other_authorities) {
            let owner = |(other, its): &(&TargetName, &SshConfig)| {
                *other != target && other.as_str() == name && its.authority.is_none()
            };
            if targets.clone().any(|one| owner(&one)) {
                let text = format!(
                    "the authority `{name}` is the target `{name}`'s own: write another name, or `authority = \"{name}\"` in that \
                     target too if the hosts of both are to trust certificates for either"
                );
                found.push((target.clone(), text));
            }
        }
    }
    found
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
