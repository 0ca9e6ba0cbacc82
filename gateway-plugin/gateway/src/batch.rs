//! One read of one side, carried through: machine, verdicts, records, one write of the spool. The hot path.
//!
//! Synchronous and without I/O to the peers: it leaves what each side is to get in [`Output`], where bytes that stand
//! together in the peer's buffer are one range of it and are not copied. Whoever calls it writes that out.
//!
//! Never: let an output be written when the commit before it failed. [`Batch::run`] then errs and its output is void.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::fault::{Blame, Fault};
use writ_core::mask::MaskMark;
use writ_core::time::Timestamp;
use writ_mask::{Mask, What};
use writ_record::entry::{Ending, Flow, Format, OutcomeRecord, Parameter, Text};
use writ_wire_machine::{
    Ask, Delivery, Effect, Effects, Machine, Masked, Outcome, ParameterAt, ParameterFormat, Side, Span, TextAt,
};
use writ_wire_postgres::error;
use writ_wire_postgres::relay::Relay;

use crate::evidence::{Answer, Gate, Judged, Later, Moment};
use crate::masking;
use crate::spill::Spill;
use crate::started::Started;
use crate::waiting::Line;

/// Where one side's bytes go: a range of the other side's buffer for as long as that suffices, else gathered.
#[derive(Debug, Default)]
pub struct Output {
    run: Range<usize>,
    gathered: Vec<u8>,
}

impl Output {
    fn forward(&mut self, source: &[u8], span: Range<usize>) {
        if self.run.is_empty() {
            self.run = span;
        } else if self.run.end == span.start {
            self.run.end = span.end;
        } else {
            self.gather(source);
            self.run = span;
        }
    }

    fn gather(&mut self, source: &[u8]) {
        let run = std::mem::take(&mut self.run);
        self.gathered.extend_from_slice(source.get(run).unwrap_or_default());
    }

    fn append(&mut self, source: &[u8], bytes: &[u8]) {
        self.gather(source);
        self.gathered.extend_from_slice(bytes);
    }

    /// All that this side is to get, in order; `source` is the other side's buffer.
    pub fn bytes<'a>(&'a mut self, source: &'a [u8]) -> &'a [u8] {
        if self.gathered.is_empty() {
            return source.get(self.run.clone()).unwrap_or_default();
        }
        self.gather(source);
        &self.gathered
    }

    /// How many bytes it is to get.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.gathered.len() + (self.run.end - self.run.start)
    }

    /// Whether it is to get nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all and keeps a moderate memory.
    pub fn clear(&mut self) {
        self.run = 0..0;
        self.gathered.clear();
        self.gathered.shrink_to(1 << 18);
    }
}

/// Verdicts in the order of their commands.
pub type Verdicts<A> = VecDeque<(CommandId, Judged<A>)>;

/// What a worker's sessions share: memory that is empty between two batches.
#[derive(Debug)]
pub struct Shared<A> {
    /// The machine's answers.
    effects: Effects,
    /// Its answers to deliveries.
    delivered: Effects,
    masked: Vec<u8>,
    /// What policy said of commands that are neither released nor refused yet.
    pub verdicts: Verdicts<A>,
    /// What the client is to get.
    pub to_client: Output,
    /// What the server is to get.
    pub to_server: Output,
    /// What it is to get before the long command that is released; [`Self::to_server`] then comes after that.
    pub before_spill: Vec<u8>,
}

impl<A> Default for Shared<A> {
    fn default() -> Self {
        Self {
            effects: Effects::default(),
            delivered: Effects::default(),
            masked: Vec::new(),
            verdicts: VecDeque::new(),
            to_client: Output::default(),
            to_server: Output::default(),
            before_spill: Vec::new(),
        }
    }
}

impl<A> Shared<A> {
    /// Forgets what was to be written.
    pub fn discard(&mut self) {
        self.to_client.clear();
        self.to_server.clear();
        self.before_spill.clear();
    }

    /// Empties everything between two batches.
    pub fn clear(&mut self) {
        self.discard();
        self.verdicts.clear();
        self.masked.clear();
        self.masked.shrink_to(1 << 18);
    }
}

