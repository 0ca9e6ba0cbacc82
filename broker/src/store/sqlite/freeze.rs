//! Freezes: what one covers is found and ordered to end in the transaction that brings it into force, so that no session can
//! begin between the two.

use rusqlite::{Connection, Transaction};
use writ_core::freeze::{Freeze, FreezeScope};
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};
use writ_core::writ::Writ;

use super::read;
use super::rows::{document, micros};
use super::write::execute;
use crate::store::{MAX_FREEZES, StoreFault};

/// A scope as it is looked up: JSON of its parts in a fixed order, so that no name can pass for two.
fn key(parts: &[&str]) -> String {
    serde_json::Value::from(parts).to_string()
}

fn key_of(scope: &FreezeScope) -> String {
    match scope {
        FreezeScope::All => key(&["all"]),
        FreezeScope::Target { target } => key(&["target", target.as_str()]),
        FreezeScope::Workload { issuer: None, subject } => key(&["subject", subject.as_str()]),
        FreezeScope::Workload { issuer: Some(issuer), subject } => {
            key(&["workload", issuer.as_str(), subject.as_str()])
        }
    }
}

/// The keys of every scope that covers this workload at this target.
pub(super) fn keys(issuer: &Issuer, subject: &Subject, target: &TargetName) -> [String; 4] {
    [
        FreezeScope::All,
        FreezeScope::Target { target: target.clone() },
        FreezeScope::Workload { issuer: None, subject: subject.clone() },
        FreezeScope::Workload { issuer: Some(issuer.clone()), subject: subject.clone() },
    ]
    .map(|scope| key_of(&scope))
}

/// The freezes in force.
pub(super) fn all(connection: &Connection) -> Result<Vec<Freeze>, StoreFault> {
    let sql = "SELECT document FROM freezes ORDER BY id DESC LIMIT $1";
    let most = i64::try_from(MAX_FREEZES).unwrap_or(i64::MAX);
    let texts: Vec<String> = read::all(connection, sql, [most], |row| row.get(0))?;
    texts.iter().map(|text| document(text, "freeze")).collect()
}

/// Brings a freeze into force, and orders what it covers to end.
pub(super) fn put(transaction: &Transaction<'_>, freeze: &Freeze) -> Result<(), StoreFault> {
    let text =
        serde_json::to_string(freeze).map_err(|error| StoreFault(format!("a freeze cannot be written: {error}")))?;
    execute(
        transaction,
        "INSERT INTO freezes (id, scope, document) VALUES ($1, $2, $3)",
        (freeze.id.to_string(), key_of(&freeze.scope), text),
    )?;
    let covered = |writ: &Writ| freeze.scope.covers(&writ.issuer, &writ.subject, &writ.target);
    for writ in
        writs(transaction, "SELECT document FROM writs WHERE ended IS NULL")?.iter().filter(|writ| covered(writ))
    {
        execute(
            transaction,
            "INSERT INTO orders (session, gateway, reason) VALUES ($1, $2, $3) ON CONFLICT (session) DO NOTHING",
            (writ.session.to_string(), writ.gateway.to_string(), freeze.words()),
        )?;
    }
    let living = "SELECT document FROM writs WHERE state IN ('intended', 'issued', 'irrevocable')";
    for writ in writs(transaction, living)?.iter().filter(|writ| covered(writ)) {
        // How often it was tried is kept: a credential that cannot be taken back stays known as such.
        execute(
            transaction,
            "INSERT INTO revocations (writ, due, attempts) VALUES ($1, $2, 0) \
             ON CONFLICT (writ) DO UPDATE SET due = excluded.due",
            (writ.id.to_string(), micros(freeze.at)),
        )?;
    }
    Ok(())
}

fn writs(transaction: &Transaction<'_>, sql: &str) -> Result<Vec<Writ>, StoreFault> {
    let texts: Vec<String> = read::all(transaction, sql, [], |row| row.get(0))?;
    texts.iter().map(|text| document(text, "writ")).collect()
}
