//! The server's side: pairing replies with commands, delivering what may hold data.

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_wire_machine::{Delivery, Effect, Effects, Outcome, Side, Span, TransactionState};

use super::expect::Expect;
use super::{Relay, rows};
use crate::frame::{self, Frame, HEADER, Reader};

/// The longest frame that is neither delivered in parts nor waited for in vain: a ParameterDescription of 65,535.
const LONGEST_WHOLE: usize = 300_000;

impl Relay {
    pub(super) fn scan_server(&mut self, bytes: &[u8], effects: &mut Effects) -> Result<(), Fault> {
        let mut at = self.continue_part(bytes, effects);
        let scanned = self.scan_frames(bytes, &mut at, effects);
        effects.consumed(Side::Server, at);
        scanned
    }

    fn scan_frames(&mut self, bytes: &[u8], at: &mut usize, effects: &mut Effects) -> Result<(), Fault> {
        while let Some(head) = frame::peek(bytes, *at, Blame::Target)? {
            if matches!(head.tag, b'D' | b'd') {
                let (what, command) = self.rows(head.tag)?;
                if head.tag == b'D' {
                    self.tell_rows(effects)?;
                }
                let end = rows::run(bytes, *at, head.tag);
                if end > *at {
                    let span = *at..end;
                    effects.push(Effect::Deliver { what, command: Some(command), span, whole: true, last: true });
                    *at = end;
                    continue;
                }
            }
            let end = *at + head.total;
            if end > bytes.len() {
                return self.incomplete(head, bytes, at, effects);
            }
            self.reply(head, bytes.get(..end).unwrap_or_default(), *at, effects)?;
            *at = end;
        }
        Ok(())
    }

    /// Whether a frame that is not whole is delivered in parts.
    fn in_parts(&self, head: Frame) -> bool {
        let studied = head.tag == b'T' && matches!(self.expect.queue.front(), Some(Expect::Study(_)));
        !studied
            && head.total > self.settings.window
            && matches!(head.tag, b'D' | b'd' | b'T' | b'E' | b'N' | b'A' | b'S')
    }

    /// A frame of which a part is there: it is waited for, or its parts are delivered as they come.
    fn incomplete(&mut self, head: Frame, bytes: &[u8], at: &mut usize, effects: &mut Effects) -> Result<(), Fault> {
        if !self.in_parts(head) {
            return if head.total > LONGEST_WHOLE.max(self.settings.window) {
                Err(out_of_place(head.tag))
            } else {
                Ok(())
            };
        }
        if bytes.len() - *at < self.settings.window.min(head.total) {
            return Ok(());
        }
        if head.tag == b'E' {
            self.not_studied();
        }
        let front = self.expect.queue.front().copied();
        let command = front.and_then(Expect::command);
        let what = match head.tag {
            b'E' if matches!(front, Some(Expect::RefusedExtended | Expect::RefusedQuery)) => {
                return Err(out_of_place(b'E'));
            }
            b'E' => {
                self.failed(bytes, *at + HEADER, effects);
                self.after_failure(front, effects);
                Delivery::Error
            }
            b'T' => {
                self.tell_columns(front, effects);
                self.columns()?;
                Delivery::Columns
            }
            b'D' => Delivery::Rows,
            b'd' => Delivery::Copy,
            b'N' => Delivery::Notice,
            b'A' => Delivery::Notification,
            _ => Delivery::Parameter,
        };
        effects.push(Effect::Deliver { what, command, span: *at..bytes.len(), whole: false, last: false });
        self.part = Some((what, command, *at + head.total - bytes.len()));
        *at = bytes.len();
        Ok(())
    }

    fn continue_part(&mut self, bytes: &[u8], effects: &mut Effects) -> usize {
        let Some((what, command, left)) = self.part.take() else { return 0 };
        let count = left.min(bytes.len());
        if count > 0 {
            effects.push(Effect::Deliver { what, command, span: 0..count, whole: false, last: left == count });
        }
        if left > count {
            self.part = Some((what, command, left - count));
        }
        count
    }

    fn rows(&self, tag: u8) -> Result<(Delivery, CommandId), Fault> {
        match self.expect.queue.front() {
            Some(Expect::Query(id) | Expect::Execute(id)) if self.copy_in.is_none() => {
                Ok((if tag == b'D' { Delivery::Rows } else { Delivery::Copy }, *id))
            }
            _ => Err(out_of_place(tag)),
        }
    }

