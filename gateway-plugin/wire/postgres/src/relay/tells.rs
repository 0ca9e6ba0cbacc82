//! What the driver is told of replies beside their frames, where it asks for that: whose columns and rows they are.
//!
//! A statement's description says nothing of the rows of a later execution: the server plans it anew once a setting or a table has
//! changed, and what `FETCH` and `EXECUTE` read is found by name. So each execution has a description of its portal immediately
//! ahead of it: the client's, or one that is asked here and told to the driver alone. What a portal's plan reads is settled when it is
//! bound; what a utility statement's portal reads is not. Its description holds only where nothing at all came between its Bind
//! and its one execution.
//!
//! What a portal is of is kept until nothing outstanding speaks of it, since a statement may be closed before rows come. What this
//! must never do: tell rows whose portal was not described just before.

use std::collections::HashMap;
use std::sync::Arc;

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_wire_machine::{Effect, Effects, Learn, Side};

use super::Relay;
use super::expect::Expect;
use crate::frame;

/// The longest text of a copy that is kept, and how many are: where there are more, what they copy is not told.
const LONGEST_COPY: usize = 4096;
const MOST_COPIES: usize = 64;
/// How many names may be gone and kept before the session is idle.
const MOST_GONE: usize = 1024;

/// What a portal is of.
#[derive(Debug)]
struct Bound {
    name: Box<[u8]>,
    statement: CommandId,
    /// Whether what it reads is settled once it is bound.
    settles: bool,
    /// Whether it may read other columns than it is described with.
    doubted: bool,
}

/// What is kept to be told.
#[derive(Debug, Default)]
pub(super) struct Tells {
    pub(super) on: bool,
    bound: HashMap<CommandId, Bound>,
    /// The portal that the server was told to bind, or to describe, by the message sent last.
    binds: Option<CommandId>,
    describes: Option<CommandId>,
    /// The portal whose columns were told last, and the one whose rows were, with nothing in between.
    described: Option<CommandId>,
    rows_of: Option<CommandId>,
    /// Whether something was changed since no transaction was open, and if so, whether only in that there are other tables.
    changed: Option<bool>,
    /// Texts that copy, by their commands.
    copies: HashMap<CommandId, Arc<[u8]>>,
}

impl Tells {
    pub(super) fn new(on: bool) -> Self {
        Self { on, ..Self::default() }
    }

    /// Keeps the text of a command where it may begin a copy.
    pub(super) fn asks(&mut self, command: CommandId, text: Option<&[u8]>) {
        let Some(text) = text.filter(|text| self.on && text.len() <= LONGEST_COPY && begins_copy(text)) else { return };
        if self.copies.len() >= MOST_COPIES {
            self.copies.clear();
        }
        self.copies.insert(command, text.into());
    }

    pub(super) fn binds(&mut self, portal: CommandId, name: &[u8], statement: CommandId, settles: bool) {
        if self.on {
            self.bound.insert(portal, Bound { name: name.into(), statement, settles, doubted: false });
        }
    }

    /// An execution has ended.
    pub(super) const fn ends(&mut self) {
        (self.described, self.rows_of) = (None, None);
    }
}

impl Relay {
    /// A message is about to go to the server: an execution has its portal described ahead of it.
    #[inline]
    pub(super) fn describe_first(&mut self, expect: Option<Expect>, effects: &mut Effects) {
        let Some(expect) = expect.filter(|_| self.tells.on) else { return };
        let (binds, describes) = (self.tells.binds, self.tells.describes.take());
        match expect {
            Expect::Bind(portal, _) => self.tells.binds = Some(portal),
            Expect::DescribePortal(portal) => self.tells.describes = portal,
            _ => self.tells.binds = None,
        }
        let Expect::Execute(portal) = expect else { return };
        let Some(bound) = self.tells.bound.get_mut(&portal) else { return };
        bound.doubted |= !bound.settles && binds != Some(portal);
        if describes != Some(portal) {
            effects.send(Side::Server, |made| {
                frame::write(made, b'D', |body| {
                    body.push(b'P');
                    frame::write_text(body, &bound.name);
                });
            });
            self.expected(Expect::Study(portal), effects);
        }
    }

    /// Columns come next.
    pub(super) fn tell_columns(&mut self, front: Option<Expect>, effects: &mut Effects) {
        if !self.tells.on {
            return;
        }
        let statement = match front {
            Some(Expect::DescribeStatement(known)) => known.map(|(id, _)| id),
            Some(Expect::DescribePortal(Some(portal))) => return self.tell_opens(portal, true, effects),
            Some(Expect::DescribePortal(None)) => None,
            _ => {
                self.tells.ends();
                return effects.push(Effect::Learn(Learn::Query));
            }
        };
        self.tells.ends();
        effects.push(Effect::Learn(Learn::Describes { statement: statement.unwrap_or(CommandId(0)) }));
    }

    /// The columns of a portal come next.
    pub(super) fn tell_opens(&mut self, portal: CommandId, shown: bool, effects: &mut Effects) {
        let statement = self.tells.bound.get(&portal).map_or(CommandId(0), |bound| bound.statement);
        (self.tells.described, self.tells.rows_of) = (Some(portal), None);
        effects.push(Effect::Learn(Learn::Opens { statement, shown }));
    }

    /// Rows come next.
    #[inline]
    pub(super) fn tell_rows(&mut self, effects: &mut Effects) -> Result<(), Fault> {
        match self.expect.queue.front() {
            Some(Expect::Execute(portal)) if self.tells.on && self.tells.rows_of != Some(*portal) => {
                self.tell_portal(*portal, effects)
            }
            _ => Ok(()),
        }
    }

