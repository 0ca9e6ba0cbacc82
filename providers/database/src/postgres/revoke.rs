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

use super::pool::{Loan, Pool};
use super::{fault, sql};

/// How often to look whether terminated backends have gone, and to begin again; the caller's deadline bounds the whole.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often to begin again when another revocation of the same writ, or a session about to end, came between.
const ATTEMPTS: usize = 10;

/// Why a step did not succeed.
enum Stopped {
    /// Something came between: begin again, and this is what to say if that does not help.
    Again(ProviderFault),
    /// The server will not do it, or cannot be reached.
    Fault(ProviderFault),
}

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
    let mut attempt = 1;
    loop {
        match attempt_on(pool, loan, role, home).await {
            Ok(()) => return Ok(()),
            Err(Stopped::Again(_)) if attempt < ATTEMPTS => {}
            Err(Stopped::Again(fault) | Stopped::Fault(fault)) => return Err(fault),
        }
        attempt += 1;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn attempt_on(pool: &Pool, loan: &Loan, role: &str, home: Option<&str>) -> Result<(), Stopped> {
    let name = sql::name(role);
    let Shut::NoLogin { parent } = shut(loan, role).await? else { return Ok(()) };
    if left(loan, role).await? {
        // Membership lets a login without superuser end the role's backends and give away its objects. It goes with
        // the role.
        step(loan, role, "joining", &format!("GRANT {name} TO CURRENT_USER")).await?;
        end_backends(loan, role).await?;
        for database in databases(loan, role).await? {
            let heir = home.or(parent.as_deref()).ok_or_else(|| Stopped::Fault(no_heir(role)))?;
            give_away(pool, role, heir, &database).await?;
        }
    }
    step(loan, role, "dropping", &format!("DROP ROLE IF EXISTS {name}")).await
}

/// What forbidding further logins found.
enum Shut {
    /// There is no such role.
    Gone,
    /// The role is there and takes no more logins; `parent` is a role that it is a member of.
    NoLogin { parent: Option<String> },
}

/// Forbids further logins. Not flushed on its own: the drop that follows is, and until then the caller knows nothing.
async fn shut(loan: &Loan, role: &str) -> Result<Shut, Stopped> {
    let statements = format!(
        "SET LOCAL synchronous_commit = off; ALTER ROLE {} NOLOGIN; \
         SELECT min(g.rolname::text) FROM pg_catalog.pg_auth_members m \
           JOIN pg_catalog.pg_roles r ON r.oid = m.member JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
          WHERE r.rolname = {}",
        sql::name(role),
        sql::text(role)
    );
    match loan.run(&statements).await {
        Ok(rows) => Ok(Shut::NoLogin { parent: values(&rows).next() }),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(Shut::Gone),
        Err(error) => Err(stopped(&format!("shutting the role `{role}`"), &error)),
    }
}

/// Whether there are backends or belongings. Asked after [`shut`] was committed, so that no login comes after it.
async fn left(loan: &Loan, role: &str) -> Result<bool, Stopped> {
    let statement = format!(
        "SELECT 1 WHERE EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE usename = {}) OR EXISTS ({})",
        sql::text(role),
        belongings(role, "")
    );
    let said = |error| stopped(&format!("looking for what `{role}` left"), &error);
    Ok(values(&loan.run(&statement).await.map_err(said)?).next().is_some())
}

/// Ends the role's backends and waits until they have gone. The caller's deadline bounds the wait.
async fn end_backends(loan: &Loan, role: &str) -> Result<(), Stopped> {
    let statement = format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = {}",
        sql::text(role)
    );
    let said = |error| stopped(&format!("ending the sessions of `{role}`"), &error);
    while values(&loan.run(&statement).await.map_err(said)?).next().is_some() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// The databases where the role owns something or was granted something; shared objects count as the own database's.
async fn databases(loan: &Loan, role: &str) -> Result<Vec<String>, Stopped> {
    let statement = belongings(role, "DISTINCT coalesce(d.datname, pg_catalog.current_database())::text");
    let said = |error| stopped(&format!("looking for what `{role}` owns"), &error);
    Ok(values(&loan.run(&statement).await.map_err(said)?).collect())
}

/// What depends on the role, but its memberships, which go with it.
fn belongings(role: &str, columns: &str) -> String {
    format!(
        "SELECT {columns} FROM pg_catalog.pg_shdepend s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
          WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass \
            AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = {}) \
            AND s.classid <> 'pg_catalog.pg_auth_members'::pg_catalog.regclass",
        sql::text(role)
    )
}

async fn give_away(pool: &Pool, role: &str, heir: &str, database: &str) -> Result<(), Stopped> {
    let (name, to) = (sql::name(role), sql::name(heir));
    let client = pool.connector().connect_to(database).await.map_err(Stopped::Fault)?;
    let statements = format!("REASSIGN OWNED BY {name} TO {to}; DROP OWNED BY {name}");
    let doing = format!("giving what `{role}` owns in `{}` to `{heir}`", fault::plain(database));
    client.simple_query(&statements).await.map(drop).map_err(|error| stopped(&doing, &error))
}

async fn step(loan: &Loan, role: &str, doing: &str, statement: &str) -> Result<(), Stopped> {
    let said = |error| stopped(&format!("{doing} the role `{role}`"), &error);
    loan.run(statement).await.map(drop).map_err(said)
}

/// Another's hand in the same catalogue rows, a role that another has dropped meanwhile, or an object that an ending
/// session made meanwhile: beginning again settles each. Everything else stands.
fn stopped(doing: &str, error: &tokio_postgres::Error) -> Stopped {
    const PASSING: [SqlState; 6] = [
        // "tuple concurrently updated"
        SqlState::INTERNAL_ERROR,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNDEFINED_OBJECT,
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        SqlState::OBJECT_IN_USE,
        SqlState::UNIQUE_VIOLATION,
    ];
    let fault = fault::of(doing, error);
    if error.code().is_some_and(|code| PASSING.contains(code)) { Stopped::Again(fault) } else { Stopped::Fault(fault) }
}

fn no_heir(role: &str) -> ProviderFault {
    ProviderFault::Refused(format!("the role `{role}` owns objects and is a member of no role that could take them"))
}

/// The first column of each row.
fn values(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = String> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten().map(str::to_owned),
        _ => None,
    })
}
