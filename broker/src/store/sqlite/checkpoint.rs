//! Bringing the write-ahead log into the database beside the commits, not within one of them.
//!
//! Left to itself, SQLite does it within the commit that makes the log too long: whoever waits for that commit waits for some
//! thousand pages and two syncs more. Here a thread of its own copies what is committed, while commits go on. What comes in
//! meanwhile is copied again, until little is left; that little the writer copies itself, between two commits, because only
//! a log that is wholly copied begins again at its start. Nothing here decides what is durable: the log is, by each commit.

use rusqlite::Connection;

use super::{Worker, fault};
use crate::store::StoreFault;

/// From how many pages of 4 KiB on the log is brought into the database.
pub(super) const PAGES: u64 = 4096;
/// From how many pages on the commit does it after all: the disk is too slow for the thread to keep up.
pub(super) const MOST_PAGES: i64 = 8 * 4096;
/// How many pages may be left to the writer.
const REST: u64 = 256;
/// How often the thread copies before it leaves the rest to the writer, whatever it is.
const ROUNDS: usize = 4;

/// What `PRAGMA wal_checkpoint` reports: pages in the log, and how many of them are in the database.
#[derive(Debug, Clone, Copy)]
struct Log {
    pages: u64,
    copied: u64,
}

fn checkpoint(connection: &Connection, sql: &str) -> Result<Log, StoreFault> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| fault(&error))?;
    let count = |row: &rusqlite::Row<'_>, index| row.get(index).map(|count: i64| u64::try_from(count).unwrap_or(0));
    let read = statement.query_row([], |row| Ok(Log { pages: count(row, 1)?, copied: count(row, 2)? }));
    read.map_err(|error| fault(&error))
}

/// How many pages the log has.
pub(super) fn pages(connection: &Connection) -> Result<u64, StoreFault> {
    checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)").map(|log| log.pages)
}

fn copy(connection: &Connection) -> Result<Log, StoreFault> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Copies the log, and leaves the rest to the writer.
pub(super) async fn run(copier: &Worker, writer: &Worker) {
    let copied = copier.run(|connection| {
        for _ in 0..ROUNDS {
            let log = copy(connection)?;
            if log.pages.saturating_sub(log.copied) < REST {
                break;
            }
        }
        Ok(())
    });
    let outcome = match copied.await {
        Ok(()) => writer.run(|connection| copy(connection).map(drop)).await,
        fault => fault,
    };
    if let Err(fault) = outcome {
        tracing::warn!(%fault, "the store's log could not be brought into the database; it is tried again");
    }
}
