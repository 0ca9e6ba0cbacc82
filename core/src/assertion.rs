//! Assertions: ID tokens of Writ's own issuer, by which a target that trusts the issuer knows Writ and the writ.
//!
//! With them the broker holds no long-lived secret of any target: it shows a token that it signed a moment ago and that
//! ends in minutes.

use core::fmt;

use crate::credential::Secret;
use crate::proof::Intended;
use crate::provider::{Pending, ProviderFault};
use crate::target::TargetName;
use crate::workload::Claims;

/// Whom an assertion names as its subject. Clouds match subjects exactly, so that each is stable over all writs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssertedSubject {
    /// `target:NAME`: whoever policy lets in looks the same to the target.
    #[default]
    Target,
    /// `workload:` and 32 hexadecimal digits of SHA-256 over the workload's issuer, a line feed and its subject: each
    /// workload looks different to the target.
    Workload,
}

/// What an assertion is asked for.
#[derive(Debug)]
pub struct Assertion<'a> {
    /// Whom it is for: what the target expects in `aud`.
    pub audience: &'a str,
    /// Whom it names.
    pub subject: AssertedSubject,
    /// The target that it is shown to, or on whose behalf.
    pub target: &'a TargetName,
    /// The writ that it is for; none where the provider acts for itself, as in a probe or a revocation.
    pub intended: Option<&'a Intended>,
    /// Claims that the target wants beside the issuer's own, by name. None of the issuer's own may be among them.
    pub claims: Claims,
}

/// Makes assertions. The broker's issuer does; providers are given it.
pub trait Assertions: Send + Sync + fmt::Debug {
    /// The issuer's address: the `iss` claim, and where the target finds its keys.
    fn issuer(&self) -> &str;

    /// An ID token (RFC 7519), compact.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] if the claims are not ones that may be added or the subject needs a workload and
    /// there is none, [`ProviderFault::Unreachable`] if the signer does not answer.
    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>>;
}

/// Signs assertions with one key, wherever it is: in a file of the broker's, or behind a key management service that never
/// gives it away.
pub trait AssertionSigner: Send + Sync + fmt::Debug {
    /// The algorithm's name in a JOSE header (RFC 7518, 3.1): `ES256` or `RS256`.
    fn algorithm(&self) -> &'static str;

    /// The public half as a JWK (RFC 7517), without `kid`, `use` and `alg`.
    fn public(&self) -> serde_json::Value;

    /// The signature over `message` in the form of RFC 7518, 3: R and S of fixed width for ECDSA.
    ///
    /// # Errors
    /// [`ProviderFault`] if nothing was signed.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>>;
}
