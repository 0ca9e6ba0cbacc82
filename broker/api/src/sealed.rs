//! The only form in which a credential crosses the network: HPKE (RFC 9180) to the key of the gateway that asked.
//!
//! Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. What one session needs is sealed in one context (RFC 9180,
//! 5.2): first the recording's data key, then the credential, so that a gateway which kept only the data key opens that
//! alone; last the key of the keyed masks, where masks apply. The associated data says which of them it is and names writ, session, gateway and target, so that none opens
//! for anything else, or in another's place.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkeOpener, HpkePrivateKey, HpkePublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;
use writ_core::credential::{Credential, Secret};
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::proof::Logged;
use writ_core::target::TargetName;
use zeroize::Zeroizing;

/// Bytes that travel as base64 text.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

impl fmt::Debug for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64({} bytes)", self.0.len())
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

/// What is sealed, and therefore what it may be opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose<'a> {
    /// The writ.
    pub writ: WritId,
    /// The session.
    pub session: SessionId,
    /// The gateway.
    pub gateway: GatewayId,
    /// The target.
    pub target: &'a TargetName,
}

impl Purpose<'_> {
    fn associated_data(&self, what: &str) -> Vec<u8> {
        format!("{what}\n{}\n{}\n{}\n{}\n", self.writ, self.session, self.gateway, self.target).into_bytes()
    }
}

const INFO: &[u8] = b"writ session v2";
const CREDENTIAL: &str = "credential";
const DATA_KEY: &str = "data key";
const MASK_KEY: &str = "mask key";

/// Sealing or opening failed. Says no more: there is nothing more to say that helps anyone but an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open: it was sealed to another key or for another session, or was changed")]
pub struct NotOpened;

/// A value that only one gateway can open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sealed {
    /// The encapsulated key.
    #[schema(value_type = String)]
    enc: Base64,
    /// The ciphertext and its tag.
    #[schema(value_type = String)]
    ciphertext: Base64,
}

/// A gateway's public key, to which credentials are sealed: 32 bytes of X25519.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct SealingKey(pub Base64);

/// A gateway's private key.
pub struct OpeningKey(HpkePrivateKey);

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(..)")
    }
}

impl OpeningKey {
    /// Makes a key pair.
    ///
    /// # Errors
    /// If the random source fails.
    pub fn generate() -> Result<(Self, SealingKey), NotOpened> {
        let (public, private) = DH_KEM_X25519_HKDF_SHA256_AES_256.generate_key_pair().map_err(|_| NotOpened)?;
        Ok((Self(private), SealingKey(Base64(public.0))))
    }

    /// The private key's bytes, to be kept in a file that only the gateway can read.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.secret_bytes()
    }

    /// The key that [`Self::expose`] gave.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(HpkePrivateKey::from(bytes))
    }

    /// Opens what was sealed for a session.
    ///
    /// # Errors
    /// [`NotOpened`] if it was not sealed to this key, for this purpose, and in one.
    pub fn session(&self, sealed: SealedSession<'_>, purpose: Purpose<'_>) -> Result<OpenedSession, NotOpened> {
        let same = |other: &Sealed| other.enc == sealed.data_key.enc;
        if !same(sealed.credential) || !sealed.mask_key.is_none_or(same) {
            return Err(NotOpened);
        }
        let mut opener = self.opener(sealed.data_key)?;
        let mut open = |what, sealed: &Sealed| {
            opener.open(&purpose.associated_data(what), &sealed.ciphertext.0).map(Zeroizing::new).map_err(|_| NotOpened)
        };
        let data_key = key(&open(DATA_KEY, sealed.data_key)?)?;
        let (principal, secret) = credential(&open(CREDENTIAL, sealed.credential)?)?;
        let mask_key = sealed.mask_key.map(|sealed| key(&open(MASK_KEY, sealed)?)).transpose()?;
        Ok(OpenedSession { principal, secret, data_key, mask_key })
    }

    /// Opens a recording's data key alone.
    ///
    /// # Errors
    /// [`NotOpened`] if it was not sealed to this key and for this purpose.
    pub fn data_key(&self, sealed: &Sealed, purpose: Purpose<'_>) -> Result<Zeroizing<[u8; 32]>, NotOpened> {
        let opened = self.opener(sealed)?.open(&purpose.associated_data(DATA_KEY), &sealed.ciphertext.0);
        let plain = Zeroizing::new(opened.map_err(|_| NotOpened)?);
        key(&plain)
    }

    fn opener(&self, sealed: &Sealed) -> Result<Box<dyn HpkeOpener>, NotOpened> {
        let encapsulated = EncapsulatedSecret(sealed.enc.0.clone());
        DH_KEM_X25519_HKDF_SHA256_AES_256.setup_opener(&encapsulated, INFO, &self.0).map_err(|_| NotOpened)
    }
}

