//! Issuers that others wrote: npm `oidc-provider` and `oauth2-mock-server`, over https on loopback, with their discovery
//! documents, key sets and tokens as they are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_broker::identity::{IssuerConfig, Verifier};
use writ_broker_api::paths;
use writ_core::time::Timestamp;
use writ_world::packages;

use crate::world::{AUDIENCE, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running issuer. It ends with its standard input.
struct Foreign {
    directory: tempfile::TempDir,
    child: Child,
    stdin: ChildStdin,
    said: Receiver<String>,
    url: String,
}

impl Foreign {
    fn start(program: &str) -> Self {
        let node = packages::need(Path::new("/usr/bin/node"), "`apt-get install nodejs`").expect("node");
        let modules =
            packages::need(&packages::cache().join("issuers/package.json"), "`tests/world/scripts/fetch-issuers`");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/issuers").join(program);
        let directory = tempfile::tempdir().expect("a directory");
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (directory.path().join("issuer.pem"), directory.path().join("issuer.key"));
        std::fs::write(&certificate, own.cert.pem()).expect("a file");
        std::fs::write(&key, own.signing_key.serialize_pem()).expect("a file");
        let log = std::fs::File::create(directory.path().join("log")).expect("a file");
        let mut command = Command::new(node);
        command.arg(program).env("WRIT_NODE_MODULES", modules.expect("node modules")).env("WRIT_AUDIENCE", AUDIENCE);
        command.env("WRIT_CERT", certificate).env("WRIT_KEY", key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the issuer starts");
        let (stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (send, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut issuer = Self { directory, child, stdin, said, url: String::new() };
        issuer.url = issuer.hear()["issuer"].as_str().expect("an issuer").to_owned();
        issuer
    }

    fn hear(&self) -> Value {
        let line = self.said.recv_timeout(PATIENCE);
        let log = || std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let line = line.unwrap_or_else(|error| panic!("the issuer says nothing ({error}): {}", log()));
        let said: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(said.get("error"), None, "{said}: {}", log());
        said
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.stdin, "{question}").expect("the issuer listens");
        self.hear()
    }

    fn token(&mut self, question: Value) -> String {
        let mut question = question;
        question["do"] = json!("token");
        self.ask(&question)["token"].as_str().expect("a token").to_owned()
    }

    fn config(&self, algorithms: &[&str]) -> Value {
        json!({
            "name": "foreign", "issuer": self.url, "algorithms": algorithms, "typ": ["JWT", "at+jwt"], "internal": true,
            "ca_pem_file": self.directory.path().join("issuer.pem"), "cache": { "min_fresh": "1s", "fetch_interval": "1s" },
        })
    }

    fn verifier(&self, algorithms: &[&str]) -> Verifier {
        let config: IssuerConfig = serde_json::from_value(self.config(algorithms)).expect("a configuration");
        Verifier::new(&[config], AUDIENCE, None).expect("a verifier")
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn code(verifier: &Verifier, token: &str) -> &'static str {
    verifier.verify(token, Timestamp::now()).await.map_or_else(|fault| fault.code(), |_| "accepted")
}

/// Verifies until the outcome is the expected: keys are fetched again a second after they were at the earliest.
async fn becomes(verifier: &Verifier, token: &str, expected: &str) {
    let begun = Instant::now();
    loop {
        let found = code(verifier, token).await;
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it stays `{found}`, not `{expected}`");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What `/v1/token` answers to this token.
async fn exchange(world: &World, token: &str) -> u16 {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", token),
        ("audience", "orders"),
    ];
    let answer = world.client(None).post(world.url(paths::TOKEN)).form(&form).send().await;
    answer.expect("an answer").status().as_u16()
}

fn header_of(token: &str) -> Value {
    let header = token.split('.').next().expect("a header");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON")
}

/// The token with its header changed and its signature made by `sign`.
fn dressed(token: &str, changes: Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let mut header = header_of(token);
    for (name, change) in changes.as_object().expect("changes") {
        header[name] = change.clone();
    }
    let claims = token.split('.').nth(1).expect("claims");
    let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign(signed.as_bytes())))
}

const ALL: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_takes_the_tokens_of_conformant_issuers() {
    for program in ["oidc_provider.mjs", "oauth2_mock_server.mjs"] {
        let mut issuer = Foreign::start(program);
        if program == "oauth2_mock_server.mjs" {
            for alg in &ALL[1..] {
                issuer.ask(&json!({ "do": "key", "alg": alg, "kid": alg }));
            }
        }
        let world = World::trusting(vec![issuer.config(&ALL)]).await;
        for alg in ALL {
            let token = issuer.token(json!({ "alg": alg, "kid": alg }));
            assert_eq!(header_of(&token)["alg"], alg);
            assert_eq!(exchange(&world, &token).await, 200, "{program} {alg}");
            let (rest, signature) = token.rsplit_once('.').expect("a signature");
            let spoiled = format!("{rest}.{}", signature.chars().rev().collect::<String>());
            assert_eq!(exchange(&world, &spoiled).await, 400, "{program} {alg}");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_followed_and_a_key_that_was_taken_back_counts_no_more() {
    let mut issuer = Foreign::start("oidc_provider.mjs");
    let verifier = issuer.verifier(&ALL);
    let first = issuer.token(json!({ "alg": "ES256" }));
    assert_eq!(code(&verifier, &first).await, "accepted");
    issuer.ask(&json!({ "do": "rotate", "name": "2", "keep": true }));
    let second = issuer.token(json!({ "alg": "ES256" }));
    assert_ne!(header_of(&first)["kid"], header_of(&second)["kid"]);
    becomes(&verifier, &second, "accepted").await;
    assert_eq!(code(&verifier, &first).await, "accepted", "the former key is still published");
    issuer.ask(&json!({ "do": "rotate", "name": "3", "keep": false }));
    let third = issuer.token(json!({ "alg": "RS256" }));
    becomes(&verifier, &third, "accepted").await;
    assert_eq!(code(&verifier, &first).await, "identity.unknown_key");
    assert_eq!(code(&verifier, &second).await, "identity.unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_changes_its_algorithm_is_refused_until_it_is_configured() {
    let mut issuer = Foreign::start("oauth2_mock_server.mjs");
    let verifier = issuer.verifier(&["RS256"]);
    let good = issuer.token(json!({ "kid": "RS256" }));
    assert_eq!(code(&verifier, &good).await, "accepted");
    issuer.ask(&json!({ "do": "key", "alg": "ES256", "kid": "ES256" }));
    let changed = issuer.token(json!({ "kid": "ES256" }));
    assert_eq!(code(&verifier, &changed).await, "identity.algorithm");
    // The key's name of one algorithm in a token of the other.
    assert_eq!(code(&issuer.verifier(&ALL), &changed).await, "accepted");
    let crossed = dressed(&changed, json!({ "kid": "RS256" }), |_| vec![7; 64]);
    assert_eq!(code(&issuer.verifier(&ALL), &crossed).await, "identity.unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_issuer_is_refused() {
    let mut issuer = Foreign::start("oauth2_mock_server.mjs");
    let verifier = issuer.verifier(&ALL);
    let good = issuer.token(json!({ "kid": "RS256" }));
    assert_eq!(code(&verifier, &good).await, "accepted");
    for none in ["none", "None", "NONE", ""] {
        let naked = dressed(&good, json!({ "alg": none }), |_| Vec::new());
        assert_eq!(code(&verifier, &naked).await, "identity.algorithm", "{none}");
    }
    let unsigned = dressed(&good, json!({}), |_| Vec::new());
    assert_eq!(code(&verifier, &unsigned).await, "identity.signature");
    // Its public key as a secret of HMAC, in the forms in which it is to be had.
    let authority = std::fs::read(issuer.directory.path().join("issuer.pem")).expect("a file");
    let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().expect("a client");
    let jwks = client.get(format!("{}/jwks", issuer.url)).send().await.expect("an answer").text().await.expect("text");
    let keys: Value = serde_json::from_str(&jwks).expect("JSON");
    let key = keys["keys"][0].clone();
    let modulus = key["n"].as_str().expect("a modulus").to_owned();
    let secrets = [jwks.into_bytes(), key.to_string().into_bytes(), modulus.clone().into_bytes(), decode(&modulus)];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let forged = dressed(&good, json!({ "alg": "HS256" }), |text| hmac::sign(&secret, text).as_ref().to_vec());
        assert_eq!(code(&verifier, &forged).await, "identity.algorithm");
    }
    // Signed by the issuer, and not for us, not by its name, not now.
    let now = Timestamp::now().as_second();
    for (claims, expected) in [
        (json!({ "aud": "another" }), "identity.audience"),
        (json!({ "iss": "https://localhost:1" }), "identity.unknown_issuer"),
        (json!({ "iss": format!("{}/", issuer.url) }), "identity.unknown_issuer"),
        (json!({ "exp": now - 100, "iat": now - 200, "nbf": now - 200 }), "identity.expired"),
        (json!({ "nbf": now + 100 }), "identity.not_yet_valid"),
        (json!({ "exp": now + 86_400 }), "identity.lifetime"),
        (json!({ "sub": "" }), "identity.malformed_claim"),
    ] {
        let token = issuer.token(json!({ "kid": "RS256", "claims": claims }));
        assert_eq!(code(&verifier, &token).await, expected);
    }
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}
