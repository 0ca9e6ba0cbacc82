//! Keys that sign tokens of the broker's own (RFC 7515), with their public half as a JWK (RFC 7517).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::config::Algorithm;

/// A private key.
pub(crate) enum SigningKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl core::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SigningKey({})", self.algorithm().name())
    }
}

impl SigningKey {
    /// The key in PKCS#8, if it is ECDSA P-256, Ed25519 or RSA.
    pub(crate) fn read(pkcs8: &[u8]) -> Option<Self> {
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Self::Es256);
        let edwards = || Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa);
        let rsa = || RsaKeyPair::from_pkcs8(pkcs8).map(Self::Rs256);
        ecdsa.or_else(|_| edwards()).or_else(|_| rsa()).ok()
    }

    /// What it signs with.
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Its public half.
    pub(crate) fn public(&self) -> Value {
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let half = |range| point.get(range).map(|bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
                json!({ "kty": "EC", "crv": "P-256", "x": half(1..33), "y": half(33..65) })
            }
            Self::EdDsa(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()) })
            }
            Self::Rs256(pair) => {
                let public = pair.public_key();
                let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
                let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "n": modulus, "e": exponent })
            }
        }
    }

    /// A signature in the form of RFC 7518, 3; `None` if the library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Es256(pair) => Some(pair.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec()),
            Self::EdDsa(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}
