//! X.509-SVIDs, and what is nearly one; bundles.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use writ_core::target::TargetName;
use writ_core::workload::TokenKind;

use super::support::*;
use crate::identity::config::IssuerConfig;
use crate::identity::fault::IdentityFault;
use crate::identity::verify::Verifier;

const ID: &str = "spiffe://prod.example.org/ns/payments/sa/reporter";

type Authority = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn lasting(params: &mut CertificateParams, from: i64, to: i64) {
    let moment = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(u64::try_from(seconds).unwrap())
    };
    (params.not_before, params.not_after) = (moment(from), moment(to));
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "prod.example.org");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri("spiffe://prod.example.org")];
    lasting(&mut params, NOW - 1000, NOW + 86_400);
    params
}

fn authority() -> Authority {
    CertifiedIssuer::self_signed(authority_params(), key()).unwrap()
}

fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(ID)];
    lasting(&mut params, NOW - 10, NOW + 3600);
    params
}

fn signed(params: CertificateParams, by: &Authority) -> Chain {
    vec![params.signed_by(&key(), by).unwrap().der().clone()]
}

fn with_leaf(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = leaf();
    change(&mut params);
    params
}

/// A bundle as SPIRE writes it.
fn bundle(authorities: &[&Authority], jwt: &[Value]) -> String {
    let x509 = authorities.iter().map(|authority| x509_key(authority)).collect::<Vec<_>>();
    let jwt = jwt.iter().map(|key| with(key.clone(), json!({"use": "jwt-svid"}))).collect::<Vec<_>>();
    let keys = [x509, jwt].concat();
    json!({"keys": keys, "spiffe_sequence": 1, "spiffe_refresh_hint": 300}).to_string()
}

