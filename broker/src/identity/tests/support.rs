//! Keys, tokens and issuers for the tests.

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_core::time::Timestamp;

use crate::duration::Span;
use crate::identity::config::{Algorithm, IssuerConfig};
use crate::identity::session_token::SessionIssuer;
use crate::identity::verify::Verifier;

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://issuer.example/ci";
pub(super) const OTHER: &str = "https://other.example";
pub(super) const BROKER: &str = "https://broker.example";
pub(super) const AUDIENCE: &str = "writ:gateways/eu";

pub(super) fn now() -> Timestamp {
    at(NOW)
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A key pair of each kind.
pub(super) enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

fn p256() -> Pair {
    Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

pub(super) static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
pub(super) static EC: LazyLock<Pair> = LazyLock::new(p256);
pub(super) static FOREIGN: LazyLock<Pair> = LazyLock::new(p256);
pub(super) static P384: LazyLock<Pair> =
    LazyLock::new(|| Pair::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));
pub(super) static ED: LazyLock<Pair> = LazyLock::new(|| Pair::Ed(Ed25519KeyPair::generate().unwrap()));
pub(super) static SESSION_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
});

impl Pair {
    pub(super) fn fresh() -> Self {
        p256()
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        let point = |point: &[u8], crv: &str| {
            let half = (point.len() - 1) / 2;
            json!({"kty": "EC", "crv": crv, "kid": kid, "x": b64(&point[1..=half]), "y": b64(&point[half + 1..])})
        };
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let modulus = b64(public.modulus().big_endian_without_leading_zero());
                let exponent = b64(public.exponent().big_endian_without_leading_zero());
                json!({"kty": "RSA", "kid": kid, "n": modulus, "e": exponent})
            }
            Self::P256(pair) => point(pair.public_key().as_ref(), "P-256"),
            Self::P384(pair) => point(pair.public_key().as_ref(), "P-384"),
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref())})
            }
        }
    }

    pub(super) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let padding: &'static dyn signature::RsaEncoding =
                    if alg == "PS256" { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
                let mut made = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut made).unwrap();
                made
            }
            Self::P256(pair) | Self::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key in SubjectPublicKeyInfo form, as it is published in PEM.
    pub(super) fn spki(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims of a good token, to be spoiled.
pub(super) fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "ec"})
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/app:ref:main", "iat": NOW - 10, "nbf": NOW - 10,
        "exp": NOW + 290, "jti": "one", "repository": "acme/app",
    })
}

pub(super) fn with(mut value: Value, changes: Value) -> Value {
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    value
}

pub(super) fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name).unwrap();
    value
}

pub(super) fn token(pair: &Pair, header: &Value, claims: &Value) -> String {
    raw(pair, header["alg"].as_str().unwrap_or("ES256"), &header.to_string(), &claims.to_string())
}

pub(super) fn raw(pair: &Pair, alg: &str, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(claims));
    let signature = pair.sign(alg, signed.as_bytes());
    format!("{signed}.{}", b64(signature))
}

pub(super) fn good() -> String {
    token(&EC, &header(), &claims())
}

pub(super) fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// An issuer with one key of each kind, which is pinned to all algorithms but those that a test takes away.
pub(super) fn config() -> IssuerConfig {
    let keys = [RSA.jwk("rsa"), EC.jwk("ec"), P384.jwk("p384"), ED.jwk("ed")];
    serde_json::from_value(json!({
        "name": "ci", "issuer": ISSUER, "algorithms": Algorithm::ALL, "jwks": jwks(&keys),
    }))
    .unwrap()
}

/// Another issuer, whose key has the same name as the first one's.
pub(super) fn other() -> IssuerConfig {
    let mut config = config();
    config.name = "other".into();
    config.issuer = OTHER.into();
    config.algorithms = vec![Algorithm::Es256];
    config.jwks = Some(jwks(&[FOREIGN.jwk("ec")]));
    config
}

pub(super) fn sessions() -> SessionIssuer {
    SessionIssuer::new(BROKER, AUDIENCE, Span::seconds(300), &SESSION_KEY, &[]).unwrap()
}

pub(super) fn verifier() -> Verifier {
    Verifier::new(&[config(), other()], AUDIENCE, Some(&sessions())).unwrap()
}

pub(super) fn verifier_of(config: IssuerConfig) -> Verifier {
    Verifier::new(&[config], AUDIENCE, Some(&sessions())).unwrap()
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The code of the refusal, or `accepted`.
pub(super) fn outcome(verifier: &Verifier, token: &str) -> &'static str {
    match wait(verifier.verify(token, now())) {
        Ok(_) => "accepted",
        Err(fault) => fault.code(),
    }
}
