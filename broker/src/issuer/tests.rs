//! The issuer, read as a target reads it: by its two documents, with the code that verifies workloads' tokens.

use std::sync::Mutex as Shared;

use serde_json::{Value, json};
use writ_core::assertion::{AssertedSubject, Assertion, AssertionSigner, Assertions as _};
use writ_core::id::GatewayId;
use writ_core::proof::{Asker, Intended};
use writ_core::target::TargetName;
use writ_core::time::{SignedDuration, Timestamp};
use writ_core::workload::{Claims, TokenId, TokenKind};
use writ_core::writ::WritState;

use super::*;
use crate::duration::Span;
use crate::identity::config::IssuerConfig;
use crate::identity::signing::SigningKey;
use crate::identity::verify::Verifier;
use crate::store::conformance::writ;

const URL: &str = "https://writ.example/issuer";
const AUDIENCE: &str = "sts.amazonaws.com";

#[derive(Clone)]
struct Stepped(Arc<Shared<Timestamp>>);

impl Stepped {
    fn new() -> Self {
        Self(Arc::new(Shared::new(Timestamp::from_second(1_800_000_000).unwrap())))
    }

    fn step(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }
}

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn settings() -> IssuingConfig {
    IssuingConfig { key_life: Span::seconds(1000), key_announce: Span::seconds(100), ..IssuingConfig::default() }
}

fn target() -> TargetName {
    TargetName::new("payments").unwrap()
}

fn workload() -> Workload {
    Workload {
        issuer: Issuer::new("https://token.actions.githubusercontent.com"),
        subject: Subject::new("repo:octo-org/octo-repo:environment:prod"),
        claims: [("ci".to_owned(), json!({"repository": "octo-org/octo-repo", "ref": "refs/heads/main"}))].into(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("one".to_owned()),
        token_expires: Timestamp::MAX,
        bound_target: None,
    }
}

#[expect(clippy::disallowed_methods, reason = "the test plays the ledger, which took the intent")]
fn intended(now: Timestamp, life: u64) -> Intended {
    let mut writ = writ(GatewayId::fresh(), WritState::Intended, 0, 0);
    writ.expires = writ_core::time::after(now, life);
    Intended::durable(writ).asked_by(Asker { workload: workload(), token: Secret::new(b"token".to_vec()) })
}

async fn assert(issuer: &OidcIssuer, intended: Option<&Intended>, subject: AssertedSubject) -> String {
    let target = target();
    let claims = Claims::from([("https://aws.amazon.com/source_identity".to_owned(), json!("w"))]);
    let assertion = Assertion { audience: AUDIENCE, subject, target: &target, intended, claims };
    String::from_utf8(issuer.assert(assertion).await.unwrap().expose().to_vec()).unwrap()
}

/// What a target that fetched the keys makes of the token.
async fn read(jwks: &Value, algorithm: &str, token: &str, now: Timestamp) -> Result<Workload, &'static str> {
    let config: IssuerConfig = serde_json::from_value(json!({
        "name": "writ", "issuer": URL, "algorithms": [algorithm], "jwks": jwks.to_string(), "require_jti": true,
    }))
    .unwrap();
    let verifier = Verifier::new(&[config], AUDIENCE, None).unwrap();
    verifier.verify(token, now).await.map(writ_core::proof::Verified::into_inner).map_err(|fault| fault.code())
}

#[tokio::test]
async fn an_assertion_says_for_whom_and_why() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    let intended = intended(clock.now(), 900);
    let writ = intended.writ().clone();
    let token = assert(&issuer, Some(&intended), AssertedSubject::Target).await;
    let found = read(&issuer.jwks(), "ES256", &token, clock.now()).await.unwrap();
    assert_eq!(found.subject.as_str(), "target:payments");
    for (claim, value) in [
        ("writ", json!(writ.id.to_string())),
        ("session", json!(writ.session.to_string())),
        ("policy_hash", json!(writ.policy_hash.as_str())),
        ("workload_issuer", json!(writ.issuer.as_str())),
        ("workload_subject", json!(writ.subject.as_str())),
        ("repository", json!("octo-org/octo-repo")),
        ("ref", json!("refs/heads/main")),
        ("https://aws.amazon.com/source_identity", json!("w")),
        ("exp", json!(clock.now().as_second() + 300)),
    ] {
        assert_eq!(found.claims[claim], value, "{claim}");
    }
    let own = assert(&issuer, Some(&intended), AssertedSubject::Workload).await;
    let own = read(&issuer.jwks(), "ES256", &own, clock.now()).await.unwrap();
    let expected = workload_subject(&workload().issuer, &workload().subject);
    assert_eq!(own.subject.as_str(), expected);
    assert_eq!(expected.len(), "workload:".len() + 32);
    assert_ne!(own.token_id, found.token_id);
}

