//! The client's side: finding commands, holding what must wait.

use writ_core::command::{CommandId, CommandTag};
use writ_core::fault::{Blame, Fault};
use writ_wire_machine::{Ask, Effect, Effects, Side, TextAt};

use super::expect::Expect;
use super::names::Version;
use super::refuse::{name_fault, plain, unknown_portal, unknown_statement};
use super::{Action, Held, Relay, Spill, fields, rows, words};
use crate::error::{self, When};
use crate::frame::{self, Frame, HEADER, Reader, SMALL};

/// The names of a command must stand within its first bytes where it goes through the spool.
const LONGEST_NAMES: usize = 4096;

/// Whether the scan goes on.
#[derive(PartialEq, Eq)]
enum Scan {
    On,
    Wait,
}

impl Relay {
    pub(super) fn scan_client(&mut self, bytes: &[u8], effects: &mut Effects) -> Result<(), Fault> {
        // Behind a goodbye nothing is a command.
        while !self.closed && !self.held.back().is_some_and(|held| matches!(held.action, Action::Terminate)) {
            if self.rest > 0 || self.spill.is_some() {
                if self.stream(bytes, effects) == Scan::Wait {
                    break;
                }
                continue;
            }
            if self.is_full() {
                self.advance(CommandId(0), effects);
            }
            if self.is_full() {
                if bytes.len() > self.scanned {
                    self.press(effects);
                }
                break;
            }
            let Some(head) = frame::peek(bytes, self.scanned, Blame::Peer)? else { break };
            if self.message(head, bytes, effects)? == Scan::Wait {
                break;
            }
        }
        Ok(())
    }

    /// What the client sent counts, and not what was asked ahead of its executions: when that is sent depends on verdicts.
    fn is_full(&self) -> bool {
        let room = (self.held.len() + self.expect.queue.len()).checked_sub(self.settings.max_pipeline);
        room.is_some_and(|over| self.expect.studies() <= over)
    }

    /// The pipeline is full: the server must answer what it has, even if the client asks it only later.
    fn press(&mut self, effects: &mut Effects) {
        let answers_unasked = matches!(self.expect.queue.back(), None | Some(Expect::Query(_) | Expect::Sync(_)));
        if !self.flushed && !answers_unasked {
            self.flushed = true;
            effects.send(Side::Server, |made| frame::write(made, b'H', |_| {}));
        }
    }

    /// More of a frame that began earlier.
    fn stream(&mut self, bytes: &[u8], effects: &mut Effects) -> Scan {
        let available = bytes.len().saturating_sub(self.scanned);
        let left = self.spill.as_ref().map_or(self.rest, |spill| spill.left);
        let count = available.min(left);
        let span = self.scanned..self.scanned + count;
        self.scanned += count;
        if let Some(mut spill) = self.spill.take() {
            self.done += count;
            if count > 0 {
                effects.push(Effect::Spill { command: spill.id, span });
            }
            spill.left -= count;
            if spill.left > 0 {
                self.spill = Some(spill);
                return Scan::Wait;
            }
            let Spill { id, expect, tag, text, .. } = spill;
            effects.push(Effect::Ask(Ask { id, tag, text, parameters: 0..0 }));
            self.held.push_back(Held { length: 0, action: Action::Spilled, expect: Some(expect), ask: Some(id) });
            return Scan::On;
        }
        self.rest -= count;
        match self.copy_in.filter(|_| self.rest_is_copy) {
            Some(command) if count > 0 => {
                self.done += count;
                effects.push(Effect::Upload { command, span: span.clone() });
                effects.forward(Side::Client, span);
            }
            _ if self.rest_is_copy => {
                self.done += count;
                effects.forward(Side::Client, span);
            }
            _ => self.hold(count, Action::Drop, None),
        }
        if self.rest > 0 { Scan::Wait } else { Scan::On }
    }

