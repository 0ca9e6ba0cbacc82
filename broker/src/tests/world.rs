//! A small world around a broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use writ_broker_api::gateway::{CloseRequest, OpenReply, OpenRequest};
use writ_broker_api::sealed::OpeningKey;
use writ_core::event::{Actor, Entry, Event, SessionEnd};
use writ_core::id::GatewayId;
use writ_core::target::{Address, Labels, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Clock, Timestamp};
use writ_core::workload::{Issuer, Subject};
use writ_ledger::verify::{Visitor, verify};

use super::provider::Fake;
use super::store::Failing;
use crate::broker::{Broker, GatewayIdentity, Tasks};
use crate::config::BrokerConfig;
use crate::evidence::LedgerDirectory;
use crate::humans::Permitted;
use crate::refusal::Refusal;
use crate::store::sqlite::Sqlite;
use crate::store::{Change, EnrolledGateway, Store as _};
use crate::targets::{Served, Targets};

pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const URL: &str = "https://broker.example:8443";
pub(super) const AUDIENCE: &str = "writ:eu";
pub(super) const ADMIN_TOKEN: &str = "canary-4c1f-admin-token-of-the-tests";
/// The target that the policies permit; `other` is one that they do not, and no third is there.
pub(super) const TARGET: &str = "main";
/// Permits the workload to use `main`.
pub(super) const PERMIT: &str = "@id(\"p\") @uses(\"3\") @ttl(\"10m\") permit (principal is Writ::Workload, \
     action in Writ::Action::\"use\", resource is Writ::Target) when { resource.name == \"main\" };";

/// A clock that stands until it is stepped.
#[derive(Debug)]
pub(super) struct Stepped {
    wall: AtomicI64,
    monotonic: AtomicU64,
}

impl Stepped {
    /// Time goes by.
    pub(super) fn step(&self, seconds: u32) {
        self.set_wall(seconds.into());
        self.monotonic.fetch_add(seconds.into(), Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_wall(&self, by_seconds: i64) {
        self.wall.fetch_add(by_seconds, Ordering::SeqCst);
    }
}

impl Clock for Stepped {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.wall.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.monotonic.load(Ordering::SeqCst))
    }
}

/// What outlives a broker: its files, the issuer, the target, the time, the gateway's key.
pub(super) struct Place {
    pub(super) state: TempDir,
    pub(super) provider: Arc<Fake>,
    pub(super) clock: Arc<Stepped>,
    pub(super) gateway: GatewayIdentity,
    pub(super) opening: OpeningKey,
    pub(super) rates: Value,
    pub(super) webhooks: Value,
    issuer: EcdsaKeyPair,
    serial: AtomicU64,
}

/// A broker that runs at a place.
pub(super) struct World {
    pub(super) broker: Arc<Broker>,
    pub(super) store: Arc<Failing>,
    pub(super) place: Place,
    tasks: Tasks,
}

impl Place {
    pub(super) fn new(policies: &str) -> Self {
        let state = TempDir::new().unwrap();
        std::fs::create_dir(state.path().join("policies")).unwrap();
        let (opening, sealing_key) = OpeningKey::generate().unwrap();
        let place = Self {
            state,
            provider: Arc::default(),
            clock: Arc::new(Stepped { wall: AtomicI64::new(1_800_000_000), monotonic: AtomicU64::new(7) }),
            gateway: GatewayIdentity { id: GatewayId::fresh(), sealing_key, serves: Labels::new() },
            opening,
            rates: json!({}),
            webhooks: json!([]),
            issuer: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            serial: AtomicU64::new(0),
        };
        place.policies(policies);
        place
    }

    pub(super) fn policies(&self, text: &str) {
        std::fs::write(self.state.path().join("policies/main.cedar"), text).unwrap();
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.state.path().join("state").join(below)
    }

    pub(super) fn config(&self) -> BrokerConfig<Value> {
        let point = self.issuer.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": x, "y": y});
        serde_json::from_value(json!({
            "listen": "127.0.0.1:0", "url": URL, "audience": AUDIENCE,
            "state": self.state.path().join("state"), "policies": self.state.path().join("policies"),
            "admin_token_file": self.state.path().join("admin.token"), "session_token_key_life": "1h", "provider_timeout": "1s", "gateway_lost": "120s", "rates": self.rates, "webhook": self.webhooks,
            "issuer": [{
                "name": "ci", "issuer": ISSUER, "algorithms": ["ES256"], "jwks": json!({"keys": [key]}).to_string(),
            }],
        }))
        .unwrap()
    }

