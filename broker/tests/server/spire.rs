//! SPIRE, the reference implementation of SPIFFE: its bundle endpoint, its JWT-SVIDs and its X.509-SVIDs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use writ_broker::identity::Verifier;
use writ_broker_api::paths;
use writ_core::time::Timestamp;
use writ_world::packages;
use writ_world::postgres::free_port;

use crate::world::{AUDIENCE, World};

const DOMAIN: &str = "spire.example.org";
const ID: &str = "spiffe://spire.example.org/ns/payments/sa/reporter";
const VERSION: &str = "1.13.3";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server, with its bundle at an https endpoint. It ends when it is dropped.
struct Spire {
    program: PathBuf,
    directory: tempfile::TempDir,
    child: Child,
    port: u16,
}

/// How the bundle endpoint shows who it is (SPIFFE Federation, 5.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// By a certificate for its host's name.
    Web,
    /// By an X.509-SVID of the trust domain's own.
    Spiffe,
}

impl Spire {
    fn start() -> Self {
        Self::start_as(Profile::Web)
    }

    fn start_as(profile: Profile) -> Self {
        let program = packages::cache().join(format!("spire-{VERSION}/bin/spire-server"));
        let program = packages::need(&program, "`tests/world/scripts/fetch-spire`").expect("SPIRE");
        let directory = tempfile::Builder::new().prefix("spire-").tempdir().expect("a directory");
        let at = directory.path();
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        std::fs::write(at.join("endpoint.pem"), own.cert.pem()).expect("a file");
        std::fs::write(at.join("endpoint.key"), own.signing_key.serialize_pem()).expect("a file");
        std::fs::create_dir(at.join("data")).expect("a directory");
        let port = free_port().expect("a port");
        std::fs::write(at.join("server.conf"), configuration(at, free_port().expect("a port"), port, profile))
            .expect("a file");
        let log = std::fs::File::create(at.join("log")).expect("a file");
        let mut command = Command::new(&program);
        command.arg("run").arg("-config").arg(at.join("server.conf")).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        let child = command.spawn().expect("SPIRE starts");
        let mut spire = Self { program, directory, child, port };
        let begun = Instant::now();
        while spire.said(&["healthcheck"]).is_none() {
            let ended = spire.child.try_wait().expect("a process").is_some();
            let log = || std::fs::read_to_string(spire.directory.path().join("log")).unwrap_or_default();
            assert!(!ended && begun.elapsed() < PATIENCE, "SPIRE does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        spire
    }

    /// What its command says to its administrator; `None` where it fails.
    fn said(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-socketPath").arg(self.directory.path().join("api.sock"));
        let output = command.output().expect("the command runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn jwt_svid(&self, audience: &str) -> String {
        self.said(&["jwt", "mint", "-spiffeID", ID, "-audience", audience, "-ttl", "200s"]).expect("a JWT-SVID")
    }

    /// Certificates and key (PEM).
    fn x509_svid(&self) -> String {
        let at = self.directory.path().join("svid");
        std::fs::create_dir_all(&at).expect("a directory");
        let written = at.to_str().expect("a path");
        self.said(&["x509", "mint", "-spiffeID", ID, "-write", written]).expect("an X.509-SVID");
        let read = |name: &str| std::fs::read_to_string(at.join(name)).expect("a file");
        format!("{}{}", read("svid.pem"), read("key.pem"))
    }

    fn config(&self) -> Value {
        json!({
            "name": "spire", "preset": "spiffe", "tenant": DOMAIN, "x509_svids": true, "internal": true,
            "jwks_url": format!("https://localhost:{}/", self.port),
            "ca_pem_file": self.directory.path().join("endpoint.pem"),
        })
    }
}

impl Spire {
    /// With an endpoint of this SPIFFE ID, and this file for the first bundle.
    fn spiffe_config(&self, id: &str, bundle: &Path) -> Value {
        json!({
            "name": "spire", "preset": "spiffe", "tenant": DOMAIN, "x509_svids": true, "internal": true,
            "jwks_url": format!("https://localhost:{}/", self.port), "jwks_file": bundle, "endpoint_spiffe_id": id,
        })
    }

    fn bundle_file(&self) -> PathBuf {
        let path = self.directory.path().join("bundle.json");
        std::fs::write(&path, self.said(&["bundle", "show", "-format", "spiffe"]).expect("a bundle")).expect("a file");
        path
    }
}

impl Drop for Spire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(at: &Path, port: u16, bundle: u16, profile: Profile) -> String {
    let at = at.display();
    let profile = match profile {
        Profile::Spiffe => r#"profile "https_spiffe" {}"#.to_owned(),
        Profile::Web => format!(
            r#"profile "https_web" {{
        serving_cert_file {{
          cert_file_path = "{at}/endpoint.pem"
          key_file_path = "{at}/endpoint.key"
          file_sync_interval = "1h"
        }}
      }}"#
        ),
    };
    format!(
        r#"
server {{
  bind_address = "127.0.0.1"
  bind_port = "{port}"
  socket_path = "{at}/api.sock"
  trust_domain = "{DOMAIN}"
  data_dir = "{at}/data"
  log_level = "WARN"
  ca_key_type = "ec-p256"
  federation {{
    bundle_endpoint {{
      address = "127.0.0.1"
      port = {bundle}
      {profile}
    }}
  }}
}}
plugins {{
  DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" connection_string = "{at}/data/store.sqlite3" }} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
}}
"#
    )
}

async fn token(world: &World, identity: Option<&str>, form: &[(&str, &str)]) -> (u16, Value) {
    let form = [form, &[("audience", "orders")]].concat();
    let answer = world.client(identity).post(world.url(paths::TOKEN)).form(&form).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

fn exchange(svid: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", svid),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_svid_of_spire_name_one_workload() {
    let spire = Spire::start();
    let world = World::trusting(vec![spire.config()]).await;
    let gateway = world.enrol().await;
    let jwt = spire.jwt_svid(AUDIENCE);
    let x509 = spire.x509_svid();
    let by_token = token(&world, None, &exchange(&jwt)).await;
    let by_certificate = token(&world, Some(&x509), &[("grant_type", "client_credentials"), ("client_id", ID)]).await;
    for (status, answer) in [by_token, by_certificate] {
        assert_eq!(status, 200, "{answer}");
        let body = json!({
            "token": answer["access_token"], "target": "orders", "role": null, "database": null,
            "client": "192.0.2.1:5000",
        });
        let client = world.client(Some(&gateway.identity));
        let opened = client.post(world.url(paths::SESSIONS)).json(&body).send().await.expect("an answer");
        let opened: Value = opened.json().await.expect("JSON");
        assert_eq!(opened["workload"]["subject"], ID, "{opened}");
        assert_eq!(opened["workload"]["issuer"], "spiffe://spire.example.org");
        assert_eq!(opened["workload"]["claims"]["spiffe"]["path"], "/ns/payments/sa/reporter");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn svids_of_another_spire_or_for_another_audience_are_refused() {
    let (ours, other) = (Spire::start(), Spire::start());
    let world = World::trusting(vec![ours.config()]).await;
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(token(&world, Some(&ours.x509_svid()), &credentials).await.0, 200);
    assert_eq!(token(&world, Some(&other.x509_svid()), &credentials).await.0, 401);
    assert_eq!(token(&world, None, &exchange(&other.jwt_svid(AUDIENCE))).await.0, 400);
    assert_eq!(token(&world, None, &exchange(&ours.jwt_svid("another"))).await.0, 400);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_shows_an_svid_is_known_by_its_id_and_the_bundle() {
    let (spire, other) = (Spire::start_as(Profile::Spiffe), Spire::start_as(Profile::Spiffe));
    let code = async |config: Value, svid: &str| {
        let config = serde_json::from_value(config).expect("a configuration");
        let verifier = Verifier::new(&[config], AUDIENCE, None).expect("a verifier");
        verifier.verify(svid, Timestamp::now()).await.map_or_else(|fault| fault.to_string(), |_| "accepted".to_owned())
    };
    let (own, svid) = ("spiffe://spire.example.org/spire/server", spire.jwt_svid(AUDIENCE));
    assert_eq!(code(spire.spiffe_config(own, &spire.bundle_file()), &svid).await, "accepted");
    let elsewhere = "spiffe://spire.example.org/spire/other";
    let refused = [
        code(spire.spiffe_config(elsewhere, &spire.bundle_file()), &svid).await,
        code(spire.spiffe_config(own, &other.bundle_file()), &svid).await,
        code(spire.config(), &svid).await,
    ];
    for refused in refused {
        assert!(refused.contains("cannot be had"), "{refused}");
    }
}
