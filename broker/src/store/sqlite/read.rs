//! Reading.

use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use writ_broker_api::admin::{Segment, Session};
use writ_core::client::ClientKey;
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::target::Labels;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_ledger::Hash;

use super::fault;
use super::rows::{GATEWAY, GatewayRow, SESSION, SessionRow, document, micros, parsed, signed, unsigned};
use crate::store::{DueRevocation, EnrolledGateway, Rows, StoreFault, StoredHead, Uses};

/// All rows of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreFault> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| fault(&error))?;
    let rows = statement.query_map(parameters, read).map_err(|error| fault(&error))?;
    rows.collect::<rusqlite::Result<Vec<T>>>().map_err(|error| fault(&error))
}

fn one<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreFault> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| fault(&error))?;
    statement.query_row(parameters, read).optional().map_err(|error| fault(&error))
}

pub(super) fn head(connection: &Connection) -> Result<StoredHead, StoreFault> {
    let row = one(connection, "SELECT size, root, applied FROM ledger_head", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, i64>(2)?))
    })?;
    let Some((size, root, applied)) = row else {
        return Ok(StoredHead { size: 0, root: writ_ledger::hash::empty(), applied: 0 });
    };
    let root = Hash::from_slice(&root).ok_or_else(|| StoreFault("the stored ledger head is malformed".to_owned()))?;
    Ok(StoredHead { size: unsigned(size), root, applied: unsigned(applied) })
}