/// What was sealed in one for a session.
#[derive(Debug, Clone, Copy)]
pub struct SealedSession<'a> {
    /// The credential.
    pub credential: &'a Sealed,
    /// The recording's data key.
    pub data_key: &'a Sealed,
    /// The key of the keyed masks, where masks apply.
    pub mask_key: Option<&'a Sealed>,
}

/// What [`SealingKey::seal_session`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKeys {
    /// The credential.
    pub credential: Sealed,
    /// The recording's data key.
    pub data_key: Sealed,
    /// The key of the keyed masks, where masks apply.
    pub mask_key: Option<Sealed>,
}

/// What a session needs, in the gateway's memory.
pub struct OpenedSession {
    /// Whom the credential names at the target.
    pub principal: String,
    /// The credential's secret.
    pub secret: Secret,
    /// The recording's data key.
    pub data_key: Zeroizing<[u8; 32]>,
    /// The key of the keyed masks, where masks apply: the same in every session at every gateway.
    pub mask_key: Option<Zeroizing<[u8; 32]>>,
}

impl fmt::Debug for OpenedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedSession").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl SealingKey {
    /// Seals a credential and its recording's data key, and the key of the keyed masks where masks apply. Only what is
    /// logged can be sealed.
    ///
    /// # Errors
    /// If this is not a key, or the principal is longer than 65,535 bytes.
    pub fn seal_session(
        &self,
        logged: &Logged,
        data_key: &[u8; 32],
        mask_key: Option<&[u8; 32]>,
    ) -> Result<SealedKeys, NotOpened> {
        let writ = logged.writ();
        let purpose = Purpose { writ: writ.id, session: writ.session, gateway: writ.gateway, target: &writ.target };
        self.seal(purpose, &credential_bytes(logged.credential())?, data_key, mask_key)
    }

    fn seal(
        &self,
        purpose: Purpose<'_>,
        credential: &[u8],
        data_key: &[u8; 32],
        mask_key: Option<&[u8; 32]>,
    ) -> Result<SealedKeys, NotOpened> {
        let key = HpkePublicKey(self.0.0.clone());
        let (enc, mut sealer) = DH_KEM_X25519_HKDF_SHA256_AES_256.setup_sealer(INFO, &key).map_err(|_| NotOpened)?;
        let mut seal = |what, plain: &[u8]| {
            let ciphertext = sealer.seal(&purpose.associated_data(what), plain).map_err(|_| NotOpened)?;
            Ok(Sealed { enc: Base64(enc.0.clone()), ciphertext: Base64(ciphertext) })
        };
        let data_key = seal(DATA_KEY, data_key)?;
        let credential = seal(CREDENTIAL, credential)?;
        let mask_key = mask_key.map(|key| seal(MASK_KEY, key)).transpose()?;
        Ok(SealedKeys { credential, data_key, mask_key })
    }
}

fn key(plain: &[u8]) -> Result<Zeroizing<[u8; 32]>, NotOpened> {
    plain.try_into().map(Zeroizing::new).map_err(|_| NotOpened)
}

/// A credential's principal and secret.
fn credential(plain: &[u8]) -> Result<(String, Secret), NotOpened> {
    let (length, rest) = plain.split_first_chunk::<2>().ok_or(NotOpened)?;
    let (principal, secret) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(NotOpened)?;
    let principal = core::str::from_utf8(principal).map_err(|_| NotOpened)?;
    Ok((principal.to_owned(), Secret::new(secret.to_vec())))
}

fn credential_bytes(credential: &Credential) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    let length = u16::try_from(credential.principal.len()).map_err(|_| NotOpened)?;
    let secret = credential.secret.expose();
    let mut plain = Zeroizing::new(Vec::with_capacity(2 + credential.principal.len() + secret.len()));
    plain.extend_from_slice(&length.to_be_bytes());
    plain.extend_from_slice(credential.principal.as_bytes());
    plain.extend_from_slice(secret);
    Ok(plain)
}

#[cfg(test)]
mod tests;
