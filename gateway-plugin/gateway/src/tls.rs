//! TLS towards clients and towards targets. One crypto provider, given explicitly: nothing depends on a process default.

use std::fs;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use writ_core::fault::{Blame, Fault};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client_key::AnyKey;
use crate::config::Certificate;

/// The name of PostgreSQL's protocol in the TLS handshake (ALPN), required where TLS begins without a request for it.
pub const ALPN: &[u8] = b"postgresql";
/// The longest TLS record to a client, in bytes. libpq makes room for 8,192 bytes before each read: what a longer record
/// holds beyond that stays inside the client's TLS library, where a client that waits for its socket never sees it.
const MOST_IN_RECORD: usize = 8192;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn unusable(what: &str, detail: impl std::fmt::Display) -> Fault {
    Fault::new("gateway.tls", Blame::Ours, format!("{what} cannot be used: {detail}"))
}

fn unread(wanted: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => format!("it holds no {wanted} in PEM"),
        _ => format!("it is not PEM, or was cut short: it should hold a {wanted}"),
    }
}

/// What clients are answered with.
///
/// # Errors
/// The files cannot be read, or do not fit each other.
pub fn server(certificate: &Certificate) -> Result<Arc<ServerConfig>, Fault> {
    let shown = |path: &std::path::Path| format!("the file `{}`", path.display());
    let read = |path: &std::path::Path| fs::read(path).map_err(|error| unusable(&shown(path), error));
    let chain = CertificateDer::pem_slice_iter(&read(&certificate.chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&shown(&certificate.chain), unread("certificate", &error)))?;
    let pem = zeroize::Zeroizing::new(read(&certificate.key)?);
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unusable(&shown(&certificate.key), unread("private key", &error)))?;
    let provider = provider();
    let any_key = Arc::new(AnyKey(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", error))?
        .with_client_cert_verifier(any_key)
        .with_single_cert(chain, key)
        .map_err(|error| unusable("the certificate", error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_fragment_size = Some(MOST_IN_RECORD);
    Ok(Arc::new(config))
}

/// What targets are verified with: these authorities, or the system's.
///
/// # Errors
/// There is no authority to trust.
pub fn client(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, Fault> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| unusable("the target's authority", error))?;
            roots.add(certificate).map_err(|error| unusable("the target's authority", error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(unusable("the target's authority", "it holds no certificate"));
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The hash of a server's certificate for the channel binding `tls-server-end-point` (RFC 5929, section 4.1): by the
/// hash of its signature, by SHA-256 where that is MD5 or SHA-1; `None` where the signature names no single hash.
#[must_use]
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // MD5, SHA-1 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

thread_local! {
    static CLIENTS: std::cell::RefCell<std::collections::HashMap<Option<String>, Arc<ClientConfig>>> =
        std::cell::RefCell::new(std::collections::HashMap::new());
}
/// How many authorities one thread keeps ready.
const MOST_CLIENTS: usize = 256;

/// The same as [`client`], made once for each authority and thread.
///
/// # Errors
/// As [`client`].
pub fn client_cached(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, Fault> {
    let key = ca_pem.map(str::to_owned);
    if let Some(config) = CLIENTS.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(config);
    }
    let config = client(ca_pem)?;
    CLIENTS.with_borrow_mut(|known| {
        if known.len() >= MOST_CLIENTS {
            known.clear();
        }
        known.insert(key, Arc::clone(&config));
    });
    Ok(config)
}
