//! The targets' own eyes: Cloud Storage, services that take ID tokens, and a database of Cloud SQL.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use writ_core::provider::Pending;
use writ_core::time::Timestamp;
use writ_fakes::gcp::Kind;
use writ_fakes::gcp::cloudsql::CloudSql;
use writ_provider_kit::LiveSession;
use writ_world::postgres::{Cluster, Version};

use crate::documented;
use crate::world::World;

/// Where credentials are of use.
pub(crate) enum Eyes {
    /// Reading an object of the bucket `reports`.
    Storage,
    /// A service that takes ID tokens.
    Service,
    /// A login.
    Database(Arc<Database>),
}

/// A database of Cloud SQL, and the server behind it.
pub(crate) struct Database {
    pub(crate) sql: CloudSql,
    pub(crate) cluster: Cluster,
}

impl Database {
    pub(crate) async fn start(world: &World) -> Self {
        let cluster = Cluster::start(Version::V15).unwrap();
        let sql = CloudSql::start(&cluster, &world.google).unwrap();
        let users = ["payments-app@acme-prod.iam", "payments-reader@acme-prod.iam"];
        let made = users.map(|user| format!("CREATE USER \"{user}\"; GRANT cloudsqliamserviceaccount TO \"{user}\";"));
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(&format!("{} {}", made.concat(), documented::login_statements())).await.unwrap();
        connection.abort();
        Self { sql, cluster }
    }

    /// A session, or what the server says.
    pub(crate) async fn login(&self, user: &str, token: &str) -> Result<tokio_postgres::Client, String> {
        let authority = CertificateDer::from_pem_slice(self.sql.ca_pem().as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).unwrap();
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let mut config = tokio_postgres::Config::new();
        config.host("localhost").port(self.sql.port()).user(user).password(token).dbname("postgres");
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let connected = config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await;
        let (client, connection) = connected
            .map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned()))?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// One for all tests, each of which has a runtime of its own: no connection outlives its request.
fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap())
}

/// What Cloud Storage answers.
pub(crate) async fn read(world: &World, token: &str, bucket: &str, object: &str) -> Result<String, (u16, Value)> {
    let address = format!("{}/storage/v1/b/{bucket}/o/{}?alt=media", world.google.url(), object.replace('/', "%2F"));
    let response = client().get(address).bearer_auth(token).send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    if status == 200 { Ok(body) } else { Err((status, serde_json::from_str(&body).unwrap())) }
}

/// The same of writing.
pub(crate) async fn write(world: &World, token: &str, bucket: &str, object: &str) -> Result<(), (u16, Value)> {
    let address = format!("{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={object}", world.google.url());
    let response = client().post(address).bearer_auth(token).body("x").send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    if status == 200 { Ok(()) } else { Err((status, serde_json::from_str(&body).unwrap())) }
}

struct Open(tokio_postgres::Client);

impl LiveSession for Open {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.0.simple_query("SELECT 1").await.is_ok() })
    }
}

/// A session of HTTP is a token that still works.
struct Token {
    url: String,
    token: String,
}

impl LiveSession for Token {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async {
            let address = format!("{}/storage/v1/b/reports/o/2026%2Fmarch?alt=media", self.url);
            client().get(address).bearer_auth(&self.token).send().await.is_ok_and(|response| response.status() == 200)
        })
    }
}

struct Known;

impl LiveSession for Known {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { true })
    }
}

impl Eyes {
    pub(crate) async fn login(&self, world: &World, principal: &str, secret: &[u8]) -> Option<Box<dyn LiveSession>> {
        let token = std::str::from_utf8(secret).ok()?;
        match self {
            Self::Storage => {
                read(world, token, "reports", "2026/march").await.ok()?;
                Some(Box::new(Token { url: world.google.url().to_owned(), token: token.to_owned() }))
            }
            Self::Service => {
                let issued = world.google.issued(token)?;
                let sound = issued.kind == Kind::Identity && issued.principal == principal;
                sound.then(|| Box::new(Known) as Box<dyn LiveSession>)
            }
            Self::Database(database) => {
                let client = database.login(principal, token).await.ok()?;
                Some(Box::new(Open(client)))
            }
        }
    }

    pub(crate) fn end_of(&self, world: &World, secret: &[u8]) -> Option<Timestamp> {
        let issued = world.google.issued(std::str::from_utf8(secret).ok()?)?;
        Timestamp::from_second(issued.expires).ok()
    }
}
