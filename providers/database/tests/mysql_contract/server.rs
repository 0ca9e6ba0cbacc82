//! A server set up as the documentation says, and its eyes for the kit.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, DriverError, Error, OptsBuilder, SslOpts};
use writ_core::proof::Minted;
use writ_core::provider::{Pending, Provider, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_provider_database::{MysqlConfig, MysqlProvider};
use writ_provider_kit::{Harness, LiveSession};
use writ_world::mysql::{ADMIN, Release, Server as World};

use crate::{canary, documented};

pub(crate) const PASSWORD: &str = "broker-login-canary-3f9c";
pub(crate) const LIFE: Duration = Duration::from_secs(300);
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) target: Target,
    pub(crate) provider: MysqlProvider,
    down: MysqlProvider,
    silent: MysqlProvider,
    _silence: TcpListener,
}

/// What may log in to a server, and how.
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a [u8],
    pub(crate) tls: bool,
}

impl Server {
    pub(crate) async fn start(release: Release) -> Self {
        let world = World::start(release).unwrap();
        let mut admin = admin(&world).await;
        for statement in [
            "CREATE ROLE app, other",
            "CREATE DATABASE payments",
            "CREATE TABLE payments.orders (id int)",
            "INSERT INTO payments.orders VALUES (7)",
            "CREATE DATABASE ledger",
            "CREATE TABLE ledger.entries (id int)",
            "GRANT SELECT, INSERT, DELETE, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON payments.* TO app",
            &documented::statements(release.is_mariadb(), PASSWORD),
        ] {
            admin.query_drop(statement).await.unwrap();
        }
        let silence = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ca = Some(world.ca_pem().to_owned());
        Self {
            target: target(world.port(), ca.clone()),
            provider: provider(world.port(), ca.clone(), PASSWORD, |_| ()),
            down: provider(free, ca.clone(), PASSWORD, |_| ()),
            silent: provider(silence.local_addr().unwrap().port(), ca, PASSWORD, |_| ()),
            _silence: silence,
            world,
        }
    }

    pub(crate) fn mariadb(&self) -> bool {
        self.world.release().is_mariadb()
    }

    pub(crate) fn provider_at(&self, port: u16, ca_pem: Option<String>, password: &str) -> MysqlProvider {
        provider(port, ca_pem, password, |_| ())
    }

    pub(crate) fn provider_with(&self, change: fn(&mut MysqlConfig)) -> MysqlProvider {
        provider(self.world.port(), Some(self.world.ca_pem().to_owned()), PASSWORD, change)
    }

    pub(crate) async fn mint(&self, writ: &Writ) -> Result<Minted, ProviderFault> {
        self.mint_by(&self.provider, writ).await
    }

    pub(crate) async fn mint_by(&self, provider: &MysqlProvider, writ: &Writ) -> Result<Minted, ProviderFault> {
        let minted = provider.mint(&self.target, writ_provider_kit::intended(writ), DEADLINE).await;
        if let Ok(minted) = &minted {
            canary::note(minted.credential().unwrap());
        }
        minted
    }

    pub(crate) async fn revoke(&self, writ: &Writ) {
        self.provider.revoke(&self.target, writ, DEADLINE).await.unwrap();
    }

    pub(crate) async fn admin(&self) -> Conn {
        admin(&self.world).await
    }

    /// Runs statements as the admin.
    pub(crate) async fn run(&self, statements: &str) {
        self.admin().await.query_drop(statements).await.unwrap();
    }

