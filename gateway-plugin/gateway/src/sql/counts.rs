//! What a session has had so far, and where that is more than policy allows.
//!
//! A statement's rows are counted as they flow back, before they reach the client: what would be too many ends the session, and none
//! of that read is delivered. Rows that a statement changes without returning them are known once it has completed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::SessionLimits;
use writ_core::statement::Statement;
use writ_record::entry::Ending;
use writ_wire_postgres::frame;

use super::budgets::Budgets;

const MINUTE: Duration = Duration::from_secs(60);
/// How many statements of a minute are counted at most: a policy that compares with more has its answer long before.
const MOST_COUNTED: usize = 1 << 16;
/// How many approvals one session may ask for within a minute.
const MOST_ASKED: usize = 10;

/// One session's counts.
#[derive(Debug)]
pub(super) struct Counts {
    limits: SessionLimits,
    /// Whether policies read the counters, so that they must be right though nothing is limited.
    read: bool,
    rows: u64,
    bytes: u64,
    minute: VecDeque<Instant>,
    /// The statements under way whose rows are limited.
    budgets: Budgets,
    /// The command whose statement at the front gave rows that were counted as they flowed.
    flowed: Option<CommandId>,
    /// How much of a row that comes in parts is still to come, in bytes.
    part: u64,
    /// When humans were asked within the last minute.
    asked: VecDeque<Instant>,
}

