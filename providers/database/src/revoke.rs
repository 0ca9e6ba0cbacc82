//! Revoke: the writ's role goes, with its sessions, and what it owned goes to the role that it acted as.
//!
//! The order is the point. No more logins, committed; then its backends end; then, in each database where the role owns
//! something or was granted something, its objects are given to the home role and its grants dropped; then the role
//! goes. Each step can be repeated, so that a call that was cut short is finished by the next.
//!
//! Who inherits is never read from the role's own settings: the session could have changed those, and would have its
//! objects (functions that run as their owner among them) handed to a role of its choice. It is what the grant named,
//! or one of the roles that the writ's role is a member of, which the session cannot change.

use std::time::Duration;

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;
use writ_core::provider::ProviderFault;

use crate::pool::{Loan, Pool};
use crate::{fault, sql};

/// How often to look whether terminated backends have gone; the caller's deadline bounds the whole.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Removes `role`, giving what it owns to `home`, or to a role that it is a member of where that is not known.
pub(crate) async fn remove(pool: &Pool, role: &str, home: Option<&str>) -> Result<(), ProviderFault> {
    let loan = pool.take().await?;
    let result = remove_on(pool, &loan, role, home).await;
    // The server answered, by success or by refusal: nothing runs on the connection any more.
    if !matches!(result, Err(ProviderFault::Unreachable(_))) {
        pool.put_back(loan);
    }
    result
}

async fn remove_on(pool: &Pool, loan: &Loan, role: &str, home: Option<&str>) -> Result<(), ProviderFault> {
    let name = sql::name(role);
    let Some(found) = shut(loan, role).await? else { return Ok(()) };
    if found.backends > 0 || !found.databases.is_empty() {
        // Membership lets a login without superuser end the role's backends and give away its objects. It goes with
        // the role.
        step(loan, role, "joining", &format!("GRANT {name} TO CURRENT_USER")).await?;
        end_backends(loan, role).await?;
        let home = home.or(found.home.as_deref()).ok_or_else(|| {
            ProviderFault::Refused(format!(
                "the role `{role}` owns objects and is a member of no role that could take them"
            ))
        })?;
        for database in databases(loan, role).await? {
            give_away(pool, role, home, &database).await?;
        }
    }
    step(loan, role, "dropping", &format!("DROP ROLE IF EXISTS {name}")).await
}

/// What there is of a role.
struct Found {
    backends: u64,
    databases: Vec<String>,
    home: Option<String>,
}

/// Forbids further logins and looks at what the role left; `None` where there is no such role.
async fn shut(loan: &Loan, role: &str) -> Result<Option<Found>, ProviderFault> {
    let (name, text) = (sql::name(role), sql::text(role));
    // One round trip, one transaction; the look happens before the commit, so backends are looked for again below.
    let statements = format!(
        "ALTER ROLE {name} NOLOGIN; \
         SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE usename = {text}), \
                (SELECT min(g.rolname) FROM pg_catalog.pg_auth_members m \
                   JOIN pg_catalog.pg_roles r ON r.oid = m.member JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
                  WHERE r.rolname = {text})"
    );
    let rows = match loan.run(&statements).await {
        Ok(rows) => rows,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => return Ok(None),
        Err(error) => return Err(fault::of(&format!("shutting the role `{role}`"), &error)),
    };
    let row = rows.iter().find_map(row);
    let backends = row.and_then(|row| row.get(0)).and_then(|count| count.parse().ok()).unwrap_or(0);
    let home = row.and_then(|row| row.get(1)).map(str::to_owned);
    Ok(Some(Found { backends, databases: databases(loan, role).await?, home }))
}

/// Ends the role's backends and waits until they have gone. The caller's deadline bounds the wait.
async fn end_backends(loan: &Loan, role: &str) -> Result<(), ProviderFault> {
    let statement = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = {}",
        sql::text(role)
    );
    loop {
        let said = |error| fault::of(&format!("ending the sessions of `{role}`"), &error);
        if loan.run(&statement).await.map_err(said)?.iter().all(|message| row(message).is_none()) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The databases where the role owns something or was granted something; shared objects count as the own database's.
async fn databases(loan: &Loan, role: &str) -> Result<Vec<String>, ProviderFault> {
    let statement = format!(
        "SELECT DISTINCT coalesce(d.datname, pg_catalog.current_database()) \
           FROM pg_catalog.pg_shdepend s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
          WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass \
            AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {}) \
            AND s.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass",
        sql::text(role)
    );
    let said = |error| fault::of(&format!("looking for what `{role}` owns"), &error);
    let messages = loan.run(&statement).await.map_err(said)?;
    Ok(messages.iter().filter_map(row).filter_map(|row| row.get(0)).map(str::to_owned).collect())
}

async fn give_away(pool: &Pool, role: &str, home: &str, database: &str) -> Result<(), ProviderFault> {
    let (name, heir) = (sql::name(role), sql::name(home));
    let client = pool.connector().connect_to(database).await?;
    let statements = format!("REASSIGN OWNED BY {name} TO {heir}; DROP OWNED BY {name}");
    let said =
        |error| fault::of(&format!("giving what `{role}` owns in `{}` to `{home}`", fault::plain(database)), &error);
    client.simple_query(&statements).await.map(drop).map_err(said)
}

async fn step(loan: &Loan, role: &str, doing: &str, statement: &str) -> Result<(), ProviderFault> {
    loan.run(statement).await.map(drop).map_err(|error| fault::of(&format!("{doing} the role `{role}`"), &error))
}

fn row(message: &SimpleQueryMessage) -> Option<&tokio_postgres::SimpleQueryRow> {
    match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    }
}