    fn tell_portal(&mut self, portal: CommandId, effects: &mut Effects) -> Result<(), Fault> {
        let bound = self.tells.bound.get(&portal).filter(|_| self.tells.described == Some(portal));
        let doubted = bound.map(|bound| bound.doubted).ok_or_else(|| {
            Fault::new("postgres.undescribed", Blame::Target, "rows came whose columns the target has not described")
                .help("tell the operator of the gateway")
        })?;
        self.tells.rows_of = Some(portal);
        effects.push(Effect::Learn(Learn::Executes { doubted }));
        Ok(())
    }

    /// A copy to the client begins: the body of its CopyOutResponse.
    pub(super) fn tell_copy(&mut self, body: &[u8], front: Expect, effects: &mut Effects) {
        if !self.tells.on {
            return;
        }
        let of = match front {
            Expect::Execute(portal) => self.tells.bound.get(&portal).map(|bound| bound.statement),
            other => other.command(),
        };
        let text = match (front, of) {
            // A text is executed once, a statement often.
            (Expect::Query(_), Some(command)) => self.tells.copies.remove(&command),
            _ => of.and_then(|command| self.tells.copies.get(&command)).cloned(),
        };
        let columns = body.get(1..).and_then(<[u8]>::first_chunk::<2>).map_or(0, |count| u16::from_be_bytes(*count));
        effects.push(Effect::Learn(Learn::Copy { binary: body.first() != Some(&0), columns, text }));
    }

    /// A copy to the client has ended.
    pub(super) fn tell_copy_end(&self, effects: &mut Effects) {
        if self.tells.on {
            effects.push(Effect::Learn(Learn::CopyEnd));
        }
    }

    /// A command has completed with this text. That it may have changed what relations mean is told of each session, since others
    /// may be masked by what they meant.
    pub(super) fn tell_completed(&mut self, text: &[u8], effects: &mut Effects) {
        if keeps_schema(text) {
            return;
        }
        let tables = makes_tables(text);
        self.tells.rows_of = None;
        self.tells.changed = Some(tables && self.tells.changed.unwrap_or(true));
        effects.push(Effect::Learn(Learn::Schema { tables }));
    }

    /// No transaction is open any more.
    pub(super) fn tell_idle(&mut self, effects: &mut Effects) {
        if let Some(tables) = self.tells.changed.take() {
            self.tells.rows_of = None;
            effects.push(Effect::Learn(Learn::Schema { tables }));
        }
    }

    /// Forgets statements and portals that are gone and of which nothing outstanding speaks.
    pub(super) fn forget_gone(&mut self, at_least: usize, effects: &mut Effects) {
        if !self.tells.on || self.portals.gone.len() + self.statements.gone.len() < at_least.max(1) {
            return;
        }
        let held = self.held.iter().filter_map(|held| held.expect.as_ref());
        let outstanding: Vec<CommandId> =
            held.chain(&self.expect.queue).filter_map(|expect| expect.command()).collect();
        self.portals.gone.retain(|id| {
            let kept = outstanding.contains(id);
            if !kept {
                self.tells.bound.remove(id);
                self.tells.rows_of = self.tells.rows_of.filter(|portal| portal != id);
            }
            kept
        });
        self.statements.gone.retain(|id| {
            let kept = outstanding.contains(id) || self.tells.bound.values().any(|bound| bound.statement == *id);
            if !kept {
                self.tells.copies.remove(id);
                effects.push(Effect::Learn(Learn::Forget { statement: *id }));
            }
            kept
        });
    }

    /// The same, where many are gone before the session is idle.
    pub(super) fn forget_many(&mut self, effects: &mut Effects) {
        self.forget_gone(MOST_GONE, effects);
    }
}

fn begins_copy(text: &[u8]) -> bool {
    text.trim_ascii_start().first_chunk::<4>().is_some_and(|word| word.eq_ignore_ascii_case(b"copy"))
}

/// Whether a command that completes so has made or dropped what holds rows, and changed nothing that stays.
fn makes_tables(text: &[u8]) -> bool {
    matches!(
        text,
        b"CREATE TABLE" | b"DROP TABLE" | b"CREATE INDEX" | b"DROP INDEX" | b"CREATE SEQUENCE" | b"DROP SEQUENCE"
    )
}

/// Whether a command that completes so has changed no table, view or type that others read. `DO` and `CALL` may have.
fn keeps_schema(text: &[u8]) -> bool {
    let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
    matches!(
        word,
        b"SELECT"
            | b"INSERT"
            | b"UPDATE"
            | b"DELETE"
            | b"MERGE"
            | b"FETCH"
            | b"MOVE"
            | b"COPY"
            | b"BEGIN"
            | b"START"
            | b"COMMIT"
            | b"ROLLBACK"
            | b"SAVEPOINT"
            | b"RELEASE"
            | b"SET"
            | b"RESET"
            | b"SHOW"
            | b"PREPARE"
            | b"DEALLOCATE"
            | b"DECLARE"
            | b"CLOSE"
            | b"EXPLAIN"
            | b"LISTEN"
            | b"UNLISTEN"
            | b"NOTIFY"
            | b"LOCK"
            | b"TRUNCATE"
            | b"ANALYZE"
            | b"VACUUM"
            | b"CHECKPOINT"
            | b"DISCARD"
    )
}
