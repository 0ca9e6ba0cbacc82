//! A server set up as the documentation says, and its eyes for the kit.

use std::collections::BTreeMap;
use std::net::TcpListener;

use tokio_postgres::{Client, Error, NoTls};
use writ_core::provider::{Pending, Provider};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_provider_database::{DatabaseConfig, DatabaseProvider};
use writ_provider_kit::{Harness, LiveSession};
use writ_world::postgres::{Cluster, SUPERUSER, Version};

pub(crate) const PASSWORD: &str = "broker-login-canary-3f9c";
const GUIDE: &str = include_str!("../../../../docs/providers/database.md");

pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    pub(crate) target: Target,
    pub(crate) provider: DatabaseProvider,
    down: DatabaseProvider,
    silent: DatabaseProvider,
    _silence: TcpListener,
}

impl Server {
    pub(crate) async fn start(version: Version) -> Self {
        let cluster = Cluster::start_with(version, &["log_statement=all"]).unwrap();
        let root = admin(&cluster, "postgres").await;
        root.batch_execute("CREATE ROLE app; CREATE ROLE other").await.unwrap();
        root.batch_execute(&documented_statements()).await.unwrap();
        for database in ["payments", "ledger"] {
            root.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
            // Hardened as an admin would: only the granted role may connect, and the broker as its member.
            let harden = format!(
                "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO app"
            );
            root.batch_execute(&harden).await.unwrap();
            let inside = admin(&cluster, database).await;
            inside.batch_execute("GRANT CREATE, USAGE ON SCHEMA public TO app").await.unwrap();
        }
        let silence = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ca = Some(cluster.ca_pem().to_owned());
        Self {
            target: target(cluster.port(), ca.clone()),
            provider: provider(cluster.port(), ca.clone(), PASSWORD, |_| ()),
            down: provider(free, ca.clone(), PASSWORD, |_| ()),
            silent: provider(silence.local_addr().unwrap().port(), ca, PASSWORD, |_| ()),
            _silence: silence,
            cluster,
        }
    }

    pub(crate) fn provider_at(&self, port: u16, ca_pem: Option<String>, password: &str) -> DatabaseProvider {
        provider(port, ca_pem, password, |_| ())
    }

    pub(crate) fn provider_with(&self, change: fn(&mut DatabaseConfig)) -> DatabaseProvider {
        provider(self.cluster.port(), Some(self.cluster.ca_pem().to_owned()), PASSWORD, change)
    }

    pub(crate) async fn session(&self, database: &str, user: &str, password: &[u8]) -> Result<Client, Error> {
        connect(self.cluster.port(), database, user, password).await
    }
}

/// The statements that `docs/providers/database.md` tells an admin to run, with a password put in.
fn documented_statements() -> String {
    let from = GUIDE.find("```sql\n").unwrap() + 7;
    let to = from + GUIDE[from..].find("```").unwrap();
    GUIDE[from..to].replace(":'password'", &format!("'{PASSWORD}'"))
}

pub(crate) async fn admin(cluster: &Cluster, database: &str) -> Client {
    connect(cluster.port(), database, SUPERUSER, cluster.password().as_bytes()).await.unwrap()
}

async fn connect(port: u16, database: &str, user: &str, password: &[u8]) -> Result<Client, Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname(database).user(user).password(password);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) fn other_authority() -> String {
    std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap()
}

fn target(port: u16, ca_pem: Option<String>) -> Target {
    Target {
        name: TargetName::new("payments").unwrap(),
        labels: BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem },
        provider: "database".to_owned(),
    }
}

fn provider(port: u16, ca_pem: Option<String>, password: &str, change: fn(&mut DatabaseConfig)) -> DatabaseProvider {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{password}\n")).unwrap();
    let mut config = DatabaseConfig {
        user: "writ_broker".to_owned(),
        password_file: Some(file.path().to_owned()),
        password_env: None,
        database: "postgres".to_owned(),
        host: None,
        port: None,
        default_roles: Vec::new(),
        scram_iterations: 1,
        pool_size: 4,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    };
    change(&mut config);
    DatabaseProvider::new(config, &target(port, ca_pem).address).unwrap()
}

struct Session(Client);

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async move { self.0.simple_query("SELECT 1").await.is_ok() })
    }
}

impl Harness for Server {
    fn provider(&self) -> &dyn Provider {
        &self.provider
    }

    fn role(&self) -> Option<String> {
        Some("app".to_owned())
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let client = self.session("payments", principal, secret).await.ok()?;
            Some(Box::new(Session(client)) as Box<dyn LiveSession>)
        })
    }

    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let root = admin(&self.cluster, "postgres").await;
            root.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&principal]).await.unwrap().is_some()
        })
    }

    fn end_of<'a>(&'a self, principal: &'a str) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async move {
            let root = admin(&self.cluster, "postgres").await;
            let end = "SELECT extract(epoch FROM rolvaliduntil)::bigint FROM pg_roles WHERE rolname = $1";
            let second: Option<i64> = root.query_opt(end, &[&principal]).await.unwrap()?.get(0);
            Timestamp::from_second(second?).ok()
        })
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some("no such role\"; DROP ROLE app; --".to_owned())
    }

    fn canaries(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }
}
