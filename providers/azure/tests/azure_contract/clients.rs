//! Clients that know nothing of the fake: azure-identity for Python is let in and refused where Writ is, and azurite takes what was
//! minted for Storage.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use writ_core::assertion::{AssertedSubject, Assertion};
use writ_core::target::TargetName;
use writ_fakes::entra::azurite::{Azurite, python};
use writ_fakes::entra::{Federated, TENANT};

use crate::canary;
use crate::providers::{azure, mint, token, writ};
use crate::world::{LIFE, READER, STRANGER, World};

const STORAGE: &str = "https://storage.azure.com/.default";

/// A running `azure_tokens.py`.
struct Identity {
    child: Child,
    asks: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Identity {
    fn start(world: &World) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/azure_tokens.py");
        let mut command = Command::new(python().unwrap());
        command.arg(program).env_clear().env("PATH", "/usr/bin:/bin").env("ENTRA", world.entra.url());
        command.env("ENTRA_CA", world.directory.path().join("entra.pem")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (asks, hears) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asks, hears }
    }

    fn ask(&mut self, asked: &Value) -> Value {
        writeln!(self.asks, "{asked}").unwrap();
        let mut line = String::new();
        self.hears.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn assertion(world: &World, audience: &str) -> String {
    let target = TargetName::new(world.target).unwrap();
    let (subject, claims) = (AssertedSubject::Target, std::collections::BTreeMap::new());
    let asked = Assertion { audience, subject, target: &target, intended: None, claims };
    String::from_utf8(world.assertions.assert(asked).await.unwrap().expose().to_vec()).unwrap()
}

#[tokio::test]
async fn azure_identity_is_let_in_and_refused_where_writ_is() {
    let world = World::start("reports");
    let mut identity = Identity::start(&world);
    let sound = assertion(&world, "api://AzureADTokenExchange").await;
    let asked = json!({ "tenant": TENANT, "client": READER, "assertion": sound, "scope": STORAGE });
    let with = |change: Value| {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        asked
    };
    let heard = identity.ask(&asked);
    let given = heard["token"].as_str().unwrap_or_else(|| panic!("{heard}"));
    world.entra.verify(given, "https://storage.azure.com").unwrap();
    let (signed, mac) = sound.rsplit_once('.').unwrap();
    let other = if mac.starts_with('A') { "B" } else { "A" };
    let tampered = format!("{signed}.{other}{}", &mac[1..]);
    let elsewhere = assertion(&world, "api://AzureADTokenExchangeUSGov").await;
    for (change, code) in [
        (json!({ "client": STRANGER }), "AADSTS700211"),
        (json!({ "client": "00000000-0000-0000-0000-000000000001" }), "AADSTS700016"),
        (json!({ "assertion": elsewhere }), "AADSTS700212"),
        (json!({ "assertion": tampered }), "AADSTS700027"),
        (json!({ "assertion": "e30.e30.e30" }), "AADSTS5002723"),
        (json!({ "scope": "api://unknown/.default" }), "AADSTS500011"),
        (json!({ "scope": "https://storage.azure.com/user_impersonation" }), "AADSTS1002012"),
    ] {
        let heard = identity.ask(&with(change));
        assert!(heard["refused"].as_str().unwrap_or_default().contains(code), "{code}: {heard}");
    }
    let payments = Federated { subject: "target:payments".to_owned(), ..world.credential() };
    world.trust(READER, vec![payments]);
    assert!(identity.ask(&asked)["refused"].as_str().unwrap().contains("AADSTS700213"));
    world.trust(READER, vec![world.credential()]);
    world.entra.clock_ahead(1_000);
    assert!(identity.ask(&asked)["refused"].as_str().unwrap().contains("AADSTS700024"));
    canary::check();
}

#[tokio::test]
async fn storage_takes_a_token_for_storage_and_no_other() {
    let world = World::start("reports");
    let azurite = Azurite::start().unwrap();
    let authority = reqwest::Certificate::from_pem(azurite.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    let container = format!("{}/reports?restype=container", azurite.url());
    let call = async |method: reqwest::Method, token: Option<&str>| {
        let call =
            client.request(method, &container).header("x-ms-version", "2023-11-03").header("content-length", "0");
        let call = token.into_iter().fold(call, |call, token| call.bearer_auth(token));
        call.send().await.unwrap().status().as_u16()
    };
    let provider = azure(&world, world.entra.url(), &|_| ());
    let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
    let storage = token(minted.credential().unwrap());
    assert_eq!(call(reqwest::Method::PUT, Some(storage)).await, 201);
    assert_eq!(call(reqwest::Method::GET, Some(storage)).await, 200);
    let mut other = writ(&world, None, LIFE);
    other.obligations.scope = Some("manage".to_owned());
    let minted = mint(&world, &provider, &other).await.unwrap();
    let manage = token(minted.credential().unwrap());
    assert_eq!(call(reqwest::Method::GET, Some(manage)).await, 403);
    assert_eq!(call(reqwest::Method::GET, Some("opaque")).await, 403);
    assert_eq!(call(reqwest::Method::GET, None).await, 403);
    canary::check();
}
