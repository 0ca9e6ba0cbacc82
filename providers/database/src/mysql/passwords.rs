//! Passwords of users that stay: set with the broker's own login, and tried as the user. MySQL's users get
//! `caching_sha2_password`, MariaDB's `ed25519`, whatever they had.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::Address;
use writ_provider_calls::within;
use writ_provider_source::{ConfigFault, PasswordSetter};

use super::config::MysqlConfig;
use super::connect::Connector;
use super::dialect::Server;
use super::pool::{Loan, Pool};
use super::{fault, rows, sql, verifier};

/// The login with which passwords are set. Host, port and authorities are the target's own unless named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MysqlPasswordsConfig {
    /// The broker's own login at the server: CREATE USER, and SELECT on `mysql.user`, at MySQL on `mysql.global_grants` too.
    pub user: String,
    /// The file that holds the login's password, and nothing else.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the login's password: its name, not its value.
    pub password_env: Option<String>,
    /// Where the broker reaches the server, if not where the gateway does.
    pub host: Option<String>,
    /// Its port there.
    pub port: Option<u16>,
    /// The host part of the users' names.
    #[serde(default = "client_host")]
    pub client_host: String,
    /// Longest time for one call to the server, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "call_timeout_ms")]
    pub call_timeout_ms: u64,
}

fn client_host() -> String {
    "%".to_owned()
}

const fn call_timeout_ms() -> u64 {
    5_000
}

impl MysqlPasswordsConfig {
    /// Checks everything that can be checked without the server.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self, users: &[String]) -> Result<(), ConfigFault> {
        if let Some(user) = users.iter().find(|user| !sql::can_name(user) || user.starts_with("writ-")) {
            let text =
                format!("`users` holds `{}`: write a name of 1 to 32 characters, none of a writ's", fault::plain(user));
            return Err(ConfigFault::new(text));
        }
        self.login().validate()
    }

    /// The same login as the provider has it, which makes no users here.
    fn login(&self) -> MysqlConfig {
        MysqlConfig {
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            password_env: self.password_env.clone(),
            host: self.host.clone(),
            port: self.port,
            client_host: self.client_host.clone(),
            default_roles: Vec::new(),
            pool_size: 1,
            call_timeout_ms: self.call_timeout_ms,
            sweep_limit: 1,
        }
    }
}

/// Sets passwords of MySQL's and MariaDB's users.
pub struct MysqlPasswords {
    config: MysqlConfig,
    pool: Pool,
}

impl fmt::Debug for MysqlPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlPasswords").field("login", &self.config.user).finish_non_exhaustive()
    }
}

