//! What a replay shows: each command whose verdict would change, and the sum.
//!
//! Changes are shown as they are found, and not kept; of statements that are shown once, so many are.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Serialize;
use writ_broker_api::admin::Session;
use writ_core::command::CommandId;
use writ_core::id::SessionId;
use writ_core::statement::Fingerprint;
use writ_core::time::Timestamp;
use writ_record::entry::CommandEntry;

use super::case::Answer;
use super::judges::Given;
use super::rerun::Whole;
use crate::commands::word;
use crate::failure::{Doing as _, Failure};
use crate::out;

/// How many statements are kept that are shown once; those that come later are summed up together.
const MOST_STATEMENTS: usize = 10_000;
/// How much of a statement is shown, in characters.
const SHOWN: usize = 240;

/// How changes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Each in some lines.
    Each,
    /// Each as a line of JSON.
    Json,
    /// Each statement once, at the end.
    ByStatement,
}

/// A command whose verdict would change.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    session: SessionId,
    command: CommandId,
    at: Timestamp,
    issuer: String,
    subject: String,
    target: String,
    /// Absent where the recording does not have it.
    statement: Option<String>,
    was: Answer,
    now: Answer,
    policies: Vec<String>,
    code: Option<String>,
    reason: Option<String>,
    #[serde(skip)]
    alike: Vec<Fingerprint>,
}

/// What changes of statements that are alike.
#[derive(Debug)]
struct Alike {
    count: u64,
    first: Change,
}

/// The sum so far.
#[derive(Debug)]
pub(crate) struct Report {
    show: Show,
    policy_hash: String,
    /// How many commands were looked at.
    commands: u64,
    sessions: u64,
    changes: BTreeMap<(&'static str, &'static str), u64>,
    alike: BTreeMap<(Vec<Fingerprint>, &'static str, &'static str), Alike>,
    not_kept: u64,
    not_opened: u64,
    unknown: u64,
    remarks: u64,
    unreadable: u64,
}

impl Change {
    /// A change of what was answered to this command.
    pub(crate) fn new(
        session: &Session,
        command: &CommandEntry,
        text: Option<&[u8]>,
        was: Answer,
        given: Given,
    ) -> Self {
        let writ = &session.writ;
        Self {
            session: session.id,
            command: command.id,
            at: command.at,
            issuer: writ.issuer.as_str().to_owned(),
            subject: writ.subject.as_str().to_owned(),
            target: writ.target.to_string(),
            statement: text.map(|text| String::from_utf8_lossy(text).into_owned()),
            was,
            now: given.verdict,
            policies: given.policies,
            code: given.code,
            reason: given.reason,
            alike: given.asked.fingerprints,
        }
    }

    fn lines(&self) -> String {
        let statement = self.statement.as_deref().unwrap_or("(its text is not in the recording)");
        let (head, rest) = match statement.char_indices().nth(SHOWN) {
            Some((at, _)) => (statement.get(..at).unwrap_or_default(), "..."),
            None => (statement, ""),
        };
        let mut text = format!("    {}{rest}\n", out::one_line(head));
        let policies = self.policies.join("`, `");
        let by = if policies.is_empty() { String::new() } else { format!(" by `{}`", out::one_line(&policies)) };
        text.push_str(&format!("    {} -> {}{by}", word(&self.was), word(&self.now)));
        if let Some(reason) = &self.reason {
            text.push_str(&format!(": {}", out::one_line(reason)));
        }
        text.push('\n');
        text
    }
}

impl Report {
    /// Nothing yet, by the policy set of this hash.
    pub(crate) fn new(show: Show, policy_hash: &str) -> Self {
        Self {
            show,
            policy_hash: policy_hash.to_owned(),
            commands: 0,
            sessions: 0,
            changes: BTreeMap::new(),
            alike: BTreeMap::new(),
            not_kept: 0,
            not_opened: 0,
            unknown: 0,
            remarks: 0,
            unreadable: 0,
        }
    }