    fn hold(&mut self, length: usize, action: Action, expect: Option<Expect>) {
        self.held.push_back(Held { length, action, expect, ask: None });
    }

    /// Drops a frame, however much of it is there.
    fn discard(&mut self, head: Frame, bytes: &[u8]) -> Scan {
        let count = head.total.min(bytes.len() - self.scanned);
        self.scanned += count;
        self.rest = head.total - count;
        self.rest_is_copy = false;
        self.hold(count, Action::Drop, None);
        Scan::On
    }

    fn message(&mut self, head: Frame, bytes: &[u8], effects: &mut Effects) -> Result<Scan, Fault> {
        if self.skip_to_sync && !matches!(head.tag, b'S' | b'X') {
            return known(head.tag).map(|()| self.discard(head, bytes));
        }
        match head.tag {
            b'd' | b'c' | b'f' => return self.copy(head, bytes, effects),
            b'S' | b'H' if self.copy_in.is_some() => {
                small(head)?;
                return Ok(self.discard(head, bytes));
            }
            b'X' => {}
            _ if self.copy_in.is_some() => {
                return Err(Fault::new("postgres.copy", Blame::Peer, "a command within a copy from the client")
                    .help("end the copy first"));
            }
            _ => {}
        }
        match head.tag {
            b'Q' | b'P' | b'B' if head.total > self.settings.spill_above => {
                return self.begin_spill(head, bytes, effects);
            }
            b'F' => return Ok(self.deny_function(head, bytes)),
            b'Q' | b'P' | b'B' => {}
            b'D' | b'E' | b'C' | b'S' | b'H' | b'X' => small(head)?,
            tag => return known(tag).map(|()| Scan::Wait),
        }
        let end = self.scanned + head.total;
        let Some(frame) = bytes.get(..end) else { return Ok(Scan::Wait) };
        let at = self.scanned + HEADER;
        let scan = match head.tag {
            b'Q' => self.query(frame, at, head, effects)?,
            b'P' => self.parse(frame, at, head, effects)?,
            b'B' => self.bind(frame, at, head, effects)?,
            _ => self.follow(frame, at, head, effects)?,
        };
        if scan == Scan::On {
            self.scanned = end;
        }
        Ok(scan)
    }

    fn next(&mut self) -> CommandId {
        self.last = CommandId(self.last.0 + 1);
        self.last
    }

    fn ask(&mut self, ask: Ask, length: usize, expect: Expect, effects: &mut Effects) -> Scan {
        self.held.push_back(Held { length, action: Action::Pass, expect: Some(expect), ask: Some(ask.id) });
        effects.push(Effect::Ask(ask));
        Scan::On
    }

    fn query(&mut self, frame: &[u8], at: usize, head: Frame, effects: &mut Effects) -> Result<Scan, Fault> {
        let text = fields::query(frame, at).ok_or_else(|| frame::malformed(Blame::Peer, b'Q'))?;
        let id = self.next();
        if frame.get(text.clone()).is_some_and(words::makes_names) {
            self.maker = Some(id);
        }
        self.tells.asks(id, frame.get(text.clone()));
        let ask = Ask { id, tag: CommandTag::SqlQuery, text: TextAt::Buffer(text), parameters: 0..0 };
        Ok(self.ask(ask, head.total, Expect::Query(id), effects))
    }

    fn parse(&mut self, frame: &[u8], at: usize, head: Frame, effects: &mut Effects) -> Result<Scan, Fault> {
        let parse = fields::parse(frame, at).ok_or_else(|| frame::malformed(Blame::Peer, b'P'))?;
        let id = self.next();
        let text = frame.get(parse.text.clone()).unwrap_or_default();
        let (makes_names, settles) = (words::makes_names(text), self.tells.on && words::is_planned(text));
        let expect = match self.prepare(parse.name, parse.types, id, (makes_names, settles)) {
            Ok(expect) => expect,
            Err(fault) => return Ok(self.deny_extended(&fault, head, frame)),
        };
        self.tells.asks(id, frame.get(parse.text.clone()));
        let ask = Ask { id, tag: CommandTag::SqlPrepare, text: TextAt::Buffer(parse.text), parameters: 0..0 };
        Ok(self.ask(ask, head.total, expect, effects))
    }

