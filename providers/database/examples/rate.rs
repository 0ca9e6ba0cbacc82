//! How many roles a second this provider mints and revokes at a real PostgreSQL that flushes its log to disk, with a
//! login between (`login`) or none, by four callers. `cargo run --release -p writ-provider-database --example rate`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for whoever runs it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use writ_core::provider::Provider as _;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_database::{DatabaseConfig, DatabaseProvider};
use writ_provider_kit as kit;
use writ_world::postgres::{Cluster, SUPERUSER, Version};

const CALLERS: usize = 4;
const SPAN: Duration = Duration::from_secs(4);
const DEADLINE: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    for version in [Version::V15, Version::V18] {
        let cluster = Cluster::start_with(version, &["fsync=on", "full_page_writes=on"]).unwrap();
        let root = connect(cluster.port(), SUPERUSER, cluster.password().as_bytes()).await;
        root.batch_execute("CREATE ROLE app").await.unwrap();
        for iterations in [1, 4096] {
            let provider = Arc::new(provider(&cluster, iterations));
            for login in [false, true] {
                measure(version, &cluster, &provider, iterations, login).await;
            }
        }
    }
}

async fn measure(version: Version, cluster: &Cluster, provider: &Arc<DatabaseProvider>, iterations: u32, login: bool) {
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (provider, target, port) = (Arc::clone(provider), target(cluster), cluster.port());
            tokio::spawn(async move { work(&provider, &target, port, login).await })
        })
        .collect();
    let (mut count, mut mint, mut revoke) = (0_u32, Duration::ZERO, Duration::ZERO);
    for caller in callers {
        let (minted, minting, revoking) = caller.await.unwrap();
        count += minted;
        mint += minting;
        revoke += revoking;
    }
    println!(
        "postgres {}, {iterations} iterations, login {login}: {:.0}/s, mint {:?}, revoke {:?}",
        version.major(),
        f64::from(count) / began.elapsed().as_secs_f64(),
        mint / count.max(1),
        revoke / count.max(1)
    );
}

async fn work(provider: &DatabaseProvider, target: &Target, port: u16, login: bool) -> (u32, Duration, Duration) {
    let until = Instant::now() + SPAN;
    let (mut count, mut mint, mut revoke) = (0, Duration::ZERO, Duration::ZERO);
    while Instant::now() < until {
        let writ = kit::writ(Some("app".to_owned()), Duration::from_secs(300));
        let began = Instant::now();
        let minted = provider.mint(target, kit::intended(&writ), DEADLINE).await.unwrap();
        mint += began.elapsed();
        if login {
            let credential = minted.credential().unwrap();
            let client = connect(port, &credential.principal, credential.secret.expose()).await;
            client.simple_query("SELECT 1").await.unwrap();
        }
        let began = Instant::now();
        provider.revoke(target, &writ, DEADLINE).await.unwrap();
        revoke += began.elapsed();
        count += 1;
    }
    (count, mint, revoke)
}

async fn connect(port: u16, user: &str, password: &[u8]) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname("postgres").user(user).password(password);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn target(cluster: &Cluster) -> Target {
    Target {
        name: TargetName::new("rate").unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: Address {
            host: "localhost".to_owned(),
            port: cluster.port(),
            tls: UpstreamTls::VerifyFull,
            ca_pem: Some(cluster.ca_pem().to_owned()),
        },
        provider: "database".to_owned(),
    }
}

fn provider(cluster: &Cluster, iterations: u32) -> DatabaseProvider {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), cluster.password()).unwrap();
    let config = DatabaseConfig {
        user: SUPERUSER.to_owned(),
        password_file: Some(file.path().to_owned()),
        password_env: None,
        database: "postgres".to_owned(),
        host: None,
        port: None,
        default_roles: Vec::new(),
        scram_iterations: iterations,
        pool_size: CALLERS,
        call_timeout_ms: 5_000,
        sweep_limit: 1_000,
    };
    DatabaseProvider::new(config, &target(cluster).address).unwrap()
}
