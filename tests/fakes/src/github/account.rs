//! The App, its installation, and the tokens that it got.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::random_hex;

/// How long a token lives, in seconds.
const LIFE: i64 = 3_600;
/// What stands before a key of RSA in PKCS #8: 2048 bits make lengths of two bytes.
const PKCS8_HEAD: usize = 26;

/// An App with its private key.
pub struct App {
    /// Its number.
    pub id: u64,
    /// Its client id.
    pub client_id: String,
    pair: KeyPair,
}

impl core::fmt::Debug for App {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("App").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl App {
    /// One with a fresh key.
    ///
    /// # Errors
    /// If no key can be made.
    pub fn new(id: u64, client_id: &str) -> Result<Self, String> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key of RSA")?;
        Ok(Self { id, client_id: client_id.to_owned(), pair })
    }

    /// Its private key as GitHub gives it: PKCS #1, in PEM.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn pem(&self) -> Result<String, String> {
        let pkcs8: Pkcs8V1Der<'static> = self.pair.as_der().map_err(|_| "the key cannot be written")?;
        let pkcs1 = pkcs8.as_ref().get(PKCS8_HEAD..).ok_or("the key is too short")?;
        let text = STANDARD.encode(pkcs1);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n")))
    }

    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

/// A repository.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// Where the App is installed.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Its number.
    pub id: u64,
    /// The organization.
    pub owner: String,
    /// The repositories.
    pub repositories: Vec<Repository>,
    /// What it grants.
    pub permissions: BTreeMap<String, String>,
}

/// A token that was given out.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) value: String,
    /// SHA-256 over it in base64, as the audit log has it.
    pub(super) hashed: String,
    pub(super) ends: i64,
    pub(super) repositories: Vec<Repository>,
    pub(super) selected: bool,
    pub(super) permissions: BTreeMap<String, String>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) app: App,
    pub(super) installation: Installation,
    pub(super) tokens: Vec<Token>,
    pub(super) long: bool,
    /// Those that were taken, by their digests.
    pub(super) jwts: BTreeSet<Vec<u8>>,
}

impl Account {
    pub(super) const fn new(app: App, installation: Installation) -> Self {
        Self { app, installation, tokens: Vec::new(), long: false, jwts: BTreeSet::new() }
    }

    pub(super) fn rekey(&mut self, app: App) {
        self.app = app;
    }

    pub(super) fn living(&self, now: i64) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(move |token| token.ends > now)
    }

    /// A fresh token.
    pub(super) fn give(
        &mut self,
        repositories: Vec<Repository>,
        selected: bool,
        permissions: BTreeMap<String, String>,
        now: i64,
    ) -> Result<Token, String> {
        let value = if self.long {
            let claims = format!(r#"{{"jti":"{}","exp":{}}}"#, random_hex(16)?, now + LIFE);
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let signature = random_hex(128)?;
            format!("ghs_{}_{}.{}.{}", self.app.id, part(r#"{"alg":"RS256"}"#), part(&claims), part(&signature))
        } else {
            format!("ghs_{}", random_hex(18)?)
        };
        let hashed = STANDARD.encode(digest(&SHA256, value.as_bytes()));
        let token = Token { value, hashed, ends: now + LIFE, repositories, selected, permissions };
        self.tokens.push(token.clone());
        Ok(token)
    }
}