fn x509_key(authority: &Authority) -> Value {
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD.encode(authority.der());
    json!({"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "x5c": [der]})
}

fn domain(name: &str, bundle: &str) -> IssuerConfig {
    let config = json!({"name": name, "preset": "spiffe", "tenant": name, "jwks": bundle, "x509_svids": true});
    serde_json::from_value(config).unwrap()
}

fn verifier(domains: &[IssuerConfig]) -> Verifier {
    Verifier::new(domains, AUDIENCE, Some(&sessions())).unwrap()
}

fn code(verifier: &Verifier, chain: &Chain) -> String {
    match wait(verifier.verify_certificates(chain, now())) {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => format!("{}: {fault}", fault.code()),
    }
}

#[test]
fn a_workload_is_known_by_its_certificate() {
    let authority = authority();
    let verifier = verifier(&[domain("prod.example.org", &bundle(&[&authority], &[EC.jwk("jwt")]))]);
    let chain = signed(leaf(), &authority);
    let workload = wait(verifier.verify_certificates(&chain, now())).unwrap();
    let found = workload.get();
    assert_eq!((found.issuer.as_str(), found.subject.as_str()), ("spiffe://prod.example.org", ID));
    let attributes = json!({"id": ID, "trust_domain": "prod.example.org", "path": "/ns/payments/sa/reporter"});
    assert_eq!(found.claims["spiffe"], attributes);
    assert_eq!(found.token_kind, TokenKind::Certificate);
    assert_eq!(found.token_expires, at(NOW + 3600));
    // A JWT-SVID names the same workload.
    let claims = json!({"sub": ID, "aud": AUDIENCE, "iat": NOW - 10, "exp": NOW + 290});
    let jwt = token(&EC, &json!({"alg": "ES256", "kid": "jwt"}), &claims);
    let by_token = wait(verifier.verify(&jwt, now())).unwrap();
    assert_eq!((&by_token.get().issuer, &by_token.get().subject), (&found.issuer, &found.subject));
    // Its session token speaks for it at one target, bound to nothing that a gateway could not have proved.
    let session = sessions().mint(&workload, &TargetName::new("payments").unwrap(), None, now()).unwrap();
    let opened = wait(verifier.verify(&session, now())).unwrap();
    assert_eq!((&opened.get().subject, opened.get().token_kind), (&found.subject, TokenKind::Session));
}

#[test]
fn what_is_nearly_an_svid_is_refused() {
    let authority = authority();
    let verifier = verifier(&[domain("prod.example.org", &bundle(&[&authority], &[]))]);
    let named = |text: &'static str| with_leaf(|params| params.subject_alt_names = vec![uri(text)]);
    let used = |usages: Vec<KeyUsagePurpose>| with_leaf(|params| params.key_usages = usages);
    assert_eq!(code(&verifier, &signed(leaf(), &authority)), "accepted");
    let other_names = with_leaf(|params| {
        params.subject_alt_names = vec![uri(ID), SanType::DnsName("reporter.example".try_into().unwrap())];
    });
    assert_eq!(code(&verifier, &signed(other_names, &authority)), "accepted", "names of other kinds say nothing");
    let any_usage = with_leaf(|params| params.extended_key_usages.clear());
    assert_eq!(code(&verifier, &signed(any_usage, &authority)), "accepted");
    let table: Vec<(CertificateParams, &str)> = vec![
        (
            with_leaf(|params| params.subject_alt_names = vec![uri(ID), uri("spiffe://prod.example.org/other")]),
            "exactly one URI",
        ),
        (with_leaf(|params| params.subject_alt_names = vec![uri(ID), uri("writ://gateway/x")]), "exactly one URI"),
        (with_leaf(|params| params.subject_alt_names.clear()), "exactly one URI"),
        (named("spiffe://prod.example.org"), "not the SPIFFE ID"),
        (named("spiffe://prod.example.org/"), "not the SPIFFE ID"),
        (named("spiffe://prod.example.org/a//b"), "not the SPIFFE ID"),
        (named("spiffe://prod.example.org/a/../b"), "not the SPIFFE ID"),
        (named("spiffe://prod.example.org/a%2fb"), "not the SPIFFE ID"),
        (named("spiffe://PROD.example.org/a"), "not the SPIFFE ID"),
        (named("spiffe://prod.example.org:443/a"), "not the SPIFFE ID"),
        (named("spiffe://user@prod.example.org/a"), "not the SPIFFE ID"),
        (named("https://prod.example.org/a"), "not the SPIFFE ID"),
        (named("spiffe://other.example.org/a"), "identity.unknown_issuer"),
        (with_leaf(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "an authority's"),
        (used(vec![]), "no key usage"),
        (used(vec![KeyUsagePurpose::KeyAgreement]), "digital signatures"),
        (used(vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign]), "sign certificates"),
        (used(vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign]), "sign certificates"),
        (with_leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]), "does not lead"),
        (with_leaf(|params| lasting(params, NOW - 3600, NOW - 1)), "does not lead"),
        (with_leaf(|params| lasting(params, NOW + 10, NOW + 3600)), "does not lead"),
    ];
    for (params, words) in table {
        let found = code(&verifier, &signed(params, &authority));
        assert!(found.contains(words), "{words}: {found}");
    }
    assert!(code(&verifier, &vec![]).contains("there is none"));
    assert!(code(&verifier, &vec![CertificateDer::from(vec![0x30, 3, 2, 1, 0])]).contains("malformed"));
    let mut trailing = signed(leaf(), &authority)[0].to_vec();
    trailing.push(0);
    assert!(code(&verifier, &vec![CertificateDer::from(trailing)]).contains("malformed"));
    assert!(
        code(&verifier, &vec![authority.der().clone()]).contains("not the SPIFFE ID"),
        "an authority signs others' alone"
    );
}

