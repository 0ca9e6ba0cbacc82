//! Carries commands and replies between a client and a server that are both logged in.
//!
//! The client's side finds commands and holds them until they are released; the server's side pairs
//! every reply with its command through a queue of expectations, delivers what may hold data, and puts refusals in their
//! place among the replies. In the steady state nothing is allocated for a command or a row.
//!
//! Never: forward a command's bytes before its release, or any byte behind it; answer a command twice or not at all.
//!
//! # Refusals
//! A refused command must fail as it would have failed at the server: the transaction around it too. So in its
//! place the server gets something that cannot succeed, and the client gets the refusal instead of the server's error for
//! it. A simple query that nothing is ahead of, outside a transaction, is answered at once without the server.

mod client;
mod expect;
mod fields;
mod names;
mod refuse;
mod rows;
mod server;
mod tells;
mod words;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use writ_core::command::CommandId;
use writ_core::fault::Fault;
use writ_core::proof::{Clearance, Recorded};
use writ_wire_machine::{Delivery, Effect, Effects, Machine, Masked, Outcome, Side, TransactionState};

use crate::error::{self, When};
use crate::frame;
use expect::{Expect, Expectations};
use names::Names;
use tells::Tells;

/// The bounds of a relay's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelaySettings {
    /// Client messages longer than this go through the spool, in bytes.
    pub spill_above: usize,
    /// Server frames longer than this are delivered in parts, in bytes.
    pub window: usize,
    /// How many messages may be without answer; above it the client is not read.
    pub max_pipeline: usize,
    /// How many prepared statements may be open, and how many portals.
    pub max_names: usize,
    /// How many bytes they may take, each kind.
    pub max_name_bytes: usize,
    /// Whether the driver is told what replies are about, by [`Effect::Learn`].
    pub tells: bool,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            spill_above: 1 << 20,
            window: 64 << 10,
            max_pipeline: 4096,
            max_names: 16_384,
            max_name_bytes: 4 << 20,
            tells: false,
        }
    }
}

/// A stretch of the client's buffer that waits.
#[derive(Debug)]
struct Held {
    length: usize,
    action: Action,
    expect: Option<Expect>,
    /// The command whose verdict it waits for.
    ask: Option<CommandId>,
}

#[derive(Debug)]
enum Action {
    Pass,
    Drop,
    Spilled,
    /// Refused by the machine itself: the error frame, and whether it refuses an extended message.
    Deny(Vec<u8>, bool),
    Terminate,
}

#[derive(Debug)]
struct Spill {
    id: CommandId,
    left: usize,
    expect: Expect,
    tag: writ_core::command::CommandTag,
    text: writ_wire_machine::TextAt,
}

/// One session after login.
#[derive(Debug)]
pub struct Relay {
    settings: RelaySettings,
    statements: Names,
    portals: Names,
    /// The last command's number.
    last: CommandId,
    /// The pipeline segment that the client writes.
    segment: u64,
    held: VecDeque<Held>,
    /// How far the client's buffer is understood.
    scanned: usize,
    /// How far it is done with, within one call.
    done: usize,
    /// A command on its way to the spool.
    spill: Option<Spill>,
    /// Bytes of a client's frame still to come that are dropped or, in a copy, forwarded.
    rest: usize,
    /// Whether `rest` belongs to a copy.
    rest_is_copy: bool,
    /// Whether the server got extended messages since the last Sync.
    in_segment: bool,
    /// Whether a portal was opened or executed since then.
    executed: bool,
    /// Whether the client's messages are dropped up to a Sync.
    skip_to_sync: bool,
    /// Whether a Flush of ours is on its way to the server.
    flushed: bool,
    expect: Expectations,
    /// The last command asked whose execution may give a name to another statement.
    maker: Option<CommandId>,
    /// The command whose copy from the client is under way.
    copy_in: Option<CommandId>,
    /// Syncs that the server may or may not have swallowed within a copy.
    absorbed: usize,
    /// What is left of a server's frame that is delivered in parts.
    part: Option<(Delivery, Option<CommandId>, usize)>,
    transaction: TransactionState,
    closed: bool,
    tells: Tells,
}

impl Relay {
    /// A session that is idle.
    #[must_use]
    pub fn new(settings: RelaySettings) -> Self {
        Self {
            statements: Names::new(settings.max_names, settings.max_name_bytes, settings.tells),
            portals: Names::new(settings.max_names, settings.max_name_bytes, settings.tells),
            tells: Tells::new(settings.tells),
            settings,
            last: CommandId(0),
            segment: 0,
            held: VecDeque::new(),
            scanned: 0,
            done: 0,
            spill: None,
            rest: 0,
            rest_is_copy: false,
            in_segment: false,
            executed: false,
            skip_to_sync: false,
            flushed: false,
            expect: Expectations::default(),
            maker: None,
            copy_in: None,
            absorbed: 0,
            part: None,
            transaction: TransactionState::Idle,
            closed: false,
        }
    }

    /// Whether a transaction may be open when this command runs, one that a pipeline opens by itself included.
    #[must_use]
    pub fn may_be_open(&self, command: CommandId) -> bool {
        // Behind a Sync stands what its transaction came to.
        let runs = |expect: &Expect| {
            matches!(
                expect,
                Expect::Query(_)
                    | Expect::Bind(..)
                    | Expect::Execute(_)
                    | Expect::Sync(_)
                    | Expect::RefusedQuery
                    | Expect::RefusedExtended
            )
        };
        let ahead = self.held.iter().take_while(|held| held.ask != Some(command));
        self.transaction != TransactionState::Idle
            || self.executed
            || self.expect.queue.iter().any(runs)
            || ahead.filter_map(|held| held.expect.as_ref()).any(runs)
    }