#[tokio::test]
async fn an_assertion_ends_with_its_writ() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    let intended = intended(clock.now(), 30);
    let token = assert(&issuer, Some(&intended), AssertedSubject::Target).await;
    let found = read(&issuer.jwks(), "ES256", &token, clock.now()).await.unwrap();
    assert_eq!(found.claims["exp"], json!(clock.now().as_second() + 30));
    clock.step(61);
    assert_eq!(read(&issuer.jwks(), "ES256", &token, clock.now()).await, Err("identity.expired"));
}

#[tokio::test]
async fn what_cannot_be_asserted_is_a_mistake() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    let target = target();
    let assertion =
        |subject, claims| Assertion { audience: AUDIENCE, subject, target: &target, intended: None, claims };
    for claim in ["sub", "aud", "exp", "writ", "repository"] {
        let claims = Claims::from([(claim.to_owned(), json!("forged"))]);
        let fault = issuer.assert(assertion(AssertedSubject::Target, claims)).await.unwrap_err();
        assert_eq!(fault, ProviderFault::Misconfigured(format!("`{claim}` is a claim of the issuer's own")));
    }
    let fault = issuer.assert(assertion(AssertedSubject::Workload, Claims::new())).await.unwrap_err();
    assert!(
        matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("write `subject = \"target\"`")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    assert_eq!(issuer.introduced().len(), 1);
    let written = Shared::new(Vec::new());
    let turn = async || {
        let write = async |made: Introduced| {
            written.lock().unwrap().push(made);
            Ok::<(), KeyFault>(())
        };
        issuer.turn(write).await.unwrap();
    };
    let kids = || -> Vec<String> {
        issuer.jwks()["keys"].as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect()
    };
    let signs = async || {
        let token = assert(&issuer, None, AssertedSubject::Target).await;
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].to_string()
    };
    turn().await;
    let first = signs().await;
    let stale = issuer.jwks();
    clock.step(1000);
    turn().await;
    assert_eq!((written.lock().unwrap().len(), kids().len()), (1, 2));
    assert_eq!(signs().await, first, "a new key does not sign before targets can know it");
    let token = assert(&issuer, None, AssertedSubject::Target).await;
    assert!(read(&stale, "ES256", &token, clock.now()).await.is_ok(), "targets with the old set are not cut off");
    clock.step(100);
    turn().await;
    assert_ne!(signs().await, first);
    assert!(read(&issuer.jwks(), "ES256", &token, clock.now()).await.is_ok(), "the last token of the first key");
    clock.step(300 + 600);
    turn().await;
    assert_eq!(kids().len(), 1 + 1, "the first is gone, and the third is made by now");
    assert!(!kids().contains(&first));
    let again = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    assert_eq!((again.jwks(), again.introduced().len()), (issuer.jwks(), 0), "a restart changes nothing");
}

#[tokio::test]
async fn a_key_that_cannot_be_written_down_is_not_used() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock.clone())).unwrap();
    let before = issuer.jwks();
    clock.step(1000);
    let failed = issuer.turn(async |_| Err(KeyFault::Crypto("the ledger"))).await;
    assert!(failed.is_err());
    assert_eq!(issuer.jwks(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn rsa_keys_sign_for_targets_that_take_nothing_else() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let settings = IssuingConfig { algorithm: KeyForm::Rs256, ..settings() };
    let issuer = OidcIssuer::open(&settings, URL, directory.path(), Arc::new(clock.clone())).unwrap();
    assert_eq!(issuer.discovery()["id_token_signing_alg_values_supported"], json!(["RS256"]));
    let token = assert(&issuer, None, AssertedSubject::Target).await;
    assert!(read(&issuer.jwks(), "RS256", &token, clock.now()).await.is_ok());
    assert_eq!(read(&issuer.jwks(), "PS256", &token, clock.now()).await, Err("identity.algorithm"));
}

/// A key management service, as far as the issuer sees one: it may answer with another key's signature, or not at all.
#[derive(Debug)]
struct Elsewhere {
    published: SigningKey,
    signs: Option<SigningKey>,
}

impl AssertionSigner for Elsewhere {
    fn algorithm(&self) -> &'static str {
        "ES256"
    }

    fn public(&self) -> Value {
        self.published.public()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        Box::pin(async move {
            match &self.signs {
                Some(key) => Ok(key.sign(message).unwrap()),
                None => std::future::pending().await,
            }
        })
    }
}