impl Counts {
    /// Of a session that begins.
    #[must_use]
    pub(super) fn new(limits: SessionLimits, read: bool) -> Self {
        Self {
            limits,
            read,
            rows: 0,
            bytes: 0,
            minute: VecDeque::new(),
            budgets: Budgets::default(),
            flowed: None,
            part: 0,
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

    /// A command is about to go on, each of whose statements may give or change so many rows.
    ///
    /// # Errors
    /// The session has had what it may have, or what it is about to have cannot be counted.
    pub(super) fn begins(
        &mut self,
        id: CommandId,
        (statements, rows): (&[Statement], Option<u64>),
        now: Instant,
        open: impl Fn() -> bool,
    ) -> Result<(), Fault> {
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
        self.budgets.begins(id, statements, rows, open)
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
        if !(self.read || self.limits.rows.is_some() || !self.budgets.is_empty()) {
            return Ok(());
        }
        let rows = if whole { count(bytes) } else { self.count_part(bytes) };
        if command.is_some() {
            self.flowed = command;
        }
        self.add(command, rows)
    }

    /// Part of a row, counted with its beginning.
    fn count_part(&mut self, bytes: &[u8]) -> u64 {
        let begins = self.part == 0;
        if begins && let Ok(Some(head)) = frame::peek(bytes, 0, Blame::Target) {
            self.part = head.total as u64;
        }
        self.part = self.part.saturating_sub(bytes.len() as u64);
        u64::from(begins)
    }

    /// A statement of a command came out: rows that it changed and did not return are counted now.
    ///
    /// # Errors
    /// As [`Self::flow`].
    pub(super) fn came_out(&mut self, command: CommandId, ending: Ending, rows: Option<u64>) -> Result<(), Fault> {
        let flowed = self.flowed.take_if(|flowed| *flowed == command).is_some();
        let counted = if flowed { 0 } else { rows.unwrap_or(0) };
        let added = self.add(Some(command), counted);
        self.budgets.came_out(command, ending);
        added
    }

    fn add(&mut self, command: Option<CommandId>, rows: u64) -> Result<(), Fault> {
        self.rows = self.rows.saturating_add(rows);
        if let Some(command) = command {
            self.budgets.add(command, rows)?;
        }
        match self.limits.rows {
            Some(most) if self.rows > most => Err(session_rows(most)),
            _ => Ok(()),
        }
    }
}

pub(super) fn limit(code: &'static str, public: String, help: &'static str) -> Fault {
    Fault::new(code, Blame::NotAllowed, public).help(help)
}

/// A statement whose rows are limited, and which nobody can count.
pub(super) fn untold() -> Fault {
    let public = "policy limits the rows of this statement, and the server does not tell them: a `WITH` or an `EXPLAIN ANALYZE` \
                  that writes";
    limit("limit.rows", public.to_owned(), "write with a statement of its own")
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
    use writ_core::fault::Fault;
    use writ_core::grant::SessionLimits;
    use writ_core::statement::Statement;
    use writ_record::entry::Ending;
    use writ_wire_postgres::frame;

    fn begin(counts: &mut Counts, id: u64, rows: Option<u64>, now: Instant) -> Result<(), Fault> {
        let statement = Statement::unknown();
        counts.begins(CommandId(id), (&[statement], rows), now, || false)
    }

    fn rows(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..count).for_each(|_| frame::write(&mut bytes, b'D', |body| body.extend_from_slice(&[0, 0])));
        bytes
    }

    #[test]
    fn a_statement_has_so_many_rows_and_no_more() {
        let mut counts = Counts::new(SessionLimits::default(), false);
        begin(&mut counts, 1, Some(3), Instant::now()).unwrap();
        begin(&mut counts, 2, None, Instant::now()).unwrap();
        counts.flow(Some(CommandId(1)), &rows(2), true).unwrap();
        counts.flow(Some(CommandId(1)), &rows(1), true).unwrap();
        assert_eq!(counts.flow(Some(CommandId(1)), &rows(1), true).unwrap_err().code, "limit.rows");
        let mut changes = Counts::new(SessionLimits::default(), false);
        begin(&mut changes, 1, Some(3), Instant::now()).unwrap();
        assert_eq!(changes.came_out(CommandId(1), Ending::Completed, Some(4)).unwrap_err().code, "limit.rows");
    }

    #[test]
    fn rows_that_are_returned_are_counted_once() {
        let limits = SessionLimits { rows: Some(5), ..SessionLimits::default() };
        let mut counts = Counts::new(limits, false);
        begin(&mut counts, 1, None, Instant::now()).unwrap();
        counts.flow(Some(CommandId(1)), &rows(3), true).unwrap();
        counts.came_out(CommandId(1), Ending::Completed, Some(3)).unwrap();
        assert_eq!(counts.rows(), 3);
        begin(&mut counts, 2, None, Instant::now()).unwrap();
        counts.came_out(CommandId(2), Ending::Completed, Some(2)).unwrap();
        assert_eq!(begin(&mut counts, 3, None, Instant::now()).unwrap_err().code, "limit.session_rows");
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
        begin(&mut counts, 1, None, now).unwrap();
        begin(&mut counts, 2, None, now + Duration::from_secs(1)).unwrap();
        assert_eq!(begin(&mut counts, 3, None, now + Duration::from_secs(59)).unwrap_err().code, "limit.statements");
        begin(&mut counts, 3, None, now + Duration::from_secs(60)).unwrap();
        counts.flow(None, &[0; 20], false).unwrap();
        assert_eq!(counts.flow(None, &[0; 1], false).unwrap_err().code, "limit.session_bytes");
    }

    #[test]
    fn a_row_in_parts_is_one_row() {
        let limits = SessionLimits { rows: Some(2), ..SessionLimits::default() };
        let mut counts = Counts::new(limits, false);
        begin(&mut counts, 1, None, Instant::now()).unwrap();
        let mut long = Vec::new();
        frame::write(&mut long, b'D', |body| body.extend_from_slice(&[0; 100]));
        for _ in 0..2 {
            for part in long.chunks(40) {
                counts.flow(Some(CommandId(1)), part, false).unwrap();
            }
        }
        assert_eq!(counts.rows(), 2);
        assert_eq!(counts.flow(Some(CommandId(1)), &long[..40], false).unwrap_err().code, "limit.session_rows");
    }
}
