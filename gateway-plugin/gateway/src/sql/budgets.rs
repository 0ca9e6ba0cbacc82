//! How many rows the statements under way may still give or change, and the cursors that they declared.
//!
//! Each statement of a text has all that policy allows one statement; a portal that is executed again goes on with what it has left, and
//! all that is fetched from one cursor counts as the rows of the statement that declared it. What must never happen: that a statement
//! gets a second allowance by being executed, fetched from or sent in parts.

use std::collections::{HashMap, VecDeque};

use writ_core::command::CommandId;
use writ_core::fault::Fault;
use writ_core::statement::{RowsTold, Statement};
use writ_record::entry::Ending;

use super::counts::limit;

/// How many statements with a limit of their own may be under way.
const MOST_RUNNING: usize = 4096;
/// How many cursors with a limit there may be.
const MOST_CURSORS: usize = 256;

/// The session's statements under way.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    running: VecDeque<Running>,
    /// What may still be fetched from the cursors whose rows are limited.
    cursors: HashMap<String, u64>,
}

/// One command, whose statements come out one after another.
#[derive(Debug)]
struct Running {
    id: CommandId,
    /// What each of its statements may give or change.
    most: Option<u64>,
    /// What the one at the front has left.
    left: Option<u64>,
    /// What its statements, from the one at the front on, do with cursors.
    steps: VecDeque<RowsTold>,
    /// It stopped at the client's row limit, and goes on if it is executed again.
    suspended: bool,
}

impl Budgets {
    /// Whether nothing is limited.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// A command is about to go on, each of whose statements may give or change so many rows; `open` says whether a transaction
    /// may be open, without which no portal outlives its command.
    ///
    /// # Errors
    /// More of them are under way than are counted.
    pub(super) fn begins(
        &mut self,
        id: CommandId,
        statements: &[Statement],
        most: Option<u64>,
        open: impl Fn() -> bool,
    ) -> Result<(), Fault> {
        let of_cursor = |statement: &Statement| !matches!(statement.rows, RowsTold::Here | RowsTold::Nowhere);
        if most.is_none() && (self.cursors.is_empty() || !statements.iter().any(of_cursor)) {
            return Ok(());
        }
        if self.running.iter().any(|running| running.suspended) && !open() {
            self.running.retain(|running| !running.suspended);
        }
        let declared = |statement: &Statement| matches!(&statement.rows, RowsTold::Declared(name) if !self.cursors.contains_key(name));
        let declares = statements.iter().filter(|statement| declared(statement)).count();
        if self.running.len() >= MOST_RUNNING || self.cursors.len() + declares > MOST_CURSORS {
            let public = "too many statements whose rows are limited are under way".to_owned();
            return Err(limit("limit.rows", public, "wait for answers, and close cursors, before sending more"));
        }
        let steps: VecDeque<RowsTold> = statements.iter().map(|statement| statement.rows.clone()).collect();
        for step in &steps {
            if let (RowsTold::Declared(name), Some(most)) = (step, most) {
                // An older one of this name may stand: what it had left stands then, until the declaration has succeeded.
                let left = self.cursors.entry(name.clone()).or_insert(most);
                *left = most.min(*left);
            }
        }
        self.running.push_back(Running { id, most, left: most, steps, suspended: false });
        Ok(())
    }

    /// A command gives or changed so many more rows.
    ///
    /// # Errors
    /// They are more than its statement, or its cursor, may have.
    pub(super) fn add(&mut self, id: CommandId, rows: u64) -> Result<(), Fault> {
        let Some(running) = self.running.iter_mut().find(|running| running.id == id) else { return Ok(()) };
        if let Some(left) = &mut running.left {
            *left = left.checked_sub(rows).ok_or_else(too_many)?;
        }
        if let Some(RowsTold::Fetched(name)) = running.steps.front()
            && let Some(left) = self.cursors.get_mut(name)
        {
            *left = left.checked_sub(rows).ok_or_else(too_many)?;
        }
        Ok(())
    }

    /// A statement of a command came out.
    pub(super) fn came_out(&mut self, id: CommandId, ending: Ending) {
        let Some(at) = self.running.iter().position(|running| running.id == id) else { return };
        // Those before it have come out, unless they may go on.
        let mut index = 0;
        self.running.retain(|running| {
            index += 1;
            index > at || running.suspended
        });
        let Some(at) = self.running.iter().position(|running| running.id == id) else { return };
        let Some(running) = self.running.get_mut(at) else { return };
        running.suspended = ending == Ending::Suspended;
        match ending {
            Ending::Suspended => return,
            Ending::Completed => {
                let step = running.steps.pop_front();
                running.left = running.most;
                if let Some(step) = step {
                    step_of(&mut self.cursors, step, running.most);
                }
                if !running.steps.is_empty() {
                    return;
                }
            }
            _ => {}
        }
        self.running.remove(at);
    }
}

/// What a statement that succeeded did to cursors: that one was declared says that no other of its name stood.
fn step_of(cursors: &mut HashMap<String, u64>, step: RowsTold, most: Option<u64>) {
    match (step, most) {
        (RowsTold::Declared(name), Some(most)) => drop(cursors.insert(name, most)),
        (RowsTold::Declared(name), None) | (RowsTold::Closed(Some(name)), _) => drop(cursors.remove(&name)),
        (RowsTold::Closed(None), _) => cursors.clear(),
        (RowsTold::Here | RowsTold::Nowhere | RowsTold::Fetched(_), _) => {}
    }
}

fn too_many() -> Fault {
    limit("limit.rows", "the statement has more rows than policy allows".to_owned(), "ask for fewer rows")
}

#[cfg(test)]
mod tests;
