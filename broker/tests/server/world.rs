//! A real broker behind its real listener, with issuers, a provider and gateways made for the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_broker::broker::{Broker, Claim, Tasks};
use writ_broker::config::BrokerConfig;
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_broker::server::{self, Limits, Listener};
use writ_broker::targets::{Served, Targets};
use writ_broker_api::gateway::{EnrolReply, OpenReply};
use writ_broker_api::paths;
use writ_broker_api::sealed::Base64;
use writ_core::id::GatewayId;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{SystemClock, Timestamp};

use crate::domain::Domain;
use crate::provider::InMemory;

pub(crate) const WORKLOADS: &str = "https://ci.example";
pub(crate) const HUMANS: &str = "https://idp.example";
pub(crate) const AUDIENCE: &str = "writ:gateways/test";
pub(crate) const CLIENT_ID: &str = "writ-cli";
pub(crate) const ADMIN_TOKEN: &str = "the-admin-token-of-the-first-steps";

const POLICIES: &str = r#"
@id("jobs") @ttl("10m") @uses("100")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource is Writ::Target);

@id("admins")
permit (principal is Writ::Human, action, resource == Writ::System::"writ")
when { principal.lists.hasTag("groups") && principal.lists.getTag("groups").contains("admins") };

@id("approvers")
permit (principal is Writ::Human, action in [Writ::Action::"approve", Writ::Action::"view"], resource == Writ::System::"writ")
when { principal.lists.hasTag("groups") && principal.lists.getTag("groups").contains("approvers") };

@id("auditors")
permit (principal is Writ::Human, action in [Writ::Action::"audit", Writ::Action::"view"], resource == Writ::System::"writ")
when { principal.lists.hasTag("groups") && principal.lists.getTag("groups").contains("auditors") };

@id("viewers")
permit (principal is Writ::Human, action == Writ::Action::"view", resource == Writ::System::"writ")
when { principal.lists.hasTag("groups") && principal.lists.getTag("groups").contains("viewers") };
"#;

/// An issuer whose keys stand in the configuration.
pub(crate) struct Issuer {
    url: &'static str,
    audience: &'static str,
    pair: EcdsaKeyPair,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    fn new(url: &'static str, audience: &'static str) -> Self {
        Self { url, audience, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key") }
    }

    fn config(&self, name: &str) -> Value {
        let point = self.pair.public_key().as_ref();
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": b64(&point[1..33]), "y": b64(&point[33..65])});
        json!({ "name": name, "issuer": self.url, "algorithms": ["ES256"], "jwks": json!({ "keys": [key] }).to_string() })
    }

    /// A good token of this subject, in these groups.
    pub(crate) fn token(&self, subject: &str, groups: &[&str]) -> String {
        let now = Timestamp::now().as_second();
        let id = writ_core::id::RequestId::fresh().to_string();
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "one" });
        let claims = json!({
            "iss": self.url, "aud": self.audience, "sub": subject, "groups": groups, "jti": id, "iat": now - 5,
            "nbf": now - 5, "exp": now + 290,
        });
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", b64(signature))
    }
}

/// An enrolled gateway as the test plays it.
pub(crate) struct Gateway {
    pub(crate) id: GatewayId,
    pub(crate) ledger_key: String,
    /// Certificate and key (PEM), as a client shows them.
    pub(crate) identity: String,
}

/// The broker and everything around it; ended with [`World::stop`].
pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) broker: Arc<Broker>,
    pub(crate) address: SocketAddr,
    pub(crate) workloads: Issuer,
    pub(crate) humans: Issuer,
    pub(crate) domain: Domain,
    tasks: Tasks,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