impl MysqlPasswords {
    /// Checks the configuration and reads the login's password. Does not connect.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(config: &MysqlPasswordsConfig, address: &Address) -> Result<Self, ConfigFault> {
        let config = config.login();
        config.validate()?;
        let password = config.source()?.read()?;
        let connector = Connector::new(&config, address, &password)?.for_passwords();
        let pool = Pool::new(connector, config.pool_size);
        Ok(Self { config, pool })
    }

    async fn fresh(&self, user: &str) -> Result<Secret, ProviderFault> {
        let mut loan = self.pool.take().await?;
        let set = self.set_on(&mut loan, user).await;
        // Nothing runs on it once the server has answered; and a login that is needed once in days holds no connection.
        if !matches!(set, Err(ProviderFault::Unreachable(_))) {
            loan.end().await;
        }
        set
    }

    async fn set_on(&self, loan: &mut Loan, user: &str) -> Result<Secret, ProviderFault> {
        let name = fault::plain(user);
        let host = &self.config.client_host;
        let server = loan.server();
        self.look(loan, user).await?;
        let verifying = tokio::task::spawn_blocking(move || verifier::fresh(server));
        let stopping = |_| ProviderFault::Unreachable("the broker is stopping".to_owned());
        let (password, verifier) = verifying.await.map_err(stopping)??;
        let doing = format!("setting the password of `{name}`");
        for statement in server.setting(&sql::account(user, host), &verifier) {
            loan.run(&doing, &statement).await.map_err(guided)?;
        }
        Ok(password)
    }

    /// Whether the user is there, may log in, and is no administrator.
    async fn look(&self, loan: &mut Loan, user: &str) -> Result<(), ProviderFault> {
        let (name, host) = (fault::plain(user), &self.config.client_host);
        let question = loan.server().standing(user, host);
        let found: Vec<(String, String)> =
            loan.rows(&format!("looking at the user `{name}`"), &question).await.map_err(guided)?;
        let wrong = match found.first().map(|(power, ended)| (power.as_str(), ended.as_str())) {
            Some(("N", "N")) => return Ok(()),
            Some(("N", _)) => "is locked, or its password has expired: unlock it as an admin",
            Some(_) => {
                "has SUPER, CREATE USER, GRANT OPTION or SYSTEM_USER for the whole server: let users without them take turns"
            }
            None => {
                "is not there with this host part: make it, with the rights of the other one, or correct `client_host`"
            }
        };
        Err(ProviderFault::Misconfigured(format!("the user `{name}`@`{host}` {wrong}; {GUIDE}")))
    }

    async fn tried(&self, user: &str, password: &Secret) -> Result<(), ProviderFault> {
        let mut conn = self.pool.connector().connect_as(user, password).await?;
        let doing = format!("asking as whom `{}` was seen", fault::plain(user));
        let seen: Vec<String> = rows::asked(&mut conn, &doing, "SELECT CURRENT_USER()").await?;
        conn.disconnect().await.map_err(|error| fault::of(&doing, &error))?;
        let account = format!("{user}@{}", self.config.client_host);
        match seen.first() {
            Some(seen) if seen.eq_ignore_ascii_case(&account) => Ok(()),
            seen => Err(ProviderFault::Refused(format!(
                "{doing}: the server took it for `{}`: an account whose host part is narrower stands before it",
                fault::plain(seen.map_or("", String::as_str))
            ))),
        }
    }
}

/// What the login lacks is said in docs/providers/static.md, not where the provider `mysql` says it.
fn guided(fault: ProviderFault) -> ProviderFault {
    match fault {
        ProviderFault::Misconfigured(text) => {
            let said = text.split_once(": the broker's login needs").map_or(text.as_str(), |(said, _)| said);
            ProviderFault::Misconfigured(format!(
                "{said}: the login needs CREATE USER, and SELECT on `mysql.user`, at MySQL on `mysql.global_grants` too; {GUIDE}"
            ))
        }
        other => other,
    }
}

const GUIDE: &str = "see \"Rotation\" in docs/providers/static.md for the statements that an admin runs";

impl PasswordSetter for MysqlPasswords {
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

impl Server {
    /// Whether an account has more power than a program's, and whether it may not log in: `Y` or `N` each.
    fn standing(self, user: &str, host: &str) -> String {
        let whose = format!("User = {} AND Host = {}", sql::text(user), sql::text(host));
        let power = "Super_priv = 'Y' OR Create_user_priv = 'Y' OR Grant_priv = 'Y'";
        match self {
            Self::Mysql => format!(
                "SELECT IF({power} OR EXISTS (SELECT 1 FROM mysql.global_grants AS held WHERE held.USER = u.User \
                 AND held.HOST = u.Host AND held.PRIV = 'SYSTEM_USER'), 'Y', 'N'), \
                 IF(account_locked = 'Y' OR password_expired = 'Y', 'Y', 'N') FROM mysql.user AS u WHERE {whose}"
            ),
            Self::Mariadb => format!(
                "SELECT IF({power}, 'Y', 'N'), IF(is_role = 'Y' OR password_expired = 'Y', 'Y', 'N') \
                 FROM mysql.user WHERE {whose}"
            ),
        }
    }

    /// The statements that set a password by its verifier. One that MySQL was told to keep beside it goes first.
    fn setting(self, account: &str, verifier: &str) -> Vec<String> {
        match self {
            Self::Mysql => vec![
                format!("ALTER USER {account} DISCARD OLD PASSWORD"),
                format!("ALTER USER {account} IDENTIFIED WITH caching_sha2_password AS 0x{verifier}"),
            ],
            Self::Mariadb => vec![format!("ALTER USER {account} IDENTIFIED VIA ed25519 USING '{verifier}'")],
        }
    }
}
