//! KMS: what is asked of it, and what is made of what it answers. The keys are real, the service is not.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;
use writ_core::assertion::AssertionSigner as _;
use writ_core::provider::ProviderFault;

use super::world::ambient;
use crate::KmsSigner;

const KEY: &str = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

enum Pair {
    P256(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

type Change = fn(&str, &mut Value);

struct Kms {
    pair: Pair,
    change: Change,
    refuses: Option<(u16, &'static str)>,
}

impl Kms {
    fn answer(&self, action: &str, asked: &Value) -> Value {
        assert_eq!(asked["KeyId"], KEY);
        let (der, algorithm) = match &self.pair {
            Pair::P256(pair) => (pair.public_key().as_der().unwrap(), "ECDSA_SHA_256"),
            Pair::Rsa(pair) => (pair.public_key().as_der().unwrap(), "RSASSA_PKCS1_V1_5_SHA_256"),
        };
        if action == "TrentService.GetPublicKey" {
            let public = STANDARD.encode(der.as_ref());
            return json!({ "KeyId": KEY, "PublicKey": public, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": [algorithm] });
        }
        assert_eq!((action, &asked["MessageType"]), ("TrentService.Sign", &json!("DIGEST")));
        assert_eq!(asked["SigningAlgorithm"], algorithm);
        let digest = STANDARD.decode(asked["Message"].as_str().unwrap()).unwrap();
        let digest = Digest::import_less_safe(&digest, &SHA256).unwrap();
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign_digest(&digest).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).unwrap();
                signature
            }
        };
        json!({ "KeyId": KEY, "Signature": STANDARD.encode(signature), "SigningAlgorithm": algorithm })
    }
}

async fn answered(State(kms): State<Arc<Kms>>, headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    let action = headers["x-amz-target"].to_str().unwrap();
    assert!(headers["authorization"].to_str().unwrap().contains("/eu-west-1/kms/aws4_request"));
    if let Some((status, code)) = kms.refuses.filter(|_| action == "TrentService.Sign") {
        let text = json!({ "__type": code, "message": "what KMS says" });
        return (StatusCode::from_u16(status).unwrap(), Json(text));
    }
    let mut answer = kms.answer(action, &serde_json::from_str(&body).unwrap());
    (kms.change)(action, &mut answer);
    (StatusCode::OK, Json(answer))
}

async fn open(pair: Pair, change: Change, refuses: Option<(u16, &'static str)>) -> Result<KmsSigner, ProviderFault> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = axum::Router::new().fallback(answered).with_state(Arc::new(Kms { pair, change, refuses }));
    // It ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    KmsSigner::open_with(KEY, Some(&url), ambient(None)).await
}

fn p256() -> Pair {
    Pair::P256(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()))
}

fn rsa() -> Pair {
    Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
}

fn unchanged(_: &str, _: &mut Value) {}

/// The bytes of a member of a JWK.
fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn what_kms_signs_is_verified_by_the_key_that_it_publishes() {
    // Longer than KMS takes as it is.
    let message = "header.claims".repeat(1000);
    let signer = open(p256(), unchanged, None).await.unwrap();
    let (signature, jwk) = (signer.sign(message.as_bytes()).await.unwrap(), signer.public());
    assert_eq!((signer.algorithm(), signature.len()), ("ES256", 64));
    let point = [vec![4], bytes(&jwk, "x"), bytes(&jwk, "y")].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(message.as_bytes(), &signature).unwrap();

    let signer = open(rsa(), unchanged, None).await.unwrap();
    let (signature, jwk) = (signer.sign(message.as_bytes()).await.unwrap(), signer.public());
    assert_eq!(signer.algorithm(), "RS256");
    let public = aws_lc_rs::rsa::PublicKeyComponents { n: bytes(&jwk, "n"), e: bytes(&jwk, "e") };
    public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).unwrap();
    let shown = format!("{signer:?}");
    assert!(shown.contains(KEY) && !shown.contains("ambient-secret"), "{shown}");
}

#[tokio::test]
async fn a_key_that_is_none_for_signing_is_refused_when_it_is_opened() {
    let wrong: [(Change, &str, &str); 5] = [
        (|_, answer| answer["KeyUsage"] = "ENCRYPT_DECRYPT".into(), "provider.misconfigured", "`SIGN_VERIFY`"),
        (
            |_, answer| answer["SigningAlgorithms"] = json!(["ECDSA_SHA_384"]),
            "provider.misconfigured",
            "`ECC_NIST_P256`",
        ),
        (|_, answer| answer["PublicKey"] = STANDARD.encode("no key").into(), "provider.misconfigured", "make a key"),
        (
            |_, answer| answer["KeyId"] = KEY.replace("1234abcd", "0000abcd").into(),
            "provider.refused",
            "KMS answers for",
        ),
        (|_, answer| *answer = json!({}), "provider.refused", "KMS answers for"),
    ];
    for (change, code, words) in wrong {
        let fault = open(p256(), change, None).await.unwrap_err();
        assert!(fault.code() == code && fault.detail().contains(words), "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_no_signature_is_given_to_nobody() {
    let wrong: [Change; 3] = [
        |action, answer| {
            if action == "TrentService.Sign" {
                answer["KeyId"] = KEY.replace("1234abcd", "0000abcd").into();
            }
        },
        |action, answer| {
            if action == "TrentService.Sign" {
                answer["Signature"] = STANDARD.encode("no signature").into();
            }
        },
        |action, answer| {
            if action == "TrentService.Sign" {
                *answer = json!({});
            }
        },
    ];
    for change in wrong {
        let signer = open(p256(), change, None).await.unwrap();
        assert_eq!(signer.sign(b"x").await.unwrap_err().code(), "provider.unreachable");
    }
    for (status, code, expected) in [
        (400, "AccessDeniedException", "provider.refused"),
        (400, "DisabledException", "provider.misconfigured"),
        (400, "KMSInvalidStateException", "provider.misconfigured"),
        (400, "NotFoundException", "provider.misconfigured"),
        (400, "ThrottlingException", "provider.unreachable"),
        (500, "KMSInternalException", "provider.unreachable"),
    ] {
        let signer = open(p256(), unchanged, Some((status, code))).await.unwrap();
        let fault = signer.sign(b"x").await.unwrap_err();
        assert!(fault.code() == expected && fault.detail().contains("what KMS says"), "{code}: {fault:?}");
    }
}