    /// Asks as the admin.
    pub(crate) async fn ask<T: FromRow + Send + 'static>(&self, question: &str) -> Vec<T> {
        self.admin().await.query(question).await.unwrap()
    }

    /// Logs in with what was minted. Denied, once more: the client crate loses one `ed25519` login of 256.
    pub(crate) async fn session(&self, minted: &Minted) -> Result<Conn, Error> {
        let credential = minted.credential().unwrap();
        self.persistent(&credential.principal, credential.secret.expose()).await
    }

    async fn persistent(&self, user: &str, password: &[u8]) -> Result<Conn, Error> {
        let mut last = self.login(&Login { user, password, tls: true }).await;
        for _ in 0..2 {
            if !matches!(&last, Err(Error::Server(answer)) if answer.code == DENIED) {
                return last;
            }
            last = self.login(&Login { user, password, tls: true }).await;
        }
        last
    }

    pub(crate) async fn login(&self, login: &Login<'_>) -> Result<Conn, Error> {
        connect(&self.world, login).await
    }

    /// A role as it is written in a grant.
    pub(crate) fn role(&self, role: &str) -> String {
        if self.mariadb() { format!("`{role}`") } else { format!("`{role}`@`%`") }
    }
}

/// "Access denied for user".
pub(crate) const DENIED: u16 = 1045;

/// The code of the server's answer. MySQL asks whom it does not know for a login by a plugin of its choice, so as not to tell;
/// a client that does not know that plugin goes no further.
pub(crate) fn code<T>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::Server(answer)) => answer.code,
        Err(Error::Driver(DriverError::UnknownAuthPlugin { .. })) => DENIED,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the server did it"),
    }
}

pub(crate) async fn admin(world: &World) -> Conn {
    connect(world, &Login { user: ADMIN, password: world.password().as_bytes(), tls: true }).await.unwrap()
}

async fn connect(world: &World, login: &Login<'_>) -> Result<Conn, Error> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let roots = vec![world.ca_pem().as_bytes().to_vec().into()];
    let tls = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
    let opts = OptsBuilder::default()
        .ip_or_hostname(world.host())
        .tcp_port(world.port())
        .user(Some(login.user))
        .pass(Some(String::from_utf8(login.password.to_vec()).unwrap()))
        .prefer_socket(false)
        .ssl_opts(login.tls.then_some(tls));
    Conn::new(opts).await
}

pub(crate) fn other_authority() -> String {
    std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap()
}

pub(crate) fn target(port: u16, ca_pem: Option<String>) -> Target {
    Target {
        name: TargetName::new("payments").unwrap(),
        labels: BTreeMap::new(),
        protocol: Protocol::Mysql,
        address: Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem },
        provider: "mysql".to_owned(),
    }
}

pub(crate) fn provider(
    port: u16,
    ca_pem: Option<String>,
    password: &str,
    change: fn(&mut MysqlConfig),
) -> MysqlProvider {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{password}\n")).unwrap();
    let mut config = MysqlConfig {
        user: "writ_broker".to_owned(),
        password_file: Some(file.path().to_owned()),
        password_env: None,
        host: None,
        port: None,
        client_host: "%".to_owned(),
        default_roles: Vec::new(),
        pool_size: 4,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    };
    change(&mut config);
    MysqlProvider::new(config, &target(port, ca_pem).address).unwrap()
}

struct Session(tokio::sync::Mutex<Conn>);

impl LiveSession for Session {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async move { self.0.lock().await.query_drop("SELECT 1").await.is_ok() })
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
            let conn = self.persistent(principal, secret).await.ok()?;
            Some(Box::new(Session(tokio::sync::Mutex::new(conn))) as Box<dyn LiveSession>)
        })
    }

    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let question = format!("SELECT User FROM mysql.user WHERE User LIKE '{principal}%'");
            !self.ask::<String>(&question).await.is_empty()
        })
    }

    fn end_of<'a>(&'a self, principal: &'a str) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async move {
            if self.mariadb() {
                return Timestamp::from_second(principal.rsplit_once('-')?.1.parse().ok()?).ok();
            }
            let question = format!(
                "SELECT ATTRIBUTE->>'$.expires' FROM information_schema.USER_ATTRIBUTES WHERE USER = '{principal}'"
            );
            self.ask::<String>(&question).await.first()?.parse().ok()
        })
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some("no`such role; DROP ROLE app; --".to_owned())
    }

    fn canaries(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }
}
