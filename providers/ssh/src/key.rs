//! Ed25519 keys in the forms of OpenSSH.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{LineEnding, PrivateKey};
use writ_core::provider::ProviderFault;
use zeroize::Zeroizing;

use crate::wire::Wire;

/// The name of the key type (RFC 8709).
pub(crate) const ED25519: &str = "ssh-ed25519";

/// A key pair for one writ.
pub(crate) struct Pair {
    /// The public key.
    pub(crate) public: [u8; 32],
    /// The private key in OpenSSH's own format, not encrypted. It ends in a line feed.
    pub(crate) private: Zeroizing<String>,
}

impl Pair {
    /// A fresh one.
    pub(crate) fn make() -> Result<Self, ProviderFault> {
        let failed =
            || ProviderFault::Unreachable("a key pair cannot be made: no random numbers can be had".to_owned());
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| failed())?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| failed())?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| failed())?;
        let pair = Ed25519Keypair { public: Ed25519PublicKey(public), private: Ed25519PrivateKey::from_bytes(&seed) };
        let private = PrivateKey::from(pair).to_openssh(LineEnding::LF).map_err(|_| failed())?;
        Ok(Self { public, private })
    }
}

/// The public key as SSH has it on the wire.
pub(crate) fn blob(public: &[u8; 32]) -> Vec<u8> {
    Wire::with_capacity(51).string(ED25519).string(public).finish()
}

/// A public key's fingerprint, as OpenSSH shows it.
pub(crate) fn shown(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest(&SHA256, blob)))
}
