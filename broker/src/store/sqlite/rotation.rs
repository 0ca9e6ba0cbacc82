//! The last turn of each target whose password is changed in turns.

use rusqlite::{Connection, Transaction};
use writ_core::rotation::TurnRecord;
use writ_core::target::TargetName;

use super::read;
use super::rows::{document, signed};
use super::write::execute;
use crate::store::StoreFault;

/// All of them, by target.
pub(super) fn all(connection: &Connection) -> Result<Vec<TurnRecord>, StoreFault> {
    let texts: Vec<String> =
        read::all(connection, "SELECT document FROM rotations ORDER BY target", [], |row| row.get(0))?;
    texts.iter().map(|text| document(text, "turn")).collect()
}

/// Whether it has this version; 0 is that of one that is not there.
pub(super) fn is_at(transaction: &Transaction<'_>, target: &TargetName, version: u64) -> Result<bool, StoreFault> {
    let sql = "SELECT version FROM rotations WHERE target = $1";
    let found: Vec<i64> = read::all(transaction, sql, [target.as_str()], |row| row.get(0))?;
    Ok(found.first().copied().unwrap_or(0) == signed(version))
}

/// Its new form.
pub(super) fn put(transaction: &Transaction<'_>, turn: &TurnRecord) -> Result<(), StoreFault> {
    let text = serde_json::to_string(turn).map_err(|error| StoreFault(format!("a turn cannot be written: {error}")))?;
    execute(
        transaction,
        "INSERT INTO rotations (target, version, document) VALUES ($1, $2, $3) \
         ON CONFLICT (target) DO UPDATE SET version = excluded.version, document = excluded.document",
        (turn.target.as_str(), signed(turn.version), text),
    )
    .map(drop)
}
