//! The provider against real servers, with a user whose password somebody configured.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};
use writ_core::credential::CredentialKind;
use writ_core::provider::{Pending, Provider, ProviderFault};
use writ_core::time::Timestamp;
use writ_provider_kit::{self as kit, Harness, LiveSession};
use writ_provider_static::{StaticConfig, StaticProvider};
use writ_world::postgres::{Cluster, SUPERUSER, Version};

const PASSWORD: &str = "static-canary-77d1";

struct Server {
    cluster: Cluster,
    provider: StaticProvider,
    file: tempfile::NamedTempFile,
}

impl Server {
    async fn start(version: Version) -> Self {
        let cluster = Cluster::start(version).unwrap();
        let root = connect(&cluster, SUPERUSER, cluster.password().as_bytes()).await.unwrap();
        root.batch_execute(&format!("CREATE ROLE legacy LOGIN PASSWORD '{PASSWORD}'")).await.unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{PASSWORD}\r\n")).unwrap();
        let provider = StaticProvider::new(&from_file(file.path()), None, None).unwrap();
        Self { cluster, provider, file }
    }
}

fn legacy() -> StaticConfig {
    let user = Some("legacy".to_owned());
    StaticConfig {
        user,
        password_file: None,
        password_env: None,
        source: None,
        field: None,
        user_field: None,
        rotation: None,
    }
}

fn from_file(path: &Path) -> StaticConfig {
    StaticConfig { password_file: Some(path.to_owned()), ..legacy() }
}

async fn connect(cluster: &Cluster, user: &str, password: &[u8]) -> Option<Client> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(cluster.port()).dbname("postgres").user(user).password(password);
    let (client, connection) = config.connect(NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
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
        None
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let client = connect(&self.cluster, principal, secret).await?;
            Some(Box::new(Session(client)) as Box<dyn LiveSession>)
        })
    }

    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let root = connect(&self.cluster, SUPERUSER, self.cluster.password().as_bytes()).await.unwrap();
            root.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&principal]).await.unwrap().is_some()
        })
    }

    fn end_of<'a>(&'a self, _principal: &'a str) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async { None })
    }

    fn down(&self) -> Option<&dyn Provider> {
        None
    }

    fn silent(&self) -> Option<&dyn Provider> {
        None
    }

    fn refused_role(&self) -> Option<String> {
        None
    }

    fn canaries(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }
}

