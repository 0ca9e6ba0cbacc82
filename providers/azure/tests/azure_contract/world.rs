//! A tenant as the documentation sets it up, and Writ's own issuer, which it trusts.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use writ_broker::issuer::{IssuingConfig, KeyForm, OidcIssuer};
use writ_core::assertion::Assertions;
use writ_core::id::WritId;
use writ_core::time::SystemClock;
use writ_fakes::entra::{App, Entra, Federated};

use crate::canary::{self, Noting};
use crate::documented;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);
/// The clients of the documentation, and one that nobody's assertions stand for.
pub(crate) const READER: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
pub(crate) const WRITER: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
pub(crate) const STRANGER: &str = "99990000-aaaa-1111-bbbb-2222cccc3333";
/// Their service principals.
pub(crate) const OBJECTS: [(&str, &str); 3] = [
    (READER, "22223333-cccc-4444-dddd-5555eeee6666"),
    (WRITER, "33334444-dddd-5555-eeee-6666ffff7777"),
    (STRANGER, "44445555-eeee-6666-ffff-7777aaaa8888"),
];

/// The tenant and the issuer.
pub(crate) struct World {
    pub(crate) entra: Entra,
    /// The target that assertions name.
    pub(crate) target: &'static str,
    pub(crate) assertions: Arc<dyn Assertions>,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn start(target: &'static str) -> Self {
        Self::start_by(target, KeyForm::Rs256)
    }

    pub(crate) fn start_by(target: &'static str, algorithm: KeyForm) -> Self {
        canary::listen();
        let entra = Entra::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let assertions: Arc<dyn Assertions> = Arc::new(Noting(issuer(directory.path(), algorithm)));
        std::fs::write(directory.path().join("entra.pem"), entra.ca_pem()).unwrap();
        let world = Self { entra, target, assertions, directory };
        for client in [READER, WRITER] {
            world.trust(client, vec![world.credential()]);
        }
        world.trust(STRANGER, Vec::new());
        world
    }

    /// The documentation's federated credential, for this issuer and target.
    pub(crate) fn credential(&self) -> Federated {
        documented::credential(self.assertions.issuer(), self.target)
    }

    /// Lets a client trust whom these say, and nobody else.
    pub(crate) fn trust(&self, client: &str, federated: Vec<Federated>) {
        self.entra.app(App { client_id: client.to_owned(), object_id: object(client).to_owned(), federated }).unwrap();
    }

    /// How Entra is asked there.
    pub(crate) fn entra_settings(&self, authority: &str) -> Value {
        // A machine with much else to do is no finding.
        json!({ "authority": authority, "authority_ca_file": self.directory.path().join("entra.pem"), "call_timeout_ms": 30_000 })
    }

    /// The sign-ins that carry a writ's id.
    pub(crate) fn sign_ins_of(&self, writ: WritId) -> Vec<Value> {
        let id = guid(writ);
        self.entra.sign_ins().into_iter().filter(|row| row["correlationId"] == id.as_str()).collect()
    }
}

pub(crate) fn object(client: &str) -> &'static str {
    OBJECTS.iter().find(|(known, _)| *known == client).unwrap().1
}

/// The writ's 128 bits, as whoever reads Entra's log writes them.
pub(crate) fn guid(writ: WritId) -> String {
    let digits: String = writ.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// Writ's own issuer, whose two documents are served until the test's process ends.
pub(crate) fn issuer(directory: &std::path::Path, algorithm: KeyForm) -> Arc<dyn Assertions> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = issuer_at(&url, &directory.join("issuer"), algorithm);
    let documents = [issuer.discovery(), issuer.jwks()];
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let asks = |path: &str| head.starts_with(format!("GET {path} ").as_bytes());
            let body = match (asks("/.well-known/openid-configuration"), asks("/.well-known/jwks.json")) {
                (true, _) => documents[0].to_string(),
                (_, true) => documents[1].to_string(),
                _ => continue,
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    issuer
}

/// An issuer of that address with keys of its own, whoever serves the documents there.
pub(crate) fn issuer_at(url: &str, keys: &std::path::Path, algorithm: KeyForm) -> Arc<OidcIssuer> {
    let config = IssuingConfig { algorithm, ..IssuingConfig::default() };
    Arc::new(OidcIssuer::open(&config, url, keys, Arc::new(SystemClock)).unwrap())
}
