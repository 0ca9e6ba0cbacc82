//! The authority: one key that signs, and what hosts are told of it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::PublicKey;
use writ_core::id::WritId;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::ssh::{AuthorityKey, HostCertificate, HostRequest, SshAuthority};
use writ_core::time::Timestamp;

use crate::certificate::{Content, Kind, random};
use crate::config::ConfigFault;
use crate::key::{self, blob};
use crate::krl;
use crate::wire::{Wire, split_string};

/// Certificates begin a little before they are made, for hosts whose clocks are a little behind.
pub(crate) const SKEW: u64 = 60;
/// The most names of one host: a certificate vouches for one, and its names stand in the ledger.
const MOST_NAMES: usize = 32;
/// The longest life of a host's certificate, in seconds.
const LONGEST_HOST: u64 = 366 * 24 * 3600;

/// Keeps an authority's Ed25519 key, wherever that is.
pub trait CaKey: Send + Sync + fmt::Debug {
    /// The public key.
    fn public(&self) -> &[u8];

    /// The signature over `message` (RFC 8032): 64 bytes.
    ///
    /// # Errors
    /// [`ProviderFault`] if nothing was signed.
    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>>;
}

/// An authority for certificates of users and hosts.
pub struct Authority {
    key: Arc<dyn CaKey>,
    public: [u8; 32],
    shown: AuthorityKey,
    others: Vec<AuthorityKey>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", key::shown(&self.shown.blob))
    }
}

impl Authority {
    /// The authority that signs with `key`. `others` sign nothing, and hosts are told to trust them too.
    ///
    /// # Errors
    /// If a public key is none of Ed25519.
    pub fn new(key: Arc<dyn CaKey>, others: &[Arc<dyn CaKey>]) -> Result<Self, ConfigFault> {
        let public = public(&*key)?;
        let others = others.iter().map(|key| Ok(shown(&self::public(&**key)?)));
        let others = others.collect::<Result<_, ConfigFault>>()?;
        Ok(Self { key, public, shown: shown(&public), others })
    }

    /// Signs a certificate: the certificate as a line of OpenSSH, with a line feed. What the key's keeper gave is checked.
    pub(crate) async fn certify(&self, content: &Content<'_>) -> Result<String, ProviderFault> {
        let unsigned = content.to_be_signed(&self.shown.blob)?;
        let signature = self.key.sign(unsigned.bytes()).await?;
        UnparsedPublicKey::new(&ED25519, &self.public).verify(unsigned.bytes(), &signature).map_err(|_| {
            ProviderFault::Refused("the authority's key gave no signature of its own over the certificate".to_owned())
        })?;
        let signature = Wire::with_capacity(83).string(key::ED25519).string(signature);
        let whole = unsigned.string(signature.bytes()).finish();
        Ok(format!("{} {} {}\n", content.certificate_type(), STANDARD.encode(whole), content.key_id))
    }

    /// Signs something that is no certificate: whether the key's keeper would sign one.
    pub(crate) async fn probe(&self) -> Result<(), ProviderFault> {
        let message = b"writ asks whether this key signs";
        let signature = self.key.sign(message).await?;
        let checked = UnparsedPublicKey::new(&ED25519, &self.public).verify(message, &signature);
        checked.map_err(|_| ProviderFault::Refused("the authority's key gave no signature of its own".to_owned()))
    }