/// Limits that make a slow client's end come soon.
pub(crate) fn limits() -> Limits {
    Limits {
        head: Duration::from_secs(1),
        handshake: Duration::from_secs(1),
        drain: Duration::from_secs(2),
        ..Limits::default()
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::limited(limits()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::with(limits, Vec::new()).await
    }

    /// With further issuers of workloads' tokens.
    pub(crate) async fn trusting(issuers: Vec<Value>) -> Self {
        Self::with(limits(), issuers).await
    }

    async fn with(limits: Limits, issuers: Vec<Value>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path();
        let policies = root.join("policies");
        std::fs::create_dir(&policies).expect("a directory");
        std::fs::write(policies.join("all.cedar"), POLICIES).expect("a file");
        write_private(&root.join("admin-token"), ADMIN_TOKEN);
        let (workloads, humans) = (Issuer::new(WORKLOADS, AUDIENCE), Issuer::new(HUMANS, CLIENT_ID));
        let domain = Domain::new("prod.example");
        let issuers = [vec![workloads.config("ci"), domain.config()], issuers].concat();
        let config: BrokerConfig<Value> = serde_json::from_value(json!({
            "listen": "127.0.0.1:0", "url": "https://localhost", "state": root.join("state"), "policies": policies,
            "audience": AUDIENCE, "issuer": issuers,
            "humans": { "issuer": humans.config("idp"), "client_id": CLIENT_ID },
            "admin_token_file": root.join("admin-token"), "max_segment_bytes": 1024 * 1024,
        }))
        .expect("a configuration");
        let claim = Claim::take(&config.state).expect("a state of its own");
        let keys = root.join("state").join("keys");
        let issuer = OidcIssuer::open(&IssuingConfig::default(), "https://localhost", &keys, Arc::new(SystemClock));
        let targets: Targets = [served()].into_iter().collect();
        let targets = targets.asserted_by(Some(Arc::new(issuer.expect("an issuer"))));
        let (broker, tasks) =
            Broker::start(claim, &config, targets, Arc::new(SystemClock), "hash".to_owned()).await.expect("a broker");
        let authority = broker.keys().ca.clone();
        let listener =
            Listener::bind(config.listen, authority, config.certificate_names(), limits).await.expect("bound");
        let address = listener.address().expect("an address");
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(listener.serve(server::routes(broker.clone(), None), stopping));
        Self { directory, broker, address, workloads, humans, domain, tasks, stop, serving }
    }

    /// Asks the listener to end, and gives its task.
    pub(crate) fn stop_listening(self) -> (JoinHandle<()>, impl Future<Output = ()>) {
        let _ = self.stop.send(true);
        let (tasks, broker, directory, stop) = (self.tasks, self.broker, self.directory, self.stop);
        let rest = async move {
            tasks.stop(broker).await;
            drop((directory, stop));
        };
        (self.serving, rest)
    }

    pub(crate) async fn stop(self) {
        let (serving, rest) = self.stop_listening();
        serving.await.expect("the listener ends");
        rest.await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// A client's settings, with a gateway's certificate if one is given.
    pub(crate) fn client_builder(&self, identity: Option<&str>) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_pem(self.broker.keys().ca.pem().as_bytes()).expect("a certificate");
        let builder = reqwest::Client::builder()
            .tls_certs_only([root])
            .resolve("localhost", self.address)
            .no_proxy()
            .timeout(Duration::from_secs(20));
        match identity {
            Some(pem) => builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity")),
            None => builder,
        }
    }

    pub(crate) fn client(&self, identity: Option<&str>) -> reqwest::Client {
        self.client_builder(identity).build().expect("a client")
    }

    /// Joins as a gateway, over the API.
    pub(crate) async fn enrol(&self) -> Gateway {
        let client = self.client(None);
        let made = client
            .post(self.url(paths::JOIN_TOKENS))
            .bearer_auth(ADMIN_TOKEN)
            .json(&json!({}))
            .send()
            .await
            .expect("an answer");
        let token: Value = made.json().await.expect("JSON");
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let body = json!({ "join_token": token["join_token"], "csr_pem": csr(&key), "sealing_key": sealing_key() });
        let answer = client.post(self.url(paths::GATEWAY_ENROL)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let reply: EnrolReply = answer.json().await.expect("JSON");
        let identity = format!("{}{}", reply.certificate_pem, key.serialize_pem());
        Gateway { id: reply.gateway, ledger_key: reply.ledger_key, identity }
    }

    pub(crate) async fn revoke(&self, gateway: &Gateway) {
        let path = paths::GATEWAY_REVOKE.replace("{gateway}", &gateway.id.to_string());
        let answer = self.client(None).post(self.url(&path)).bearer_auth(ADMIN_TOKEN).send().await.expect("an answer");
        assert_eq!(answer.status(), 204);
    }

    /// Opens a session as this gateway.
    pub(crate) async fn open(&self, gateway: &Gateway) -> OpenReply {
        let body = self.open_body();
        let client = self.client(Some(&gateway.identity));
        let answer = client.post(self.url(paths::SESSIONS)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.json().await.expect("JSON")
    }

    pub(crate) fn open_body(&self) -> Value {
        let token = self.workloads.token("job", &[]);
        json!({ "token": token, "target": "orders", "role": null, "database": null, "client": "192.0.2.1:5000" })
    }
}

/// A signing request for this key.
pub(crate) fn csr(key: &rcgen::KeyPair) -> String {
    let params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.serialize_request(key).expect("a request").pem().expect("PEM")
}

/// The public half of an X25519 key.
pub(crate) fn sealing_key() -> Base64 {
    let key = aws_lc_rs::agreement::PrivateKey::generate(&aws_lc_rs::agreement::X25519).expect("a key");
    Base64(key.compute_public_key().expect("a public key").as_ref().to_vec())
}

fn served() -> Served {
    let target = Target {
        name: TargetName::new("orders").expect("a name"),
        labels: BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: Address { host: "127.0.0.1".to_owned(), port: 5432, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "test".to_owned(),
    };
    Served::new(target, Arc::new(InMemory::default()))
}

fn write_private(path: &std::path::Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
}
