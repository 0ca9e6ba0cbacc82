//! Credentials: what a provider minted. They live in the memory of broker and gateway alone and are zeroized.
//!
//! [`Secret`] lacks every trait that leaks: no `Display`, no `Serialize`, no `Clone`, a `Debug` that shows nothing.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::time::Timestamp;

/// Secret bytes, overwritten when dropped, compared in constant time.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes. Where they come from a string that stays behind, zeroize that too.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every caller is a place where the secret can leak: keep them few and greppable.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What kind of credential a provider mints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A database role made for the writ.
    DatabaseRole,
    /// A password that somebody configured. It outlives the writ: the weakest kind, and labelled so.
    StaticPassword,
    /// Temporary credentials of an AWS role: STS gave them. The secret is the JSON that AWS calls `credential_process`
    /// output, version 1.
    AwsSession,
    /// A login token of RDS or Aurora, signed for one user of one endpoint. The secret stands where a password would.
    RdsToken,
    /// A bearer token for an EKS cluster's API server (`k8s-aws-v1`).
    EksToken,
    /// A bound token of a Kubernetes service account.
    KubernetesToken,
    /// An access or ID token of a Google service account.
    GcpToken,
    /// A service account's access token that Cloud SQL takes for a login. The secret stands where a password would.
    CloudSqlToken,
    /// An access token of Microsoft Entra.
    EntraToken,
    /// An access token of Microsoft Entra that a database of Azure takes for a login. The secret stands where a password would.
    EntraLogin,
    /// An SSH user certificate with the private key that it certifies. The secret is the key in OpenSSH's format, a line feed
    /// where it does not end in one, and the certificate on one line.
    SshCertificate,
    /// An installation token of a GitHub App.
    GithubToken,
    /// A secret that an OpenBao or Vault gave out. The secret stands where a password would, or is JSON: the fields that the
    /// configuration names.
    OpenbaoSecret,
}

/// How a credential can be taken back before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// The target forgets it: this one, and no other.
    Individual,
    /// Only together with everything else of its role that is as old: an operator's explicit act.
    WholeRole,
    /// Not at all: it lives until its own end, and the gateway ends the session.
    None,
}

/// A public fingerprint of a credential: enough to find it again, nothing to use it with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a secret: SHA-256 over a label and the secret, the first 16 bytes in hexadecimal. Only for
    /// secrets of at least 128 random bits, from which it cannot be searched back.
    #[must_use]
    pub fn of_random(secret: &Secret) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(b"writ credential fingerprint v1\0");
        context.update(secret.expose());
        let digest = context.finish();
        Self(digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// A fingerprint that says nothing of the secret: for static passwords, which may be guessable. `source` names
    /// where it was read from.
    #[must_use]
    pub fn of_source(source: &str) -> Self {
        Self(format!("static:{source}"))
    }

    /// A fingerprint that the target itself shows in its audit: an access key's id, a token's `jti`. It is public there.
    #[must_use]
    pub fn of_public(kind: &str, id: &str) -> Self {
        Self(format!("{kind}:{id}"))
    }

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a provider minted.
#[derive(Debug)]
pub struct Credential {
    /// What kind it is.
    pub kind: CredentialKind,
    /// The user, role or principal that the target knows it by.
    pub principal: String,
    /// The secret itself.
    pub secret: Secret,
    /// Its end, as granted by the target, not as asked; `None` where it does not end by itself.
    pub expires: Option<Timestamp>,
    /// A public fingerprint.
    pub fingerprint: Fingerprint,
    /// What the target's own audit calls it: the join key between its log and the ledger. The principal where the audit
    /// knows nothing finer.
    pub audit: String,
    /// How it can be taken back.
    pub revocation: Revocation,
}
