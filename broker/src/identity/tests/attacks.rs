//! The attack list of RFC 8725, as a table: what is sent, and the code of its refusal.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use serde_json::{Value, json};
use writ_core::workload::{TokenId, TokenKind};

use super::support::*;
use crate::identity::config::Algorithm;
use crate::identity::session_token;

#[test]
fn a_good_token_gives_its_workload() {
    let verified = wait(verifier().verify(&good(), now())).unwrap();
    let workload = verified.get();
    assert_eq!(workload.issuer.as_str(), ISSUER);
    assert_eq!(workload.subject.as_str(), "repo:acme/app:ref:main");
    assert_eq!(workload.claims["repository"], "acme/app");
    assert_eq!(workload.token_kind, TokenKind::Workload);
    assert_eq!(workload.token_id, TokenId::Jti("one".into()));
    assert_eq!(workload.token_expires, at(NOW + 290 + 30));
    assert_eq!(workload.bound_target, None);
}

#[test]
fn each_algorithm_verifies_with_its_key() {
    let pairs: [(&str, &str, &Pair); 5] = [
        ("RS256", "rsa", &RSA),
        ("PS256", "rsa", &RSA),
        ("ES256", "ec", &EC),
        ("ES384", "p384", &P384),
        ("EdDSA", "ed", &ED),
    ];
    for (alg, kid, pair) in pairs {
        let token = token(pair, &json!({"alg": alg, "kid": kid}), &claims());
        assert_eq!(outcome(&verifier(), &token), "accepted", "{alg}");
        let mut pinned = config();
        pinned.algorithms.retain(|algorithm| algorithm.name() != alg);
        assert_eq!(outcome(&verifier_of(pinned), &token), "identity.algorithm", "{alg}");
    }
}