    fn prepare(
        &mut self,
        name: &[u8],
        types: Vec<u32>,
        id: CommandId,
        (makes_names, settles): (bool, bool),
    ) -> Result<Expect, Fault> {
        plain(name)?;
        let version = Version { id, types, segment: self.segment, settled: false, makes_names, settles, closing: None };
        Ok(Expect::Parse(id, self.statements.push(name, version)?))
    }

    fn bind(&mut self, frame: &[u8], at: usize, head: Frame, effects: &mut Effects) -> Result<Scan, Fault> {
        let malformed = || frame::malformed(Blame::Peer, b'B');
        let (portal, statement, rest) = fields::bind_names(frame, at).ok_or_else(malformed)?;
        if self.statement_waits(statement, effects) {
            return Ok(Scan::Wait);
        }
        let Some((_, version)) = self.statements.current(statement) else {
            return Ok(self.deny_extended(&unknown_statement(statement), head, frame));
        };
        let (statement, makes_names, settles) = (version.id, version.makes_names, version.settles);
        let text = TextAt::Prepared(statement);
        let parameters =
            fields::parameters(frame, rest, &version.types, &mut effects.parameters).ok_or_else(malformed)?;
        let id = self.next();
        let expect = match self.open_portal(portal, id, makes_names) {
            Ok(expect) => expect,
            Err(fault) => return Ok(self.deny_extended(&fault, head, frame)),
        };
        self.tells.binds(id, portal, statement, settles);
        let ask = Ask { id, tag: CommandTag::SqlExecute, text, parameters };
        Ok(self.ask(ask, head.total, expect, effects))
    }

    fn open_portal(&mut self, portal: &[u8], id: CommandId, makes_names: bool) -> Result<Expect, Fault> {
        plain(portal)?;
        let version = Version {
            id,
            types: Vec::new(),
            segment: self.segment,
            settled: false,
            makes_names,
            settles: false,
            closing: None,
        };
        Ok(Expect::Bind(id, self.portals.push(portal, version)?))
    }

    /// Whether what a statement's name means depends on what is under way, the client's next message being a use of it.
    fn statement_waits(&mut self, name: &[u8], effects: &mut Effects) -> bool {
        let closing = self.statements.is_closing(name);
        self.statements.is_ambiguous(name, self.segment) || self.waits_for_names(name, closing, effects)
    }

    /// As for statements. The Sync behind a portal of an earlier segment may end the transaction, and the portal with it.
    fn portal_waits(&mut self, name: &[u8], effects: &mut Effects) -> bool {
        let is_sync = |expect: &Expect| matches!(expect, Expect::Sync(_));
        let earlier = self.portals.current(name).is_some_and(|(_, version)| version.segment != self.segment);
        let mut held = self.held.iter().filter_map(|held| held.expect.as_ref());
        let closing = self.portals.is_closing(name);
        self.portals.is_ambiguous(name, self.segment)
            || earlier && (held.any(is_sync) || self.expect.queue.iter().any(is_sync))
            || self.waits_for_names(name, closing, effects)
    }

    /// Whether the server must first say what a command, or a message that closes the name, did.
    fn waits_for_names(&mut self, name: &[u8], closing: bool, effects: &mut Effects) -> bool {
        let made = !name.is_empty() && self.maker.is_some();
        if made && !self.maker_is_out() {
            self.maker = None;
        }
        let waits = closing || made && self.maker.is_some();
        if waits {
            self.advance(CommandId(0), effects);
            self.press(effects);
        }
        waits
    }

