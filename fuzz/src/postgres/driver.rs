//! A driver in memory: buffers, verdicts and delivery as a gateway has them. What is refused is what says `denied`.

use std::collections::HashMap;
use std::time::Instant;

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_core::proof::{Clearance, Recorded};
use writ_wire_machine::{Ask, Effect, Effects, Machine, Masked, Outcome, Side, TextAt};
use writ_wire_postgres::frame::{HEADER, Reader};
use writ_wire_postgres::relay::{Relay, RelaySettings};

/// A text that holds this is refused.
pub(super) const DENIED: &[u8] = b"denied";

#[expect(clippy::disallowed_methods, reason = "a fuzz target plays both the policy and the spool")]
fn permit() -> Recorded<Clearance> {
    Recorded::by_spool(Clearance::by_policy(PolicyHash::new("fuzz")))
}

#[derive(Debug)]
pub(super) struct Driver {
    relay: Relay,
    client: Vec<u8>,
    server: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    pub(super) to_server: Vec<u8>,
    spool: Vec<u8>,
    /// What was recorded of each command: its text, and whether it was let go.
    pub(super) recorded: HashMap<u64, (Vec<u8>, bool)>,
    /// Commands that completed, with the text of their completion.
    pub(super) completed: Vec<(u64, Vec<u8>)>,
    pub(super) failed: Option<&'static str>,
    closed: bool,
    now: Instant,
}

impl Driver {
    pub(super) fn new(settings: RelaySettings) -> Self {
        Self {
            relay: Relay::new(settings),
            client: Vec::new(),
            server: Vec::new(),
            to_client: Vec::new(),
            to_server: Vec::new(),
            spool: Vec::new(),
            recorded: HashMap::new(),
            completed: Vec::new(),
            failed: None,
            closed: false,
            now: Instant::now(),
        }
    }

    /// Whether the session is over.
    pub(super) const fn is_over(&self) -> bool {
        self.failed.is_some() || self.closed
    }

    pub(super) fn is_idle(&self) -> bool {
        self.relay.is_idle() && self.client.is_empty()
    }

    /// Takes what a peer sent, as it arrived; the other peer says nothing in between.
    pub(super) fn feed(&mut self, side: Side, pieces: &[&[u8]]) {
        for piece in pieces {
            let held = if side == Side::Client { &mut self.client } else { &mut self.server };
            held.extend_from_slice(piece);
            self.pump(side);
        }
        if side == Side::Server {
            self.pump(Side::Client);
        }
    }

    fn pump(&mut self, side: Side) {
        while !self.is_over() {
            let before = self.client.len();
            let mut effects = Effects::default();
            let bytes = if side == Side::Client { self.client.clone() } else { self.server.clone() };
            let handled = self.relay.handle(self.now, side, &bytes, &mut effects);
            let asked = self.carry_out(&effects);
            if let Err(fault) = handled {
                self.failed = Some(fault.code);
                return;
            }
            for id in &asked {
                self.decide(*id);
            }
            if side == Side::Server || asked.is_empty() || self.client.len() == before {
                return;
            }
        }
    }

    fn decide(&mut self, id: u64) {
        let (client, mut effects) = (self.client.clone(), Effects::default());
        if self.recorded.get(&id).is_some_and(|(_, allowed)| *allowed) {
            self.relay.release(CommandId(id), &permit(), &client, &mut effects);
        } else {
            let fault = Fault::new("fuzz.denied", Blame::NotAllowed, "denied");
            self.relay.refuse(CommandId(id), &fault, &client, &mut effects);
        }
        self.carry_out(&effects);
    }

    fn carry_out(&mut self, effects: &Effects) -> Vec<u64> {
        let mut asked = Vec::new();
        for effect in &effects.list {
            match effect {
                Effect::Ask(ask) => {
                    self.record(ask, effects);
                    asked.push(ask.id.0);
                }
                Effect::Forward { from: Side::Client, span } => self.to_server.extend(part(&self.client, span)),
                Effect::Forward { from: Side::Server, span } => self.to_client.extend(part(&self.server, span)),
                Effect::Send { to: Side::Client, span } => self.to_client.extend(part(&effects.made, span)),
                Effect::Send { to: Side::Server, span } => self.to_server.extend(part(&effects.made, span)),
                Effect::Deliver { span, .. } => {
                    let mut second = Effects::default();
                    self.relay.deliver(Masked::Unchanged(span.clone()), &mut second);
                    self.carry_out(&second);
                }
                Effect::Outcome { command, outcome } => self.outcome(*command, outcome),
                Effect::Spill { span, .. } => self.spool.extend(part(&self.client, span)),
                Effect::ForwardSpilled { .. } => self.to_server.append(&mut self.spool),
                Effect::Learn(_) | Effect::Study { .. } => {}
                Effect::Upload { span, .. } => drop(part(&self.client, span)),
                Effect::Consumed { from: Side::Client, count } => drop(self.client.drain(..*count)),
                Effect::Consumed { from: Side::Server, count } => drop(self.server.drain(..*count)),
                Effect::Close => self.closed = true,
            }
        }
        asked
    }

    fn record(&mut self, ask: &Ask, effects: &Effects) {
        for parameter in effects.parameters.get(ask.parameters.clone()).unwrap_or_default() {
            if let Some(span) = &parameter.value {
                drop(part(&self.client, span));
            }
        }
        let (text, stands) = match &ask.text {
            TextAt::Buffer(span) => (part(&self.client, span), true),
            TextAt::Spilled => (spilled(&self.spool), true),
            TextAt::Prepared(id) => {
                let known = self.recorded.get(&id.0);
                assert!(known.is_some(), "a command refers to a text that was never asked about");
                known.cloned().unwrap_or_default()
            }
        };
        let allowed = stands && !text.windows(DENIED.len()).any(|part| part == DENIED);
        let before = self.recorded.insert(ask.id.0, (text, allowed));
        assert!(before.is_none(), "two commands have one number");
    }

    fn outcome(&mut self, command: CommandId, outcome: &Outcome) {
        assert!(self.recorded.contains_key(&command.0), "a command came out that was never asked about");
        match outcome {
            Outcome::Completed { text, .. } => self.completed.push((command.0, part(&self.server, text))),
            Outcome::Failed { code } => drop(part(&self.server, code)),
            Outcome::Suspended | Outcome::Skipped | Outcome::Empty => {}
        }
    }
}

/// The text of a command that went through the spool: frame headers are there included.
fn spilled(spool: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new(spool, HEADER);
    let first = reader.text();
    let text = if spool.first() == Some(&b'P') { reader.text() } else { first };
    text.unwrap_or_default().to_vec()
}

/// A span must lie within its buffer.
fn part(bytes: &[u8], span: &core::ops::Range<usize>) -> Vec<u8> {
    let part = bytes.get(span.clone());
    assert!(part.is_some(), "a span lies outside of its buffer");
    part.unwrap_or_default().to_vec()
}
