//! In which schemas the server may look for a name that states none, and which functions of the database's own it may find there.
//!
//! A session's `search_path` is what the server said at the login, and then what the session's own statements make of it. A statement
//! that was let go may fail, and what a transaction did may be rolled back, by an error that answers no statement too: only where
//! neither can have happened does one path stand alone, else a name is asked about in all that may stand. A function that changes it
//! may be called again whenever a portal or a prepared statement is, so that what it names may stand from then on. What a block of
//! code or another text that is not understood did to it nobody knows; from then on no name without a schema can be placed.

use std::collections::VecDeque;
use std::rc::Rc;

use writ_core::command::CommandId;
use writ_core::statement::{Kind, Setting, SettingValue, Statement, TransactionStep};
use writ_policy::OwnFunctions;
use writ_record::entry::Ending;

use crate::evidence::ServerFacts;

mod list;
mod state;

use list::list;
use state::{Move, Path, State, step_of};

/// How many different paths are told apart; above it none is known.
const MOST: usize = 8;
/// How many statements that change it may be under way.
const MOST_PENDING: usize = 64;
/// A schema that none can have: its name is too long. In it stands what cannot be placed.
const NOWHERE: &str = "a schema that only the server knows, for nothing here says which one it is";
/// The longest name that a schema can have (`NAMEDATALEN`, without its end), in bytes.
const LONGEST_NAME: usize = 63;
const CATALOG: &str = "pg_catalog";
const USER: &str = "$user";

/// The paths that a session may have.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// What the session began with, to which `RESET` goes back.
    first: Rc<Path>,
    /// How it may stand behind all that came out.
    known: Vec<State>,
    /// What was let go and has not come out: the moves of each statement of a text that has any.
    pending: VecDeque<(CommandId, VecDeque<Vec<Move>>)>,
    /// Something failed, so that what was done since the last moment without a transaction may be rolled back.
    doubt: bool,
    /// What functions set it to.
    floating: Vec<Rc<Path>>,
    /// The role's own name, and whether there may be a schema of that name.
    user: String,
    user_schema: bool,
    lost: bool,
    /// It is followed within a text, of whose statements each is executed behind the one before.
    within: bool,
    /// The transaction in which that text begins may have failed already.
    may_fail: bool,
    /// The functions that the server named at the login, and those that the session may have made.
    functions: Rc<OwnFunctions>,
    /// Counted up with each change.
    pub(super) version: u64,
}

impl Paths {
    /// What the server says at the login.
    #[must_use]
    pub(super) fn new(facts: &ServerFacts) -> Self {
        let first = list(&facts.search_path).filter(fits);
        let (lost, first) = (first.is_none(), Rc::new(first.unwrap_or_default()));
        Self {
            known: vec![State::settled(Rc::clone(&first))],
            first,
            pending: VecDeque::new(),
            doubt: false,
            floating: Vec::new(),
            user: facts.role.clone(),
            user_schema: facts.user_schema,
            lost,
            within: false,
            may_fail: false,
            functions: Rc::new(facts.functions.clone()),
            version: 0,
        }
    }

    /// The functions of the database's own.
    #[must_use]
    pub(super) fn functions(&self) -> &OwnFunctions {
        &self.functions
    }

    /// Whether more may stand than what is known.
    fn is_hazy(&self) -> bool {
        self.doubt || !self.pending.is_empty() || (!self.within && self.known.iter().any(State::is_loose))
    }

    /// All paths that may stand, each once.
    fn possible(&self) -> Vec<Rc<Path>> {
        let mut all: Vec<Rc<Path>> = Vec::new();
        let mut add = |path: &Rc<Path>| {
            if !all.contains(path) {
                all.push(Rc::clone(path));
            }
        };
        for state in &self.known {
            if self.is_hazy() {
                state.all().for_each(&mut add);
            } else {
                add(state.current());
            }
        }
        let moves = self.pending.iter().flat_map(|(_, statements)| statements.iter().flatten());
        for step in moves {
            if let Move::Set { to, .. } = step {
                add(to);
            }
        }
        self.floating.iter().for_each(add);
        all
    }

    /// All schemas that may be looked in.
    #[must_use]
    pub(super) fn schemas(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut add = |schema: &str| {
            if !all.iter().any(|known| known == schema) {
                all.push(schema.to_owned());
            }
        };
        for path in self.possible() {
            for schema in path.iter() {
                match schema.as_str() {
                    USER if self.user_schema => add(&self.user),
                    USER => {}
                    schema => add(schema),
                }
            }
        }
        if self.lost {
            add(NOWHERE);
        }
        all
    }

    /// Whether the server looks in `pg_catalog` before all others.
    #[must_use]
    pub(super) fn catalog_first(&self) -> bool {
        let first = |path: &Rc<Path>| path.iter().position(|schema| schema == CATALOG).is_none_or(|at| at == 0);
        !self.lost && self.possible().iter().all(first)
    }

    /// A statement of a text will be executed: what stands for those behind it in the same text.
    pub(super) fn step(&mut self, statement: &Statement) {
        let moves = self.moves(statement);
        if !moves.is_empty() {
            if self.is_hazy() {
                self.known = self.possible().into_iter().map(State::settled).collect();
                self.pending.clear();
            }
            // What is under way in the transaction that the text finds may fail, and nobody has heard of it yet.
            self.may_fail |= !self.within && self.known.iter().any(State::is_begun);
            self.within = true;
            self.apply(&moves);
            let ends =
                |step: &Move| matches!(step, Move::Transaction(TransactionStep::Commit | TransactionStep::Rollback));
            self.may_fail &= !moves.iter().any(ends);
        }
        self.notice(statement);
    }

