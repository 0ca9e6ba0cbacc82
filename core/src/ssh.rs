//! An SSH certificate authority: what hosts must know to trust it, and what it signs for them. A provider of SSH certificates
//! has one; the broker publishes what it says.

use core::fmt;

use crate::id::WritId;
use crate::provider::{Pending, ProviderFault};
use crate::time::Timestamp;

/// What a host's certificate shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRequest {
    /// The host's public key, as a line of OpenSSH: `ssh-ed25519 AAAA... comment`.
    pub key: String,
    /// The names and addresses by which clients reach the host.
    pub names: Vec<String>,
    /// When it ends.
    pub expires: Timestamp,
}

/// A host's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificate {
    /// The certificate, as a line of OpenSSH.
    pub line: String,
    /// The fingerprint of the host's key, as OpenSSH shows it: `SHA256:...`.
    pub key: String,
    /// Its serial number.
    pub serial: u64,
}

/// The public key of an authority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorityKey {
    /// SHA-256 over it, in lower-case hexadecimal: what the address of a revocation list names.
    pub fingerprint: String,
    /// The key as SSH writes it on the wire.
    pub blob: Vec<u8>,
}

/// Signs for SSH hosts and those who log in to them.
pub trait SshAuthority: Send + Sync + fmt::Debug {
    /// The key that signs.
    fn key(&self) -> &AuthorityKey;

    /// The keys of others that hosts are to trust as well, while one takes another's place. They sign nothing here.
    fn others(&self) -> &[AuthorityKey];

    /// The lines for a file that sshd's `TrustedUserCAKeys` names: this authority's, and the others'.
    fn trusted(&self) -> Vec<String>;

    /// The revocation list for sshd's `RevokedKeys`, in OpenSSH's binary form, of the certificates of these writs, whichever of
    /// these keys signed them.
    fn revocation_list(&self, keys: &[&AuthorityKey], ended: &[WritId], at: Timestamp) -> Vec<u8>;

    /// Signs a host's certificate.
    ///
    /// # Errors
    /// [`ProviderFault::Misconfigured`] with what to write instead, if the request cannot be signed as it is;
    /// [`ProviderFault::Unreachable`] if the key does not sign.
    fn certify_host<'a>(&'a self, request: &'a HostRequest) -> Pending<'a, Result<HostCertificate, ProviderFault>>;
}
