//! An OpenBao as the example sets it up, the database whose users it makes, and Writ's issuer, which it trusts.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_postgres::NoTls;
use writ_core::assertion::Assertions;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_kit::Trouble;
use writ_provider_openbao::{OpenbaoConfig, OpenbaoProvider};
use writ_world::openbao::OpenBao;
use writ_world::postgres::{Cluster, Version};

use crate::https::Https;
use crate::issuer::Issuer;
use crate::trouble;

pub(crate) const READER: &str = "database/creds/orders-reader";
/// A path that the target and the policy allow, and at which OpenBao has nothing.
pub(crate) const CLOSED: &str = "database/creds/closed";

pub(crate) struct World {
    pub(crate) bao: OpenBao,
    pub(crate) postgres: Cluster,
    pub(crate) issuer: Issuer,
    pub(crate) target: Target,
    pub(crate) provider: OpenbaoProvider,
    pub(crate) down: OpenbaoProvider,
    pub(crate) silent: OpenbaoProvider,
    pub(crate) troubled: Vec<(Trouble, OpenbaoProvider)>,
    pub(crate) files: tempfile::TempDir,
    _silence: TcpListener,
    _troubles: Vec<Https>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (bao, issuer) = (OpenBao::start().unwrap(), Issuer::start());
        let postgres = Cluster::start(Version::V17).unwrap();
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("issuer.pem"), &issuer.pem).unwrap();
        let superuser = client(&postgres.url("postgres")).await.unwrap();
        superuser.batch_execute("CREATE DATABASE orders").await.unwrap();
        superuser.batch_execute(ROLES).await.unwrap();
        set_up(&bao, &postgres, &issuer, files.path(), |script| script);
        let policy = format!("path \"{CLOSED}\" {{ capabilities = [\"read\"] }}");
        bao.write("sys/policies/acl/writ-closed", &json!({ "policy": policy })).await.unwrap();
        let (target, silence) = (target("orders"), TcpListener::bind("127.0.0.1:0").unwrap());
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Place { url: bao.url(), ca_file: bao.ca_file() };
        let at = |port: u16| Place { url: format!("https://127.0.0.1:{port}"), ca_file: bao.ca_file() };
        let elsewhere = json!({ "audience": "https://another.example" });
        let mut troubled = vec![
            (Trouble::WrongAudience, provider(&place, &elsewhere, &issuer.trusted)),
            (Trouble::ExpiredAssertion, provider(&place, &json!({}), &issuer.off_by(-3_600))),
            (Trouble::Untrusted, provider(&place, &json!({}), &issuer.impostor)),
            // The target's clock is ahead where ours is behind.
            (Trouble::ClockAhead, provider(&place, &json!({}), &issuer.off_by(-600))),
            (Trouble::ClockBehind, provider(&place, &json!({}), &issuer.off_by(600))),
        ];
        let mut troubles = Vec::new();
        for trouble in [Trouble::Throttled, Trouble::ServerError, Trouble::CutShort, Trouble::FarExpiry] {
            let before = trouble::before(bao.port(), bao.ca_pem().to_owned(), trouble);
            let place = Place::of(&before, files.path());
            troubled.push((trouble, provider(&place, &json!({}), &issuer.trusted)));
            troubles.push(before);
        }
        Self {
            provider: provider(&place, &json!({}), &issuer.trusted),
            down: provider(&at(free), &json!({}), &issuer.trusted),
            silent: provider(&at(silence.local_addr().unwrap().port()), &json!({}), &issuer.trusted),
            troubled,
            bao,
            postgres,
            issuer,
            target,
            files,
            _silence: silence,
            _troubles: troubles,
        }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        Place { url: self.bao.url(), ca_file: self.bao.ca_file() }
    }

    /// The example's provider, changed, over OpenBao itself.
    pub(crate) fn with(&self, changes: &Value) -> OpenbaoProvider {
        provider(&self.place(), changes, &self.issuer.trusted)
    }

    /// Another broker with the same configuration.
    pub(crate) fn another(&self) -> OpenbaoProvider {
        self.with(&json!({}))
    }

    /// Whether there is a note of this name.
    pub(crate) async fn noted(&self, writ: &str) -> bool {
        self.bao.ask("GET", &format!("writ/data/{writ}"), None).await.unwrap().0 == 200
    }

    /// Whether the database has this user.
    pub(crate) async fn has_user(&self, name: &str) -> bool {
        let superuser = client(&self.postgres.url("postgres")).await.unwrap();
        superuser.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&name]).await.unwrap().is_some()
    }

    /// The users that OpenBao has made and not taken away.
    pub(crate) async fn users(&self) -> Vec<String> {
        let superuser = client(&self.postgres.url("postgres")).await.unwrap();
        let rows = superuser.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%' ORDER BY 1", &[]).await;
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The tokens whose metadata names this writ: their accessor and for how many seconds they live.
    pub(crate) async fn tokens(&self, writ: &str) -> Vec<(String, u64)> {
        let listed = self.bao.ask("LIST", "auth/token/accessors", None).await.unwrap().1;
        let mut found = Vec::new();
        for accessor in listed["data"]["keys"].as_array().unwrap() {
            let body = json!({ "accessor": accessor });
            let (_, token) = self.bao.ask("POST", "auth/token/lookup-accessor", Some(&body)).await.unwrap();
            if token["data"]["meta"]["writ"] == writ {
                found.push((accessor.as_str().unwrap().to_owned(), token["data"]["ttl"].as_u64().unwrap()));
            }
        }
        found
    }
}

