//! Secrets that are kept elsewhere: fetched anew for each writ, over the network, and never kept.

use std::fmt;
use std::time::Duration;

use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;

use crate::{ConfigFault, SecretKeeper, Source};

/// Where a secret is fetched from.
pub trait SecretSource: Send + Sync + fmt::Debug {
    /// The place, for faults: `the secret `orders` of AWS Secrets Manager`.
    fn named(&self) -> String;

    /// Fetches it, for a writ or, in a probe, for the broker itself, within `limit`.
    ///
    /// # Errors
    /// [`ProviderFault`] if it cannot be had, in words without it.
    fn fetch<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
        limit: Duration,
    ) -> Pending<'a, Result<Fetched, ProviderFault>>;

    /// The same as a place where the secret is replaced.
    ///
    /// # Errors
    /// If it cannot be, as it is configured: what to write instead.
    fn keeper(&self) -> Result<&dyn SecretKeeper, ConfigFault> {
        Err(ConfigFault::new(format!(
            "{} cannot be written, and a rotated secret must be: keep it elsewhere",
            self.named()
        )))
    }
}

/// What was fetched.
#[derive(Debug)]
pub struct Fetched {
    /// The whole secret.
    pub value: Secret,
    /// The place and the version, as a fingerprint names them: `aws-secretsmanager:ARN@VERSION`.
    pub label: String,
}

impl SecretSource for Source {
    fn named(&self) -> String {
        self.to_string()
    }

    fn keeper(&self) -> Result<&dyn SecretKeeper, ConfigFault> {
        self.writable().map(|_| self as &dyn SecretKeeper)
    }

    /// Reads off the runtime's threads: a file may be on a disk that does not answer.
    fn fetch<'a>(
        &'a self,
        _: &'a TargetName,
        _: Option<&'a Intended>,
        limit: Duration,
    ) -> Pending<'a, Result<Fetched, ProviderFault>> {
        let source = self.clone();
        Box::pin(async move {
            let reading = tokio::task::spawn_blocking(move || source.read());
            match tokio::time::timeout(limit, reading).await {
                Ok(Ok(Ok(value))) => Ok(Fetched { value, label: self.label() }),
                Ok(Ok(Err(fault))) => Err(ProviderFault::Misconfigured(fault.to_string())),
                Ok(Err(_)) => Err(ProviderFault::Unreachable(format!("reading {self} was given up"))),
                Err(_) => {
                    let text = format!("reading {self}: no answer within {} ms", limit.as_millis());
                    Err(ProviderFault::Unreachable(text))
                }
            }
        })
    }
}