    /// Whether a frame of the server's is under way to the client, within which nothing else may be said.
    #[must_use]
    pub const fn is_within_frame(&self) -> bool {
        self.part.is_some()
    }

    /// The commands that prepared what may still be executed.
    pub fn prepared(&self) -> impl Iterator<Item = CommandId> + '_ {
        self.statements.ids()
    }

    /// Ends a call on the client's side: says what is done with.
    fn settle_client(&mut self, effects: &mut Effects) {
        effects.consumed(Side::Client, self.done);
        self.scanned -= self.done;
        self.done = 0;
    }

    /// Lets go what is at the front and waits for no command above `through`.
    fn advance(&mut self, through: CommandId, effects: &mut Effects) {
        while self.held.front().is_some_and(|held| held.ask.is_none_or(|id| id <= through)) {
            let Some(held) = self.held.pop_front() else { return };
            let end = self.done + held.length;
            match held.action {
                Action::Pass => {
                    self.describe_first(held.expect, effects);
                    effects.forward(Side::Client, self.done..end);
                }
                Action::Drop => {}
                Action::Spilled => {
                    self.describe_first(held.expect, effects);
                    if let Some(id) = held.ask {
                        effects.push(Effect::ForwardSpilled { command: id });
                    }
                }
                Action::Deny(frame, extended) => self.turn_down(frame, extended, end, effects),
                Action::Terminate => {
                    effects.forward(Side::Client, self.done..end);
                    effects.push(Effect::Close);
                    self.closed = true;
                }
            }
            self.done = self.done.max(end);
            if let Some(expect) = held.expect {
                self.expected(expect, effects);
            }
        }
    }

    /// The server got something that it will answer, or skip.
    fn expected(&mut self, expect: Expect, effects: &mut Effects) {
        match expect {
            Expect::Sync(_) => (self.in_segment, self.executed) = (false, false),
            Expect::Query(_) | Expect::RefusedQuery => {}
            Expect::Bind(..) | Expect::Execute(_) => (self.in_segment, self.executed) = (true, true),
            _ => self.in_segment = true,
        }
        // While the server skips, the queue is empty or begins with the Sync that ends it.
        let skipped = self.expect.skipping && self.expect.queue.is_empty();
        if skipped && !matches!(expect, Expect::Sync(_)) {
            self.skipped(expect, effects);
        } else {
            self.expect.queue.push_back(expect);
        }
    }

    /// A message had no effect, since one before it failed.
    fn skipped(&mut self, expect: Expect, effects: &mut Effects) {
        self.forget(expect);
        let report = match expect {
            Expect::Parse(id, _) | Expect::Query(id) => Some(id),
            Expect::Bind(id, _) => {
                self.expect.skipped_from.get_or_insert(id);
                Some(id)
            }
            Expect::Execute(id) => self.expect.skipped_from.is_none_or(|from| id < from).then_some(id),
            Expect::RefusedExtended | Expect::RefusedQuery => {
                self.expect.refusals.pop_front();
                None
            }
            _ => None,
        };
        if let Some(command) = report {
            effects.push(Effect::Outcome { command, outcome: Outcome::Skipped });
        }
    }
}

impl Machine for Relay {
    fn handle(&mut self, _now: Instant, from: Side, bytes: &[u8], effects: &mut Effects) -> Result<(), Fault> {
        if self.closed {
            return Ok(());
        }
        match from {
            Side::Client => {
                let scanned = self.scan_client(bytes, effects);
                self.advance(CommandId(0), effects);
                self.settle_client(effects);
                scanned
            }
            Side::Server => self.scan_server(bytes, effects),
        }
    }

    fn release(&mut self, through: CommandId, _permit: &Recorded<Clearance>, _client: &[u8], effects: &mut Effects) {
        if !self.closed {
            self.advance(through, effects);
            self.settle_client(effects);
        }
    }

    fn refuse(&mut self, id: CommandId, fault: &Fault, _client: &[u8], effects: &mut Effects) {
        if self.closed || self.held.front().is_none_or(|held| held.ask != Some(id)) {
            return;
        }
        self.refuse_front(fault, effects);
        self.advance(CommandId(0), effects);
        self.settle_client(effects);
    }

    fn deliver(&mut self, masked: Masked<'_>, effects: &mut Effects) {
        match masked {
            Masked::Unchanged(span) => effects.forward(Side::Server, span),
            Masked::Changed(bytes) => effects.send(Side::Client, |made| made.extend_from_slice(bytes)),
        }
    }

    fn abort(&mut self, why: &Fault, effects: &mut Effects) {
        if self.closed {
            return;
        }
        self.closed = true;
        if self.part.is_none() {
            effects.send(Side::Client, |made| error::write(made, why, When::End));
        }
        if self.rest == 0 {
            effects.send(Side::Server, |made| frame::write(made, b'X', |_| {}));
        }
        effects.push(Effect::Close);
    }

    fn transaction(&self) -> TransactionState {
        self.transaction
    }

    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.expect.queue.is_empty() && self.spill.is_none() && self.rest == 0
    }
}