/// Where an OpenBao is, or what stands before it.
pub(crate) struct Place {
    url: String,
    ca_file: PathBuf,
}

impl Place {
    pub(crate) fn of(server: &Https, directory: &Path) -> Self {
        let ca_file = directory.join(format!("{}.pem", server.port));
        std::fs::write(&ca_file, &server.pem).unwrap();
        Self { url: format!("https://localhost:{}", server.port), ca_file }
    }
}

/// The example's configuration, at this place, with changes.
pub(crate) fn config(place: &Place, changes: &Value) -> OpenbaoConfig {
    let text: toml::Table = toml::from_str(&example("writ.toml")).unwrap();
    let text = serde_json::to_value(text).unwrap();
    let mut config = text["broker"]["target"][0]["provider"]["openbao"].clone();
    config["address"] = json!(place.url);
    config["ca_file"] = json!(place.ca_file);
    config["call_timeout_ms"] = json!(30_000);
    config["dynamic"]["paths"].as_array_mut().unwrap().push(json!(CLOSED));
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            config.as_object_mut().unwrap().remove(name);
        } else {
            config[name] = value.clone();
        }
    }
    serde_json::from_value(config).unwrap()
}

pub(crate) fn provider(place: &Place, changes: &Value, assertions: &Arc<dyn Assertions>) -> OpenbaoProvider {
    OpenbaoProvider::new(&config(place, changes), Some(assertions)).unwrap()
}

pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/providers/openbao").join(name);
    std::fs::read_to_string(path).unwrap()
}

const ROLES: &str = "CREATE ROLE orders_reader; CREATE ROLE orders_owner;
    CREATE ROLE openbao LOGIN CREATEROLE PASSWORD 'first';
    GRANT orders_reader, orders_owner TO openbao WITH ADMIN OPTION; GRANT pg_signal_backend TO openbao";

/// Runs the example's script, at this database and for this issuer. The kit calls its target by another name.
pub(crate) fn set_up(
    bao: &OpenBao,
    postgres: &Cluster,
    issuer: &Issuer,
    directory: &Path,
    change: impl FnOnce(String) -> String,
) {
    let mut script = change(example("setup.sh"));
    let authority = format!(" oidc_discovery_ca_pem=@{}/issuer.pem", directory.display());
    let database = format!("localhost:{}/orders?sslmode=disable", postgres.port());
    let again = "bound_issuer=https://issuer.example/writ";
    for (there, here) in [
        ("orders.example:5432/orders?sslmode=verify-full", database),
        ("the password of openbao, which the next line replaces by one that nobody knows", "first".to_owned()),
        (again, format!("{again}{authority}")),
        ("[\"writ-orders\"]", "[\"writ-orders\", \"writ-closed\"]".to_owned()),
        ("\"target:orders\"", "[\"target:orders\", \"target:kit\"]".to_owned()),
    ] {
        assert!(script.contains(there), "{there}");
        script = script.replace(there, &here);
    }
    // `bound_subject` is one; two need a bound claim.
    script = script
        .replace("\"bound_subject\": [", "\"bound_claims\": { \"sub\": [")
        .replace("\"target:kit\"]", "\"target:kit\"] }");
    script = script
        .replace("[\"orders-reader\", \"orders-owner\"]", "\"*\"")
        .replace("https://issuer.example/writ", &issuer.url);
    bao.shell(&script).unwrap();
}

pub(crate) fn target(name: &str) -> Target {
    let address = Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::VerifyFull, ca_pem: None };
    Target {
        name: TargetName::new(name).unwrap(),
        labels: [].into(),
        protocol: Protocol::Postgres,
        address,
        provider: "openbao".to_owned(),
    }
}

/// A connection to the database.
pub(crate) async fn client(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