    /// Whether a command that may give a name to another statement waits for its verdict or its answer.
    pub(super) fn maker_is_out(&self) -> bool {
        let held = self.held.iter().filter_map(|held| held.expect.as_ref());
        self.maker.is_some_and(|maker| {
            let is_maker = |expect: &Expect| matches!(expect, Expect::Query(id) | Expect::Execute(id) if *id == maker);
            held.chain(&self.expect.queue).any(is_maker)
        })
    }

    /// Messages that go with commands that were asked.
    fn follow(&mut self, frame: &[u8], at: usize, head: Frame, effects: &mut Effects) -> Result<Scan, Fault> {
        let malformed = || frame::malformed(Blame::Peer, head.tag);
        let mut reader = Reader::new(frame, at);
        let expect = match head.tag {
            b'S' => {
                self.skip_to_sync = false;
                self.segment += 1;
                Some(Expect::Sync(self.segment - 1))
            }
            b'H' => None,
            b'X' => {
                self.hold(head.total, Action::Terminate, None);
                return Ok(Scan::On);
            }
            b'E' => {
                let portal = reader.text().ok_or_else(malformed)?;
                reader.u32().ok_or_else(malformed)?;
                if self.portal_waits(portal, effects) {
                    return Ok(Scan::Wait);
                }
                let Some((_, version)) = self.portals.current(portal) else {
                    return Ok(self.deny_extended(&unknown_portal(portal), head, frame));
                };
                let id = version.id;
                if version.makes_names {
                    self.maker = Some(id);
                }
                Some(Expect::Execute(id))
            }
            tag => {
                let kind = reader.u8().ok_or_else(malformed)?;
                let name = reader.text().ok_or_else(malformed)?;
                let expect = self.name_message(tag, kind, name).ok_or_else(malformed)?;
                if let Err(fault) = plain(name) {
                    return Ok(self.deny_extended(&fault, head, frame));
                }
                Some(expect)
            }
        };
        if !reader.is_empty() {
            return Err(malformed());
        }
        self.hold(head.total, Action::Pass, expect);
        Ok(Scan::On)
    }

    /// Describe and Close.
    fn name_message(&mut self, tag: u8, kind: u8, name: &[u8]) -> Option<Expect> {
        Some(match (tag, kind) {
            (b'D', b'S') => {
                Expect::DescribeStatement(self.statements.current(name).map(|(slot, version)| (version.id, slot)))
            }
            (b'D', b'P') => Expect::DescribePortal(self.portals.current(name).map(|(_, version)| version.id)),
            (b'C', b'S') => {
                Expect::CloseStatement(self.statements.closing(name, self.segment), self.last, self.segment)
            }
            (b'C', b'P') => Expect::ClosePortal(self.portals.closing(name, self.segment), self.last, self.segment),
            _ => return None,
        })
    }

    fn deny(&mut self, fault: &Fault, extended: bool, length: usize) {
        let mut frame = Vec::new();
        error::write(&mut frame, fault, When::Command);
        self.hold(length, Action::Deny(frame, extended), None);
        self.skip_to_sync = extended;
    }

    /// Refuses a frame, however much of it is there.
    fn deny_frame(&mut self, fault: &Fault, extended: bool, head: Frame, bytes: &[u8]) -> Scan {
        let count = head.total.min(bytes.len() - self.scanned);
        self.scanned += count;
        self.rest = head.total - count;
        self.rest_is_copy = false;
        self.deny(fault, extended, count);
        Scan::On
    }

    fn deny_extended(&mut self, fault: &Fault, head: Frame, bytes: &[u8]) -> Scan {
        self.deny_frame(fault, true, head, bytes)
    }

    fn deny_function(&mut self, head: Frame, bytes: &[u8]) -> Scan {
        let fault = Fault::new("postgres.function_call", Blame::NotAllowed, "function call messages are not allowed")
            .help("call the function by a SELECT");
        self.deny_frame(&fault, false, head, bytes)
    }