#[test]
fn a_chain_leads_to_its_own_trust_domain_alone() {
    let (ours, others, foreign) = (authority(), authority(), authority());
    let domains =
        [domain("prod.example.org", &bundle(&[&ours], &[])), domain("other.example.org", &bundle(&[&others], &[]))];
    let verifier = verifier(&domains);
    let chain = |by: &Authority| signed(leaf(), by);
    assert_eq!(code(&verifier, &chain(&ours)), "accepted");
    assert!(code(&verifier, &chain(&others)).contains("does not lead"), "another trust domain's authority");
    assert!(code(&verifier, &chain(&foreign)).contains("does not lead"));
    let alone = leaf().self_signed(&key()).unwrap().der().clone();
    assert!(code(&verifier, &vec![alone]).contains("does not lead"));

    let between = CertifiedIssuer::signed_by(authority_params(), key(), &ours).unwrap();
    let signed_between = leaf().signed_by(&key(), &between).unwrap().der().clone();
    assert_eq!(code(&verifier, &vec![signed_between.clone(), between.der().clone()]), "accepted");
    assert!(code(&verifier, &vec![signed_between.clone()]).contains("does not lead"), "an intermediate is missing");
    // Another workload's certificate signs nothing.
    let workload = CertifiedIssuer::signed_by(leaf(), key(), &ours).unwrap();
    let by_workload = leaf().signed_by(&key(), &workload).unwrap().der().clone();
    assert!(code(&verifier, &vec![by_workload, workload.der().clone()]).contains("does not lead"));
    let long = vec![signed_between; 9];
    assert!(code(&verifier, &long).contains("more than 8"));
}

#[test]
fn certificates_are_taken_where_the_configuration_says_so() {
    let authority = authority();
    let chain = signed(leaf(), &authority);
    let mut config = domain("prod.example.org", &bundle(&[&authority], &[EC.jwk("jwt")]));
    config.x509_svids = false;
    assert!(code(&verifier(&[config]), &chain).contains("identity.unknown_issuer"));
    let config = domain("prod.example.org", &bundle(&[], &[EC.jwk("jwt")]));
    assert!(code(&verifier(&[config]), &chain).contains("holds no X.509 authorities"));
    let mut config = config_of_ci();
    config.x509_svids = true;
    assert!(config.validate().unwrap_err().problem.contains("for the preset `spiffe` alone"));
}

fn config_of_ci() -> IssuerConfig {
    super::support::config()
}

#[test]
fn of_a_bundle_only_marked_authorities_count() {
    let authority = authority();
    let chain = signed(leaf(), &authority);
    let key = x509_key(&authority);
    let table: Vec<(Value, bool)> = vec![
        (key.clone(), true),
        (with(key.clone(), json!({"use": "jwt-svid"})), false),
        (with(key.clone(), json!({"use": "sig"})), false),
        (without(key.clone(), "use"), false),
        (with(key.clone(), json!({"kid": "one"})), false),
        (without(key.clone(), "x5c"), false),
        (with(key.clone(), json!({"x5c": []})), false),
        (with(key.clone(), json!({"x5c": [key["x5c"][0], key["x5c"][0]]})), false),
        (with(key.clone(), json!({"x5c": key["x5c"][0]})), false),
        (with(key.clone(), json!({"x5c": ["AAAA"]})), false),
        (with(key.clone(), json!({"d": "AAAA"})), false),
    ];
    for (jwk, counts) in table {
        let jwt = with(EC.jwk("jwt"), json!({"use": "jwt-svid"}));
        let bundle = json!({"keys": [jwk, jwt]}).to_string();
        let verifier = verifier(&[domain("prod.example.org", &bundle)]);
        assert_eq!(code(&verifier, &chain) == "accepted", counts, "{jwk}");
    }
    let nothing = json!({"keys": [with(key, json!({"use": "sig"}))]}).to_string();
    let fault = Verifier::new(&[domain("prod.example.org", &nothing)], AUDIENCE, None).unwrap_err();
    assert!(fault.problem.contains("of no use"), "{fault}");
}