/// A session's own state between two batches, but for its sockets and buffers.
pub struct Session<S> {
    /// The protocol.
    pub machine: Relay,
    /// What masks its replies.
    pub mask: Box<dyn Mask>,
    /// Its evidence.
    pub gate: S,
    /// Commands that are too long for memory.
    pub spills: Spill,
    /// What the server is to get behind the long command that is on its way.
    pub after_spill: Vec<u8>,
    /// Commands that have no verdict yet.
    pub line: Line,
    started: Started,
    bytes: u64,
    marks: Vec<MaskMark>,
    /// What the client is told as soon as no frame is under way to it.
    notices: Vec<u8>,
    /// Whether it is over once all was written.
    pub closing: bool,
}

impl<S> Session<S> {
    /// A session that begins.
    pub fn new(machine: Relay, mask: Box<dyn Mask>, gate: S) -> Self {
        let (started, spills) = (Started::default(), Spill::default());
        Self {
            machine,
            mask,
            gate,
            spills,
            after_spill: Vec::new(),
            line: Line::default(),
            started,
            bytes: 0,
            marks: Vec::new(),
            notices: Vec::new(),
            closing: false,
        }
    }
}

/// One batch under way.
pub struct Batch<'a, G: Gate> {
    /// The worker's gate.
    pub gate: &'a mut G,
    /// The worker's memory.
    pub shared: &'a mut Shared<G::Allowed>,
    /// The session.
    pub session: &'a mut Session<G::Session>,
    /// All of the client's bytes that are not consumed.
    pub client: &'a [u8],
    /// All of the server's.
    pub server: &'a [u8],
    /// How many of the client's are consumed now.
    pub client_done: usize,
    /// How many of the server's.
    pub server_done: usize,
    /// When, by the monotonic clock.
    pub now: Instant,
    /// When, by the calendar.
    pub at: Timestamp,
    /// How many of the machine's answers are carried out.
    pub next: usize,
    /// Whether the client's left-over bytes are to be looked at again.
    pub moved: bool,
    /// Whether a verdict or an outcome was staged.
    pub staged: bool,
}

