//! Whom to trust for a server's certificate: the authorities that the target names, and no other beside them; the system's
//! where it names none.

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use writ_provider_source::ConfigFault;

/// The authorities' certificates, at least one: all that `ca_pem` names, or what can be used of the system's.
pub(crate) fn authorities(ca_pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>, ConfigFault> {
    let usable = |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    let found: Vec<_> = match ca_pem {
        Some(pem) => {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
            read.ok().filter(|all| all.iter().all(usable)).ok_or_else(none)?
        }
        None => rustls_native_certs::load_native_certs().certs.into_iter().filter(usable).collect(),
    };
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

fn none() -> ConfigFault {
    ConfigFault::new("`ca_pem` holds no certificate: write the PEM of the authority that vouches for the target")
}
