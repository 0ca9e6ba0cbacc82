//! A SPIFFE trust domain with an authority of its own.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use serde_json::{Value, json};

/// A trust domain.
pub(crate) struct Domain {
    name: &'static str,
    authority: CertifiedIssuer<'static, KeyPair>,
}

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn lasting(params: &mut CertificateParams, life: u64) {
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(60)).into();
    params.not_after = (now + Duration::from_secs(life)).into();
}

/// A leaf with these URIs among its names.
pub(crate) fn leaf(uris: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("a URI"))).collect();
    lasting(&mut params, 3600);
    params
}

impl Domain {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        lasting(&mut params, 86_400);
        Self { name, authority: CertifiedIssuer::self_signed(params, key()).expect("an authority") }
    }

    /// Its table in the broker's configuration, with its bundle.
    pub(crate) fn config(&self) -> Value {
        let der = STANDARD.encode(self.authority.der());
        let bundle = json!({ "keys": [{ "use": "x509-svid", "kty": "EC", "crv": "P-256", "x5c": [der] }] });
        json!({
            "name": self.name, "preset": "spiffe", "tenant": self.name, "x509_svids": true, "jwks": bundle.to_string(),
        })
    }

    pub(crate) fn id(&self, path: &str) -> String {
        format!("spiffe://{}{path}", self.name)
    }

    /// Certificate and key (PEM) of the workload with this path.
    pub(crate) fn svid(&self, path: &str) -> String {
        self.signed(leaf(&[&self.id(path)]))
    }

    /// Certificate and key (PEM) with these parameters.
    pub(crate) fn signed(&self, params: CertificateParams) -> String {
        let key = key();
        let certificate = params.signed_by(&key, &self.authority).expect("signed");
        format!("{}{}", certificate.pem(), key.serialize_pem())
    }
}
