//! What a session has had so far, and where that is more than policy allows.
//!
//! A statement's rows are counted as they flow back, before they reach the client: what would be too many ends the session, and none
//! of that read is delivered. Rows that a statement changes without returning them are known once it has completed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::SessionLimits;
use writ_wire_postgres::frame;

const MINUTE: Duration = Duration::from_secs(60);
/// How many statements of a minute are counted at most: a policy that compares with more has its answer long before.
const MOST_COUNTED: usize = 1 << 16;
/// How many approvals one session may ask for within a minute.
const MOST_ASKED: usize = 10;
/// How many statements with a limit of their own may be under way.
const MOST_LIMITED: usize = 4096;

/// One session's counts.
#[derive(Debug)]
pub(super) struct Counts {
    limits: SessionLimits,
    /// Whether policies read the counters, so that they must be right though nothing is limited.
    read: bool,
    rows: u64,
    bytes: u64,
    minute: VecDeque<Instant>,
    /// The statements under way that may give or change so many more rows.
    limited: VecDeque<(CommandId, u64)>,
    /// The statement whose rows were counted as they flowed.
    flowed: Option<CommandId>,
    /// When humans were asked within the last minute.
    asked: VecDeque<Instant>,
}

impl Counts {
    /// Of a session that begins.
    #[must_use]
    pub(super) const fn new(limits: SessionLimits, read: bool) -> Self {
        Self {
            limits,
            read,
            rows: 0,
            bytes: 0,
            minute: VecDeque::new(),
            limited: VecDeque::new(),
            flowed: None,
            asked: VecDeque::new(),
        }
    }

    /// The rows that were read and changed.
    #[must_use]
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// The statements of the last minute, where they are counted, as [`Self::forget`] left them.
    #[must_use]
    pub(super) fn counted(&self) -> usize {
        self.minute.len()
    }

    /// Forgets statements that are older than a minute.
    pub(super) fn forget(&mut self, now: Instant) {
        while self.minute.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            self.minute.pop_front();
        }
    }

    /// A statement is about to go on, which may give or change so many rows.
    ///
    /// # Errors
    /// The session has had what it may have.
    pub(super) fn begins(&mut self, id: CommandId, rows: Option<u64>, now: Instant) -> Result<(), Fault> {
        if let Some(most) = self.limits.rows.filter(|most| self.rows >= *most) {
            return Err(session_rows(most));
        }
        if let Some(most) = self.limits.bytes.filter(|most| self.bytes >= *most) {
            return Err(session_bytes(most));
        }
        if self.limits.statements_per_minute.is_some() || self.read {
            self.forget(now);
            let counted = self.minute.len();
            if let Some(most) = self.limits.statements_per_minute.filter(|most| counted >= *most as usize) {
                let public = format!("the session may have {most} statements executed within a minute");
                return Err(limit("limit.statements", public, "wait, or send fewer"));
            }
            if counted < MOST_COUNTED {
                self.minute.push_back(now);
            }
        }
        if let Some(rows) = rows {
            if self.limited.len() >= MOST_LIMITED {
                let public = "too many statements whose rows are limited are under way".to_owned();
                return Err(limit("limit.rows", public, "wait for answers before sending more"));
            }
            self.limited.push_back((id, rows));
        }
        Ok(())
    }

    /// Humans are about to be asked.
    ///
    /// # Errors
    /// They were asked too often within the last minute: each question is an entry of the ledger, and somebody's attention.
    pub(super) fn asks(&mut self, now: Instant) -> Result<(), Fault> {
        while self.asked.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            self.asked.pop_front();
        }
        if self.asked.len() >= MOST_ASKED {
            let public = format!("the session may ask for {MOST_ASKED} approvals within a minute");
            return Err(limit("limit.approvals", public, "wait, or ask for a window"));
        }
        self.asked.push_back(now);
        Ok(())
    }

    /// Rows flow back; whole frames but where `whole` is false.
    ///
    /// # Errors
    /// They are more than the statement or the session may have: the session must end before the client gets them.
    pub(super) fn flow(&mut self, command: Option<CommandId>, bytes: &[u8], whole: bool) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if let Some(most) = self.limits.bytes.filter(|most| self.bytes > *most) {
            return Err(session_bytes(most));
        }
        if !whole || !(self.read || self.limits.rows.is_some() || !self.limited.is_empty()) {
            return Ok(());
        }
        self.flowed = command;
        self.add(command, count(bytes))
    }

    /// A statement came out: rows that it changed and did not return are counted now.
    ///
    /// # Errors
    /// As [`Self::flow`].
    pub(super) fn came_out(&mut self, command: CommandId, rows: Option<u64>) -> Result<(), Fault> {
        let flowed = self.flowed.take_if(|flowed| *flowed == command).is_some();
        let counted = if flowed { 0 } else { rows.unwrap_or(0) };
        let added = self.add(Some(command), counted);
        if let Some(at) = self.limited.iter().position(|(id, _)| *id == command) {
            // Those before it have come out, whatever became of them.
            self.limited.drain(..=at);
        }
        added
    }

    fn add(&mut self, command: Option<CommandId>, rows: u64) -> Result<(), Fault> {
        self.rows = self.rows.saturating_add(rows);
        if let Some((_, left)) = self.limited.iter_mut().find(|(id, _)| Some(*id) == command) {
            *left = left.checked_sub(rows).ok_or_else(|| {
                limit("limit.rows", "the statement has more rows than policy allows".to_owned(), "ask for fewer rows")
            })?;
        }
        match self.limits.rows {
            Some(most) if self.rows > most => Err(session_rows(most)),
            _ => Ok(()),
        }
    }
}