impl<G: Gate> Batch<'_, G> {
    /// Carries through what came from this side.
    ///
    /// # Errors
    /// The session must end. What stands in the outputs may still be written only where the answer's second part is
    /// true: the records before it were taken.
    pub fn run(&mut self, from: Side) -> Result<(), (Fault, bool)> {
        self.stage(from)?;
        self.finish()
    }

    /// The first half: what came is understood, judged and its records are staged. What stands in the outputs and the
    /// verdicts waits for [`Self::finish`], before which others may stage theirs.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn stage(&mut self, from: Side) -> Result<(), (Fault, bool)> {
        self.shared.effects.clear();
        self.next = 0;
        self.step(from)
    }

    /// Takes up what was staged in an earlier batch of this session, with the verdicts that were kept for it.
    pub fn take_up(&mut self, verdicts: &mut Verdicts<G::Allowed>) {
        // What stands in the effects is another session's.
        self.shared.effects.clear();
        self.next = 0;
        std::mem::swap(&mut self.shared.verdicts, verdicts);
        self.moved = true;
    }

    /// The second half: one commit, all releases and refusals, then the client's bytes that waited for them.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn finish(&mut self) -> Result<(), (Fault, bool)> {
        loop {
            let asked = self.answer().map_err(|fault| (fault, false))?;
            let moved = std::mem::take(&mut self.moved) || asked;
            if !moved || self.client.len() == self.client_done || self.session.closing {
                break;
            }
            self.step(Side::Client)?;
        }
        self.commit().map_err(|fault| (fault, false))?;
        if !self.session.notices.is_empty() && !self.session.machine.is_within_frame() {
            let notices = std::mem::take(&mut self.session.notices);
            self.shared.to_client.append(self.server, &notices);
        }
        Ok(())
    }

    /// How many bytes would have to be kept if what is staged waits; all of them where a long command is on its way.
    #[must_use]
    pub fn keeps(&self) -> usize {
        if !self.shared.before_spill.is_empty() || self.session.spills.going() || self.session.closing {
            return usize::MAX;
        }
        let left = self.client.len() - self.client_done + self.server.len() - self.server_done;
        left.saturating_add(self.shared.to_client.len()).saturating_add(self.shared.to_server.len())
    }

    fn step(&mut self, from: Side) -> Result<(), (Fault, bool)> {
        let before = self.client_done;
        let handled = self.handle(from);
        self.carry_out().map_err(|fault| (fault, false))?;
        self.moved = from == Side::Server || before != self.client_done;
        handled.or_else(|fault| {
            // What came before the fault is answered as if it had come alone.
            self.answer().and_then(|_| self.commit()).map_err(|fault| (fault, false))?;
            Err((fault, true))
        })
    }

    /// Ends the session by the protocol's own means.
    pub fn abort(&mut self, why: &Fault) -> Result<(), Fault> {
        self.shared.effects.clear();
        self.next = 0;
        self.session.machine.abort(why, &mut self.shared.effects);
        self.session.closing = true;
        self.carry_out()?;
        self.commit().map(drop)
    }

    fn handle(&mut self, from: Side) -> Result<(), Fault> {
        let bytes = match from {
            Side::Client => self.client.get(self.client_done..),
            Side::Server => self.server.get(self.server_done..),
        };
        self.session.machine.handle(self.now, from, bytes.unwrap_or_default(), &mut self.shared.effects)
    }

    fn commit(&mut self) -> Result<G::Flushed, Fault> {
        self.gate.commit()
    }

    /// Answers all that was asked: one commit, then each release and refusal in order.
    fn answer(&mut self) -> Result<bool, Fault> {
        if self.shared.verdicts.is_empty() {
            return Ok(false);
        }
        let flushed = self.commit()?;
        while let Some((id, judged)) = self.shared.verdicts.pop_front() {
            let allowed = match judged {
                Judged::Deny(fault) => {
                    self.session.spills.forget(id);
                    let client = self.client.get(self.client_done..).unwrap_or_default();
                    self.session.machine.refuse(id, &fault, client, &mut self.shared.effects);
                    self.carry_out()?;
                    continue;
                }
                Judged::Allow(allowed) => allowed,
            };
            // One release lets go all allowed ones up to the next refusal.
            let (mut through, mut last) = (id, allowed);
            while let Some((_, Judged::Allow(_))) = self.shared.verdicts.front() {
                if let Some((id, Judged::Allow(allowed))) = self.shared.verdicts.pop_front() {
                    (through, last) = (id, allowed);
                }
            }
            let permit = self.gate.prove(last, &flushed);
            let client = self.client.get(self.client_done..).unwrap_or_default();
            self.session.machine.release(through, &permit, client, &mut self.shared.effects);
            self.carry_out()?;
        }
        Ok(true)
    }

    fn carry_out(&mut self) -> Result<(), Fault> {
        while let Some(effect) = self.shared.effects.list.get(self.next) {
            let effect = effect.clone();
            self.next += 1;
            self.carry_out_one(effect)?;
        }
        Ok(())
    }

    fn carry_out_one(&mut self, effect: Effect) -> Result<(), Fault> {
        match effect {
            Effect::Ask(ask) => self.judge(&ask),
            Effect::Forward { from, span } => {
                self.forward(from, span);
                Ok(())
            }
            Effect::Send { to, span } => {
                let made = self.shared.effects.made.get(span).unwrap_or_default();
                match to {
                    Side::Client => self.shared.to_client.append(self.server, made),
                    Side::Server => self.shared.to_server.append(self.client, made),
                }
                Ok(())
            }
            Effect::Upload { command, span } => {
                let bytes = within(self.client, self.client_done, &span);
                self.gate.rows(&mut self.session.gate, Some(command), self.at, Flow::Upload, bytes, true)
            }
            Effect::Deliver { what, command, span, whole, last } => self.deliver(what, command, &span, (whole, last)),
            Effect::Learn(learn) => masking::learn(self.session.mask.as_mut(), &learn),
            Effect::Study { span } => {
                self.shared.masked.clear();
                let bytes = within(self.server, self.server_done, &span);
                self.session.mask.frames(writ_mask::What::Columns, bytes, &mut self.shared.masked).map(drop)
            }
            Effect::Outcome { command, outcome } => self.outcome(command, &outcome),
            Effect::Spill { command, span } => {
                let bytes = within(self.client, self.client_done, &span);
                let offset = self.session.spills.append(command, bytes)?;
                self.gate.spill(&mut self.session.gate, command, self.at, offset, bytes)
            }
            // One at a time: two that go out together would mix on their way to the server.
            Effect::ForwardSpilled { .. } if self.session.spills.going() => Err(Fault::new(
                "session.spills",
                Blame::NotAllowed,
                "two statements too long for memory were sent without waiting for the first one's answer",
            )
            .help("send long statements one after another")),
            Effect::ForwardSpilled { command } => {
                // What stands before it goes out before it.
                self.shared.to_server.gather(self.client);
                self.shared.before_spill.append(&mut self.shared.to_server.gathered);
                self.session.spills.release(command)
            }
            Effect::Consumed { from, count } => {
                match from {
                    Side::Client => {
                        self.client_done += count;
                        self.session.line.consume(count);
                    }
                    Side::Server => self.server_done += count,
                }
                Ok(())
            }
            Effect::Close => {
                self.session.closing = true;
                Ok(())
            }
        }
    }

    fn forward(&mut self, from: Side, span: Span) {
        match from {
            Side::Client => {
                let span = span.start + self.client_done..span.end + self.client_done;
                self.shared.to_server.forward(self.client, span);
            }
            Side::Server => {
                let span = span.start + self.server_done..span.end + self.server_done;
                self.shared.to_client.forward(self.server, span);
            }
        }
    }

    /// Asks for a verdict, behind all that wait for theirs.
    fn judge(&mut self, ask: &Ask) -> Result<(), Fault> {
        let later = if self.session.line.is_empty() {
            let later = self.put((ask.id, ask.tag), &ask.text, &Parameters::Asked(ask.parameters.clone()))?;
            let Some(later) = later else { return Ok(()) };
            Some(later)
        } else {
            None
        };
        let parameters = self.shared.effects.parameters.get(ask.parameters.clone()).unwrap_or_default();
        self.session.line.push(ask, parameters, later);
        Ok(())
    }

    /// Asks again for those that wait, in order, up to the first that must wait on.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn judge_again(&mut self) -> Result<(), (Fault, bool)> {
        // What stands in the effects is another session's.
        self.shared.effects.clear();
        self.next = 0;
        let consumed = self.session.line.consumed();
        while let Some(command) = self.session.line.pop() {
            let (text, parameters) = (command.text(consumed), Parameters::Kept(command.parameters(consumed)));
            let later = self.put((command.id, command.tag), &text, &parameters).map_err(|fault| (fault, false))?;
            if let Some(later) = later {
                self.session.line.put_back(command, later);
                break;
            }
        }
        self.moved = true;
        Ok(())
    }

    /// Asks the gate; what it decides stands among the verdicts.
    fn put(
        &mut self,
        (id, tag): (CommandId, CommandTag),
        text: &TextAt,
        parameters: &Parameters,
    ) -> Result<Option<Later>, Fault> {
        let client = self.client.get(self.client_done..).unwrap_or_default();
        let (shown, text) = match text {
            TextAt::Buffer(span) => {
                let bytes = client.get(span.clone()).unwrap_or_default();
                (Some(bytes), Text::Inline(bytes))
            }
            TextAt::Prepared(id) => (None, Text::Prepared(*id)),
            TextAt::Spilled => (None, Text::Spilled(self.session.spills.length(id))),
        };
        let command = Command { id, tag, text: shown };
        let parameters = match parameters {
            Parameters::Asked(range) => self.shared.effects.parameters.get(range.clone()).unwrap_or_default(),
            Parameters::Kept(all) => all,
        };
        let parameters = parameters.iter().map(|at| parameter(at, client));
        self.staged = true;
        let machine = &self.session.machine;
        let (open, prepared) = (|| machine.may_be_open(id), || machine.prepared().collect());
        let moment = Moment { at: self.at, now: self.now, open: &open, prepared: &prepared };
        let judged = match self.gate.judge(&mut self.session.gate, &command, &moment, text, parameters)? {
            Answer::Now(judged) => judged,
            Answer::Later(later) => return Ok(Some(later)),
            Answer::Held(later, notice) => {
                error::write_notice(&mut self.session.notices, &notice);
                return Ok(Some(later));
            }
        };
        if matches!(judged, Judged::Allow(_)) {
            self.session.started.begins(id, self.now);
        }
        self.shared.verdicts.push_back((id, judged));
        Ok(None)
    }

    fn deliver(
        &mut self,
        what: Delivery,
        command: Option<CommandId>,
        span: &Span,
        (whole, last): (bool, bool),
    ) -> Result<(), Fault> {
        let bytes = within(self.server, self.server_done, span);
        let kind = mask_kind(what);
        self.shared.masked.clear();
        let masked = if whole {
            self.session.mask.frames(kind, bytes, &mut self.shared.masked)?
        } else {
            self.session.mask.part(kind, bytes, last, &mut self.shared.masked)?
        };
        let unchanged = masked == writ_mask::Masked::Unchanged;
        let shown = if unchanged { bytes } else { self.shared.masked.as_slice() };
        self.session.bytes = self.session.bytes.saturating_add(shown.len() as u64);
        self.gate.rows(&mut self.session.gate, command, self.at, flow(what), shown, whole)?;
        if let writ_mask::Masked::Changed { marks } = masked {
            self.session.marks.extend(marks);
        }
        let answer = if unchanged { Masked::Unchanged(span.clone()) } else { Masked::Changed(shown) };
        self.shared.delivered.clear();
        self.session.machine.deliver(answer, &mut self.shared.delivered);
        for index in 0..self.shared.delivered.list.len() {
            match self.shared.delivered.list.get(index).cloned() {
                Some(Effect::Forward { from, span }) => self.forward(from, span),
                Some(Effect::Send { to: Side::Client, span }) => {
                    let made = self.shared.delivered.made.get(span).unwrap_or_default();
                    self.shared.to_client.append(self.server, made);
                }
                None => {}
                Some(_) => return Err(Fault::new("gateway.effect", Blame::Misuse, "the gateway met an unknown step")),
            }
        }
        Ok(())
    }

    fn outcome(&mut self, command: CommandId, outcome: &Outcome) -> Result<(), Fault> {
        if *outcome == Outcome::Skipped && self.session.line.skip(command) {
            return Ok(());
        }
        let started = self.session.started.of(command).unwrap_or(self.now);
        let text = |span: &Span| within(self.server, self.server_done, span);
        let none: &[u8] = &[];
        let (ending, text, rows, code) = match outcome {
            Outcome::Completed { text: span, rows } => (Ending::Completed, text(span), *rows, none),
            Outcome::Suspended => (Ending::Suspended, none, None, none),
            Outcome::Failed { code } => (Ending::Failed, none, None, text(code)),
            Outcome::Skipped => (Ending::Skipped, none, None, none),
            Outcome::Empty => (Ending::Empty, none, None, none),
        };
        let duration = self.now.saturating_duration_since(started);
        let (at, bytes, masks) = (self.at, self.session.bytes, self.session.marks.as_slice());
        let record = OutcomeRecord { id: command, at, ending, text, rows, code, bytes, duration, masks };
        self.staged = true;
        self.gate.outcome(&mut self.session.gate, &record)?;
        self.session.bytes = 0;
        self.session.marks.clear();
        Ok(())
    }
}