    pub(super) fn targets(&self) -> Targets {
        let served = |name: &str| {
            let target = Target {
                name: TargetName::new(name).unwrap(),
                labels: [("env".to_owned(), "test".to_owned())].into(),
                protocol: Protocol::Postgres,
                address: Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None },
                provider: "fake".to_owned(),
            };
            Served::new(target, self.provider.clone())
        };
        [served(TARGET), served("other")].into_iter().collect()
    }

    /// A token that is good but for what the changes spoil.
    pub(super) fn token_with(&self, changes: Value) -> String {
        let now = self.clock.now().as_second();
        let serial = self.serial.fetch_add(1, Ordering::SeqCst);
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "job:1", "iat": now - 1, "exp": now + 300,
            "jti": format!("token-{serial}"),
        });
        for (name, change) in changes.as_object().unwrap() {
            claims[name] = change.clone();
        }
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"one"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.issuer.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    pub(super) fn token(&self) -> String {
        self.token_with(json!({}))
    }

    /// Starts a broker here; the gateway is enrolled.
    pub(super) async fn start(self) -> World {
        crate::keys::files::create_private_directory(&self.path("")).unwrap();
        let store = Failing::over(Sqlite::open(&self.path("writ.db")).unwrap());
        let config = self.config();
        let started = Broker::start_on(store.clone(), &config, self.targets(), self.clock.clone(), "hash".to_owned());
        let (broker, tasks) = started.await.unwrap();
        let gateway = EnrolledGateway {
            id: self.gateway.id,
            serial: "01".to_owned(),
            sealing_key: self.gateway.sealing_key.clone(),
            enrolled: self.clock.now(),
            seen: None,
            revoked: false,
            serves: self.gateway.serves.clone(),
        };
        broker.evidence.write(Vec::new(), Vec::new(), vec![Change::Gateway(gateway)]).await.unwrap();
        World { broker, store, place: self, tasks }
    }
}

/// The usual world.
pub(super) async fn world() -> World {
    Place::new(PERMIT).start().await
}

pub(super) fn request(token: String, target: &str) -> OpenRequest {
    OpenRequest {
        token,
        target: target.to_owned(),
        protocol: Protocol::Postgres,
        role: None,
        database: None,
        client: "192.0.2.7:4711".to_owned(),
        client_key: None,
        reason: None,
        approval: None,
    }
}

pub(super) fn ended() -> CloseRequest {
    CloseRequest { end: SessionEnd::Client, code: None, commands: 2, command_segments: 0, row_segments: 0 }
}

pub(super) fn operator() -> Actor {
    Actor { issuer: Issuer::new("https://humans.example"), subject: Subject::new("ann") }
}

impl World {
    /// Opens a session at `main` with a fresh token.
    pub(super) async fn open(&self) -> Result<OpenReply, Refusal> {
        self.open_with(self.place.token(), TARGET).await
    }

    pub(super) async fn open_with(&self, token: String, target: &str) -> Result<OpenReply, Refusal> {
        let opening = self.broker.open(&self.place.gateway, &request(token, target)).await?;
        Ok(opening.open().expect("no policy of this one holds connections"))
    }

    /// Waits until everything that is durable is published, and reads it from the files.
    pub(super) async fn events(&self) -> Vec<Event> {
        until("the ledger is published", async || {
            let durable = self.store.head().await.unwrap().size;
            self.broker.evidence.published().borrow().size == durable
        })
        .await;
        read(&self.place.path("evidence/ledger"), self.broker.evidence.verifier())
    }

    /// Waits until such an event is in the ledger.
    pub(super) async fn until_event(&self, what: &str, is: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut found = Vec::new();
        until(what, async || {
            found = self.events().await;
            found.iter().any(&is)
        })
        .await;
        found
    }

    /// Waits until the target holds no credential.
    pub(super) async fn until_nothing_lives(&self) {
        until("nothing lives at the target", async || self.place.provider.living().is_empty()).await;
    }

    /// An operator who may do everything.
    pub(super) async fn admin(&self) -> Permitted {
        let path = self.place.state.path().join("admin.token");
        crate::keys::files::create(&path, ADMIN_TOKEN.as_bytes()).unwrap();
        self.broker.permit(ADMIN_TOKEN, writ_policy::HumanAction::Admin).await.unwrap()
    }

    /// Stops the broker and keeps the place.
    pub(super) async fn stop(self) -> Place {
        let stopped = tokio::time::timeout(Duration::from_secs(10), self.tasks.stop(self.broker));
        stopped.await.expect("a broker stops");
        self.place
    }
}

pub(super) fn read(ledger: &Path, verifier: &writ_ledger::note::Verifier) -> Vec<Event> {
    struct Events(Vec<Event>);
    impl Visitor for Events {
        fn entry(&mut self, _: u64, bytes: &[u8]) -> Result<(), String> {
            self.0.push(Entry::from_canonical(bytes).map_err(|fault| fault.to_string())?.event);
            Ok(())
        }

        fn progress(&mut self, _: u64, _: u64) {}
    }
    let mut events = Events(Vec::new());
    verify(&LedgerDirectory::open(ledger).unwrap(), verifier, &[], &mut events).unwrap();
    events.0
}

/// Waits for a condition, boundedly.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come to pass that {what}");
}

/// The kinds of events, from the first that the test caused.
pub(super) fn kinds(events: &[Event]) -> Vec<&'static str> {
    let own = events.iter().map(Event::kind);
    own.filter(|kind| !matches!(*kind, "key_introduced" | "broker_started" | "policy_loaded")).collect()
}

/// The codes of refusals, with the requests.
pub(super) fn refusals(events: &[Event]) -> Vec<(String, String)> {
    let refused = events.iter().filter_map(|event| match event {
        Event::Refused { request, code, .. } => Some((request.to_string(), code.clone())),
        _ => None,
    });
    refused.collect()
}