fn hmac_forgery(secret: &[u8], alg: &str, kid: &str) -> String {
    let signed = format!("{}.{}", b64(json!({"alg": alg, "kid": kid}).to_string()), b64(claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", b64(tag))
}

fn with_signature(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    format!("{signed}.{}", b64(change(bytes)))
}

fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let mut body: Vec<u8> = half.iter().copied().skip_while(|byte| *byte == 0).collect();
        if body.first().is_some_and(|byte| *byte >= 0x80) {
            body.insert(0, 0);
        }
        [vec![2, u8::try_from(body.len()).unwrap()], body].concat()
    };
    let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

#[test]
fn forged_signatures_and_algorithms_are_refused() {
    let unsigned = format!("{}.{}.", b64(json!({"alg": "none"}).to_string()), b64(claims().to_string()));
    let rsa_modulus = RSA.jwk("rsa")["n"].as_str().unwrap().to_owned();
    let table: Vec<(&str, String, &str)> = vec![
        ("alg none, no signature", unsigned, "identity.algorithm"),
        ("alg None", token(&EC, &with(header(), json!({"alg": "None"})), &claims()), "identity.algorithm"),
        ("alg lower case", token(&EC, &with(header(), json!({"alg": "es256"})), &claims()), "identity.algorithm"),
        ("HS256 keyed by the RSA key's DER", hmac_forgery(&RSA.spki(), "HS256", "rsa"), "identity.algorithm"),
        ("HS256 keyed by the modulus", hmac_forgery(rsa_modulus.as_bytes(), "HS256", "rsa"), "identity.algorithm"),
        ("HMAC tag called RS256", hmac_forgery(&RSA.spki(), "RS256", "rsa"), "identity.signature"),
        ("RS512", token(&RSA, &json!({"alg": "RS512", "kid": "rsa"}), &claims()), "identity.algorithm"),
        (
            "ES256 by a P-384 key",
            token(&P384, &json!({"alg": "ES256", "kid": "p384"}), &claims()),
            "identity.signature",
        ),
        ("ES384 by a P-256 key", token(&EC, &json!({"alg": "ES384", "kid": "ec"}), &claims()), "identity.signature"),
        (
            "ES256 naming an Ed25519 key",
            token(&ED, &json!({"alg": "ES256", "kid": "ed"}), &claims()),
            "identity.unknown_key",
        ),
        (
            "EdDSA naming a P-256 key",
            token(&EC, &json!({"alg": "EdDSA", "kid": "ec"}), &claims()),
            "identity.unknown_key",
        ),
        (
            "RS256 called PS256",
            raw(&RSA, "RS256", r#"{"alg":"PS256","kid":"rsa"}"#, &claims().to_string()),
            "identity.signature",
        ),
        ("DER-encoded ECDSA", with_signature(&good(), |bytes| der(&bytes)), "identity.signature"),
        ("R = S = 0", with_signature(&good(), |_| vec![0; 64]), "identity.signature"),
        ("truncated", with_signature(&good(), |bytes| bytes[..63].to_vec()), "identity.signature"),
        ("lengthened", with_signature(&good(), |bytes| [bytes, vec![0]].concat()), "identity.signature"),
        ("empty", with_signature(&good(), |_| Vec::new()), "identity.signature"),
        ("another's key under the same kid", token(&FOREIGN, &header(), &claims()), "identity.signature"),
        ("another's key, no kid", token(&FOREIGN, &json!({"alg": "ES256"}), &claims()), "identity.signature"),
        (
            "this issuer's key under another's name",
            token(&EC, &header(), &with(claims(), json!({"iss": OTHER}))),
            "identity.signature",
        ),
    ];
    let verifier = verifier();
    for (what, token, code) in table {
        assert_eq!(outcome(&verifier, &token), code, "{what}");
    }
}

#[test]
fn headers_choose_nothing() {
    let refused = [
        ("jwk", FOREIGN.jwk("ec")),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
    ];
    let verifier = verifier();
    for (name, value) in refused {
        let token = token(&FOREIGN, &with(header(), json!({ name: value })), &claims());
        assert_eq!(outcome(&verifier, &token), "identity.header_refused", "{name}");
    }
    let kids = ["../../etc/passwd", "' OR 1=1 --", "https://evil.example/key", "ec\u{0}", "EC", ""];
    for kid in kids {
        let token = token(&EC, &with(header(), json!({"kid": kid})), &claims());
        assert_eq!(outcome(&verifier, &token), "identity.unknown_key", "{kid}");
    }
    for (name, value) in [("kid", json!(7)), ("kid", json!("k".repeat(513))), ("alg", json!(null)), ("typ", json!([]))]
    {
        let token = token(&EC, &with(header(), json!({ name: value })), &claims());
        assert_eq!(outcome(&verifier, &token), "identity.header_malformed", "{name}");
    }
    let thumbprint = token(&EC, &with(header(), json!({"x5t": "anything"})), &claims());
    assert_eq!(outcome(&verifier, &thumbprint), "accepted");
}

#[test]
fn types_keep_tokens_apart() {
    let typed = |typ: Value| token(&EC, &with(header(), json!({ "typ": typ })), &claims());
    let verifier = verifier();
    for typ in ["JWT", "jwt", "application/jwt", "JOSE"] {
        assert_eq!(outcome(&verifier, &typed(json!(typ))), "accepted", "{typ}");
    }
    assert_eq!(outcome(&verifier, &token(&EC, &without(header(), "typ"), &claims())), "accepted");
    for typ in ["at+jwt", session_token::TYP, "dpop+jwt", "", "logout+jwt", "application/x/jwt"] {
        assert_eq!(outcome(&verifier, &typed(json!(typ))), "identity.type", "{typ}");
    }
    let mut strict = config();
    strict.typ = vec!["at+jwt".into()];
    let strict = verifier_of(strict);
    assert_eq!(outcome(&strict, &typed(json!("application/at+jwt"))), "accepted");
    assert_eq!(outcome(&strict, &good()), "identity.type");
    assert_eq!(outcome(&strict, &token(&EC, &without(header(), "typ"), &claims())), "identity.type");
}

#[test]
fn the_form_is_strict() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    let standard = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, text);
    let table: Vec<(&str, String, &str)> = vec![
        ("empty", String::new(), "identity.parts"),
        ("one part", head.into(), "identity.parts"),
        ("two parts", format!("{head}.{body}"), "identity.parts"),
        ("a dot too many", format!("{good}."), "identity.parts"),
        ("dots alone", "..".into(), "identity.json"),
        ("JWE", format!("{head}.{body}.{signature}.a.b"), "identity.encrypted"),
        ("leading space", format!(" {good}"), "identity.base64"),
        ("trailing newline", format!("{good}\n"), "identity.base64"),
        ("inner space", format!("{head} .{body}.{signature}"), "identity.base64"),
        ("padding", format!("{head}.{body}=.{signature}"), "identity.base64"),
        ("padded signature", format!("{head}.{body}.{signature}=="), "identity.base64"),
        (
            "standard alphabet",
            format!("{}.{body}.{signature}", standard("{\"a\":\"\u{fb}\u{ff}\u{fe}~~>>??\"}")),
            "identity.base64",
        ),
        ("not an object", raw(&EC, "ES256", "[]", &claims().to_string()), "identity.json"),
        ("claims not an object", raw(&EC, "ES256", &header().to_string(), "\"x\""), "identity.json"),
        ("nested token", raw(&EC, "ES256", &header().to_string(), &good), "identity.json"),
        ("text after the object", raw(&EC, "ES256", &header().to_string(), "{} {}"), "identity.json"),
        ("byte order mark", raw(&EC, "ES256", &header().to_string(), "\u{feff}{}"), "identity.json"),
        ("deep", raw(&EC, "ES256", &header().to_string(), &format!("{{\"a\":{}", "[".repeat(20_000))), "identity.json"),
        ("too long", format!("{head}.{body}.{}", "A".repeat(65_536)), "identity.too_long"),
        ("duplicate alg", raw(&EC, "ES256", r#"{"alg":"ES256","alg":"none"}"#, "{}"), "identity.duplicate_member"),
        (
            "duplicate aud",
            raw(&EC, "ES256", &header().to_string(), r#"{"aud":"a","aud":"b"}"#),
            "identity.duplicate_member",
        ),
        (
            "escaped duplicate",
            raw(&EC, "ES256", &header().to_string(), r#"{"aud":"a","\u0061ud":"b"}"#),
            "identity.duplicate_member",
        ),
        (
            "nested duplicate",
            raw(&EC, "ES256", &header().to_string(), r#"{"x":[{"a":1,"a":2}]}"#),
            "identity.duplicate_member",
        ),
    ];
    let verifier = verifier();
    for (what, token, code) in table {
        assert_eq!(outcome(&verifier, &token), code, "{what}");
    }
    let not_utf8 = format!("{}.{}.{signature}", head, b64([b'{', b'"', 0xff, b'"', b':', b'1', b'}']));
    assert_eq!(outcome(&verifier, &not_utf8), "identity.json");
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let (verifier, good) = (verifier(), good());
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_ne!(outcome(&verifier, &changed), "accepted", "byte {place}");
    }
}

#[test]
fn the_issuer_is_compared_byte_by_byte() {
    let verifier = verifier();
    for issuer in [
        "https://issuer.example/ci/",
        "https://ISSUER.example/ci",
        "https://issuer.example/CI",
        "https://issuer.example:443/ci",
        "https://issuer.example/ci\u{0}",
        "https://\u{456}ssuer.example/ci",
        " https://issuer.example/ci",
        "https://issuer.example",
        "",
    ] {
        let token = token(&EC, &header(), &with(claims(), json!({ "iss": issuer })));
        assert_eq!(outcome(&verifier, &token), "identity.unknown_issuer", "{issuer}");
    }
    let array = token(&EC, &header(), &with(claims(), json!({ "iss": [ISSUER] })));
    assert_eq!(outcome(&verifier, &array), "identity.malformed_claim");
    assert_eq!(outcome(&verifier, &token(&EC, &header(), &without(claims(), "iss"))), "identity.missing_claim");
}

#[test]
fn a_rewritten_signature_makes_no_second_token() {
    // s and n - s are both valid (RFC 8725 leaves it to us): the uses of a token without `jti` must count as one.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let first = token(&EC, &header(), &without(claims(), "jti"));
    let second = with_signature(&first, |bytes| {
        let mut flipped = bytes.clone();
        let mut borrow = 0_i16;
        for place in (0..32).rev() {
            let difference = i16::from(ORDER[place]) - i16::from(bytes[32 + place]) - borrow;
            borrow = i16::from(difference < 0);
            flipped[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        flipped
    });
    assert_ne!(first, second);
    let id = |token: &str| wait(verifier().verify(token, now())).unwrap().get().token_id.clone();
    assert_eq!(id(&first), id(&second));
    assert!(matches!(id(&first), TokenId::Digest(digest) if digest.len() == 64));
}

#[test]
fn the_client_learns_nothing_but_the_refusal() {
    let verifier = verifier();
    let expired = token(&EC, &header(), &with(claims(), json!({"exp": NOW - 100})));
    let forged = token(&FOREIGN, &header(), &claims());
    let faults: Vec<_> = ["x", &expired, &forged]
        .into_iter()
        .map(|token| wait(verifier.verify(token, now())).unwrap_err().to_fault())
        .collect();
    for fault in &faults {
        assert_eq!((fault.code, fault.public.as_ref()), ("identity.refused", "the token was refused"));
        assert_eq!(fault.help, faults[0].help);
    }
    assert_ne!(faults[1].detail, faults[2].detail);
}

#[test]
fn outside_text_in_a_refusal_is_escaped_and_cut() {
    let issuer = format!("`\u{1b}[31m{}", "x".repeat(500));
    let token = token(&EC, &header(), &with(claims(), json!({ "iss": issuer })));
    let words = wait(verifier().verify(&token, now())).unwrap_err().to_string();
    assert!(words.starts_with("no issuer `\\`\\u{1b}[31mxxx"), "{words}");
    assert!(words.len() < 250 && !words.contains('\u{1b}'), "{words}");
}

#[test]
fn pinned_algorithms_are_the_only_ones_known() {
    for name in ["HS256", "HS384", "HS512", "none", "RS384", "RS512", "PS384", "PS512", "ES512", "ES256K", "Ed25519"] {
        assert_eq!(Algorithm::named(name), None, "{name}");
        assert!(serde_json::from_value::<Algorithm>(json!(name)).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        prop_assert_ne!(outcome(&verifier(), &text), "accepted");
    }

    #[test]
    fn no_signed_parts_panic(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let token = format!("{}.{}.{}", b64(header), b64(claims), b64(signature));
        prop_assert_ne!(outcome(&verifier(), &token), "accepted");
    }
}