    /// One whole frame, `at..frame.len()`.
    fn reply(&mut self, head: Frame, frame: &[u8], at: usize, effects: &mut Effects) -> Result<(), Fault> {
        let span = at..frame.len();
        let body = at + HEADER;
        if head.tag == b'E' {
            self.not_studied();
        }
        let front = self.expect.queue.front().copied();
        let command = front.and_then(Expect::command);
        let deliver = |effects: &mut Effects, what, command| {
            effects.push(Effect::Deliver { what, command, span: span.clone(), whole: true, last: true });
        };
        match (head.tag, front) {
            (b'N', _) => deliver(effects, Delivery::Notice, command),
            (b'A', _) => deliver(effects, Delivery::Notification, None),
            (b'S', _) => deliver(effects, Delivery::Parameter, None),
            (b'E', Some(Expect::RefusedQuery)) => self.answer_refusal(effects),
            (b'E', Some(Expect::RefusedExtended)) => {
                self.answer_refusal(effects);
                self.expect.queue.pop_front();
                self.skip_expected(effects);
            }
            (b'E', _) => {
                self.failed(frame, body, effects);
                deliver(effects, Delivery::Error, command);
                self.after_failure(front, effects);
            }
            (b'T', Some(Expect::Study(portal))) => {
                self.tell_opens(portal, false, effects);
                self.answered();
                effects.push(Effect::Study { span });
            }
            (b'n', Some(Expect::Study(_))) => self.answered(),
            (b'T', _) => {
                self.tell_columns(front, effects);
                self.columns()?;
                deliver(effects, Delivery::Columns, command);
            }
            (b'Z', _) => {
                self.ready(frame, body)?;
                if self.transaction == TransactionState::Idle {
                    self.tell_idle(effects);
                }
                self.forget_gone(1, effects);
                effects.forward(Side::Server, span);
            }
            (tag, Some(expect)) => {
                self.completion(tag, expect, frame, body, effects)?;
                effects.forward(Side::Server, span);
            }
            (tag, None) => return Err(out_of_place(tag)),
        }
        Ok(())
    }

    fn completion(
        &mut self,
        tag: u8,
        expect: Expect,
        frame: &[u8],
        body: usize,
        effects: &mut Effects,
    ) -> Result<(), Fault> {
        match (tag, expect) {
            (b'1', Expect::Parse(id, slot)) => {
                self.statements.settle(slot, id, true);
                completed(id, body..body, None, effects);
                self.forget_many(effects);
            }
            (b'2', Expect::Bind(id, slot)) => {
                self.portals.settle(slot, id, true);
                self.forget_many(effects);
            }
            (b'3', Expect::CloseStatement(slot, last, _)) => {
                if let Some(slot) = slot {
                    self.statements.close(slot, last);
                }
            }
            (b'3', Expect::ClosePortal(slot, last, _)) => {
                if let Some(slot) = slot {
                    self.portals.close(slot, last);
                }
            }
            (b't', Expect::DescribeStatement(known)) => {
                self.learn_types(known, frame, body);
                return Ok(());
            }
            (b'n', Expect::DescribeStatement(_) | Expect::DescribePortal(_)) => {}
            (b'C', Expect::Query(id) | Expect::Execute(id)) => {
                self.complete(id, frame, body, effects)?;
            }
            (b'I', Expect::Query(command) | Expect::Execute(command)) => {
                effects.push(Effect::Outcome { command, outcome: Outcome::Empty });
            }
            (b's', Expect::Execute(command)) => {
                effects.push(Effect::Outcome { command, outcome: Outcome::Suspended });
            }
            (b'G', Expect::Query(id) | Expect::Execute(id)) => {
                self.begin_copy_in(id);
                return Ok(());
            }
            (b'H', Expect::Query(_) | Expect::Execute(_)) => {
                self.tell_copy(frame.get(body..).unwrap_or_default(), expect, effects);
                return Ok(());
            }
            (b'c', Expect::Query(_) | Expect::Execute(_)) => {
                self.tell_copy_end(effects);
                return Ok(());
            }
            _ => return Err(out_of_place(tag)),
        }
        if !matches!(expect, Expect::Query(_)) {
            self.answered();
        }
        Ok(())
    }

    fn answered(&mut self) {
        if let Some(Expect::Execute(_)) = self.expect.queue.pop_front() {
            self.tells.ends();
        }
        self.flushed = false;
    }

    /// What we asked ahead of an execution failed: so would the execution have failed, and the client learns that of it.
    fn not_studied(&mut self) {
        if matches!(self.expect.queue.front(), Some(Expect::Study(_))) {
            self.answered();
        }
    }

    fn complete(&mut self, id: CommandId, frame: &[u8], body: usize, effects: &mut Effects) -> Result<(), Fault> {
        let text = Reader::new(frame, body).text().ok_or_else(|| out_of_place(b'C'))?;
        if self.copy_in == Some(id) {
            self.copy_in = None;
        }
        match text {
            b"DISCARD ALL" | b"DEALLOCATE ALL" => self.statements.cleared(),
            b"DEALLOCATE" => self.statements.dropped(),
            b"PREPARE" => self.statements.made(),
            b"DECLARE CURSOR" => self.portals.cleared(),
            _ => {}
        }
        completed(id, body..body + text.len(), count(text), effects);
        self.tell_completed(text, effects);
        Ok(())
    }

    /// RowDescription is in place for a query, or ends a Describe.
    fn columns(&mut self) -> Result<(), Fault> {
        match self.expect.queue.front() {
            Some(Expect::Query(_)) => Ok(()),
            Some(Expect::DescribeStatement(_) | Expect::DescribePortal(_)) => {
                self.answered();
                Ok(())
            }
            _ => Err(out_of_place(b'T')),
        }
    }