    fn begin_spill(&mut self, head: Frame, bytes: &[u8], effects: &mut Effects) -> Result<Scan, Fault> {
        self.advance(CommandId(0), effects);
        if !self.held.is_empty() {
            return Ok(Scan::Wait);
        }
        let at = self.scanned + HEADER;
        let start = bytes.get(..bytes.len().min(at + LONGEST_NAMES)).unwrap_or_default();
        let names = match head.tag {
            b'Q' => Some((&b""[..], &b""[..])),
            b'P' => Reader::new(start, at).text().map(|name| (name, &b""[..])),
            _ => fields::bind_names(start, at).map(|(portal, statement, _)| (portal, statement)),
        };
        let Some((first, second)) = names else {
            let full = start.len() == at + LONGEST_NAMES;
            return Ok(if full { self.deny_extended(&name_fault(), head, bytes) } else { Scan::Wait });
        };
        let bound = head.tag == b'B';
        if bound && self.statement_waits(second, effects) {
            return Ok(Scan::Wait);
        }
        let id = self.next();
        let (tag, text, expect) = match head.tag {
            b'Q' => (CommandTag::SqlQuery, TextAt::Spilled, Ok(Expect::Query(id))),
            b'P' => (CommandTag::SqlPrepare, TextAt::Spilled, self.prepare(first, Vec::new(), id, (true, false))),
            _ => {
                let Some((_, version)) = self.statements.current(second) else {
                    return Ok(self.deny_extended(&unknown_statement(second), head, bytes));
                };
                let (prepared, makes_names) = (version.id, version.makes_names);
                self.tells.binds(id, first, prepared, version.settles);
                (CommandTag::SqlExecute, TextAt::Prepared(prepared), self.open_portal(first, id, makes_names))
            }
        };
        let expect = match expect {
            Ok(expect) => expect,
            Err(fault) => return Ok(self.deny_extended(&fault, head, bytes)),
        };
        if head.tag == b'Q' {
            self.maker = Some(id);
        }
        self.spill = Some(Spill { id, left: head.total, expect, tag, text });
        Ok(Scan::On)
    }

    /// CopyData, CopyDone and CopyFail. Outside a copy the server ignores them, and so do they end here; but while an answer
    /// is outstanding a copy may yet begin.
    fn copy(&mut self, head: Frame, bytes: &[u8], effects: &mut Effects) -> Result<Scan, Fault> {
        self.advance(CommandId(0), effects);
        let Some(command) = self.copy_in else {
            let idle = self.held.is_empty() && self.expect.queue.is_empty();
            if idle {
                return Ok(self.discard(head, bytes));
            }
            self.press(effects);
            return Ok(Scan::Wait);
        };
        let start = self.scanned;
        if head.tag != b'd' {
            small(head)?;
            let Some(_) = bytes.get(start..start + head.total) else { return Ok(Scan::Wait) };
            self.scanned += head.total;
            self.copy_in = None;
        } else {
            self.scanned = rows::run(bytes, start, b'd');
            if self.scanned == start {
                self.scanned = bytes.len();
                self.rest = head.total - (bytes.len() - start);
                self.rest_is_copy = true;
            }
        }
        let span = start..self.scanned;
        self.done = self.scanned;
        effects.push(Effect::Upload { command, span: span.clone() });
        effects.forward(Side::Client, span);
        Ok(Scan::On)
    }
}

/// Refuses tags that no client may send after login.
fn known(tag: u8) -> Result<(), Fault> {
    if matches!(tag, b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H' | b'F' | b'X' | b'd' | b'c' | b'f') {
        return Ok(());
    }
    let tag = char::from(tag).escape_default();
    Err(Fault::new("postgres.unknown_message", Blame::Peer, format!("message `{tag}` is not known here")))
}

fn small(head: Frame) -> Result<(), Fault> {
    if head.total > SMALL + 1 { Err(frame::malformed(Blame::Peer, head.tag)) } else { Ok(()) }
}