#[tokio::test]
async fn postgres_15() {
    let server = Server::start(Version::V15).await;
    assert_eq!(kit::run(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn postgres_18() {
    let server = Server::start(Version::V18).await;
    assert_eq!(kit::run(&server).await, Vec::<String>::new());
    labelled_and_read_anew(&server).await;
}

async fn labelled_and_read_anew(server: &Server) {
    let root = connect(&server.cluster, SUPERUSER, server.cluster.password().as_bytes()).await.unwrap();
    root.batch_execute("ALTER ROLE legacy PASSWORD 'rotated-canary'").await.unwrap();
    std::fs::write(server.file.path(), "rotated-canary").unwrap();
    let minted = server.provider.mint(&target(), kit::intended(&kit::writ(None, Duration::from_secs(60))), LONG).await;
    let minted = minted.unwrap();
    let credential = minted.credential().unwrap();
    assert!(connect(&server.cluster, &credential.principal, credential.secret.expose()).await.is_some());
    assert_eq!(credential.kind, CredentialKind::StaticPassword);
    assert_eq!(credential.fingerprint.as_str(), format!("static:file:{}", server.file.path().display()));
    assert!(server.provider.describe().long_lived);
}

const LONG: Duration = Duration::from_secs(5);

fn target() -> writ_core::target::Target {
    use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
    Target {
        name: TargetName::new("legacy").unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "static".to_owned(),
    }
}

#[tokio::test]
async fn a_field_of_a_secret_in_json_is_the_password() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, r#"{"username":"legacy","password":"json-canary","port":5432,"none":""}"#).unwrap();
    let field = |user_field: Option<&str>, field: &str| StaticConfig {
        user: user_field.is_none().then(|| "other".to_owned()),
        user_field: user_field.map(str::to_owned),
        field: Some(field.to_owned()),
        ..from_file(&path)
    };
    for (user_field, user) in [(None, "other"), (Some("username"), "legacy")] {
        let provider = StaticProvider::new(&field(user_field, "password"), None, None).unwrap();
        let writ = kit::writ(None, Duration::from_secs(60));
        let minted = provider.mint(&target(), kit::intended(&writ), LONG).await.unwrap();
        let credential = minted.credential().unwrap();
        assert_eq!((credential.principal.as_str(), credential.secret.expose()), (user, &b"json-canary"[..]));
        assert_eq!(credential.fingerprint.as_str(), format!("static:file:{}", path.display()));
    }
    for (name, words) in [("absent", "has no field"), ("port", "is empty or no text"), ("none", "is empty or no text")]
    {
        let fault = StaticProvider::new(&field(None, name), None, None).unwrap_err().to_string();
        assert!(fault.contains(words) && !fault.contains("canary"), "{fault}");
    }
    std::fs::write(&path, "no-json-canary").unwrap();
    let fault = StaticProvider::new(&field(None, "password"), None, None).unwrap_err().to_string();
    assert!(fault.contains("is no JSON object") && !fault.contains("canary"), "{fault}");
}

#[test]
fn one_user_and_one_place_are_written() {
    let file = || from_file(Path::new("/run/password"));
    let both = StaticConfig { user_field: Some("username".to_owned()), field: Some("password".to_owned()), ..file() };
    let none = StaticConfig { user: None, ..file() };
    let alone = StaticConfig { user: None, user_field: Some("username".to_owned()), ..file() };
    let empty = StaticConfig { field: Some(String::new()), ..file() };
    for (config, words) in [
        (both, "both `user` and `user_field`"),
        (none, "no user"),
        (alone, "write `field` too"),
        (empty, "`field` is empty"),
        (legacy(), "no password"),
    ] {
        let fault = config.validate().unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let elsewhere = StaticConfig { source: Some(()), ..open() };
    elsewhere.validate().unwrap();
    assert!(StaticProvider::new(&elsewhere, None, None).unwrap_err().to_string().contains("nothing here fetches"));
    let twice = StaticConfig { password_env: Some("PASSWORD".to_owned()), ..elsewhere };
    assert!(twice.validate().unwrap_err().to_string().contains("write one place"));
}

/// Settings with a place of another's.
fn open() -> StaticConfig<()> {
    let user = Some("legacy".to_owned());
    StaticConfig {
        user,
        password_file: None,
        password_env: None,
        source: None,
        field: None,
        user_field: None,
        rotation: None,
    }
}

#[tokio::test]
async fn what_cannot_be_a_password_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let mistake = |config: &StaticConfig| StaticProvider::new(config, None, None).unwrap_err().to_string();
    assert!(mistake(&from_file(&path)).contains("cannot read"));
    assert!(mistake(&from_file(directory.path())).contains("not a regular file"));
    std::fs::write(&path, "\n").unwrap();
    assert!(mistake(&from_file(&path)).contains("is empty"));
    std::fs::write(&path, "x".repeat(64 * 1024 + 1)).unwrap();
    assert!(mistake(&from_file(&path)).contains("larger than 65536 bytes"));
    let variable = |name: &str| StaticConfig { password_env: Some(name.to_owned()), ..legacy() };
    assert!(mistake(&variable("WRIT_TEST_NO_SUCH_VARIABLE")).contains("is not set"));
    assert!(mistake(&variable("A=B")).contains("not a name"));
    // Any variable will do: `PATH` is set wherever tests run.
    StaticProvider::new(&variable("PATH"), None, None).unwrap();
    std::fs::write(&path, "sound").unwrap();
    let provider = StaticProvider::new(&from_file(&path), None, None).unwrap();
    std::fs::remove_file(&path).unwrap();
    let writ = kit::writ(None, Duration::from_secs(60));
    let fault = provider.mint(&target(), kit::intended(&writ), LONG).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Misconfigured(_)), "{fault:?}");
}
