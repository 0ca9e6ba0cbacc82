//! Writ's own certificate authority: certificates for gateways and for the broker's listener, short-lived, ECDSA P-256.
//!
//! What a certificate says is decided here; of a signing request only the public key is taken. A gateway's name is the URI
//! `writ://gateway/<id>` in its subject alternative names.

use core::fmt;
use core::time::Duration;
use std::net::IpAddr;
use std::path::Path;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use writ_core::id::GatewayId;
use writ_core::time::{Timestamp, after};
use zeroize::Zeroizing;

use crate::keys::{Introduced, KeyFault, files};

const URI_PREFIX: &str = "writ://gateway/";
/// Certificates begin a little before they are made, for clocks that are a little behind.
const BACKDATE_SECONDS: i64 = 60;
const AUTHORITY_LIFE_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// The last second of the year 9999, beyond which a certificate cannot name a time (RFC 5280, 4.1.2.5).
const LAST_SECOND: i64 = 253_402_300_799;

/// A signing request that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaFault {
    /// It is no request, or its signature is wrong.
    #[error("the certificate signing request is malformed or not signed by its own key")]
    Request,
    /// The key is of a kind that is not accepted.
    #[error("the certificate signing request is for a key that is not ECDSA P-256: make it with one")]
    KeyKind,
    /// The name cannot stand in a certificate.
    #[error("`{0}` is not a host name or IP address")]
    Name(String),
    /// We could not sign.
    #[error("the certificate could not be signed")]
    Signing,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub pem: String,
    /// Its serial number, in lower-case hexadecimal.
    pub serial: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// A certificate with its key, for a listener.
pub struct ServerIdentity {
    /// The certificate.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// When it ends.
    pub expires: Timestamp,
}

/// The authority.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateAuthority(..)")
    }
}

impl CertificateAuthority {
    /// Reads the authority in `directory`, or makes it.
    ///
    /// # Errors
    /// [`KeyFault`] as for any key file.
    pub fn load_or_create(directory: &Path, introduced: &mut Vec<Introduced>) -> Result<Self, KeyFault> {
        let key_path = directory.join("ca.key");
        let pem_path = directory.join("ca.pem");
        let (bytes, file) = files::read_or_make(&key_path, || {
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| KeyFault::Crypto("ca"))?;
            let params = authority_params(Timestamp::now());
            let pem = params.self_signed(&key).map_err(|_| KeyFault::Crypto("ca"))?.pem();
            // The certificate first: a key without its certificate is refused, a certificate without its key is made anew.
            std::fs::write(&pem_path, &pem).map_err(|source| KeyFault::Io {
                path: pem_path.display().to_string(),
                verb: "written",
                source,
            })?;
            Ok(Zeroizing::new(key.serialize_der()))
        })?;
        let key =
            KeyPair::try_from(bytes.as_slice()).map_err(|_| files::malformed(&key_path, "a P-256 key in PKCS#8"))?;
        if file.is_some() {
            introduced.push(Introduced { purpose: "ca", public: files::hex(key.public_key_raw()), file });
        }
        let pem = std::fs::read_to_string(&pem_path)
            .map_err(|_| files::malformed(&pem_path, "the authority's certificate"))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key)
            .map_err(|_| files::malformed(&pem_path, "the authority's certificate"))?;
        Ok(Self { issuer, pem })
    }

    /// The authority's certificate (PEM).
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a gateway's certificate. Only the public key is taken from the request.
    ///
    /// # Errors
    /// [`CaFault`] if the request is malformed, not signed by its own key, or for another kind of key.
    pub fn issue_gateway(
        &self,
        gateway: GatewayId,
        csr_pem: &str,
        now: Timestamp,
        life: Duration,
    ) -> Result<Issued, CaFault> {
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(|_| CaFault::Request)?;
        if request.public_key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(CaFault::KeyKind);
        }
        let (mut params, serial, expires) = leaf_params(&gateway.to_string(), now, life)?;
        let uri = format!("{URI_PREFIX}{gateway}");
        params.subject_alt_names = vec![SanType::URI(uri.clone().try_into().map_err(|_| CaFault::Name(uri))?)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(|_| CaFault::Signing)?;
        Ok(Issued { pem: certificate.pem(), serial, expires })
    }

    /// Makes a key and a certificate for one of our own listeners.
    ///
    /// # Errors
    /// [`CaFault::Name`] if a name is neither a host name nor an IP address.
    pub fn issue_server(&self, names: &[String], now: Timestamp, life: Duration) -> Result<ServerIdentity, CaFault> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| CaFault::Signing)?;
        let common = names.first().map_or("writ", String::as_str);
        let (mut params, _, expires) = leaf_params(common, now, life)?;
        params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).map_err(|_| CaFault::Signing)?;
        Ok(ServerIdentity {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            expires,
        })
    }
}

/// The gateway that a certificate names, and the certificate's serial number in hexadecimal. `None` if it names none.
/// Call it only with a certificate whose chain was verified.
#[must_use]
pub fn gateway_of(certificate: &CertificateDer<'_>) -> Option<(GatewayId, String)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        x509_parser::extensions::GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (first, none) = (uris.next()?, uris.next());
    let gateway = first.strip_prefix(URI_PREFIX)?.parse().ok()?;
    none.is_none().then(|| (gateway, files::hex(parsed.raw_serial())))
}

fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Writ");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params, now, AUTHORITY_LIFE_SECONDS);
    params
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life_seconds: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = |offset: i64| {
        let total = now.as_second().saturating_add(offset).clamp(0, LAST_SECOND);
        Duration::from_secs(total.unsigned_abs())
    };
    params.not_before = epoch + since_epoch(-BACKDATE_SECONDS);
    params.not_after = epoch + since_epoch(life_seconds);
}

fn leaf_params(
    common_name: &str,
    now: Timestamp,
    life: Duration,
) -> Result<(CertificateParams, String, Timestamp), CaFault> {
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| CaFault::Signing)?;
    // A serial number is a positive integer of fixed length (RFC 5280, 4.1.2.2).
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let expires = after(now, life.as_secs());
    let life = i64::try_from(life.as_secs()).unwrap_or(LAST_SECOND);
    set_validity(&mut params, now, life);
    Ok((params, files::hex(&serial), expires))
}

fn alternative_name(name: &str) -> Result<SanType, CaFault> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    match rustls_pki_types::DnsName::try_from(name) {
        Ok(_) => name.to_owned().try_into().map(SanType::DnsName).map_err(|_| CaFault::Name(name.to_owned())),
        Err(_) => Err(CaFault::Name(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
