//! Refusals, in their place among the replies.

use writ_core::fault::{Blame, Fault};
use writ_wire_machine::{Effects, Side, TransactionState};

use super::expect::Expect;
use super::{Action, Relay, names};
use crate::error::{self, NAME, UNKNOWN_PORTAL, UNKNOWN_STATEMENT, When};
use crate::frame;

/// A statement's name that no client may give: what is bound to it fails.
pub(super) const IMPOSSIBLE: &[u8] = b"\x01writ refused this";

/// A query that no parser takes.
const UNPARSABLE: &[u8] = b"refused by writ";

impl Relay {
    /// Refuses the command at the front.
    pub(super) fn refuse_front(&mut self, fault: &Fault, effects: &mut Effects) {
        let Some(held) = self.held.pop_front() else { return };
        let mut frame = Vec::new();
        error::write(&mut frame, fault, When::Command);
        let extended = !matches!(held.expect, Some(Expect::Query(_)));
        if let Some(expect) = held.expect {
            self.forget(expect);
        }
        let end = self.done + held.length;
        self.turn_down(frame, extended, end, effects);
        self.done = self.done.max(end);
    }

    /// Puts an error in the place of a message that ends at `end` of the client's buffer.
    pub(super) fn turn_down(&mut self, refusal: Vec<u8>, extended: bool, end: usize, effects: &mut Effects) {
        if extended {
            effects.send(Side::Server, |made| {
                frame::write(made, b'B', |body| {
                    frame::write_text(body, b"");
                    frame::write_text(body, IMPOSSIBLE);
                    body.extend_from_slice(&[0; 6]);
                });
            });
            self.refused(refusal, Expect::RefusedExtended, effects);
            self.done = end;
            self.skip_held(effects);
        } else if self.expect.queue.is_empty() && self.transaction == TransactionState::Idle && !self.in_segment {
            effects.send(Side::Client, |made| {
                made.extend_from_slice(&refusal);
                frame::write(made, b'Z', |body| body.push(b'I'));
            });
        } else {
            effects.send(Side::Server, |made| frame::write(made, b'Q', |body| frame::write_text(body, UNPARSABLE)));
            self.refused(refusal, Expect::RefusedQuery, effects);
        }
    }

    fn refused(&mut self, refusal: Vec<u8>, expect: Expect, effects: &mut Effects) {
        self.expect.refusals.push_back(refusal);
        self.expected(expect, effects);
    }

    /// Drops what waits, up to a Sync, as the server does after an error.
    fn skip_held(&mut self, effects: &mut Effects) {
        while let Some(held) = self.held.front() {
            if matches!(held.expect, Some(Expect::Sync(_))) || matches!(held.action, Action::Terminate) {
                return;
            }
            let Some(held) = self.held.pop_front() else { return };
            self.done += held.length;
            if let Some(expect) = held.expect {
                self.dropped(expect, effects);
            }
        }
        self.skip_to_sync = true;
    }

    /// A message was dropped on our side: it is reported as skipped where it stood for a command.
    fn dropped(&mut self, expect: Expect, effects: &mut Effects) {
        self.forget(expect);
        if let Expect::Parse(id, _) | Expect::Bind(id, _) | Expect::Query(id) = expect {
            effects
                .push(writ_wire_machine::Effect::Outcome { command: id, outcome: writ_wire_machine::Outcome::Skipped });
        }
    }

    /// A message did nothing to the names that it speaks of.
    pub(super) fn forget(&mut self, expect: Expect) {
        match expect {
            Expect::Parse(id, slot) => self.statements.settle(slot, id, false),
            Expect::Bind(id, slot) => self.portals.settle(slot, id, false),
            Expect::CloseStatement(Some(slot), _, segment) => self.statements.not_closed(slot, segment),
            Expect::ClosePortal(Some(slot), _, segment) => self.portals.not_closed(slot, segment),
            _ => {}
        }
    }
}

/// Refuses names that the server might take for others.
pub(super) fn plain(name: &[u8]) -> Result<(), Fault> {
    if names::is_plain(name) { Ok(()) } else { Err(name_fault()) }
}

/// The fault of a name that is not taken.
pub(super) fn name_fault() -> Fault {
    Fault::new(
        NAME,
        Blame::NotAllowed,
        "the name of a prepared statement or portal is longer than 63 bytes or not ASCII",
    )
    .help("name it by at most 63 ASCII characters")
}

/// The fault of a prepared statement that is not known.
pub(super) fn unknown_statement(name: &[u8]) -> Fault {
    let name = shown(name);
    Fault::new(UNKNOWN_STATEMENT, Blame::NotAllowed, format!("prepared statement `{name}` does not exist"))
        .help("make it by the protocol's own Parse message in this session, not by SQL")
}

/// The fault of a portal that is not known.
pub(super) fn unknown_portal(name: &[u8]) -> Fault {
    let name = shown(name);
    Fault::new(UNKNOWN_PORTAL, Blame::NotAllowed, format!("portal `{name}` does not exist"))
        .help("make it by the protocol's own Bind message in this transaction, or read a cursor by FETCH")
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(64).flat_map(char::escape_debug).collect()
}
