//! The only form in which a credential crosses the network: HPKE (RFC 9180) to the key of the gateway that asked.
//!
//! Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The associated data names writ, session, gateway and
//! target, so that a sealed credential opens for nothing else.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
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
    fn associated_data(&self) -> Vec<u8> {
        format!("{}\n{}\n{}\n{}\n", self.writ, self.session, self.gateway, self.target).into_bytes()
    }
}

const CREDENTIAL: &[u8] = b"writ credential v1";
const DATA_KEY: &[u8] = b"writ data key v1";

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

    /// Opens a credential: its principal and its secret.
    ///
    /// # Errors
    /// [`NotOpened`] if it was not sealed to this key and for this purpose.
    pub fn credential(&self, sealed: &Sealed, purpose: Purpose<'_>) -> Result<(String, Secret), NotOpened> {
        let plain = Zeroizing::new(self.open(sealed, CREDENTIAL, purpose)?);
        let (length, rest) = plain.split_first_chunk::<2>().ok_or(NotOpened)?;
        let (principal, secret) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(NotOpened)?;
        let principal = core::str::from_utf8(principal).map_err(|_| NotOpened)?;
        Ok((principal.to_owned(), Secret::new(secret.to_vec())))
    }

    /// Opens a recording's data key.
    ///
    /// # Errors
    /// [`NotOpened`] if it was not sealed to this key and for this purpose.
    pub fn data_key(&self, sealed: &Sealed, purpose: Purpose<'_>) -> Result<Zeroizing<[u8; 32]>, NotOpened> {
        let plain = Zeroizing::new(self.open(sealed, DATA_KEY, purpose)?);
        plain.as_slice().try_into().map(Zeroizing::new).map_err(|_| NotOpened)
    }

    fn open(&self, sealed: &Sealed, info: &[u8], purpose: Purpose<'_>) -> Result<Vec<u8>, NotOpened> {
        DH_KEM_X25519_HKDF_SHA256_AES_256
            .open(
                &EncapsulatedSecret(sealed.enc.0.clone()),
                info,
                &purpose.associated_data(),
                &sealed.ciphertext.0,
                &self.0,
            )
            .map_err(|_| NotOpened)
    }
}

impl SealingKey {
    /// Seals a credential. Only what is logged can be sealed.
    ///
    /// # Errors
    /// If this is not a key, or the principal is longer than 65,535 bytes.
    pub fn seal_credential(&self, logged: &Logged) -> Result<Sealed, NotOpened> {
        let writ = logged.writ();
        let purpose = Purpose { writ: writ.id, session: writ.session, gateway: writ.gateway, target: &writ.target };
        self.seal(CREDENTIAL, purpose, &credential_bytes(logged.credential())?)
    }

    /// Seals a recording's data key.
    ///
    /// # Errors
    /// If this is not a key.
    pub fn seal_data_key(&self, key: &[u8; 32], purpose: Purpose<'_>) -> Result<Sealed, NotOpened> {
        self.seal(DATA_KEY, purpose, key)
    }

    fn seal(&self, info: &[u8], purpose: Purpose<'_>, plain: &[u8]) -> Result<Sealed, NotOpened> {
        let (enc, ciphertext) = DH_KEM_X25519_HKDF_SHA256_AES_256
            .seal(info, &purpose.associated_data(), plain, &HpkePublicKey(self.0.0.clone()))
            .map_err(|_| NotOpened)?;
        Ok(Sealed { enc: Base64(enc.0), ciphertext: Base64(ciphertext) })
    }
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
