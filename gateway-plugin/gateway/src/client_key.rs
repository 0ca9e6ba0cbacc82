//! The key that a client proves in the TLS handshake, by a client certificate of its own making (as in RFC 8705, 2.2).
//!
//! The certificate is the key's wrapping and no more: whoever signed it, whatever it names and whenever it ends is not looked at, and
//! never believed. What is known afterwards is that whoever is at the other end has the private key, which the handshake's
//! signature shows.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use writ_core::client::ClientKey;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The longest chain of certificates that a client may show, in bytes. A key needs none but its own.
const LONGEST_CHAIN: usize = 16 * 1024;
/// The fewest and most bits of an RSA key.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519: &str = "1.3.101.112";

/// Why a client's certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unproved {
    /// It is no certificate.
    #[error("the client's certificate is malformed")]
    Malformed,
    /// There is too much of it.
    #[error("the client's certificates have more than the {LONGEST_CHAIN} bytes that are read")]
    TooLong,
    /// Its key is of another kind.
    #[error("the client's key is none of ECDSA P-256, ECDSA P-384, Ed25519 and RSA with 2048 to 8192 bits")]
    Kind,
}

impl From<Unproved> for Error {
    fn from(unproved: Unproved) -> Self {
        Self::InvalidCertificate(match unproved {
            Unproved::Malformed => CertificateError::BadEncoding,
            other => CertificateError::Other(OtherError(std::sync::Arc::new(other))),
        })
    }
}

/// The key of a certificate whose possession the handshake proved.
pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<ClientKey, Unproved> {
    with_key(certificate, thumbprint)?
}

fn with_key<T>(
    certificate: &CertificateDer<'_>,
    then: impl FnOnce(&SubjectPublicKeyInfo<'_>) -> T,
) -> Result<T, Unproved> {
    match X509Certificate::from_der(certificate) {
        Ok(([], certificate)) => Ok(then(certificate.public_key())),
        _ => Err(Unproved::Malformed),
    }
}

/// The JWK thumbprint (RFC 7638), as a token's `cnf.jkt` names it.
fn thumbprint(key: &SubjectPublicKeyInfo<'_>) -> Result<ClientKey, Unproved> {
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let bits = key.subject_public_key.data.as_ref();
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    let curve = curve.map(|curve| curve.to_id_string());
    let point = |name: &str, length: usize| match bits.split_first() {
        Some((4, point)) if point.len() == 2 * length => {
            let (x, y) = point.split_at_checked(length)?;
            Some(format!(r#"{{"crv":"{name}","kty":"EC","x":"{}","y":"{}"}}"#, encoded(x), encoded(y)))
        }
        _ => None,
    };
    let canonical = match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
        (EC, Some(P256)) => point("P-256", 32),
        (EC, Some(P384)) => point("P-384", 48),
        (ED25519, None) if bits.len() == 32 => {
            Some(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encoded(bits)))
        }
        (RSA, _) => match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => {
                let (modulus, exponent) = (unpadded(rsa.modulus), unpadded(rsa.exponent));
                let members = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encoded(exponent), encoded(modulus));
                Some(members).filter(|_| RSA_BITS.contains(&bit_length(modulus)))
            }
            _ => None,
        },
        _ => None,
    };
    let digest = digest(&SHA256, canonical.ok_or(Unproved::Kind)?.as_bytes());
    encoded(digest.as_ref()).parse().map_err(|_| Unproved::Kind)
}

fn unpadded(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

fn bit_length(integer: &[u8]) -> usize {
    integer.first().map_or(0, |first| integer.len() * 8 - first.leading_zeros() as usize)
}

/// Asks clients for a certificate, demands none, and takes any as the proof of its key.
#[derive(Debug)]
pub(crate) struct AnyKey(pub(crate) WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client that has a certificate of an authority which is not named would not show it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = between.iter().fold(leaf.len(), |bytes, certificate| bytes.saturating_add(certificate.len()));
        if bytes > LONGEST_CHAIN {
            return Err(Unproved::TooLong.into());
        }
        of(leaf)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let fitting = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = fitting.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let verified = with_key(certificate, |key| {
            let bits = key.subject_public_key.data.as_ref();
            algorithms.iter().any(|algorithm| algorithm.verify_signature(bits, message, signed.signature()).is_ok())
        });
        match verified? {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = with_key(certificate, |key| SubjectPublicKeyInfoDer::from(key.raw.to_vec()))?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
