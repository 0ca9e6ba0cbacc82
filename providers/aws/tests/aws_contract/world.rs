//! An account of AWS as the documentation sets it up, and whom it trusts.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::Assertions;
use writ_core::time::SystemClock;
use writ_fakes::Keys;
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::sts::{Front, OidcProvider, Role};
use writ_provider_aws::Ambient;

use crate::canary::{self, Noting};
use crate::clients::Boto;
use crate::documented;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);
pub(crate) const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
/// Which roles the broker may assume beside those of the documentation.
const MORE: [&str; 5] = ["payments-login", "cluster-reader", "stranger", "plain", "revoker"];
/// The audience in which account and broker agree where the workload's own token is passed on.
pub(crate) const WORKLOADS: &str = "writ";

/// The account, with the bucket `reports` that its scopes are about and another beside it.
pub(crate) struct World {
    pub(crate) front: Front,
    /// The target that assertions name.
    pub(crate) target: &'static str,
    /// Writ's own issuer.
    pub(crate) assertions: Arc<dyn Assertions>,
    /// The issuer of the workload's token.
    pub(crate) workloads: Issuer,
    /// The broker's own identity: a role's session that may assume roles and do nothing else.
    pub(crate) broker: Keys,
    /// Somebody who may everything.
    pub(crate) admin: Keys,
    boto: Mutex<Boto>,
    _keys: tempfile::TempDir,
}

/// The world that all tests share which change nothing of it but by names of their own.
pub(crate) fn shared() -> Arc<World> {
    static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(world) = known.upgrade() {
        return world;
    }
    let world = Arc::new(World::start("reports"));
    *known = Arc::downgrade(&world);
    world
}

impl World {
    pub(crate) fn start(target: &'static str) -> Self {
        canary::listen();
        let front = Front::start().unwrap();
        let keys = tempfile::tempdir().unwrap();
        let assertions: Arc<dyn Assertions> = Arc::new(Noting(issuer(keys.path())));
        let workloads = Issuer::start().unwrap();
        for (url, audience) in [(assertions.issuer(), "sts.amazonaws.com"), (workloads.url(), WORKLOADS)] {
            let client_ids = vec![audience.to_owned()];
            front.oidc_provider(OidcProvider { url: url.to_owned(), client_ids, ca_pem: None, at: None });
        }
        let admin = front.user("admin", EVERYTHING).unwrap();
        let mut boto = Boto::start(front.url());
        for bucket in ["reports", "elsewhere"] {
            front.bucket(bucket).unwrap();
            let object = json!({ "Bucket": bucket, "Key": "2026/march", "Body": bucket });
            boto.ask(Some(&admin), "s3", "put_object", &object).answer();
        }
        let broker = broker(&front, &mut boto, &admin);
        let world = Self { front, target, assertions, workloads, broker, admin, boto: Mutex::new(boto), _keys: keys };
        for name in ["reports", "reports-writer"] {
            world.role(name, &world.trust(&json!({})));
        }
        world.role_that("payments-login", &world.trust(&json!({})), Some(&documented::login_policy()));
        world.role_that("cluster-reader", &world.trust(&json!({})), None);
        world.role("stranger", &world.trust(&json!({ "sts:RoleSessionName": "writ-probe" })));
        world
    }

    /// The trust in all three: Writ's issuer, the workload's, and the broker; with more conditions.
    pub(crate) fn trust(&self, conditions: &Value) -> String {
        let mut statements = Vec::new();
        for trust in [self.trust_in_issuer(), self.trust_in_workload(), self.trust_in_broker()] {
            let mut trust: Value = serde_json::from_str(&trust).unwrap();
            let mut statement = trust["Statement"][0].take();
            let equals = statement["Condition"]["StringEquals"].as_object_mut().unwrap();
            equals.extend(conditions.as_object().unwrap().clone());
            statements.push(statement);
        }
        json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
    }

    /// A role that may do everything, so that what it may not is its session's scope.
    pub(crate) fn role(&self, name: &str, trust: &str) -> String {
        self.role_that(name, trust, Some(EVERYTHING))
    }