    /// Takes a change, and shows it.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub(crate) fn change(&mut self, change: Change) -> Result<(), Failure> {
        let (was, now) = (name(change.was), name(change.now));
        *self.changes.entry((was, now)).or_default() += 1;
        match self.show {
            Show::Each => {
                let subject = out::one_line(&change.subject);
                let Change { session, command, at, target, .. } = &change;
                out::raw(&format!("{at}  {session} #{}  {subject} at {target}\n{}", command.0, change.lines()));
            }
            Show::Json => json("change", &change)?,
            Show::ByStatement => {
                let room = self.alike.len() < MOST_STATEMENTS;
                match self.alike.entry((change.alike.clone(), was, now)) {
                    Entry::Occupied(mut alike) => alike.get_mut().count += 1,
                    Entry::Vacant(place) if room => {
                        place.insert(Alike { count: 1, first: change });
                    }
                    Entry::Vacant(_) => self.not_kept += 1,
                }
            }
        }
        Ok(())
    }

    /// A session was read to its end.
    ///
    /// # Errors
    /// If what is to be shown of it cannot be written as JSON.
    pub(crate) fn ended(&mut self, session: &Session, whole: &Whole, remarks: Vec<String>) -> Result<(), Failure> {
        let commands = whole.commands;
        self.sessions += 1;
        self.commands += commands;
        self.unknown += u64::from(!whole.known && commands > 0);
        self.remarks += remarks.len() as u64;
        for remark in remarks {
            out::note(&format!("note: {}: {remark}; run `writ ledger verify`", session.id));
        }
        let Some(given) = &whole.refused else { return Ok(()) };
        self.not_opened += 1;
        let (id, opened, reason) = (session.id, session.writ.opened, given.reason.as_deref().unwrap_or_default());
        let (subject, target) = (session.writ.subject.as_str(), session.writ.target.as_str());
        if self.show == Show::Json {
            let not_opened = serde_json::json!({
                "session": id, "at": opened, "subject": subject, "target": target, "commands": commands,
                "policies": given.policies, "code": given.code, "reason": reason,
            });
            return json("not_opened", &not_opened);
        }
        let subject = out::one_line(subject);
        let reason = out::one_line(reason);
        out::raw(&format!(
            "{opened}  {id}  {subject} at {target}\n    would not be opened ({commands} commands): {reason}\n"
        ));
        Ok(())
    }

    /// A session's recording cannot be read.
    pub(crate) fn unreadable(&mut self, session: &Session, failure: &Failure) {
        self.unreadable += 1;
        out::note(&format!("note: {} cannot be read: {failure}", session.id));
    }

    /// The sum, of so many sessions as there were.
    ///
    /// # Errors
    /// If a recording could not be read, or a session was not judged.
    pub(crate) fn finish(self, sessions: u64) -> Result<(), Failure> {
        let changed: u64 = self.changes.values().sum();
        if self.show == Show::Json {
            let changes: BTreeMap<String, u64> =
                self.changes.iter().map(|((was, now), count)| (format!("{was}_to_{now}"), *count)).collect();
            let sum = serde_json::json!({
                "policy_hash": self.policy_hash, "sessions": self.sessions, "commands": self.commands,
                "changed": changed, "changes": changes, "not_opened": self.not_opened,
                "sessions_without_claims": self.unknown, "unreadable": self.unreadable, "gaps": self.remarks,
            });
            json("sum", &sum)?;
        } else {
            self.statements();
            out::line(&self.sum(changed));
        }
        if self.unknown > 0 {
            out::note(&format!(
                "note: {} sessions were recorded without their claims: they were judged by issuer and subject alone",
                self.unknown
            ));
        }
        match sessions.saturating_sub(self.sessions) {
            0 => Ok(()),
            left => Err(Failure::new(format!(
                "{left} sessions could not be read, or not to their end, and were not judged"
            ))),
        }
    }

    fn statements(&self) {
        let mut alike: Vec<&Alike> = self.alike.values().collect();
        alike.sort_by_key(|alike| core::cmp::Reverse(alike.count));
        for Alike { count, first } in alike {
            out::raw(&format!("{count} times, first in {} #{}\n{}", first.session, first.command.0, first.lines()));
        }
        if self.not_kept > 0 {
            out::line(&format!("{} more of other statements", self.not_kept));
        }
    }

    fn sum(&self, changed: u64) -> String {
        let hash: String = self.policy_hash.chars().take(12).collect();
        let mut text = format!(
            "{} commands of {} sessions, judged by {hash}: {changed} would change",
            self.commands, self.sessions
        );
        let kinds: Vec<String> =
            self.changes.iter().map(|((was, now), count)| format!("{count} {was} -> {now}")).collect();
        if !kinds.is_empty() {
            text.push_str(&format!(" ({})", kinds.join(", ")));
        }
        if self.not_opened > 0 {
            text.push_str(&format!("; {} sessions would not be opened", self.not_opened));
        }
        text
    }
}

const fn name(answer: Answer) -> &'static str {
    match answer {
        Answer::Allow => "allow",
        Answer::Deny => "deny",
        Answer::Hold => "hold",
    }
}

/// Prints one line of JSON.
fn json<T: Serialize>(kind: &str, value: &T) -> Result<(), Failure> {
    let mut value = serde_json::to_value(value).doing("a change cannot be written as JSON")?;
    if let Some(members) = value.as_object_mut() {
        members.insert("type".to_owned(), kind.into());
    }
    out::line(&value.to_string());
    Ok(())
}
