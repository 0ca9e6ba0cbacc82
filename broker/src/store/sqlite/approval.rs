//! Approvals: one document each, with the columns by which it is found.

use rusqlite::{Connection, Transaction};
use writ_core::approval::{Approval, ApprovalState};
use writ_core::id::{ApprovalId, GatewayId};
use writ_core::time::Timestamp;

use super::read;
use super::rows::{document, micros, signed};
use super::write::execute;
use crate::store::{MAX_APPROVALS, StoreFault};

/// The windows that are looked through for one question.
const MOST_WINDOWS: i64 = 10_000;

pub(super) fn one(connection: &Connection, id: ApprovalId) -> Result<Option<Approval>, StoreFault> {
    let found = many(connection, "SELECT document FROM approvals WHERE id = $1", [id.to_string()])?;
    Ok(found.into_iter().next())
}

/// The open ones, or all, newest first; at most as many as may be open.
pub(super) fn all(connection: &Connection, open: bool) -> Result<Vec<Approval>, StoreFault> {
    let most = i64::try_from(MAX_APPROVALS).unwrap_or(i64::MAX);
    let sql = if open {
        "SELECT document FROM approvals WHERE open = 1 ORDER BY id DESC LIMIT $1"
    } else {
        "SELECT document FROM approvals ORDER BY id DESC LIMIT $1"
    };
    many(connection, sql, [most])
}

pub(super) fn open(connection: &Connection) -> Result<u64, StoreFault> {
    let counts =
        read::all(connection, "SELECT count(*) FROM approvals WHERE open = 1", [], |row| row.get::<_, i64>(0))?;
    Ok(counts.first().map_or(0, |count| count.unsigned_abs()))
}

pub(super) fn settled(
    connection: &Connection,
    gateway: GatewayId,
    since: Timestamp,
) -> Result<Vec<Approval>, StoreFault> {
    let sql = "SELECT document FROM approvals WHERE gateway = $1 AND settled >= $2";
    many(connection, sql, (gateway.to_string(), micros(since)))
}

pub(super) fn windows(connection: &Connection, now: Timestamp) -> Result<Vec<Approval>, StoreFault> {
    many(connection, "SELECT document FROM approvals WHERE until > $1 LIMIT $2", (micros(now), MOST_WINDOWS))
}

fn many(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<Approval>, StoreFault> {
    let texts: Vec<String> = read::all(connection, sql, parameters, |row| row.get(0))?;
    texts.iter().map(|text| document(text, "approval")).collect()
}

pub(super) fn put(transaction: &Transaction<'_>, approval: &Approval) -> Result<(), StoreFault> {
    let text = serde_json::to_string(approval)
        .map_err(|error| StoreFault(format!("an approval cannot be written: {error}")))?;
    let open = matches!(approval.state, ApprovalState::Asked | ApprovalState::Approved);
    let until = approval.window.as_ref().filter(|window| window.left > 0).map(|window| micros(window.until));
    let settled = approval.settled.map(micros);
    let (version, gateway) = (signed(approval.version), approval.gateway.to_string());
    execute(
        transaction,
        "INSERT INTO approvals (id, version, open, gateway, settled, until, document) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, open = excluded.open, settled = excluded.settled, \
         until = excluded.until, document = excluded.document",
        (approval.id.to_string(), version, i64::from(open), gateway, settled, until, text),
    )
    .map(drop)
}
