//! Where MySQL and MariaDB differ: versions, how a writ's user is named and made, and where the server says what is there.
//!
//! MySQL keeps a writ's end as the account's attribute. MariaDB has no such place, so that there the name carries it: the
//! writ's id, `-`, and the end in seconds since 1970.

use jiff::Timestamp;
use writ_core::id::WritId;
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use super::{fault, sql};

/// What the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// MySQL 8.4 or later.
    Mysql,
    /// MariaDB 10.11 or later.
    Mariadb,
}

/// A writ's user to be made.
pub(crate) struct NewUser<'a> {
    pub(crate) writ: &'a Writ,
    pub(crate) host: &'a str,
    pub(crate) roles: &'a [&'a str],
    pub(crate) verifier: &'a str,
    pub(crate) expires: Timestamp,
    pub(crate) connections: u32,
}

impl Server {
    /// By what `VERSION()` gives.
    pub(crate) fn of_version(text: &str) -> Result<Self, ProviderFault> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let (server, name, least) = if text.contains("MariaDB") {
            (Self::Mariadb, "MariaDB", (10, 11))
        } else {
            (Self::Mysql, "MySQL", (8, 4))
        };
        if version >= least {
            return Ok(server);
        }
        Err(ProviderFault::Misconfigured(format!(
            "the server is {name} `{}`: {name} {}.{} or later is needed",
            fault::plain(text),
            least.0,
            least.1
        )))
    }

    /// The name of the writ's user.
    pub(crate) fn principal(self, id: WritId, expires: Timestamp) -> String {
        match self {
            Self::Mysql => id.to_string(),
            Self::Mariadb => format!("{id}-{}", expires.as_second()),
        }
    }

    /// The writ and the end that a user's name and, at MySQL, its attribute tell. `None` for what is no writ's.
    pub(crate) fn writ_of(self, user: &str, attribute: Option<&str>) -> Option<(WritId, Timestamp)> {
        match self {
            Self::Mysql => Some((user.parse().ok()?, attribute?.parse().ok()?)),
            Self::Mariadb => {
                let (id, end) = user.rsplit_once('-')?;
                Some((id.parse().ok()?, Timestamp::from_second(end.parse().ok()?).ok()?))
            }
        }
    }

    /// Users and hosts of the writ's accounts: one, none, or several where the settings changed between.
    pub(crate) fn accounts(self, id: WritId) -> String {
        let whose = self.whose("User", id);
        match self {
            Self::Mysql => format!("SELECT USER, HOST FROM information_schema.USER_ATTRIBUTES WHERE {whose}"),
            Self::Mariadb => format!("SELECT User, Host FROM mysql.user WHERE {whose}"),
        }
    }

    /// The ids of the writ's sessions. Where performance_schema is off this view knows them still.
    pub(crate) fn sessions(self, id: WritId) -> String {
        format!("SELECT ID FROM information_schema.PROCESSLIST WHERE {}", self.whose("USER", id))
    }

    /// Users, hosts and ends of all writs' accounts.
    pub(crate) const fn all_accounts(self) -> &'static str {
        match self {
            Self::Mysql => {
                "SELECT USER, HOST, ATTRIBUTE->>'$.expires' FROM information_schema.USER_ATTRIBUTES \
                  WHERE USER LIKE 'writ-%' LIMIT 100000"
            }
            Self::Mariadb => "SELECT User, Host, NULL FROM mysql.user WHERE User LIKE 'writ-%' LIMIT 100000",
        }
    }

    /// An id has no character that LIKE or a literal takes for another.
    fn whose(self, column: &str, id: WritId) -> String {
        match self {
            Self::Mysql => format!("{column} = '{id}'"),
            Self::Mariadb => format!("{column} LIKE '{id}-%'"),
        }
    }

    /// A role as it is written in a grant. MySQL's roles have a host part, by custom `%`.
    pub(crate) fn role(self, role: &str) -> String {
        match self {
            Self::Mysql => sql::account(role, "%"),
            Self::Mariadb => sql::name(role),
        }
    }

    /// The statements that make the user: the first makes it and gives it no right at MariaDB, and all at MySQL, which does
    /// both or neither.
    pub(crate) fn making(self, new: &NewUser<'_>) -> (String, Option<String>) {
        let account = sql::account(&self.principal(new.writ.id, new.expires), new.host);
        let roles: Vec<String> = new.roles.iter().map(|role| self.role(role)).collect();
        let roles = roles.join(", ");
        let (verifier, connections) = (new.verifier, new.connections);
        let days = lasting_days(new.writ, new.expires);
        match self {
            Self::Mysql => {
                let (id, session, expires) = (new.writ.id, new.writ.session, new.expires);
                let create = format!(
                    "CREATE USER {account} IDENTIFIED WITH caching_sha2_password AS 0x{verifier} DEFAULT ROLE {roles} \
                     REQUIRE SSL WITH MAX_USER_CONNECTIONS {connections} PASSWORD EXPIRE INTERVAL {days} DAY \
                     PASSWORD REQUIRE CURRENT \
                     ATTRIBUTE '{{\"writ\": \"{id}\", \"session\": \"{session}\", \"expires\": \"{expires}\"}}'"
                );
                (create, None)
            }
            Self::Mariadb => {
                let create = format!(
                    "CREATE USER {account} IDENTIFIED VIA ed25519 USING '{verifier}' \
                     REQUIRE SSL WITH MAX_USER_CONNECTIONS {connections} PASSWORD EXPIRE INTERVAL {days} DAY"
                );
                let grants: Vec<String> =
                    new.roles.iter().map(|role| format!("GRANT {} TO {account}; ", self.role(role))).collect();
                let home = new.roles.first().map(|role| self.role(role)).unwrap_or_default();
                (create, Some(format!("{}SET DEFAULT ROLE {home} FOR {account}", grants.concat())))
            }
        }
    }
}

/// After how many days the password expires by itself, the shortest that the servers know: longer than the writ, and all that
/// ends a user whom nobody comes to remove.
fn lasting_days(writ: &Writ, expires: Timestamp) -> i64 {
    let life = expires.as_second().saturating_sub(writ.opened.as_second()).max(0);
    (life / 86_400).saturating_add(1).min(65_535)
}
