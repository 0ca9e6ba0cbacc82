//! The target's own eyes: what becomes of a credential where it is shown, and what AWS has on record of it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use writ_core::provider::Pending;
use writ_core::time::Timestamp;
use writ_fakes::Keys;
use writ_fakes::rds::{BySts, Instance, Rds};
use writ_provider_kit::LiveSession;
use writ_world::postgres::{Cluster, Version};

use crate::clients::keys_of;
use crate::documented;
use crate::world::World;

/// What the providers' credentials are for.
#[expect(clippy::large_enum_variant, reason = "there is one for each test")]
pub(crate) enum Eyes {
    /// S3, by a session.
    Sessions,
    /// An EKS cluster of this name.
    Cluster(String),
    /// A database.
    Database(Database),
}

impl Eyes {
    /// Whoever is let in with a secret, for as long as that goes on.
    pub(crate) async fn login(
        &self,
        world: &Arc<World>,
        principal: &str,
        secret: &[u8],
    ) -> Option<Box<dyn LiveSession>> {
        match self {
            Self::Sessions => {
                let session = InS3 { world: Arc::clone(world), keys: keys_of(secret)? };
                let seen = world.boto(&session.keys, "sts", "get_caller_identity", &json!({}));
                assert_eq!(seen.answer()["Arn"], principal);
                session.answers().await.then(|| Box::new(session) as Box<dyn LiveSession>)
            }
            Self::Cluster(name) => {
                let token = Token { world: Arc::clone(world), url: presigned(secret)?, cluster: name.clone() };
                assert_eq!(token.seen().as_deref(), Some(principal));
                Some(Box::new(token))
            }
            Self::Database(database) => {
                let client = database.login(principal, std::str::from_utf8(secret).ok()?).await.ok()?;
                Some(Box::new(InDatabase(client)))
            }
        }
    }

    /// When a credential ends: the session's own end, or sooner the token's.
    pub(crate) fn end_of(&self, world: &World, secret: &[u8]) -> Option<Timestamp> {
        let query = match self {
            Self::Sessions => return end_of_session(world, &keys_of(secret)?.access_key),
            Self::Cluster(_) => presigned(secret)?,
            Self::Database(_) => std::str::from_utf8(secret).ok()?.to_owned(),
        };
        let value = |name: &str| Some(query.split(&format!("{name}=")).nth(1)?.split('&').next()?.to_owned());
        let stamp = value("X-Amz-Date")?;
        let (day, time) = stamp.trim_end_matches('Z').split_once('T')?;
        let parts = [&day[..4], &day[4..6], &day[6..8], &time[..2], &time[2..4], &time[4..6]];
        let at: Timestamp =
            format!("{}-{}-{}T{}:{}:{}Z", parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]).parse().ok()?;
        let own = Timestamp::from_second(at.as_second() + 900).ok()?;
        let key = value("X-Amz-Credential")?.split('%').next()?.to_owned();
        Some(end_of_session(world, &key)?.min(own))
    }
}

fn end_of_session(world: &World, access_key: &str) -> Option<Timestamp> {
    Timestamp::from_second(world.front.session(access_key)?.expires).ok()
}

/// The request in a token for EKS.
pub(crate) fn presigned(token: &[u8]) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token.strip_prefix(b"k8s-aws-v1.")?).ok()?).ok()
}

struct InS3 {
    world: Arc<World>,
    keys: Keys,
}

impl LiveSession for InS3 {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.world.read(&self.keys, "reports").is_answer() })
    }
}

struct Token {
    world: Arc<World>,
    url: String,
    cluster: String,
}

impl Token {
    fn seen(&self) -> Option<String> {
        self.world.front.who(&self.url, &[("x-k8s-aws-id", &self.cluster)]).ok()
    }
}

impl LiveSession for Token {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.seen().is_some() })
    }
}

struct InDatabase(Client);

impl LiveSession for InDatabase {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.0.simple_query("SELECT 1").await.is_ok() })
    }
}

/// A PostgreSQL that takes login tokens as RDS does, set up as the documentation says.
pub(crate) struct Database {
    pub(crate) cluster: Cluster,
    pub(crate) rds: Rds,
    pub(crate) host: String,
}

impl Database {
    pub(crate) async fn start(world: &World) -> Self {
        let (settings, host) = documented::rds_settings();
        let text = |name: &str| settings[name].as_str().unwrap().to_owned();
        let cluster = Cluster::start(Version::V15).unwrap();
        let instance = Instance { host: host.clone(), region: text("region"), resource: text("resource_id") };
        let rds = Rds::start(&cluster, instance, Arc::new(BySts::of(&world.front))).unwrap();
        let (client, connection) = tokio_postgres::connect(&cluster.url("postgres"), NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute("CREATE ROLE readers; CREATE USER app; GRANT rds_iam TO app").await.unwrap();
        client.batch_execute(documented::login_statements()).await.unwrap();
        connection.abort();
        Self { cluster, rds, host }
    }

    /// Logs in to the endpoint by its own name, over TLS that is verified.
    pub(crate) async fn login(&self, user: &str, token: &str) -> Result<Client, String> {
        let authority = CertificateDer::from_pem_slice(self.rds.ca_pem().as_bytes()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let tls =
            tls.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).hostaddr([127, 0, 0, 1].into()).port(self.rds.port()).ssl_mode(SslMode::Require);
        config.user(user).password(token).dbname("postgres");
        let connected = config.connect(MakeRustlsConnect::new(tls)).await;
        let (client, connection) = connected.map_err(|error| match error.as_db_error() {
            Some(refusal) => refusal.message().to_owned(),
            None => error.to_string(),
        })?;
        tokio::spawn(connection);
        Ok(client)
    }
}