#[test]
fn a_gateways_certificate_is_no_workloads() {
    let directory = tempfile::tempdir().unwrap();
    let ours = crate::ca::CertificateAuthority::load_or_create(directory.path(), &mut Vec::new()).unwrap();
    let gateway = key();
    let csr = CertificateParams::new(Vec::new()).unwrap().serialize_request(&gateway).unwrap().pem().unwrap();
    let id = writ_core::id::GatewayId::fresh();
    let issued = ours.issue_gateway(id, &csr, now(), core::time::Duration::from_secs(3600)).unwrap();
    let der =
        <CertificateDer<'static> as rustls_pki_types::pem::PemObject>::from_pem_slice(issued.pem.as_bytes()).unwrap();
    assert!(!crate::identity::svid::names_workload(&der));
    assert!(crate::ca::gateway_of(&der).is_some());
    let authority = authority();
    let verifier = verifier(&[domain("prod.example.org", &bundle(&[&authority], &[]))]);
    assert!(code(&verifier, &vec![der]).contains("not the SPIFFE ID"));
    // A gateway's name by a trust domain's authority, and a workload's with a gateway's beside it.
    let posing =
        signed(with_leaf(|params| params.subject_alt_names = vec![uri(&format!("writ://gateway/{id}"))]), &authority);
    assert!(!crate::identity::svid::names_workload(&posing[0]));
    let both = with_leaf(|params| params.subject_alt_names = vec![uri(&format!("writ://gateway/{id}")), uri(ID)]);
    let both = signed(both, &authority);
    assert!(crate::identity::svid::names_workload(&both[0]), "it is never held against the authority of gateways");
    assert!(crate::ca::gateway_of(&both[0]).is_none());
    let IdentityFault::Certificate(_) = wait(verifier.verify_certificates(&both, now())).unwrap_err() else {
        panic!("refused as a certificate")
    };
}

#[test]
fn a_bundle_endpoint_with_an_svid_needs_its_id_and_the_first_bundle() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let bundle_file = file("bundle.json", &bundle(&[&authority()], &[]));
    let id = "spiffe://prod.example.org/spire/server";
    let settings = json!({
        "name": "prod", "preset": "spiffe", "tenant": "prod.example.org", "jwks_url": "https://spire.example.org",
        "jwks_file": bundle_file, "endpoint_spiffe_id": id,
    });
    let problem = |changes: Value| {
        let mut settings = with(settings.clone(), changes);
        settings.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let config: IssuerConfig = serde_json::from_value(settings).unwrap();
        Verifier::new(&[config], AUDIENCE, None).map_or_else(|fault| fault.problem, |_| "good".to_owned())
    };
    assert_eq!(problem(json!({})), "good");
    for (changes, expected) in [
        (json!({"endpoint_spiffe_id": "spiffe://other.example.org/spire/server"}), "not an ID in the trust domain"),
        (json!({"endpoint_spiffe_id": "spiffe://prod.example.org"}), "not an ID in the trust domain"),
        (json!({"jwks_file": null}), "needs `jwks_url`"),
        (json!({"jwks_url": null}), "needs `jwks_url`"),
        (json!({"jwks": "{}"}), "needs `jwks_url`"),
        (json!({"ca_pem_file": "ca.pem"}), "has no meaning beside"),
        (
            json!({"preset": null, "tenant": null, "issuer": ISSUER, "algorithms": ["ES256"]}),
            "for the preset `spiffe` alone",
        ),
        (json!({"endpoint_spiffe_id": null}), "more than one of"),
        (json!({"jwks_file": "/nowhere"}), "`jwks_file` `/nowhere` cannot be read"),
        (json!({"jwks_file": file("jwt.json", &bundle(&[], &[EC.jwk("jwt")]))}), "holds no X.509 authority"),
        (json!({"jwks_file": file("none.json", "{}")}), "is of no use"),
    ] {
        let found = problem(changes.clone());
        assert!(found.contains(expected), "{changes}: {found}");
    }
}
