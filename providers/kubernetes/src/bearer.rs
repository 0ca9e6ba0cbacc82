//! What the broker shows to the cluster: a bearer token, asked for anew for each thing that it does.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use writ_core::assertion::{AssertedSubject, Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::TargetName;
use writ_core::workload::Claims;
use zeroize::Zeroizing;

/// No bearer token is longer: API servers refuse headers of a megabyte, and proxies far shorter ones.
const LIMIT: u64 = 64 * 1024;

/// Where bearer tokens come from.
pub trait BearerSource: Send + Sync + fmt::Debug {
    /// What it is, for whoever reads that the cluster does not know it: `the token in `/run/token``.
    fn named(&self) -> String;

    /// A token for what is about to be done at `target`: for a writ, or for the broker itself.
    ///
    /// # Errors
    /// [`ProviderFault`] if there is none.
    fn bearer<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
    ) -> Pending<'a, Result<Secret, ProviderFault>>;
}

/// A token that a kubeconfig holds.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) token: Secret,
    pub(crate) named: String,
}

impl BearerSource for Fixed {
    fn named(&self) -> String {
        self.named.clone()
    }

    fn bearer<'a>(&'a self, _: &'a TargetName, _: Option<&'a Intended>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { Ok(Secret::new(self.token.expose().to_vec())) })
    }
}

/// A token in a file that somebody else renews: it is read anew each time.
#[derive(Debug)]
pub(crate) struct File(pub(crate) PathBuf);

impl BearerSource for File {
    fn named(&self) -> String {
        format!("the token in `{}`", self.0.display())
    }

    fn bearer<'a>(&'a self, _: &'a TargetName, _: Option<&'a Intended>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async {
            let said =
                |problem: String| ProviderFault::Misconfigured(format!("{} cannot be used: {problem}", self.named()));
            let meta = tokio::fs::metadata(&self.0).await.map_err(|error| said(error.to_string()))?;
            if !meta.is_file() || meta.len() > LIMIT {
                return Err(said("it is no regular file, or too long for a token".to_owned()));
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len() + 1).unwrap_or(0)));
            let file = tokio::fs::File::open(&self.0).await.map_err(|error| said(error.to_string()))?;
            file.take(LIMIT).read_to_end(&mut bytes).await.map_err(|error| said(error.to_string()))?;
            match bytes.trim_ascii() {
                [] => Err(said("it is empty".to_owned())),
                token => Ok(Secret::new(token.to_vec())),
            }
        })
    }
}

/// ID tokens of Writ's own issuer. The subject is the target: a probe and a revocation have no workload, and the cluster's
/// rules name one user for all three.
#[derive(Debug)]
pub(crate) struct Asserted {
    pub(crate) assertions: Arc<dyn Assertions>,
    pub(crate) audience: String,
}

impl BearerSource for Asserted {
    fn named(&self) -> String {
        format!("an assertion of `{}` for the audience `{}`", self.assertions.issuer(), self.audience)
    }

    fn bearer<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
    ) -> Pending<'a, Result<Secret, ProviderFault>> {
        let (audience, subject, claims) = (self.audience.as_str(), AssertedSubject::Target, Claims::default());
        self.assertions.assert(Assertion { audience, subject, target, intended, claims })
    }
}
