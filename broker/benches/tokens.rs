//! What a token costs: to verify a workload's, beside the bare signature; to sign one of the broker's own issuer. Prints
//! `name value unit`.
//!
//! Each round times both ways over the same tokens, one after the other, so that a noisy machine spoils both alike; the ratio
//! is the median of the rounds'.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_broker::identity::verify::Verifier;
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::{AssertedSubject, Assertion, Assertions as _};
use writ_core::target::TargetName;
use writ_core::time::{SystemClock, Timestamp};
use writ_core::workload::Claims;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "bench";
const ROUNDS: usize = 7;
const TOKENS: usize = 2_000;
/// How long the issuer signs.
const SIGNING: Duration = Duration::from_secs(3);
const SIGNERS: usize = 2;

type Failure = Box<dyn core::error::Error + Send + Sync>;

type Signs = Box<dyn Fn(&[u8]) -> Vec<u8>>;
type Verifies = Box<dyn Fn(&[u8], &[u8]) -> bool>;

/// A key, and the bare library's way with it.
struct Kind {
    name: &'static str,
    algorithm: &'static str,
    jwk: Value,
    sign: Signs,
    verify: Verifies,
}

fn elliptic() -> Result<Kind, Failure> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| "no key can be made")?;
    let point = pair.public_key().as_ref().to_vec();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)});
    Ok(Kind {
        name: "es256",
        algorithm: "ES256",
        jwk,
        sign: Box::new(move |text| {
            pair.sign(&SystemRandom::new(), text).map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
        }),
        verify: Box::new(move |text, signature| {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).verify(text, signature).is_ok()
        }),
    })
}

fn rsa() -> Result<Kind, Failure> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key can be made")?;
    let public = pair.public_key();
    let (n, e) = (public.modulus().big_endian_without_leading_zero().to_vec(), vec![1, 0, 1]);
    let jwk = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(&n), "e": URL_SAFE_NO_PAD.encode(&e)});
    Ok(Kind {
        name: "rs256",
        algorithm: "RS256",
        jwk,
        sign: Box::new(move |text| {
            let mut signature = vec![0; pair.public_modulus_len()];
            match pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature) {
                Ok(()) => signature,
                Err(_) => Vec::new(),
            }
        }),
        verify: Box::new(move |text, signature| {
            RsaPublicKeyComponents { n: &n, e: &e }.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature).is_ok()
        }),
    })
}

/// Tokens of the size that GitHub Actions gives.
fn tokens(kind: &Kind) -> Vec<String> {
    let now = Timestamp::now().as_second();
    let header = json!({"alg": kind.algorithm, "typ": "JWT", "kid": "one"}).to_string();
    (0..TOKENS)
        .map(|number| {
            let claims = json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/payments:environment:production", "iat": now,
                "nbf": now, "exp": now + 300, "jti": format!("token-{number}"), "repository": "acme/payments",
                "repository_id": "123456789", "repository_owner": "acme", "repository_owner_id": "987654321",
                "ref": "refs/heads/main", "ref_type": "branch", "environment": "production", "event_name": "push",
                "actor": "someone", "actor_id": "424242", "run_id": "9876543210", "run_number": "42", "run_attempt": "1",
                "workflow": "deploy", "workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
                "job_workflow_ref": "acme/payments/.github/workflows/deploy.yml@refs/heads/main",
                "sha": "0123456789abcdef0123456789abcdef01234567", "runner_environment": "github-hosted",
                "repository_visibility": "private",
            });
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(claims.to_string()));
            let signature = (kind.sign)(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        })
        .collect()
}

async fn verified(verifier: &Verifier, tokens: &[String]) -> Result<Duration, Failure> {
    let (now, begun) = (Timestamp::now(), Instant::now());
    for token in tokens {
        verifier.verify(token, now).await.map_err(|fault| fault.code())?;
    }
    Ok(begun.elapsed())
}

fn bare(kind: &Kind, parts: &[(String, Vec<u8>)]) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let good = parts.iter().all(|(signed, signature)| (kind.verify)(signed.as_bytes(), signature));
    if good { Ok(begun.elapsed()) } else { Err("a signature of our own is not good".into()) }
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn verification(kind: &Kind) -> Result<(), Failure> {
    let mut jwk = kind.jwk.clone();
    if let Some(members) = jwk.as_object_mut() {
        members.insert("kid".to_owned(), "one".into());
    }
    let config = serde_json::from_value(json!({
        "name": "ci", "issuer": ISSUER, "algorithms": [kind.algorithm], "jwks": json!({"keys": [jwk]}).to_string(),
    }))?;
    let verifier = Verifier::new(&[config], AUDIENCE, None)?;
    let tokens = tokens(kind);
    let parts: Vec<(String, Vec<u8>)> = tokens
        .iter()
        .filter_map(|token| {
            let (signed, signature) = token.rsplit_once('.')?;
            Some((signed.to_owned(), URL_SAFE_NO_PAD.decode(signature).ok()?))
        })
        .collect();
    let (mut ratios, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (ours, theirs) = (verified(&verifier, &tokens).await?, bare(kind, &parts)?);
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
        whole.push(ours.as_secs_f64() / TOKENS as f64 * 1e6);
    }
    println!("verify_{}_to_bare {:.3} ratio", kind.name, median(ratios));
    println!("verify_{} {:.1} us", kind.name, median(whole));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
async fn signing() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let issuer = OidcIssuer::open(&IssuingConfig::default(), ISSUER, directory.path(), Arc::new(SystemClock))?;
    let (issuer, signed) = (Arc::new(issuer), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..SIGNERS {
        let (issuer, signed) = (issuer.clone(), signed.clone());
        running.spawn(async move {
            let target = TargetName::new("payments")?;
            while begun.elapsed() < SIGNING {
                let (audience, subject) = ("sts.amazonaws.com", AssertedSubject::Target);
                let claims = Claims::from([("https://aws.amazon.com/source_identity".to_owned(), "writ".into())]);
                let asked = Assertion { audience, subject, target: &target, intended: None, claims };
                issuer.assert(asked).await.map_err(|fault| fault.detail().to_owned())?;
                signed.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    println!(
        "issuer_es256_per_second {:.0} 1/s",
        signed.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn run() -> Result<(), Failure> {
    verification(&elliptic()?).await?;
    verification(&rsa()?).await?;
    signing().await
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(SIGNERS).enable_all().build()?;
    runtime.block_on(run())
}
