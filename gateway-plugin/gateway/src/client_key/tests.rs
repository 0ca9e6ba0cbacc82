use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SignatureAlgorithm};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use super::*;

/// The vectors of RFC 7638 (3.1), RFC 8037 (A.3) and RFC 9449 (4.1, 6.1).
const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst\
     n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpb\
     ISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const RSA_THUMBPRINT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED25519_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const P256_X: &str = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
const P256_Y: &str = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
const P256_THUMBPRINT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A value of ASN.1 in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..128 => vec![tag, length as u8],
        128..256 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

fn of_spki(algorithm: &[&[u8]], key: &[u8]) -> Result<String, Unproved> {
    let spki = der(0x30, &[&der(0x30, algorithm), &der(0x03, &[&[0], key])]);
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).unwrap();
    thumbprint(&parsed).map(|key| key.as_str().to_owned())
}

fn rsa(modulus: &[u8]) -> Result<String, Unproved> {
    let integers = [der(0x02, &[&[0], modulus]), der(0x02, &[&[1, 0, 1]])];
    let oid = der(0x06, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]]);
    of_spki(&[&oid, &[5, 0]], &der(0x30, &[&integers[0], &integers[1]]))
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    assert_eq!(rsa(&decoded(RSA_N)).unwrap(), RSA_THUMBPRINT);
    let ed25519 = der(0x06, &[&[0x2b, 0x65, 0x70]]);
    assert_eq!(of_spki(&[&ed25519], &decoded(ED25519_X)).unwrap(), ED25519_THUMBPRINT);
    let (ec, p256) =
        (der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]]), der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]));
    let point = [[4].as_slice(), &decoded(P256_X), &decoded(P256_Y)].concat();
    assert_eq!(of_spki(&[&ec, &p256], &point).unwrap(), P256_THUMBPRINT);

    let compressed = [[2].as_slice(), &decoded(P256_X)].concat();
    assert_eq!(of_spki(&[&ec, &p256], &compressed), Err(Unproved::Kind));
    assert_eq!(of_spki(&[&ec], &point), Err(Unproved::Kind), "a curve without a name");
    assert_eq!(of_spki(&[&ed25519], &point), Err(Unproved::Kind));
    assert_eq!(rsa(&decoded(RSA_N)[..128]), Err(Unproved::Kind), "1024 bits are too few");
    assert_eq!(rsa(&[0xff; 1025]), Err(Unproved::Kind), "and 8200 too many");
}

/// A client that shows what it is told to, fitting or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn pair(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

fn certificate(key: &KeyPair) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(vec!["not-believed.example".to_owned()]).unwrap();
    // Long over, and nobody looks.
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(1990, 1, 1), rcgen::date_time_ymd(1991, 1, 1));
    params.self_signed(key).unwrap().der().clone()
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// The key that is proved by a handshake in which the client shows this chain and signs with this key.
fn handshake(
    version: &'static SupportedProtocolVersion,
    shown: Option<(Vec<CertificateDer<'static>>, &KeyPair)>,
) -> Result<Option<ClientKey>, Error> {
    let provider = Arc::new(default_provider());
    let own = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let own_certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&own).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own_certificate.der().clone()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&[version]).unwrap();
    let server = server
        .with_client_cert_verifier(Arc::new(AnyKey(provider.signature_verification_algorithms)))
        .with_single_cert(vec![own_certificate.der().clone()], private(&own))
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let client = client.with_root_certificates(roots);
    let client = match shown {
        None => client.with_no_client_auth(),
        Some((chain, key)) => {
            let key = any_supported_type(&private(key)).unwrap();
            client.with_client_cert_resolver(Arc::new(Shows(Arc::new(CertifiedKey::new(chain, key)))))
        }
    };
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    for _ in 0..16 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut sent = bytes.as_slice();
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut sent = bytes.as_slice();
        while !sent.is_empty() {
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    Ok(server.peer_certificates().map(|chain| of(&chain[0]).unwrap()))
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn a_handshake_proves_the_key_of_each_kind_and_only_the_key_counts() {
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let others = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519].map(pair);
    for version in VERSIONS {
        assert_eq!(handshake(version, None), Ok(None));
        for key in others.iter().chain([&rsa]) {
            let (one, other) = (certificate(key), CertificateParams::default().self_signed(key).unwrap().der().clone());
            let proved = handshake(version, Some((vec![one], key))).unwrap().unwrap();
            let spki = key.subject_public_key_info();
            assert_eq!(Ok(&proved), thumbprint(&SubjectPublicKeyInfo::from_der(&spki).unwrap().1).as_ref());
            assert_eq!(
                handshake(version, Some((vec![other], key))),
                Ok(Some(proved)),
                "another certificate of the key"
            );
        }
    }
}

#[test]
fn what_proves_no_key_ends_the_handshake() {
    let (key, stranger) = (pair(&rcgen::PKCS_ECDSA_P256_SHA256), pair(&rcgen::PKCS_ECDSA_P256_SHA256));
    let own = certificate(&key);
    let large = pair(&rcgen::PKCS_ECDSA_P521_SHA512);
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    let behind = CertificateDer::from([own.as_ref(), &[0]].concat());
    let filler = CertificateDer::from(vec![0; LONGEST_CHAIN]);
    for version in VERSIONS {
        for (what, chain, signer) in [
            ("a certificate that somebody else has the key of", vec![own.clone()], &stranger),
            ("no certificate", vec![garbage.clone()], &key),
            ("bytes behind one", vec![behind.clone()], &key),
            ("a kind of key that is not taken", vec![certificate(&large)], &large),
            ("a chain that is too long", vec![own.clone(), filler.clone()], &key),
        ] {
            let refused = handshake(version, Some((chain, signer)));
            assert!(matches!(refused, Err(Error::InvalidCertificate(_))), "{what}: {refused:?}");
        }
    }
}
