//! Writing: the one transaction.

use rusqlite::{Connection, OptionalExtension as _, Params, Transaction, TransactionBehavior};
use writ_core::client::{ClientKey, Reason};
use writ_core::target::Labels;
use writ_core::time::{SignedDuration, Timestamp};
use writ_core::writ::Writ;

use super::rows::{micros, signed, unsigned, word};
use super::{approval, fault, freeze, read, rotation};
use crate::store::{Change, Committed, Condition, KEPT_APPROVALS, Request, Seal, StoreFault};

pub(super) fn commit(
    connection: &mut Connection,
    requests: Vec<Request>,
    expected: u64,
    seal: Seal,
) -> Result<Committed, StoreFault> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| fault(&error))?;
    let head = read::head(&transaction)?;
    if head.size != expected {
        return Err(StoreFault(format!(
            "another broker appended to the ledger: {} entries, not {expected}",
            head.size
        )));
    }
    let mut taken = Vec::with_capacity(requests.len());
    let mut entries = Vec::new();
    for request in requests {
        let holds = all_hold(&transaction, &request.conditions)?;
        taken.push(holds);
        if holds {
            request.changes.into_iter().try_for_each(|change| apply(&transaction, change))?;
            entries.extend(request.entries);
        }
    }
    if !entries.is_empty() {
        forget(&transaction, head.applied, 2 * entries.len() as u64)?;
        append(&transaction, head.size, &entries)?;
        let root = seal(head.size, &entries)?;
        let size = signed(head.size + entries.len() as u64);
        execute(
            &transaction,
            "INSERT INTO ledger_head (one, size, root, applied) VALUES (1, $1, $2, 0) \
             ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root",
            (size, root.0.as_slice()),
        )?;
    }
    transaction.commit().map_err(|error| fault(&error))?;
    Ok(Committed { taken, entries, before: head.size })
}

fn append(transaction: &Transaction<'_>, before: u64, entries: &[Vec<u8>]) -> Result<(), StoreFault> {
    let sql = "INSERT INTO ledger_entries (number, bytes) VALUES ($1, $2)";
    let mut statement = transaction.prepare_cached(sql).map_err(|error| fault(&error))?;
    for (number, bytes) in (signed(before)..).zip(entries) {
        statement.execute((number, bytes)).map_err(|error| fault(&error))?;
    }
    Ok(())
}

/// Deletes at most `most` of the entries that stand in the tiles, the oldest first. Each commit deletes twice as many as it
/// appends, so that none waits for the deletion of all that gathered since the tiles were last written.
fn forget(transaction: &Transaction<'_>, applied: u64, most: u64) -> Result<(), StoreFault> {
    let sql = "DELETE FROM ledger_entries WHERE number < $1 AND number < (SELECT min(number) FROM ledger_entries) + $2";
    execute(transaction, sql, (signed(applied), signed(most))).map(drop)
}

pub(super) fn applied(connection: &mut Connection, size: u64) -> Result<(), StoreFault> {
    let transaction = connection.transaction().map_err(|error| fault(&error))?;
    execute(&transaction, "UPDATE ledger_head SET applied = $1 WHERE applied < $1", [signed(size)])?;
    transaction.commit().map_err(|error| fault(&error))
}

pub(super) fn policy_number(connection: &mut Connection, hash: &str) -> Result<u64, StoreFault> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| fault(&error))?;
    let newest: Option<(i64, String)> = transaction
        .query_row("SELECT number, hash FROM policy_sets ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(|error| fault(&error))?;
    let number = match newest {
        Some((number, newest)) if newest == hash => return Ok(unsigned(number)),
        Some((number, _)) => number + 1,
        None => 1,
    };
    execute(&transaction, "INSERT INTO policy_sets (number, hash) VALUES ($1, $2)", (number, hash))?;
    transaction.commit().map_err(|error| fault(&error))?;
    Ok(unsigned(number))
}

pub(super) fn prune(connection: &mut Connection, now: Timestamp) -> Result<(), StoreFault> {
    let transaction = connection.transaction().map_err(|error| fault(&error))?;
    execute(&transaction, "DELETE FROM token_uses WHERE expires < $1", [micros(now)])?;
    execute(&transaction, "DELETE FROM join_tokens WHERE expires < $1", [micros(now)])?;
    let before = now.checked_sub(SignedDuration::from_secs(KEPT_APPROVALS)).unwrap_or(Timestamp::MIN);
    // What one human let go on alone is kept until it was reviewed.
    let old =
        "DELETE FROM approvals WHERE open = 0 AND settled < $1 AND coalesce(document -> 'broken' ->> 'due', 0) = 0";
    execute(&transaction, old, [micros(before)])?;
    transaction.commit().map_err(|error| fault(&error))
}

