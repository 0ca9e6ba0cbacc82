//! How Azure Database for PostgreSQL takes access tokens for logins, in front of a real PostgreSQL.
//!
//! The server is real; the TLS front is [`crate::rds`]'s, with Azure's rules: the user was made for a principal of Entra's
//! (`pgaadauth_create_principal_with_oid`), and the password is an access token of that very object, alive, signed, and for
//! `https://ossrdbms-aad.database.windows.net`. What the client hears where it is not is not public; here it is what PostgreSQL says of
//! a wrong password.
//!
//! Not here: groups, users who are humans, administrators, and tokens of the databases' other audience of old.
//!
//! <https://learn.microsoft.com/azure/postgresql/flexible-server/security-manage-entra-users>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use writ_world::postgres::{Cluster, SUPERUSER};

use super::{Directory, Entra, guid, held};
use crate::background::{Background, acceptor, listen};
use crate::certificates::Certificate;
use crate::rds::backend::Backend;
use crate::rds::front::{self, Door, Rules};

const AUDIENCE: &str = "https://ossrdbms-aad.database.windows.net";
/// The role of whoever logs in by a token.
const ROLE: &str = "azure_ad_user";
const CALL: &str = "select * from pgaadauth_create_principal_with_oid(";

/// Object ids by users.
type Principals = Arc<Mutex<BTreeMap<String, String>>>;

struct Tokens {
    directory: Arc<Directory>,
    principals: Principals,
}

impl Rules for Tokens {
    fn admit(&self, user: &str, token: &str) -> Result<(), String> {
        let claims = self.directory.verify(token, AUDIENCE)?;
        let object = claims.get("oid").and_then(Value::as_str).unwrap_or_default();
        match held(&self.principals).get(user) {
            Some(known) if known == object => Ok(()),
            Some(_) => Err("a token of another object".to_owned()),
            None => Err("a user that no principal was made for".to_owned()),
        }
    }

    fn refusal(&self, user: &str) -> String {
        format!("password authentication failed for user \"{user}\"")
    }
}

/// The front. It ends when it is dropped; the server behind it is the caller's.
pub struct AzurePostgres {
    door: Arc<Door>,
    principals: Principals,
    server: String,
    port: u16,
    ca_pem: String,
    background: Background,
}

impl std::fmt::Debug for AzurePostgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AzurePostgres").field("port", &self.port).finish_non_exhaustive()
    }
}

impl AzurePostgres {
    /// Starts before a server, where it makes the role `azure_ad_user` if there is none.
    ///
    /// # Errors
    /// If there is no port, or the server does not answer.
    pub fn start(cluster: &Cluster, entra: &Entra) -> Result<Self, String> {
        let background = Background::start()?;
        let certificate = Certificate::make(&[])?;
        let tls = acceptor(&certificate)?;
        let backend = Backend::new(cluster.port(), cluster.password(), ROLE);
        let ready = backend.clone();
        background.run(async move { ready.prepare().await })?;
        let (listener, address) = background.run(listen())?;
        let principals = Principals::default();
        let rules = Box::new(Tokens { directory: entra.directory(), principals: Arc::clone(&principals) });
        let door = Arc::new(Door { rules, refusals: Mutex::default(), tls, backend });
        background.spawn(front::serve(listener, Arc::clone(&door)));
        let (port, ca_pem) = (address.port(), certificate.authority);
        let server = format!(
            "host=127.0.0.1 port={} user={SUPERUSER} password={} dbname=postgres",
            cluster.port(),
            cluster.password()
        );
        Ok(Self { door, principals, server, port, ca_pem, background })
    }

    /// What an admin runs: one call of `pgaadauth_create_principal_with_oid` on each line, for services.
    ///
    /// # Errors
    /// If a line is anything else, or the server does not take it.
    pub fn run(&self, statements: &str) -> Result<(), String> {
        for line in statements.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("--")) {
            let said = || format!("not what Azure knows: `{line}`");
            let arguments = line.strip_prefix(CALL).and_then(|rest| rest.strip_suffix(");")).ok_or_else(said)?;
            let arguments: Vec<&str> = arguments.split(", ").collect();
            let [user, object, "'service'", "false", "false"] = arguments[..] else { return Err(said()) };
            let quoted = |text: &str| text.strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned);
            let (user, object) =
                (quoted(user).ok_or_else(said)?, quoted(object).filter(|id| guid(id)).ok_or_else(said)?);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if user.is_empty() || !user.bytes().all(plain) {
                return Err(said());
            }
            let made = format!("create role \"{user}\" login; grant {ROLE} to \"{user}\"");
            let server = self.server.clone();
            self.background.run(async move {
                let connected = tokio_postgres::connect(&server, tokio_postgres::NoTls).await;
                let (client, connection) = connected.map_err(|error| error.to_string())?;
                tokio::spawn(connection);
                client.batch_execute(&made).await.map_err(|error| {
                    error.as_db_error().map_or_else(|| error.to_string(), |refused| refused.message().to_owned())
                })
            })?;
            held(&self.principals).insert(user, object);
        }
        Ok(())
    }

    /// The server's port, which listens on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that vouches for its certificate, which is for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Why logins were refused, oldest first.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.door.refusals()
    }
}