fn key() -> (SigningKey, SigningKey) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();
    (SigningKey::read(&pair).unwrap(), SigningKey::read(&pair).unwrap())
}

#[tokio::test]
async fn a_signer_elsewhere_is_trusted_with_its_key_alone() {
    let clock = Arc::new(Stepped::new());
    let open = |published, signs| {
        let signer = Arc::new(Elsewhere { published, signs });
        OidcIssuer::with_signer(&settings(), URL, signer, &[], Duration::from_millis(100), clock.clone()).unwrap()
    };
    let (published, signs) = key();
    let sound = open(published, Some(signs));
    let token = assert(&sound, None, AssertedSubject::Target).await;
    assert!(read(&sound.jwks(), "ES256", &token, clock.now()).await.is_ok());
    let refused = async |issuer: OidcIssuer| {
        let (target, subject) = (target(), AssertedSubject::Target);
        let assertion =
            Assertion { audience: AUDIENCE, subject, target: &target, intended: None, claims: Claims::new() };
        issuer.assert(assertion).await.unwrap_err().detail().to_owned()
    };
    let other = refused(open(key().0, Some(key().1))).await;
    assert!(other.contains("no signature by its key"), "{other}");
    let silent = refused(open(key().0, None)).await;
    assert!(silent.contains("does not answer"), "{silent}");
}

fn kid(jwks: &Value, at: usize) -> &str {
    jwks["keys"][at]["kid"].as_str().unwrap()
}

#[tokio::test]
async fn other_keys_elsewhere_are_published_and_sign_nothing() {
    let clock = Arc::new(Stepped::new());
    let elsewhere = || {
        let (published, signs) = key();
        Arc::new(Elsewhere { published, signs: Some(signs) }) as Arc<dyn AssertionSigner>
    };
    let (before, now) = (elsewhere(), elsewhere());
    let open = |signer: &Arc<dyn AssertionSigner>, others: &[Arc<dyn AssertionSigner>]| {
        OidcIssuer::with_signer(&settings(), URL, signer.clone(), others, Duration::from_secs(1), clock.clone())
            .unwrap()
    };
    let first = open(&before, &[]);
    let token = assert(&first, None, AssertedSubject::Target).await;
    let second = open(&now, std::slice::from_ref(&before));
    let jwks = second.jwks();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    let introduced = second.introduced().iter().map(|key| (key.purpose, key.public.as_str())).collect::<Vec<_>>();
    assert_eq!(introduced, [("issuer-signer", kid(&jwks, 1))], "the ledger learns which key signs from now on");
    assert!(
        read(&second.jwks(), "ES256", &token, clock.now()).await.is_ok(),
        "a token of the key before is still good"
    );
    let token = assert(&second, None, AssertedSubject::Target).await;
    assert!(read(&first.jwks(), "ES256", &token, clock.now()).await.is_err(), "the other key did not sign");
    assert!(read(&second.jwks(), "ES256", &token, clock.now()).await.is_ok());
}

#[test]
fn the_documents_are_what_targets_look_for() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), Stepped::new());
    let issuer = OidcIssuer::open(&settings(), URL, directory.path(), Arc::new(clock)).unwrap();
    let document = issuer.discovery();
    assert_eq!(document["issuer"], URL);
    assert_eq!(document["jwks_uri"], format!("{URL}/.well-known/jwks.json"));
    let keys = issuer.jwks();
    let key = &keys["keys"][0];
    assert_eq!((&key["use"], &key["alg"], &key["kty"]), (&json!("sig"), &json!("ES256"), &json!("EC")));
    assert!(key.get("d").is_none(), "nothing private is published");
}

#[test]
fn mistakes_are_named_with_what_to_write() {
    let with = |change: fn(&mut IssuingConfig)| {
        let mut config = IssuingConfig::default();
        change(&mut config);
        config.mistake().unwrap_or_default()
    };
    assert_eq!(with(|_| {}), "");
    assert!(with(|config| config.url = Some("https://writ.example/".into())).contains("without a slash"));
    assert!(with(|config| config.url = Some("http://writ.example".into())).contains("https://host/path"));
    assert!(with(|config| config.token_life = Span::seconds(30)).contains("write 1m to 1h"));
    assert!(with(|config| config.key_life = Span::seconds(3600)).contains("at least twice"));
}