    /// A command was let go.
    pub(super) fn released(&mut self, id: CommandId, statements: &[Statement]) {
        let moves: VecDeque<Vec<Move>> = statements.iter().map(|statement| self.moves(statement)).collect();
        if moves.iter().any(|moves| !moves.is_empty()) {
            self.pending.push_back((id, moves));
            self.version += 1;
            if self.pending.len() > MOST_PENDING {
                self.lose();
            }
        }
        statements.iter().for_each(|statement| self.notice(statement));
        self.bound();
    }

    /// A statement of this command came out.
    pub(super) fn came_out(&mut self, id: CommandId, ending: Ending) {
        if ending == Ending::Failed {
            self.failed();
        }
        let Some(at) = self.pending.iter().position(|(pending, _)| *pending == id) else { return };
        self.version += 1;
        let Some((_, statements)) = self.pending.get_mut(at) else { return };
        let moves = match ending {
            Ending::Completed | Ending::Suspended => statements.pop_front().unwrap_or_default(),
            _ => Vec::new(),
        };
        if ending != Ending::Completed || statements.is_empty() {
            self.pending.remove(at);
        }
        // What stops within a query may be done again when it goes on.
        if ending == Ending::Suspended {
            moves.iter().for_each(|step| self.float(step));
        }
        self.apply(&moves);
        self.bound();
    }

    /// The server said, or will say, that something failed.
    pub(super) fn failed(&mut self) {
        if !self.doubt && (!self.pending.is_empty() || self.known.iter().any(State::is_changed)) {
            (self.doubt, self.version) = (true, self.version + 1);
        }
    }

    /// Where no transaction can be open, what was done before stands, or was rolled back.
    pub(super) fn settle(&mut self, open: impl Fn() -> bool) {
        let moved = self.doubt || !self.pending.is_empty() || self.known.iter().any(State::is_changed);
        if !moved || open() {
            return;
        }
        // What was bound and never executed is gone with its transaction.
        self.pending.clear();
        let known = std::mem::take(&mut self.known);
        for state in known {
            if self.doubt {
                self.add(state.rolled_back());
            }
            self.add(state.committed());
        }
        (self.doubt, self.version) = (false, self.version + 1);
        self.bound();
    }

    fn add(&mut self, state: State) {
        if !self.known.contains(&state) {
            self.known.push(state);
        }
    }

    fn apply(&mut self, moves: &[Move]) {
        for step in moves {
            let mut after = Vec::new();
            for state in std::mem::take(&mut self.known) {
                if state.after(step, self.doubt || self.may_fail, &mut after).is_none() {
                    self.lose();
                }
            }
            after.into_iter().for_each(|state| self.add(state));
            self.version += 1;
        }
        self.bound();
    }

    /// What a statement does to the path where it succeeds.
    fn moves(&mut self, statement: &Statement) -> Vec<Move> {
        let mut moves: Vec<Move> = statement.settings.iter().filter_map(|setting| self.set(setting)).collect();
        moves.extend(step_of(statement));
        if statement.accesses.iter().any(|access| access.kind == Kind::Discard) {
            moves.push(Move::Set { to: Rc::clone(&self.first), local: false, sure: false });
        }
        moves
    }

    fn set(&mut self, setting: &Setting) -> Option<Move> {
        let path = match (setting.name.as_str(), &setting.value) {
            ("search_path" | "all", SettingValue::Default) => Some((*self.first).clone()),
            ("search_path", SettingValue::Stated(values)) => Some(values.clone()),
            ("search_path", SettingValue::Text(text)) => list(text),
            ("search_path", SettingValue::Computed) => None,
            _ => return None,
        };
        let Some(path) = path.filter(fits) else {
            self.lose();
            return None;
        };
        let step = Move::Set { to: Rc::new(path), local: setting.local, sure: setting.sure };
        if !setting.sure {
            self.float(&step);
        }
        Some(step)
    }

    fn float(&mut self, step: &Move) {
        if let Move::Set { to, .. } = step
            && !self.floating.contains(to)
        {
            self.floating.push(Rc::clone(to));
            self.version += 1;
        }
    }

    /// What a statement does to names besides.
    fn notice(&mut self, statement: &Statement) {
        let whole = |kind| statement.accesses.iter().any(|access| access.kind == kind && access.relation.is_none());
        if whole(Kind::Unknown) || whole(Kind::Do) || whole(Kind::Call) || identity(statement) {
            self.lose();
        }
        for name in &statement.defines {
            self.version += u64::from(Rc::make_mut(&mut self.functions).add(name));
        }
        // A schema may have come to be, or another name to an old one.
        if whole(Kind::Ddl) && !self.user_schema {
            (self.user_schema, self.version) = (true, self.version + 1);
        }
    }

    fn lose(&mut self) {
        if !self.lost {
            (self.lost, self.version) = (true, self.version + 1);
        }
    }

    /// Of too many none is known.
    fn bound(&mut self) {
        if self.known.len() > MOST || self.floating.len() > MOST || self.possible().len() > MOST {
            self.lose();
        }
        if self.lost {
            self.known.truncate(MOST);
            self.floating.truncate(MOST);
            self.pending.clear();
        }
    }
}

/// Whether the server takes all of these as they are: it cuts what is longer, and looks in a schema of another name.
fn fits(path: &Path) -> bool {
    path.iter().all(|schema| schema.len() <= LONGEST_NAME)
}

/// Whether it changes who the session is, and with it what `$user` means.
fn identity(statement: &Statement) -> bool {
    statement.settings.iter().any(|setting| matches!(setting.name.as_str(), "role" | "session_authorization"))
        || matches!(statement.transaction, Some(TransactionStep::TwoPhase))
}

#[cfg(test)]
mod tests;
