//! What a key that a key management service keeps is to an issuer of assertions.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::der::{self, PublicKey};

/// The fewest bytes of an RSA modulus (RFC 7518, 3.3).
const RSA_BYTES: usize = 256;

/// What a key is: the two kinds that clouds keep and their token services take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// ECDSA with P-256 and SHA-256.
    P256,
    /// RSA of 2048 bits or more, PKCS #1 v1.5, SHA-256.
    Rsa,
}

impl Form {
    /// Its name in the header of a token (RFC 7518, 3.1).
    #[must_use]
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::P256 => "ES256",
            Self::Rsa => "RS256",
        }
    }
}

/// The key in a `SubjectPublicKeyInfo` as a JWK (RFC 7517); none where it cannot sign assertions.
#[must_use]
pub fn of_der(der: &[u8]) -> Option<(Form, Value)> {
    jwk(&der::public_key(der)?)
}

/// A public key as a JWK (RFC 7517); none where it cannot sign assertions.
#[must_use]
pub fn jwk(key: &PublicKey<'_>) -> Option<(Form, Value)> {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match key {
        PublicKey::P256 { x, y } if x.len() == 32 && y.len() == 32 => {
            Some((Form::P256, json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) })))
        }
        PublicKey::Rsa { n, e } if n.len() >= RSA_BYTES && n.first() != Some(&0) => {
            Some((Form::Rsa, json!({ "kty": "RSA", "n": text(n), "e": text(e) })))
        }
        PublicKey::P256 { .. } | PublicKey::Rsa { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn a_public_key_is_the_jwk_that_it_says() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let der = pair.public_key().as_der().unwrap();
        let (form, found) = of_der(der.as_ref()).unwrap();
        assert_eq!(form, Form::P256);
        assert_eq!(found["x"], URL_SAFE_NO_PAD.encode(&point[1..33]));
        assert_eq!(found["y"], URL_SAFE_NO_PAD.encode(&point[33..]));
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.public_key().as_der().unwrap();
        let (form, found) = of_der(der.as_ref()).unwrap();
        assert_eq!((form, &found["e"]), (Form::Rsa, &json!("AQAB")));
        assert_eq!(found["n"], URL_SAFE_NO_PAD.encode(pair.public_key().modulus().big_endian_without_leading_zero()));
        for cut in 0..der.as_ref().len() {
            assert!(of_der(&der.as_ref()[..cut]).is_none());
        }
    }
}
