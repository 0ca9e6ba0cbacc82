//! MySQL and MariaDB.

use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, SslOpts};
use tokio::sync::Mutex;
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_provider_database::{MysqlPasswords, MysqlPasswordsConfig};
use writ_provider_kit::LiveSession;
use writ_provider_source::PasswordSetter;
use writ_world::mysql::{ADMIN, Release, Server as World};

use crate::documented::{FIRST, ROTATOR, statements};
use crate::place::{Database, LIMIT, Place, address, steps};
use crate::{stops, turns};

struct Server(World);

struct Session(Mutex<Conn>);

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async move { self.0.lock().await.query_drop("SELECT 1").await.is_ok() })
    }
}

impl Server {
    async fn start(release: Release) -> Self {
        let server = Self(World::start(release).unwrap());
        server.run("CREATE ROLE app").await;
        server.run(&statements(if release.is_mariadb() { "MariaDB" } else { "MySQL" })).await;
        server
    }

    async fn connect(&self, user: &str, password: &str) -> Option<Conn> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let roots = vec![self.0.ca_pem().as_bytes().to_vec().into()];
        let tls = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
        let opts = OptsBuilder::default()
            .ip_or_hostname(self.0.host())
            .tcp_port(self.0.port())
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(false)
            .ssl_opts(tls);
        // The client crate loses one `ed25519` login of 256.
        for _ in 0..3 {
            if let Ok(conn) = Conn::new(opts.clone()).await {
                return Some(conn);
            }
        }
        None
    }

    fn setter_with(&self, user: &str, password: &str) -> MysqlPasswords {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), password).unwrap();
        let config = MysqlPasswordsConfig {
            user: user.to_owned(),
            password_file: Some(file.path().to_owned()),
            password_env: None,
            host: None,
            port: None,
            client_host: "%".to_owned(),
            call_timeout_ms: 5_000,
        };
        config.validate(&["app_a".to_owned(), "app_b".to_owned()]).unwrap();
        MysqlPasswords::new(&config, &address(self.0.port(), self.0.ca_pem())).unwrap()
    }
}

impl Database for Server {
    fn setter(&self) -> Arc<dyn PasswordSetter> {
        Arc::new(self.setter_with("writ_rotator", ROTATOR))
    }

    fn login<'a>(&'a self, user: &'a str, password: &'a str) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let conn = self.connect(user, password).await?;
            Some(Box::new(Session(Mutex::new(conn))) as Box<dyn LiveSession>)
        })
    }

    fn run<'a>(&'a self, statements: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut admin = self.connect(ADMIN, self.0.password()).await.unwrap();
            admin.query_drop(statements).await.unwrap();
        })
    }

    /// The statements as the server replicates them are in its binary log.
    fn log(&self) -> String {
        format!("{}{}", self.0.log(), String::from_utf8_lossy(&self.0.binary_log()))
    }
}

async fn stop_everywhere(server: &Server) {
    server.run("CREATE USER power IDENTIFIED BY 'power-canary'").await;
    server.run("GRANT CREATE USER ON *.* TO power").await;
    stops::for_the_user(server, "power").await;
    stops::at_the_server(server).await;
    stops::at_the_place(server).await;
    stops::cut_off(server).await;
}

async fn told_what_is_wrong(server: Server) {
    server.run("CREATE USER weak IDENTIFIED BY 'weak-canary'").await;
    let fault = server.setter_with("weak", "weak-canary").set("app_b", LIMIT).await.unwrap_err();
    assert!(
        fault.detail().contains("the login needs CREATE USER") && fault.detail().contains("static.md"),
        "{fault:?}"
    );
    let setter = server.setter();
    let fault = setter.set("x`; DROP USER app_b; --", LIMIT).await.unwrap_err();
    assert!(fault.detail().contains("is not there"), "{fault:?}");
    let fault = setter.verify("app_b", &Secret::new(b"wrong-canary".to_vec()), LIMIT).await.unwrap_err();
    assert!(!format!("{fault:?}").contains("canary") && !matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    // An account with a narrower host part stands before the one whose password was set.
    for host in ["127.0.0.1", "::1"] {
        server.run(&format!("CREATE USER app_b@'{host}' IDENTIFIED BY 'narrow-canary'")).await;
    }
    let password = setter.set("app_b", LIMIT).await.unwrap();
    assert!(setter.verify("app_b", &password, LIMIT).await.is_err());
    drop(server);
    let fault = setter.set("app_b", LIMIT).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_9() {
    let server = Server::start(Release::Mysql9).await;
    turns::three(&server).await;
    // A password that MySQL was told to keep beside the next does not outlive its turn.
    let place = Place::new();
    place.write("app_b", FIRST);
    server.run("ALTER USER app_a IDENTIFIED BY 'kept-canary'").await;
    server.run("ALTER USER app_a IDENTIFIED BY 'next-canary' RETAIN CURRENT PASSWORD").await;
    assert!(server.connect("app_a", "kept-canary").await.is_some());
    let provider = place.provider(server.setter());
    let mut turn = place.begin(&provider).await.unwrap();
    assert_eq!(steps(&mut turn).await, (3, None));
    for gone in ["kept-canary", "next-canary"] {
        assert!(server.connect("app_a", gone).await.is_none(), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_11() {
    turns::three(&Server::start(Release::Mariadb11).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_10() {
    turns::three(&Server::start(Release::Mariadb10).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_stops_at_mysql_harms_nobody() {
    let server = Server::start(Release::Mysql9).await;
    stop_everywhere(&server).await;
    told_what_is_wrong(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_stops_at_mariadb_harms_nobody() {
    let server = Server::start(Release::Mariadb11).await;
    stop_everywhere(&server).await;
    told_what_is_wrong(server).await;
}