    /// A role with these permissions, or with none.
    pub(crate) fn role_that(&self, name: &str, trust: &str, policy: Option<&str>) -> String {
        let policies: BTreeMap<String, String> =
            policy.map(|text| ("own".to_owned(), text.to_owned())).into_iter().collect();
        let role = Role { name: name.to_owned(), trust: trust.to_owned(), policies, longest: 3_600 };
        self.front.role(&role).unwrap()
    }

    pub(crate) fn trust_in_issuer(&self) -> String {
        documented::trust_in_issuer(host(self.assertions.issuer()), self.target)
    }

    pub(crate) fn trust_in_workload(&self) -> String {
        documented::trust_in_workload(host(self.workloads.url()))
    }

    pub(crate) fn trust_in_broker(&self) -> String {
        documented::trust_in_broker("arn:aws:iam::123456789012:role/writ-broker")
    }

    /// The broker's own identity, as the SDK would find it.
    pub(crate) fn ambient(&self) -> Ambient {
        ambient(&self.broker)
    }

    /// The claims of a workload's token for ten minutes.
    pub(crate) fn claims(&self) -> Value {
        self.workloads.claims(WORKLOADS, &documented::workload_subject())
    }

    /// A workload's token.
    pub(crate) fn token_of(&self, claims: &Value) -> String {
        let token = self.workloads.token(Algorithm::Rs256, claims).unwrap();
        canary::note(&token);
        token
    }

    /// What boto3 hears.
    pub(crate) fn boto(&self, keys: &Keys, service: &str, call: &str, arguments: &Value) -> crate::clients::Heard {
        self.boto.lock().unwrap_or_else(PoisonError::into_inner).ask(Some(keys), service, call, arguments)
    }

    /// Reads the object that is there in a bucket.
    pub(crate) fn read(&self, keys: &Keys, bucket: &str) -> crate::clients::Heard {
        self.boto(keys, "s3", "get_object", &json!({ "Bucket": bucket, "Key": "2026/march" }))
    }
}

/// The session that the broker's machine would have.
fn broker(front: &Front, boto: &mut Boto, admin: &Keys) -> Keys {
    let policy = documented::broker_policy(&MORE);
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": "arn:aws:iam::123456789012:user/admin" } }] });
    let (name, policies) = ("writ-broker".to_owned(), BTreeMap::from([("own".to_owned(), policy)]));
    let role = front.role(&Role { name, trust: trust.to_string(), policies, longest: 3_600 }).unwrap();
    let asked = json!({ "RoleArn": role, "RoleSessionName": "i-0123456789abcdef0" });
    let heard = boto.ask(Some(admin), "sts", "assume_role", &asked);
    let given = &heard.answer()["Credentials"];
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    let keys =
        Keys { access_key: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) };
    canary::note(&keys.secret);
    canary::note(keys.token.as_deref().unwrap());
    keys
}

/// The SDK's form of a key.
pub(crate) fn ambient(keys: &Keys) -> Ambient {
    let keys = Credentials::new(keys.access_key.clone(), keys.secret.clone(), keys.token.clone(), None, "test");
    Ambient::given(SharedCredentialsProvider::new(keys))
}

/// An issuer's address as IAM writes it.
pub(crate) fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// Writ's own issuer, whose two documents are served until the test's process ends.
fn issuer(directory: &std::path::Path) -> Arc<dyn Assertions> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let clock = Arc::new(SystemClock);
    let issuer = Arc::new(OidcIssuer::open(&IssuingConfig::default(), &url, &directory.join("issuer"), clock).unwrap());
    let documents: Arc<OnceLock<[Value; 2]>> = Arc::new(OnceLock::new());
    documents.set([issuer.discovery(), issuer.jwks()]).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let asks = |path: &str| head.starts_with(format!("GET {path} ").as_bytes());
            let body = match (asks("/.well-known/openid-configuration"), asks("/.well-known/jwks.json")) {
                (true, _) => documents.get().unwrap()[0].to_string(),
                (_, true) => documents.get().unwrap()[1].to_string(),
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
