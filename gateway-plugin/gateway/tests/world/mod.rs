//! A real PostgreSQL for the whole binary, a gateway for each test, and clients.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_postgres::NoTls;
use writ_core::target::{Address, Labels, Protocol, Target, TargetName, UpstreamTls};
use writ_gateway::config::Listener;
use writ_gateway::{Gateway, GatewayConfig};
use writ_world::postgres::{Cluster, SUPERUSER, Version};

pub(crate) mod evidence;
pub(crate) mod logs;
pub(crate) mod mask;
pub(crate) mod raw;

pub(crate) use evidence::TOKEN;
use evidence::{Fake, Shared};

/// How long anything may take that is expected at once.
pub(crate) const ALLOWANCE: Duration = Duration::from_secs(30);

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(Version::V15).unwrap());
/// Held for reading by each gateway, for writing by a test that measures this process.
pub(crate) static PROCESS: RwLock<()> = RwLock::const_new(());

/// The server that all tests share.
pub(crate) fn cluster() -> &'static Cluster {
    &CLUSTER
}

/// The server as a target.
pub(crate) fn target(port: u16) -> Target {
    let address = Address { host: "127.0.0.1".to_owned(), port, tls: UpstreamTls::Disable, ca_pem: None };
    let name = TargetName::new("pay").unwrap();
    Target { name, labels: Labels::new(), protocol: Protocol::Postgres, address, provider: "static".to_owned() }
}

/// A gateway with its fake.
pub(crate) struct World {
    pub(crate) fake: Arc<Fake>,
    gateway: Option<Gateway>,
    port: u16,
    _process: Option<RwLockReadGuard<'static, ()>>,
}

/// What a gateway is configured with unless a test says otherwise.
pub(crate) fn config() -> GatewayConfig {
    let listener = Listener {
        listen: ([127, 0, 0, 1], 0).into(),
        auth: writ_gateway::config::Auth::Password,
        oauth: None,
        certificate: None,
        allow_plain_loopback: true,
        proxy_protocol_from: Vec::new(),
    };
    GatewayConfig {
        listeners: vec![listener],
        workers: Some(1),
        login_timeout: ALLOWANCE,
        idle_timeout: Duration::from_hours(1),
        drain_timeout: ALLOWANCE,
        max_sessions: 100,
        max_pending: 100,
        cancel_rate: 100,
    }
}

/// A fake in front of the shared server, before it is set up.
pub(crate) fn fake() -> Fake {
    Fake::new(target(cluster().port()), SUPERUSER, cluster().password())
}

impl World {
    /// A gateway in front of the shared server; `set` changes what the fake does.
    pub(crate) async fn start(set: impl FnOnce(&mut Fake)) -> Self {
        Self::configured(config(), set).await
    }

    /// The same with other settings.
    pub(crate) async fn configured(config: GatewayConfig, set: impl FnOnce(&mut Fake)) -> Self {
        let process = PROCESS.read().await;
        let mut world = Self::alone(config, set).await;
        world._process = Some(process);
        world
    }

    /// The same for a test that holds [`PROCESS`] itself.
    pub(crate) async fn alone(config: GatewayConfig, set: impl FnOnce(&mut Fake)) -> Self {
        logs::keep();
        let mut fake = fake();
        set(&mut fake);
        let fake = Arc::new(fake);
        let gateway = Gateway::start(&config, Arc::new(Shared(Arc::clone(&fake)))).await.unwrap();
        let port = gateway.addresses()[0].port();
        Self { fake, gateway: Some(gateway), port, _process: None }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many sessions run.
    pub(crate) fn sessions(&self) -> u32 {
        self.gateway.as_ref().map_or(0, Gateway::sessions)
    }

    /// The gateway itself, to be stopped.
    pub(crate) fn take_gateway(&mut self) -> Gateway {
        self.gateway.take().unwrap()
    }

    /// A client that is logged in through the gateway.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        connect(self.port(), "pay", TOKEN).await
    }

    /// A client on plain bytes, logged in.
    pub(crate) async fn raw(&self) -> raw::Raw {
        raw::Raw::login(self.port(), TOKEN).await.unwrap()
    }

    /// Waits until this many sessions ended; how they did.
    pub(crate) async fn ended(&self, count: usize) -> Vec<(writ_core::event::SessionEnd, String)> {
        until("the sessions to end", || (self.fake.ends().len() >= count).then(|| self.fake.ends())).await
    }
}

/// A client past the gateway.
pub(crate) async fn direct() -> tokio_postgres::Client {
    connect(cluster().port(), SUPERUSER, cluster().password()).await
}

async fn connect(port: u16, user: &str, password: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Looks again and again until there is an answer.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + ALLOWANCE;
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < limit, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same over the server: until `sql` gives true.
pub(crate) async fn until_server(client: &tokio_postgres::Client, sql: &str) {
    let limit = Instant::now() + ALLOWANCE;
    while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(Instant::now() < limit, "waited for `{sql}`");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
