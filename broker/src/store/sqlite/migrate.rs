//! Migrations: numbered files, each run once, each in a transaction, their text pinned by its digest.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::Connection;

use super::fault;
use crate::keys::files::hex;
use crate::store::StoreFault;

const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001.sql")),
    (2, include_str!("../migrations/0002.sql")),
    (3, include_str!("../migrations/0003.sql")),
    (4, include_str!("../migrations/0004.sql")),
    (5, include_str!("../migrations/0005.sql")),
    (6, include_str!("../migrations/0006.sql")),
    (7, include_str!("../migrations/0007.sql")),
    (8, include_str!("../migrations/0008.sql")),
];

/// Brings the tables up to date.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreFault> {
    up_to(connection, i64::MAX)
}

/// Brings the tables to what they were with this migration.
pub(super) fn up_to(connection: &mut Connection, last: i64) -> Result<(), StoreFault> {
    connection
        .execute_batch("CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, digest TEXT NOT NULL)")
        .map_err(|error| fault(&error))?;
    let newest: Option<i64> = connection
        .query_row("SELECT max(number) FROM migrations", [], |row| row.get(0))
        .map_err(|error| fault(&error))?;
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    if newest.is_some_and(|newest| newest > known) {
        return Err(StoreFault("the store was made by a newer version: run that one, or restore a backup".to_owned()));
    }
    let mut wanted = MIGRATIONS.iter().filter(|(number, _)| *number <= last);
    wanted.try_for_each(|(number, text)| apply(connection, *number, text))
}

fn apply(connection: &mut Connection, number: i64, text: &str) -> Result<(), StoreFault> {
    let expected = hex(digest(&SHA256, text.as_bytes()).as_ref());
    let transaction = connection.transaction().map_err(|error| fault(&error))?;
    let found: Option<String> = transaction
        .query_row("SELECT max(digest) FROM migrations WHERE number = $1", [number], |row| row.get(0))
        .map_err(|error| fault(&error))?;
    match found {
        Some(found) if found == expected => return Ok(()),
        Some(_) => return Err(StoreFault(format!("migration {number} was changed after it ran"))),
        None => {}
    }
    transaction.execute_batch(text).map_err(|error| fault(&error))?;
    transaction
        .execute("INSERT INTO migrations (number, digest) VALUES ($1, $2)", (number, expected))
        .map_err(|error| fault(&error))?;
    transaction.commit().map_err(|error| fault(&error))
}
