//! An authority of a fake's own, and a certificate by it.

/// A certificate and its key, and the authority that vouches for it, all in PEM.
pub(crate) struct Certificate {
    pub(crate) authority: String,
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    /// For `localhost`, `127.0.0.1` and these names (P-256).
    pub(crate) fn make(names: &[&str]) -> Result<Self, String> {
        let said = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let ca_key = rcgen::KeyPair::generate().map_err(said)?;
        let mut ca = rcgen::CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "writ fakes' authority");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let authority = ca.self_signed(&ca_key).map_err(said)?.pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().map_err(said)?;
        let names: Vec<String> = ["localhost", "127.0.0.1"].iter().chain(names).map(|&name| name.to_owned()).collect();
        let mut server = rcgen::CertificateParams::new(names).map_err(said)?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let chain = server.signed_by(&key, &issuer).map_err(said)?.pem();
        Ok(Self { authority, chain, key: key.serialize_pem() })
    }
}