pub(super) fn execute(transaction: &Transaction<'_>, sql: &str, parameters: impl Params) -> Result<usize, StoreFault> {
    let mut statement = transaction.prepare_cached(sql).map_err(|error| fault(&error))?;
    statement.execute(parameters).map_err(|error| fault(&error))
}

/// Whether all conditions hold. Some take something; where a later one does not hold, a savepoint gives it back.
fn all_hold(transaction: &Transaction<'_>, conditions: &[Condition]) -> Result<bool, StoreFault> {
    let takes = |condition: &Condition| matches!(condition, Condition::Use { .. } | Condition::JoinToken { .. });
    let give_back = conditions.split_last().is_some_and(|(_, before)| before.iter().any(takes));
    if give_back {
        execute(transaction, "SAVEPOINT conditions", [])?;
    }
    let mut all = true;
    for condition in conditions {
        all = all && holds(transaction, condition)?;
    }
    if give_back && !all {
        execute(transaction, "ROLLBACK TO conditions", [])?;
    }
    if give_back {
        execute(transaction, "RELEASE conditions", [])?;
    }
    Ok(all)
}

fn holds(transaction: &Transaction<'_>, condition: &Condition) -> Result<bool, StoreFault> {
    let changed = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| Ok(execute(transaction, sql, parameters)? == 1);
    let there = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let mut statement = transaction.prepare_cached(sql).map_err(|error| fault(&error))?;
        statement.exists(parameters).map_err(|error| fault(&error))
    };
    match condition {
        Condition::Use { uses: 0, .. } => Ok(false),
        Condition::Use { key, expires, uses, holder } => changed(
            "INSERT INTO token_uses (token, used, expires, holder) VALUES ($1, 1, $2, $3) \
             ON CONFLICT (token) DO UPDATE SET \
             used = used + 1, expires = max(expires, excluded.expires), holder = excluded.holder \
             WHERE used < $4 AND (used = 0 OR holder IS NOT DISTINCT FROM $3)",
            &[key, &micros(*expires), &holder.as_ref().map(ClientKey::as_str), uses],
        ),
        Condition::JoinToken { digest, now } => changed(
            "UPDATE join_tokens SET used = 1 WHERE digest = $1 AND used = 0 AND expires > $2",
            &[digest, &micros(*now)],
        ),
        Condition::GatewayGood(gateway) => {
            there("SELECT 1 FROM gateways WHERE id = $1 AND revoked = 0", &[&gateway.to_string()])
        }
        Condition::SessionOpen(session) => {
            there("SELECT 1 FROM writs WHERE session = $1 AND ended IS NULL", &[&session.to_string()])
        }
        Condition::SegmentAbsent { session, stream, sequence } => Ok(!there(
            "SELECT 1 FROM segments WHERE session = $1 AND stream = $2 AND sequence = $3",
            &[&session.to_string(), stream, &signed(*sequence)],
        )?),
        Condition::WritIs(writ, state) => {
            there("SELECT 1 FROM writs WHERE id = $1 AND state = $2", &[&writ.to_string(), &word(state)])
        }
        Condition::NotFrozen { issuer, subject, target } => {
            let [all, of_target, of_subject, of_workload] = freeze::keys(issuer, subject, target);
            let sql = "SELECT 1 FROM freezes WHERE scope IN ($1, $2, $3, $4)";
            Ok(!there(sql, &[&all, &of_target, &of_subject, &of_workload])?)
        }
        Condition::Approval { id, version } => {
            there("SELECT 1 FROM approvals WHERE id = $1 AND version = $2", &[&id.to_string(), &signed(*version)])
        }
        Condition::Rotation { target, version } => rotation::is_at(transaction, target, *version),
        Condition::Frozen(id) => there("SELECT 1 FROM freezes WHERE id = $1", &[&id.to_string()]),
    }
}