pub(super) fn entries(connection: &Connection, from: u64, limit: u32) -> Result<Vec<Vec<u8>>, StoreFault> {
    let applied = head(connection)?.applied;
    if from < applied {
        return Err(StoreFault(format!("ledger entry {from} is forgotten: the first {applied} stand in the tiles")));
    }
    let sql = "SELECT number, bytes FROM ledger_entries WHERE number >= $1 ORDER BY number LIMIT $2";
    let rows = all(connection, sql, (signed(from), limit), |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    (signed(from)..)
        .zip(rows)
        .map(|(expected, (number, bytes))| match number == expected {
            true => Ok(bytes),
            false => Err(StoreFault(format!("ledger entry {expected} is missing from the store"))),
        })
        .collect()
}

pub(super) fn writ(connection: &Connection, writ: WritId) -> Result<Option<Writ>, StoreFault> {
    let sql = "SELECT document FROM writs WHERE id = $1";
    let text: Option<String> = one(connection, sql, [writ.to_string()], |row| row.get(0))?;
    text.map(|text| document(&text, "writ")).transpose()
}

pub(super) fn writs(connection: &Connection, rows: Rows<WritId>) -> Result<Vec<Writ>, StoreFault> {
    let sql = "SELECT document FROM writs WHERE ($1 IS NULL OR id < $1) AND ($2 = 0 OR ended IS NULL) \
               ORDER BY id DESC LIMIT $3";
    let after = rows.after.map(|after| after.to_string());
    let texts: Vec<String> = all(connection, sql, (after, i64::from(rows.live), rows.limit), |row| row.get(0))?;
    texts.iter().map(|text| document(text, "writ")).collect()
}

fn segments(connection: &Connection, session: SessionId) -> Result<Vec<Segment>, StoreFault> {
    let sql = "SELECT stream, sequence, digest, bytes FROM segments WHERE session = $1 ORDER BY stream, sequence";
    all(connection, sql, [session.to_string()], |row| {
        Ok(Segment {
            stream: row.get(0)?,
            sequence: unsigned(row.get(1)?),
            digest: row.get(2)?,
            bytes: unsigned(row.get(3)?),
        })
    })
}

fn with_segments(connection: &Connection, row: SessionRow) -> Result<Session, StoreFault> {
    let session = row.session(Vec::new())?;
    Ok(Session { segments: segments(connection, session.id)?, ..session })
}

pub(super) fn session(connection: &Connection, session: SessionId) -> Result<Option<Session>, StoreFault> {
    let sql = format!("SELECT {SESSION} FROM writs WHERE session = $1");
    let row = one(connection, &sql, [session.to_string()], SessionRow::read)?;
    row.map(|row| with_segments(connection, row)).transpose()
}

pub(super) fn sessions(
    connection: &Connection,
    rows: Rows<SessionId>,
    key: Option<&ClientKey>,
) -> Result<Vec<Session>, StoreFault> {
    let (after, live) = (rows.after.map(|after| after.to_string()), i64::from(rows.live));
    let found = match key {
        None => {
            let sql = format!(
                "SELECT {SESSION} FROM writs WHERE ($1 IS NULL OR session < $1) AND ($2 = 0 OR ended IS NULL) \
                 ORDER BY session DESC LIMIT $3"
            );
            all(connection, &sql, (after, live, rows.limit), SessionRow::read)?
        }
        Some(key) => {
            let sql = format!(
                "SELECT {SESSION} FROM writs WHERE client_key = $1 AND ($2 IS NULL OR session < $2) \
                 AND ($3 = 0 OR ended IS NULL) ORDER BY session DESC LIMIT $4"
            );
            all(connection, &sql, (key.as_str(), after, live, rows.limit), SessionRow::read)?
        }
    };
    found.into_iter().map(|row| with_segments(connection, row)).collect()
}

pub(super) fn open_sessions(connection: &Connection, gateway: GatewayId) -> Result<Vec<Session>, StoreFault> {
    let sql = format!("SELECT {SESSION} FROM writs WHERE gateway = $1 AND ended IS NULL");
    let found = all(connection, &sql, [gateway.to_string()], SessionRow::read)?;
    found.into_iter().map(|row| row.session(Vec::new())).collect()
}

pub(super) fn overdue(
    connection: &Connection,
    intended_before: Timestamp,
    expired_before: Timestamp,
) -> Result<Vec<Writ>, StoreFault> {
    let sql = "SELECT document FROM writs WHERE (state = 'intended' AND opened < $1) \
               OR (state = 'issued' AND ended IS NULL AND expires < $2) LIMIT 1000";
    let texts: Vec<String> = all(connection, sql, (micros(intended_before), micros(expired_before)), |row| row.get(0))?;
    texts.iter().map(|text| document(text, "writ")).collect()
}

pub(super) fn live_writs(connection: &Connection) -> Result<Vec<WritId>, StoreFault> {
    let sql = "SELECT id FROM writs WHERE state IN ('intended', 'issued', 'irrevocable')";
    let texts: Vec<String> = all(connection, sql, [], |row| row.get(0))?;
    texts.iter().map(|text| parsed(text, "writ")).collect()
}

/// The index has all that the first half asks for, and the second begins with what is due: neither reads every writ.
pub(super) const ENDED_CERTIFICATES: &str = "SELECT id FROM writs WHERE (kind IS NULL OR kind = 'ssh_certificate') \
    AND (ended IS NOT NULL OR state NOT IN ('intended', 'issued')) AND expires > $1 UNION SELECT id FROM writs \
    WHERE id IN (SELECT writ FROM revocations) AND (kind IS NULL OR kind = 'ssh_certificate') AND expires > $1";

pub(super) fn ended_certificates(connection: &Connection, expire_after: Timestamp) -> Result<Vec<WritId>, StoreFault> {
    let texts: Vec<String> = all(connection, ENDED_CERTIFICATES, [micros(expire_after)], |row| row.get(0))?;
    texts.iter().map(|text| parsed(text, "writ")).collect()
}

pub(super) fn due_revocations(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<DueRevocation>, StoreFault> {
    let sql = "SELECT w.document, r.attempts FROM revocations r JOIN writs w ON w.id = r.writ \
               WHERE r.due <= $1 ORDER BY r.due LIMIT $2";
    let rows: Vec<(String, i64)> = all(connection, sql, (micros(now), limit), |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.into_iter()
        .map(|(text, attempts)| {
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            Ok(DueRevocation { writ: document(&text, "writ")?, attempts })
        })
        .collect()
}

pub(super) fn uses(connection: &Connection, token: &str) -> Result<Option<Uses>, StoreFault> {
    let sql = "SELECT used, holder FROM token_uses WHERE token = $1 AND used > 0";
    let row: Option<(u32, Option<String>)> = one(connection, sql, [token], |row| Ok((row.get(0)?, row.get(1)?)))?;
    row.map(|(used, holder)| {
        let holder = holder.map(|holder| parsed(&holder, "holder of a token")).transpose()?;
        Ok(Uses { used, holder })
    })
    .transpose()
}

pub(super) fn join_token(connection: &Connection, digest: &str) -> Result<Option<Labels>, StoreFault> {
    let sql = "SELECT serves FROM join_tokens WHERE digest = $1";
    let text: Option<String> = one(connection, sql, [digest], |row| row.get(0))?;
    text.map(|text| document(&text, "join token")).transpose()
}

pub(super) fn gateway(connection: &Connection, gateway: GatewayId) -> Result<Option<EnrolledGateway>, StoreFault> {
    let sql = format!("SELECT {GATEWAY} FROM gateways WHERE id = $1");
    one(connection, &sql, [gateway.to_string()], GatewayRow::read)?.map(GatewayRow::gateway).transpose()
}

pub(super) fn gateways(connection: &Connection) -> Result<Vec<EnrolledGateway>, StoreFault> {
    let sql = format!("SELECT {GATEWAY} FROM gateways ORDER BY id DESC LIMIT 10000");
    all(connection, &sql, [], GatewayRow::read)?.into_iter().map(GatewayRow::gateway).collect()
}

pub(super) fn orders(connection: &Connection, gateway: GatewayId) -> Result<Vec<(SessionId, String)>, StoreFault> {
    let sql = "SELECT session, reason FROM orders WHERE gateway = $1";
    let rows: Vec<(String, String)> =
        all(connection, sql, [gateway.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.into_iter().map(|(session, reason)| Ok((parsed(&session, "session")?, reason))).collect()
}