    fn learn_types(&mut self, known: Option<(CommandId, u32)>, frame: &[u8], body: usize) {
        let Some((id, slot)) = known else { return };
        let mut reader = Reader::new(frame, body);
        let count = reader.u16().unwrap_or(0);
        let types: Vec<u32> = (0..count).map_while(|_| reader.u32()).collect();
        self.statements.retype(slot, id, types);
    }

    /// The server takes data now. It swallows the Syncs that were sent ahead of the data; what else stands behind the
    /// command it takes for a broken copy, says so, and ends the session.
    fn begin_copy_in(&mut self, id: CommandId) {
        self.absorbed = 0;
        while matches!(self.expect.queue.get(1), Some(Expect::Sync(_))) {
            self.expect.queue.remove(1);
            self.absorbed += 1;
        }
        self.copy_in = Some(id);
    }

    fn failed(&mut self, frame: &[u8], body: usize, effects: &mut Effects) {
        let code = code(frame, body);
        let command = match self.expect.queue.front().copied() {
            Some(Expect::Parse(id, slot)) => {
                self.statements.settle(slot, id, false);
                Some(id)
            }
            Some(Expect::Bind(id, slot)) => {
                self.portals.settle(slot, id, false);
                self.expect.skipped_from = Some(id);
                Some(id)
            }
            Some(Expect::Query(id) | Expect::Execute(id)) => {
                self.failed_midway();
                Some(id)
            }
            _ => None,
        };
        if let Some(command) = command {
            effects.push(Effect::Outcome { command, outcome: Outcome::Failed { code } });
        }
        self.copy_in = None;
    }

    /// A command may have changed names before it failed: the end of its transaction, where it failed, comes before the
    /// completion message of its last statement.
    fn failed_midway(&mut self) {
        self.statements.dropped();
        if self.maker_is_out() {
            self.statements.made();
            self.portals.cleared();
        }
    }

    /// What the server does behind an error: it skips up to a Sync, except after a simple query or within a Sync.
    fn after_failure(&mut self, front: Option<Expect>, effects: &mut Effects) {
        if matches!(front, None | Some(Expect::Query(_) | Expect::Sync(_) | Expect::RefusedQuery)) {
            return;
        }
        self.answered();
        self.skip_expected(effects);
    }

    fn skip_expected(&mut self, effects: &mut Effects) {
        self.flushed = false;
        self.expect.skipping = true;
        while let Some(front) = self.expect.queue.front().copied() {
            if matches!(front, Expect::Sync(_)) {
                return;
            }
            self.expect.queue.pop_front();
            self.skipped(front, effects);
        }
    }

    fn answer_refusal(&mut self, effects: &mut Effects) {
        if let Some(refusal) = self.expect.refusals.pop_front() {
            effects.send(Side::Client, |made| made.extend_from_slice(&refusal));
        }
    }

    fn ready(&mut self, frame: &[u8], body: usize) -> Result<(), Fault> {
        self.transaction = match frame.get(body..) {
            Some(b"I") => TransactionState::Idle,
            Some(b"T") => TransactionState::Open,
            Some(b"E") => TransactionState::Failed,
            _ => return Err(out_of_place(b'Z')),
        };
        let segment = match self.expect.queue.front() {
            Some(Expect::Sync(segment)) => Some(*segment),
            Some(Expect::Query(_) | Expect::RefusedQuery) => self.segment.checked_sub(1),
            _ if self.absorbed > 0 => {
                self.absorbed -= 1;
                self.expect.skipping = false;
                return Ok(());
            }
            _ => return Err(out_of_place(b'Z')),
        };
        self.answered();
        self.copy_in = None;
        self.expect.skipping = false;
        self.expect.skipped_from = None;
        if let (TransactionState::Idle, Some(segment)) = (self.transaction, segment) {
            self.portals.forget(segment, false);
        }
        Ok(())
    }
}

fn completed(command: CommandId, text: Span, rows: Option<u64>, effects: &mut Effects) {
    effects.push(Effect::Outcome { command, outcome: Outcome::Completed { text, rows } });
}

/// The count that ends a completion's text: `INSERT 0 5`.
fn count(text: &[u8]) -> Option<u64> {
    let digits = text.rsplit(|byte| *byte == b' ').next()?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where the SQLSTATE of an error stands; empty where it has none.
fn code(frame: &[u8], body: usize) -> Span {
    let mut reader = Reader::new(frame, body);
    while let Some(kind) = reader.u8().filter(|kind| *kind != 0) {
        let start = reader.position();
        let Some(text) = reader.text() else { break };
        if kind == b'C' {
            return start..start + text.len();
        }
    }
    body..body
}

fn out_of_place(tag: u8) -> Fault {
    let tag = char::from(tag).escape_default();
    Fault::new("postgres.out_of_place", Blame::Target, "the target broke the protocol")
        .detail(format!("message `{tag}` from the target where none is expected"))
}