fn apply(transaction: &Transaction<'_>, change: Change) -> Result<(), StoreFault> {
    let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| execute(transaction, sql, parameters).map(|_| ());
    match change {
        Change::Open { writ, client } => run(
            "INSERT INTO writs (id, session, gateway, state, opened, expires, document, client, kind, client_key, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            &[
                &writ.id.to_string(),
                &writ.session.to_string(),
                &writ.gateway.to_string(),
                &word(&writ.state),
                &micros(writ.opened),
                &micros(writ.expires),
                &document(&writ)?,
                &client.address,
                &kind(&writ),
                &client.key.as_ref().map(ClientKey::as_str),
                &client.reason.as_ref().map(Reason::as_str),
            ],
        ),
        Change::Writ(writ) => run(
            "UPDATE writs SET state = $1, document = $2, kind = $3 WHERE id = $4",
            &[&word(&writ.state), &document(&writ)?, &kind(&writ), &writ.id.to_string()],
        ),
        Change::CloseSession { session, at, end, commands } => {
            let session = session.to_string();
            run(
                "UPDATE writs SET ended = $1, ending = $2, commands = $3 WHERE session = $4 AND ended IS NULL",
                &[&micros(at), &word(&end), &signed(commands), &session],
            )?;
            run("DELETE FROM orders WHERE session = $1", &[&session])
        }
        Change::Segment { session, segment } => run(
            "INSERT INTO segments (session, stream, sequence, digest, bytes) VALUES ($1, $2, $3, $4, $5)",
            &[
                &session.to_string(),
                &segment.stream,
                &signed(segment.sequence),
                &segment.digest,
                &signed(segment.bytes),
            ],
        ),
        Change::JoinToken { digest, expires, serves } => run(
            "INSERT INTO join_tokens (digest, expires, used, serves) VALUES ($1, $2, 0, $3)",
            &[&digest, &micros(expires), &labels(&serves)?],
        ),
        Change::Gateway(gateway) => run(
            "INSERT INTO gateways (id, serial, sealing, enrolled, revoked, serves) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET serial = excluded.serial, sealing = excluded.sealing",
            &[
                &gateway.id.to_string(),
                &gateway.serial,
                &gateway.sealing_key.0.0,
                &micros(gateway.enrolled),
                &i64::from(gateway.revoked),
                &labels(&gateway.serves)?,
            ],
        ),
        Change::GatewaySeen { gateway, at } => {
            run("UPDATE gateways SET seen = $1 WHERE id = $2", &[&micros(at), &gateway.to_string()])
        }
        Change::RevokeGateway(gateway) => run("UPDATE gateways SET revoked = 1 WHERE id = $1", &[&gateway.to_string()]),
        Change::Order { session, gateway, reason } => run(
            "INSERT INTO orders (session, gateway, reason) VALUES ($1, $2, $3) ON CONFLICT (session) DO NOTHING",
            &[&session.to_string(), &gateway.to_string(), &reason],
        ),
        Change::Revoke { writ, due, attempts } => run(
            "INSERT INTO revocations (writ, due, attempts) VALUES ($1, $2, $3) \
             ON CONFLICT (writ) DO UPDATE SET due = excluded.due, attempts = excluded.attempts",
            &[&writ.to_string(), &micros(due), &attempts],
        ),
        Change::Revoked(writ) => run("DELETE FROM revocations WHERE writ = $1", &[&writ.to_string()]),
        Change::KeepUses { token, until } => run(
            "INSERT INTO token_uses (token, used, expires) VALUES ($1, 0, $2) \
             ON CONFLICT (token) DO UPDATE SET expires = max(expires, excluded.expires)",
            &[&token, &micros(until)],
        ),
        Change::Approval(approval) => approval::put(transaction, &approval),
        Change::Rotation(turn) => rotation::put(transaction, &turn),
        Change::Freeze(freeze) => freeze::put(transaction, &freeze),
        Change::Unfreeze(id) => run("DELETE FROM freezes WHERE id = $1", &[&id.to_string()]),
    }
}

/// What was minted, once that is known.
fn kind(writ: &Writ) -> Option<String> {
    writ.credential.as_ref().map(|credential| word(&credential.kind))
}

fn labels(labels: &Labels) -> Result<String, StoreFault> {
    serde_json::to_string(labels).map_err(|error| StoreFault(format!("labels cannot be written: {error}")))
}

fn document(writ: &Writ) -> Result<String, StoreFault> {
    serde_json::to_string(writ).map_err(|error| StoreFault(format!("a writ cannot be written: {error}")))
}
