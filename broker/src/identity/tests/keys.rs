//! Which keys of a set count.

use serde_json::{Value, json};

use super::support::*;
use crate::identity::jwks::{JwksFault, Key, KeySet};

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = Key::from_jwk(&json!({"kty": "RSA", "n": modulus, "e": "AQAB"})).unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn what_cannot_verify_is_ignored() {
    let ec = EC.jwk("ec");
    let short = b64([0xff; 128]);
    let ignored: Vec<Value> = vec![
        json!({"kty": "oct", "k": "c2VjcmV0", "kid": "ec"}),
        json!({"kty": "future", "kid": "ec"}),
        json!({"kty": "RSA", "n": short, "e": "AQAB"}),
        json!({"kty": "RSA", "e": "AQAB"}),
        json!({"kty": "OKP", "crv": "X25519", "x": b64([9; 32])}),
        json!("text"),
        with(ec.clone(), json!({"use": "enc"})),
        with(ec.clone(), json!({"use": 1})),
        with(ec.clone(), json!({"key_ops": ["sign"]})),
        with(ec.clone(), json!({"key_ops": "verify"})),
        with(ec.clone(), json!({"alg": "ES384"})),
        with(ec.clone(), json!({"alg": "HS256"})),
        with(ec.clone(), json!({"crv": "P-384"})),
        with(ec.clone(), json!({"crv": "secp256k1"})),
        with(ec.clone(), json!({"d": "AAAA"})),
        with(ec.clone(), json!({"x": "AA=="})),
    ];
    for jwk in &ignored {
        assert!(Key::from_jwk(jwk).is_none(), "{jwk}");
    }
    assert_eq!(KeySet::parse(jwks(&ignored).as_bytes()).unwrap_err(), JwksFault::Empty);
    let mut config = config();
    config.jwks =
        Some(jwks(&[ignored, vec![with(ec, json!({"use": "sig", "alg": "ES256", "key_ops": ["verify"]}))]].concat()));
    assert_eq!(outcome(&verifier_of(config), &good()), "accepted");
}

#[test]
fn a_sign_byte_before_a_modulus_is_read_over() {
    let jwk = RSA.jwk("rsa");
    let modulus = jwk["n"].as_str().unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, modulus).unwrap();
    let mut config = config();
    config.jwks = Some(jwks(&[with(jwk, json!({"n": b64([vec![0], bytes].concat())}))]));
    let token = token(&RSA, &json!({"alg": "RS256", "kid": "rsa"}), &claims());
    assert_eq!(outcome(&verifier_of(config), &token), "accepted");
}

#[test]
fn sets_that_are_none_are_told_from_empty_ones() {
    for text in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":1}"] {
        assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), JwksFault::Malformed, "{text}");
    }
}
