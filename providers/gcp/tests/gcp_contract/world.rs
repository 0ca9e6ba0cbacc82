//! A project of Google's as the documentation sets it up, and whom it trusts.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use google_cloud_auth::credentials::external_account;
use serde_json::{Value, json};
use writ_broker::issuer::{IssuingConfig, OidcIssuer};
use writ_core::assertion::Assertions;
use writ_core::time::SystemClock;
use writ_fakes::gcp::{Account, Gcp, PoolProvider};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_provider_gcp::Ambient;

use crate::canary::{self, Noting};
use crate::documented;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);
pub(crate) const REPORTS: &str = "reports@acme-prod.iam.gserviceaccount.com";
pub(crate) const WRITER: &str = "reports-writer@acme-prod.iam.gserviceaccount.com";
pub(crate) const BROKER: &str = "writ-broker@acme-prod.iam.gserviceaccount.com";
/// The audience in which project and broker agree where the workload's own token is passed on.
pub(crate) const WORKLOADS: &str = "writ";
/// How many machines there were.
static MACHINES: AtomicUsize = AtomicUsize::new(0);
/// A machine's identity, in a pool of its own.
const MACHINE: &str = "machine-7";

/// The project, with the bucket `reports` that its scopes are about and another beside it.
pub(crate) struct World {
    pub(crate) google: Gcp,
    /// The target that assertions name.
    pub(crate) target: &'static str,
    /// Writ's own issuer.
    pub(crate) assertions: Arc<dyn Assertions>,
    /// The issuer of the workload's token.
    pub(crate) workloads: Issuer,
    pub(crate) directory: tempfile::TempDir,
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
        let google = Gcp::start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let assertions: Arc<dyn Assertions> = Arc::new(Noting(issuer(directory.path())));
        let workloads = Issuer::start().unwrap();
        let named = google.pool_provider(documented::provider_of_issuer(assertions.issuer())).unwrap();
        assert_eq!(documented::gcp_settings()["federation"]["pool_provider"], named);
        let named = google.pool_provider(documented::provider_of_workloads(workloads.url())).unwrap();
        assert_eq!(documented::workload_federation()["pool_provider"], named);
        let machines = PoolProvider {
            pool: "machines".to_owned(),
            id: "machines".to_owned(),
            ..PoolProvider::of(workloads.url())
        };
        google.pool_provider(machines).unwrap();
        let world = Self { google, target, assertions, workloads, directory };
        for email in [REPORTS, WRITER] {
            world.account(email, documented::bindings(target));
            world.may(email, "reports", "roles/storage.objectUser");
            world.may(email, "elsewhere", "roles/storage.objectUser");
        }
        let machine = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/machines/subject/machine-7";
        world.google.account(Account::of(BROKER, &[machine])).unwrap();
        world
    }

    /// A service account with these bindings, which may log in to Cloud SQL.
    pub(crate) fn account(&self, email: &str, bindings: Vec<(String, String)>) {
        let roles = vec![documented::login_role()];
        self.google.account(Account { email: email.to_owned(), bindings, longest: 3_600, roles }).unwrap();
    }

    /// Lets an account at a bucket, where objects of this year and the last lie.
    pub(crate) fn may(&self, email: &str, bucket: &str, role: &str) {
        let member = if email.contains("://") { email.to_owned() } else { format!("serviceAccount:{email}") };
        for object in ["2026/march", "2025/march"] {
            self.google.bucket(bucket, object, &format!("{bucket} {object}"), &[(role, &member)]);
        }
    }

    /// The broker's own identity, as Google's library has it from a file: a token of its machine's for the broker's account. It
    /// belongs to the runtime that it is made in.
    pub(crate) fn ambient(&self) -> Ambient {
        // Each reads a file of its own, whenever it likes: none may find another's half written.
        let subject = self.directory.path().join(format!("machine-{}.jwt", MACHINES.fetch_add(1, Ordering::Relaxed)));
        let audience = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/machines/providers/machines";
        let claims = self.workloads.claims(&format!("https:{audience}"), MACHINE);
        std::fs::write(&subject, self.token_of(&claims)).unwrap();
        let url = self.google.url();
        let configuration = json!({
            "type": "external_account",
            "audience": audience,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{url}/v1/token"),
            "service_account_impersonation_url":
                format!("{url}/v1/projects/-/serviceAccounts/{BROKER}:generateAccessToken"),
            "credential_source": { "file": subject },
        });
        let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
        Ambient::given(
            external_account::Builder::new(configuration).with_scopes(scopes).build_access_token_credentials().unwrap(),
        )
    }

    /// The claims of a workload's token for ten minutes.
    pub(crate) fn claims(&self) -> Value {
        let mut claims = self.workloads.claims(WORKLOADS, "repo:octo-org@65/octo-repo@74:environment:prod");
        for (name, value) in [("repository_id", "74"), ("repository_owner_id", "65"), ("environment", "prod")] {
            claims[name] = json!(value);
        }
        claims
    }

    /// A workload's token.
    pub(crate) fn token_of(&self, claims: &Value) -> String {
        let token = self.workloads.token(Algorithm::Rs256, claims).unwrap();
        canary::note(&token);
        token
    }
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
