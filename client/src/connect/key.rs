//! The key that a run proves to its gateway: made for that run, in memory.
//!
//! The certificate around it says nothing and is signed by the key itself: gateways take it as the proof of the key alone. With a
//! token that is used several times the gateway's broker takes the later uses from the same key only.
//!
//! Never: write the key anywhere; use it in another run.

use core::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use crate::fault::Fault;

/// A key of one run.
#[derive(Clone)]
pub struct ClientKey {
    thumbprint: String,
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

impl ClientKey {
    /// Makes one: ECDSA P-256.
    ///
    /// # Errors
    /// If no random numbers can be had.
    pub fn fresh() -> Result<Self, Fault> {
        let failed = |error: &dyn fmt::Display| Fault::new(format!("a key for this run cannot be made: {error}"));
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(&error))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let certificate = params.self_signed(&pair).map_err(|error| failed(&error))?;
        let pkcs8 = Zeroizing::new(pair.serialize_der());
        let key = any_ecdsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()).into()).map_err(|error| failed(&error))?;
        let thumbprint = thumbprint(pair.public_key_raw()).ok_or_else(|| failed(&"it is no point of the curve"))?;
        Ok(Self { thumbprint, certified: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)) })
    }

    /// Its JWK thumbprint (RFC 7638): SHA-256, base64url. By it `writ sessions ls --key` finds the sessions of the run.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }
}

/// The thumbprint of an uncompressed point of P-256.
fn thumbprint(point: &[u8]) -> Option<String> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, encoded(x), encoded(y));
    Some(encoded(digest(&SHA256, canonical.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        // RFC 9449, 4.1 and 6.1.
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let (x, y) = (
            decoded("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"),
            decoded("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"),
        );
        let point = [[4].as_slice(), &x, &y].concat();
        assert_eq!(thumbprint(&point).as_deref(), Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"));
        assert_eq!(thumbprint(&[[2].as_slice(), &x].concat()), None);
    }

    #[test]
    fn each_run_has_its_own_and_shows_no_private_part() {
        let (one, two) = (ClientKey::fresh().unwrap(), ClientKey::fresh().unwrap());
        assert_ne!(one.thumbprint(), two.thumbprint());
        assert_eq!(format!("{one:?}"), format!("ClientKey {{ thumbprint: {:?}, .. }}", one.thumbprint()));
    }
}