    async fn host(&self, request: &HostRequest, now: Timestamp) -> Result<HostCertificate, ProviderFault> {
        let wrong = |text: String| ProviderFault::Misconfigured(text);
        let host = PublicKey::from_openssh(&request.key).map_err(|_| {
            wrong(
                "the key is no public key of OpenSSH's: give the line of a file as `ssh_host_ed25519_key.pub`"
                    .to_owned(),
            )
        })?;
        let blob = host.to_bytes().map_err(|_| wrong("the key cannot be written as SSH has it".to_owned()))?;
        let key_type = host_key_type(&host)?;
        let (_, rest) = split_string(&blob).ok_or_else(|| wrong("the key has no type".to_owned()))?;
        if request.names.is_empty() || request.names.len() > MOST_NAMES {
            return Err(wrong(format!("{} names: write 1 to {MOST_NAMES}", request.names.len())));
        }
        if let Some(name) = request.names.iter().find(|name| !is_host(name)) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
            return Err(wrong(format!("`{shown}` is no host name or address: write one as clients reach the host by")));
        }
        let (begin, end) = (seconds(now), seconds(request.expires));
        if end <= begin || end - begin > LONGEST_HOST {
            return Err(wrong(
                "a host's certificate lives for 366 days at most: write an end between now and then".to_owned(),
            ));
        }
        let serial = u64::from_be_bytes(random::<8>()?) | 1 << 63;
        let (permits, key_id) = (Default::default(), format!("host-{serial:016x}"));
        let content = Content {
            kind: Kind::Host,
            key_type: &key_type,
            key: rest,
            serial,
            key_id: &key_id,
            principals: &request.names,
            valid_after: begin.saturating_sub(SKEW),
            valid_before: end,
            command: None,
            sources: &[],
            permits: &permits,
        };
        Ok(HostCertificate { line: self.certify(&content).await?, key: key::shown(&blob), serial })
    }
}

impl SshAuthority for Authority {
    fn key(&self) -> &AuthorityKey {
        &self.shown
    }

    fn others(&self) -> &[AuthorityKey] {
        &self.others
    }

    fn trusted(&self) -> Vec<String> {
        let line = |key: &AuthorityKey| format!("{} {} writ", key::ED25519, STANDARD.encode(&key.blob));
        core::iter::once(&self.shown).chain(&self.others).map(line).collect()
    }

    fn revocation_list(&self, keys: &[&AuthorityKey], ended: &[WritId], at: Timestamp) -> Vec<u8> {
        krl::list(keys, ended, at)
    }

    fn certify_host<'a>(&'a self, request: &'a HostRequest) -> Pending<'a, Result<HostCertificate, ProviderFault>> {
        Box::pin(self.host(request, Timestamp::now()))
    }
}

/// Types of keys that may be certified; sshd signs with the first three, and with RSA of at least 2048 bits.
fn host_key_type(key: &PublicKey) -> Result<String, ProviderFault> {
    use ssh_key::{Algorithm, EcdsaCurve};
    let refused = |why: &str| {
        let text = format!("the key is {why}: give the host's Ed25519 key, `/etc/ssh/ssh_host_ed25519_key.pub`");
        Err(ProviderFault::Misconfigured(text))
    };
    match key.algorithm() {
        Algorithm::Ed25519 => Ok(key::ED25519.to_owned()),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Ok("ecdsa-sha2-nistp256".to_owned()),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => Ok("ecdsa-sha2-nistp384".to_owned()),
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => Ok("ecdsa-sha2-nistp521".to_owned()),
        Algorithm::Rsa { .. } if key.key_data().rsa().is_some_and(|key| key.key_size() >= 2048) => {
            Ok("ssh-rsa".to_owned())
        }
        Algorithm::Rsa { .. } => refused("an RSA key of fewer than 2048 bits"),
        _ => refused("of a type that is not certified"),
    }
}

/// A name of DNS or an address, without wildcards: a host's certificate vouches for one host.
fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-')
    };
    name.parse::<std::net::IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

/// Whole seconds since 1970.
pub(crate) fn seconds(at: Timestamp) -> u64 {
    at.as_second().max(0).unsigned_abs()
}

fn public(key: &dyn CaKey) -> Result<[u8; 32], ConfigFault> {
    let public = key.public().try_into();
    public.map_err(|_| ConfigFault::new("the authority's key is none of Ed25519: its public part has 32 bytes"))
}

/// What others are shown of a key.
fn shown(public: &[u8; 32]) -> AuthorityKey {
    let blob = blob(public);
    let fingerprint = digest(&SHA256, &blob).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    AuthorityKey { fingerprint, blob }
}