fn limit(code: &'static str, public: String, help: &'static str) -> Fault {
    Fault::new(code, Blame::NotAllowed, public).help(help)
}

fn session_rows(most: u64) -> Fault {
    let public = format!("the session may read and change {most} rows in all");
    limit("limit.session_rows", public, "open another session, or ask for fewer rows")
}

fn session_bytes(most: u64) -> Fault {
    limit("limit.session_bytes", format!("the session may get {most} bytes in all"), "ask for less")
}

/// The rows among whole frames: `DataRow`, and `CopyData`, of which each server sends one for a row.
fn count(bytes: &[u8]) -> u64 {
    let (mut at, mut rows) = (0, 0);
    while let Ok(Some(head)) = frame::peek(bytes, at, Blame::Target) {
        rows += u64::from(matches!(head.tag, b'D' | b'd'));
        at += head.total;
    }
    rows
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Counts;
    use writ_core::command::CommandId;
    use writ_core::grant::SessionLimits;
    use writ_wire_postgres::frame;

    fn rows(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..count).for_each(|_| frame::write(&mut bytes, b'D', |body| body.extend_from_slice(&[0, 0])));
        bytes
    }

    #[test]
    fn a_statement_has_so_many_rows_and_no_more() {
        let mut counts = Counts::new(SessionLimits::default(), false);
        counts.begins(CommandId(1), Some(3), Instant::now()).unwrap();
        counts.begins(CommandId(2), None, Instant::now()).unwrap();
        counts.flow(Some(CommandId(1)), &rows(2), true).unwrap();
        counts.flow(Some(CommandId(1)), &rows(1), true).unwrap();
        assert_eq!(counts.flow(Some(CommandId(1)), &rows(1), true).unwrap_err().code, "limit.rows");
        let mut changes = Counts::new(SessionLimits::default(), false);
        changes.begins(CommandId(1), Some(3), Instant::now()).unwrap();
        assert_eq!(changes.came_out(CommandId(1), Some(4)).unwrap_err().code, "limit.rows");
    }

    #[test]
    fn rows_that_are_returned_are_counted_once() {
        let limits = SessionLimits { rows: Some(5), ..SessionLimits::default() };
        let mut counts = Counts::new(limits, false);
        counts.begins(CommandId(1), None, Instant::now()).unwrap();
        counts.flow(Some(CommandId(1)), &rows(3), true).unwrap();
        counts.came_out(CommandId(1), Some(3)).unwrap();
        assert_eq!(counts.rows(), 3);
        counts.begins(CommandId(2), None, Instant::now()).unwrap();
        counts.came_out(CommandId(2), Some(2)).unwrap();
        assert_eq!(counts.begins(CommandId(3), None, Instant::now()).unwrap_err().code, "limit.session_rows");
    }

    #[test]
    fn humans_are_not_asked_without_end() {
        let (mut counts, now) = (Counts::new(SessionLimits::default(), false), Instant::now());
        (0..10).for_each(|_| counts.asks(now).unwrap());
        assert_eq!(counts.asks(now + Duration::from_secs(59)).unwrap_err().code, "limit.approvals");
        counts.asks(now + Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn bytes_and_statements_of_a_minute_are_limited() {
        let limits = SessionLimits { bytes: Some(20), statements_per_minute: Some(2), ..SessionLimits::default() };
        let (mut counts, now) = (Counts::new(limits, false), Instant::now());
        counts.begins(CommandId(1), None, now).unwrap();
        counts.begins(CommandId(2), None, now + Duration::from_secs(1)).unwrap();
        assert_eq!(
            counts.begins(CommandId(3), None, now + Duration::from_secs(59)).unwrap_err().code,
            "limit.statements"
        );
        counts.begins(CommandId(3), None, now + Duration::from_secs(60)).unwrap();
        counts.flow(None, &[0; 20], false).unwrap();
        assert_eq!(counts.flow(None, &[0; 1], false).unwrap_err().code, "limit.session_bytes");
    }
}
