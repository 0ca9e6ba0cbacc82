//! PostgreSQL.

use std::sync::Arc;

use tokio_postgres::{Client, Config, NoTls};
use writ_core::provider::{Pending, ProviderFault};
use writ_provider_database::{PostgresPasswords, PostgresPasswordsConfig};
use writ_provider_kit::LiveSession;
use writ_provider_source::PasswordSetter;
use writ_world::postgres::{Cluster, SUPERUSER, Version};

use crate::documented::{ROTATOR, statements};
use crate::place::{Database, LIMIT, address};
use crate::{stops, turns};

struct Server(Cluster);

struct Session(Client);

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async move { self.0.simple_query("SELECT 1").await.is_ok() })
    }
}

impl Server {
    async fn start(version: Version) -> Self {
        let server = Self(Cluster::start_with(version, &["log_statement=all"]).unwrap());
        server.run("CREATE ROLE app").await;
        let documented = statements("PostgreSQL 16 and later");
        let lines = documented.lines().filter(|line| version != Version::V15 || !line.contains("ADMIN TRUE"));
        server.run(&lines.collect::<Vec<_>>().join("\n")).await;
        server
    }

    async fn connect(&self, user: &str, password: &str) -> Option<Client> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.0.port()).dbname("postgres").user(user).password(password);
        let (client, connection) = config.connect(NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    fn setter_with(&self, user: &str, password: &str) -> PostgresPasswords {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), password).unwrap();
        let config = PostgresPasswordsConfig {
            user: user.to_owned(),
            password_file: Some(file.path().to_owned()),
            password_env: None,
            database: "postgres".to_owned(),
            host: None,
            port: None,
            call_timeout_ms: 5_000,
        };
        config.validate(&["app_a".to_owned(), "app_b".to_owned()]).unwrap();
        PostgresPasswords::new(&config, &address(self.0.port(), self.0.ca_pem())).unwrap()
    }
}

impl Database for Server {
    fn setter(&self) -> Arc<dyn PasswordSetter> {
        Arc::new(self.setter_with("writ_rotator", ROTATOR))
    }

    fn login<'a>(&'a self, user: &'a str, password: &'a str) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let client = self.connect(user, password).await?;
            Some(Box::new(Session(client)) as Box<dyn LiveSession>)
        })
    }

    fn run<'a>(&'a self, statements: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let admin = self.connect(SUPERUSER, self.0.password()).await.unwrap();
            admin.batch_execute(statements).await.unwrap();
        })
    }

    fn log(&self) -> String {
        self.0.log()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_15() {
    turns::three(&Server::start(Version::V15).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_18() {
    turns::three(&Server::start(Version::V18).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_stops_harms_nobody() {
    let server = Server::start(Version::V18).await;
    server.run("CREATE ROLE power LOGIN BYPASSRLS").await;
    stops::for_the_user(&server, "power").await;
    // One that has the power of another.
    server.run("CREATE ROLE boss CREATEROLE; CREATE ROLE clerk IN ROLE boss").await;
    server.run("CREATE ROLE deputy LOGIN IN ROLE clerk; CREATE ROLE filer LOGIN IN ROLE pg_read_server_files").await;
    for user in ["deputy", "filer"] {
        stops::for_the_user(&server, user).await;
    }
    stops::at_the_server(&server).await;
    stops::at_the_place(&server).await;
    stops::cut_off(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_without_its_rights_is_told_which() {
    let server = Server::start(Version::V18).await;
    server.run("CREATE ROLE weak LOGIN CREATEROLE PASSWORD 'weak-canary'; CREATE ROLE ended LOGIN VALID UNTIL '2001-01-01'").await;
    let fault = server.setter_with("weak", "weak-canary").set("app_b", LIMIT).await.unwrap_err();
    let words = ["the login needs CREATEROLE", "ADMIN OPTION on `app_b`", "static.md"];
    assert!(words.iter().all(|word| fault.detail().contains(word)), "{fault:?}");
    let setter = server.setter();
    for (user, words) in
        [("ended", "has ended"), ("app", "may not log in"), ("x'; DROP ROLE app_b; --", "is not there")]
    {
        let fault = setter.set(user, LIMIT).await.unwrap_err();
        assert!(fault.detail().contains(words), "{fault:?}");
    }
    // A password that the server does not take.
    let wrong = writ_core::credential::Secret::new(b"wrong-canary".to_vec());
    let fault = setter.verify("app_b", &wrong, LIMIT).await.unwrap_err();
    assert!(
        matches!(&fault, ProviderFault::Refused(text) if text.contains("let it log in to `database` from where the broker is")),
        "{fault:?}"
    );
    assert!(!format!("{fault:?}").contains("canary"));
    drop(server);
    let fault = setter.set("app_b", LIMIT).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
}
