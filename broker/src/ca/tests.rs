//! Tests of the authority.

use super::*;

fn authority() -> CertificateAuthority {
    let directory = tempfile::tempdir().unwrap();
    CertificateAuthority::load_or_create(directory.path(), &mut Vec::new()).unwrap()
}

fn request(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    let key = KeyPair::generate_for(algorithm).unwrap();
    CertificateParams::new(vec!["evil.example".to_owned()]).unwrap().serialize_request(&key).unwrap().pem().unwrap()
}

fn der(pem: &str) -> CertificateDer<'static> {
    use rustls_pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[test]
fn a_gateway_gets_its_own_name_and_no_other() {
    let authority = authority();
    let gateway = GatewayId::fresh();
    let csr = request(&rcgen::PKCS_ECDSA_P256_SHA256);
    let issued = authority.issue_gateway(gateway, &csr, Timestamp::now(), Duration::from_secs(3600)).unwrap();
    assert_eq!(gateway_of(&der(&issued.pem)), Some((gateway, issued.serial.clone())));
    assert!(!issued.pem.contains("evil"));
    let der = der(&issued.pem);
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
}

#[test]
fn a_request_that_is_malformed_or_of_another_kind_is_refused() {
    let authority = authority();
    let issue = |csr: &str| authority.issue_gateway(GatewayId::fresh(), csr, Timestamp::now(), Duration::from_secs(60));
    assert_eq!(issue("").unwrap_err(), CaFault::Request);
    assert_eq!(
        issue("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n").unwrap_err(),
        CaFault::Request
    );
    assert_eq!(issue(&request(&rcgen::PKCS_ED25519)).unwrap_err(), CaFault::KeyKind);
}

#[test]
fn a_listener_gets_names_and_addresses() {
    let authority = authority();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let identity = authority.issue_server(&names, Timestamp::now(), Duration::from_secs(3600)).unwrap();
    assert_eq!(gateway_of(identity.chain.first().unwrap()), None);
    let bad = authority.issue_server(&["no spaces".to_owned()], Timestamp::now(), Duration::from_secs(60));
    assert_eq!(bad.err(), Some(CaFault::Name("no spaces".to_owned())));
}
