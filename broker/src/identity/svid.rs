//! X.509-SVIDs (spiffe.io, "The X.509 SPIFFE Verifiable Identity Document"): a certificate of a configured trust domain, whose
//! key the connection proved.
//!
//! A certificate names either a workload, by one `spiffe://` URI, or a gateway, by one `writ://` URI. Which of the two it may
//! be is decided by that name alone, before any authority is asked; and each kind is held against its own authorities only.
//! So no authority of workloads can make a gateway, and Writ's own cannot make a workload.

mod endpoint;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::json;
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, Issuer, Subject, TokenId, TokenKind, Workload};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::fault::{IdentityFault, shown};
use super::presets;
use crate::keys::files::hex;
pub(super) use endpoint::Endpoint;

/// The most certificates of a chain, the leaf among them.
const MAX_CHAIN: usize = 8;

/// Whether a certificate names what SPIFFE names, whoever made it. Nothing of it is verified.
#[must_use]
pub fn names_workload(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    uris(&parsed).is_some_and(|uris| uris.iter().any(|uri| uri.starts_with("spiffe://")))
}

/// A leaf that has the form of an X.509-SVID. Its chain is not verified.
#[derive(Debug)]
pub(super) struct Leaf {
    id: String,
    domain: String,
    path: String,
    ends: Timestamp,
    digest: String,
}

impl Leaf {
    /// Reads the first certificate of a chain.
    ///
    /// # Errors
    /// [`IdentityFault::Certificate`] for any departure from the form.
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Result<Self, IdentityFault> {
        let refuse = |problem: &str| IdentityFault::Certificate(problem.to_owned());
        let (rest, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| refuse("it is malformed"))?;
        if !rest.is_empty() {
            return Err(refuse("it is malformed"));
        }
        let uris = uris(&parsed).ok_or_else(|| refuse("its alternative names are malformed"))?;
        let [id] = uris.as_slice() else { return Err(refuse("it has not exactly one URI among its names")) };
        let (domain, path) =
            presets::spiffe_id(id).ok_or_else(|| refuse("its URI is not the SPIFFE ID of a workload"))?;
        may_authenticate(&parsed).map_err(refuse)?;
        let ends =
            Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(|_| refuse("it never ends"))?;
        let digest = hex(digest(&SHA256, certificate).as_ref());
        Ok(Self { id: (*id).to_owned(), domain: domain.to_owned(), path: path.to_owned(), ends, digest })
    }

    /// The issuer of its trust domain's workloads.
    pub(super) fn issuer(&self) -> String {
        format!("spiffe://{}", self.domain)
    }

    /// The workload that it names, once its chain was verified.
    pub(super) fn workload(self) -> Workload {
        let attributes = json!({ "id": self.id, "trust_domain": self.domain, "path": self.path });
        Workload {
            issuer: Issuer::new(self.issuer()),
            subject: Subject::new(self.id),
            claims: Claims::from([("spiffe".to_owned(), attributes)]),
            token_kind: TokenKind::Certificate,
            token_id: TokenId::Digest(self.digest),
            token_expires: self.ends,
            bound_target: None,
        }
    }
}

/// Verifies a chain against a trust domain's own authorities, and no others.
///
/// # Errors
/// [`IdentityFault::Certificate`]: why not.
pub(super) fn check_chain(
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
    now: Timestamp,
) -> Result<(), IdentityFault> {
    let refuse = |problem: String| IdentityFault::Certificate(problem);
    let Some((leaf, between)) = chain.split_first().filter(|_| chain.len() <= MAX_CHAIN) else {
        return Err(refuse(format!("its chain has more than {MAX_CHAIN} certificates")));
    };
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(authorities.iter().cloned());
    if taken == 0 {
        return Err(refuse("the bundle of its trust domain holds no X.509 authorities".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| refuse(error.to_string()))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0)));
    let verified = verifier.verify_client_cert(leaf, between, at);
    verified
        .map(drop)
        .map_err(|error| refuse(format!("its chain does not lead to its trust domain: {}", shown(&error.to_string()))))
}

/// A leaf signs for itself, and never others' certificates (X509-SVID, 4.1 to 4.3 and 5.2).
fn may_authenticate(certificate: &X509Certificate<'_>) -> Result<(), &'static str> {
    let constraints = certificate.basic_constraints().map_err(|_| "its basic constraints are malformed")?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err("it is an authority's");
    }
    let usage = certificate.key_usage().map_err(|_| "its key usage is malformed")?.ok_or("it has no key usage")?;
    if !usage.critical {
        return Err("its key usage is not critical");
    }
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return Err("its key may sign certificates or revocation lists");
    }
    if usage.value.digital_signature() { Ok(()) } else { Err("its key may not make digital signatures") }
}

/// The URIs among a certificate's alternative names; `None` if they are malformed or stand in two extensions.
fn uris<'c>(certificate: &'c X509Certificate<'_>) -> Option<Vec<&'c str>> {
    let mut found = Vec::new();
    let names = certificate.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => found.push(*uri),
            GeneralName::Invalid(..) => return None,
            _ => {}
        }
    }
    let unread = |extension: &ParsedExtension<'_>| matches!(extension, ParsedExtension::ParseError { .. });
    let broken = certificate.extensions().iter().any(|extension| unread(extension.parsed_extension()));
    (!broken).then_some(found)
}
