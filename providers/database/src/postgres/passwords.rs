//! Passwords of users that stay: set with the broker's own login, and tried as the user.
//!
//! A user whose password is set is one that somebody made for a program. One with more power than that is refused, whatever the
//! login could do.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio_postgres::SimpleQueryMessage;
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::Address;
use writ_provider_calls::within;
use writ_provider_source::{ConfigFault, PasswordSetter};

use super::config::DatabaseConfig;
use super::connect::Connector;
use super::pool::{Loan, Pool};
use super::{fault, scram, sql};

/// As PostgreSQL itself does it: other programs than the gateway may know the secret too, and some drivers refuse fewer.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

/// The login with which passwords are set. Host, port and TLS are the target's own unless named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresPasswordsConfig {
    /// The broker's own login at the server: CREATEROLE, and from PostgreSQL 16 on ADMIN OPTION on both users.
    pub user: String,
    /// The file that holds the login's password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the login's password: its name, not its value.
    pub password_env: Option<String>,
    /// The database to log in to, for the login and, when a password is tried, for the users.
    #[serde(default = "database")]
    pub database: String,
    /// Where the broker reaches the server, if not where the gateway does.
    pub host: Option<String>,
    /// Its port there.
    pub port: Option<u16>,
    /// Longest time for one call to the server, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "call_timeout_ms")]
    pub call_timeout_ms: u64,
}

fn database() -> String {
    "postgres".to_owned()
}

const fn call_timeout_ms() -> u64 {
    5_000
}

impl PostgresPasswordsConfig {
    /// Checks everything that can be checked without the server.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self, users: &[String]) -> Result<(), ConfigFault> {
        if let Some(user) = users.iter().find(|user| !sql::can_name_a_role(user) || user.starts_with("writ-")) {
            let text = format!(
                "`users` holds `{}`: write a role's name of 1 to 63 bytes, none of a writ's",
                fault::plain(user)
            );
            return Err(ConfigFault::new(text));
        }
        self.login().validate()
    }

    /// The same login as the provider has it, which makes no roles here.
    fn login(&self) -> DatabaseConfig {
        DatabaseConfig {
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            password_env: self.password_env.clone(),
            database: self.database.clone(),
            host: self.host.clone(),
            port: self.port,
            default_roles: Vec::new(),
            scram_iterations: ITERATIONS.get(),
            pool_size: 1,
            call_timeout_ms: self.call_timeout_ms,
            sweep_limit: 1,
        }
    }
}

/// Sets passwords of PostgreSQL's users.
pub struct PostgresPasswords {
    config: DatabaseConfig,
    pool: Pool,
}

impl fmt::Debug for PostgresPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPasswords").field("login", &self.config.user).finish_non_exhaustive()
    }
}

impl PostgresPasswords {
    /// Checks the configuration and reads the login's password. Does not connect.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: &PostgresPasswordsConfig, address: &Address) -> Result<Self, ConfigFault> {
        let config = config.login();
        config.validate()?;
        let password = config.source()?.read()?;
        let pool = Pool::new(Connector::new(&config, address, &password)?, config.pool_size);
        Ok(Self { config, pool })
    }

    async fn fresh(&self, user: &str) -> Result<Secret, ProviderFault> {
        let password = scram::password()?;
        let verifier = scram::verifier(&password, ITERATIONS)?;
        let loan = self.pool.take().await?;
        let set = set(&loan, user, &verifier).await;
        // Nothing runs on it once the server has answered; and a login that is needed once in days holds no connection.
        if !matches!(set, Err(ProviderFault::Unreachable(_))) {
            loan.end();
        }
        set.map(|()| password)
    }

    async fn tried(&self, user: &str, password: &Secret) -> Result<(), ProviderFault> {
        let client = self.pool.connector().connect_as(user, password).await?;
        let doing = format!("asking as whom `{}` was seen", fault::plain(user));
        let rows = client.simple_query("SELECT session_user").await.map_err(|error| fault::of(&doing, &error))?;
        match first(&rows) {
            Some(seen) if seen == user => Ok(()),
            seen => Err(ProviderFault::Refused(format!(
                "{doing}: the server took it for `{}`",
                fault::plain(seen.unwrap_or_default())
            ))),
        }
    }
}

async fn set(loan: &Loan, user: &str, verifier: &str) -> Result<(), ProviderFault> {
    let name = fault::plain(user);
    let doing = format!("looking at the user `{name}`");
    let question = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS held \
                         WHERE (held.rolsuper OR held.rolcreaterole OR held.rolreplication OR held.rolbypassrls OR held.rolname IN \
                         ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')) \
                         AND pg_catalog.pg_has_role(u.oid, held.oid, 'MEMBER')) THEN 'power' \
                     WHEN NOT u.rolcanlogin THEN 'login' WHEN u.rolvaliduntil <= pg_catalog.now() THEN 'ended' ELSE '' END \
         FROM pg_catalog.pg_roles AS u WHERE u.rolname = {}",
        sql::text(user)
    );
    let rows = loan.run(&question).await.map_err(|error| fault::of(&doing, &error))?;
    let wrong = match first(&rows) {
        Some("") => None,
        Some("power") => Some(
            "is a superuser, has CREATEROLE, REPLICATION or BYPASSRLS, may use the server's files or programs, or is a member \
                 of a role that does: let users without them take turns",
        ),
        Some("login") => Some("may not log in: run `ALTER ROLE` with LOGIN as an admin, or name another"),
        Some(_) => Some("has ended: run `ALTER ROLE` with VALID UNTIL 'infinity' as an admin"),
        None => Some("is not there: make it, with the rights of the other one"),
    };
    if let Some(wrong) = wrong {
        return Err(ProviderFault::Misconfigured(format!("the user `{name}` {wrong}; {GUIDE}")));
    }
    let statement = format!("ALTER ROLE {} PASSWORD {}", sql::name(user), sql::text(verifier));
    match loan.run(&statement).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE) => {
            let said = fault::plain(error.as_db_error().map_or("", tokio_postgres::error::DbError::message));
            Err(ProviderFault::Misconfigured(format!(
                "setting the password of `{name}`: {said}: the login needs CREATEROLE, and ADMIN OPTION on `{name}`; {GUIDE}"
            )))
        }
        Err(error) => Err(fault::of(&format!("setting the password of `{name}`"), &error)),
    }
}

const GUIDE: &str = "see \"Rotation\" in docs/providers/static.md for the statements that an admin runs";

/// The first column of the first row.
fn first(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}

impl PasswordSetter for PostgresPasswords {
    fn login(&self) -> &str {
        &self.config.user
    }

    fn set<'a>(&'a self, user: &'a str, limit: Duration) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(within("setting a password", self.config.limit(limit), self.fresh(user)))
    }

    fn verify<'a>(
        &'a self,
        user: &'a str,
        password: &'a Secret,
        limit: Duration,
    ) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(within("trying a password", self.config.limit(limit), self.tried(user, password)))
    }
}