/// Where a command's parameters stand.
enum Parameters {
    /// In the machine's answers.
    Asked(Range<usize>),
    /// Here, since the command had to wait.
    Kept(Vec<ParameterAt>),
}

fn within<'b>(buffer: &'b [u8], base: usize, span: &Span) -> &'b [u8] {
    buffer.get(span.start + base..span.end + base).unwrap_or_default()
}

fn parameter<'b>(at: &ParameterAt, client: &'b [u8]) -> Parameter<'b> {
    let format = match at.format {
        ParameterFormat::Text => Format::Text,
        ParameterFormat::Binary => Format::Binary,
    };
    let value = at.value.as_ref().map(|span| client.get(span.clone()).unwrap_or_default());
    Parameter { type_id: at.type_id, format, value }
}

const fn mask_kind(what: Delivery) -> What {
    match what {
        Delivery::Columns => What::Columns,
        Delivery::Rows => What::Rows,
        Delivery::Copy => What::Copy,
        Delivery::Error => What::Error,
        Delivery::Notice => What::Notice,
        Delivery::Notification => What::Notification,
        Delivery::Parameter => What::Parameter,
    }
}

const fn flow(what: Delivery) -> Flow {
    match what {
        Delivery::Columns => Flow::Columns,
        Delivery::Rows => Flow::Rows,
        Delivery::Copy => Flow::Copy,
        Delivery::Error => Flow::Error,
        Delivery::Notice => Flow::Notice,
        Delivery::Notification => Flow::Notification,
        Delivery::Parameter => Flow::Parameter,
    }
}
