//! A bundle endpoint that shows an X.509-SVID (SPIFFE Federation, 5.2.2, profile `https_spiffe`): no public authority vouches
//! for it, but the trust domain itself, by the bundle that is held already. The first one comes from a file.

use core::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Leaf;

/// The authorities that are held, and the name that the endpoint must have.
pub(in crate::identity) struct Endpoint {
    id: String,
    authorities: ArcSwap<Vec<CertificateDer<'static>>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint of this SPIFFE ID, by the authorities of the first bundle.
    pub(in crate::identity) fn new(id: &str, authorities: &[CertificateDer<'static>]) -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Arc::new(Self { id: id.to_owned(), authorities: ArcSwap::from_pointee(authorities.to_vec()), provider })
    }

    /// Holds the authorities of a bundle that was fetched, from now on. One without any would lock the endpoint out.
    pub(in crate::identity) fn hold(&self, authorities: &[CertificateDer<'static>]) {
        if !authorities.is_empty() {
            self.authorities.store(Arc::new(authorities.to_vec()));
        }
    }

    /// TLS that takes this endpoint's certificate and no other.
    pub(in crate::identity) fn tls(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let builder =
            ClientConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions()?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Self>::clone(self);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A session that is resumed shows no certificate, and the authorities may have changed.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

impl ServerCertVerifier for Endpoint {
    /// The host's name says nothing in this profile: the SPIFFE ID does.
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let named = Leaf::read(leaf).map_err(|fault| Error::General(fault.to_string()))?;
        if named.id != self.id {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.authorities.load().iter().cloned());
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, between, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
