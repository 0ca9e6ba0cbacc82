//! What the broker's login may do, by the server's own account. A login that could make users and not end their sessions makes
//! none.

use writ_core::provider::ProviderFault;

use super::dialect::Server;
use super::{fault, sql};

/// Each right, and another that holds it too.
const MYSQL: [(&str, &str); 4] = [
    ("CREATE USER", "CREATE USER"),
    ("PROCESS", "PROCESS"),
    ("CONNECTION_ADMIN", "SUPER"),
    // Without it a user whose session made a view or a routine could not be dropped.
    ("ALLOW_NONEXISTENT_DEFINER", "ALLOW_NONEXISTENT_DEFINER"),
];
const MARIADB: [(&str, &str); 3] =
    [("CREATE USER", "CREATE USER"), ("PROCESS", "PROCESS"), ("CONNECTION ADMIN", "CONNECTION ADMIN")];

/// Whether the lines of `SHOW GRANTS` hold what is needed.
///
/// # Errors
/// What is missing, and the statement that grants it.
pub(crate) fn suffice(server: Server, grants: &[String], user: &str) -> Result<(), ProviderFault> {
    let held = held(grants, "*.*");
    let needed: &[(&str, &str)] = match server {
        Server::Mysql => &MYSQL,
        Server::Mariadb => &MARIADB,
    };
    let has = |right: &str| held.iter().any(|one| *one == right || *one == "ALL PRIVILEGES");
    let missing = needed.iter().filter(|(right, other)| !has(right) && !has(other)).map(|(right, _)| *right);
    let missing: Vec<&str> = missing.collect();
    if !missing.is_empty() {
        return Err(lacking(&missing.join(", "), "*.*", user));
    }
    // MariaDB lets nobody else set a user's default role.
    if server == Server::Mariadb {
        let local = self::held(grants, "`mysql`.*");
        let has = |right: &str| has(right) || local.iter().any(|one| *one == right || *one == "ALL PRIVILEGES");
        if !has("SELECT") || !has("UPDATE") {
            return Err(lacking("SELECT, UPDATE", "mysql.*", user));
        }
    }
    Ok(())
}

/// The rights on `place`, which stand between `GRANT` and `ON` of a line.
fn held<'a>(grants: &'a [String], place: &str) -> Vec<&'a str> {
    let on = format!(" ON {place} TO ");
    let lists = grants.iter().filter_map(|line| line.strip_prefix("GRANT ")?.split_once(&on).map(|(list, _)| list));
    lists.flat_map(|list| list.split(',')).map(str::trim).collect()
}

fn lacking(rights: &str, place: &str, user: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "the broker's login `{}` lacks rights: run `GRANT {rights} ON {place} TO {}` as an admin, with the login's own host \
         part; {}",
        fault::plain(user),
        sql::name(user),
        fault::GUIDE
    ))
}
