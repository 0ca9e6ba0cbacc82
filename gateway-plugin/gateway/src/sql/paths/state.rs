//! One way in which a session's `search_path` may stand, and what statements make of it.

use std::rc::Rc;

use writ_core::statement::{Statement, TransactionStep};

/// One value of `search_path`: the schemas, `$user` left as it is.
pub(super) type Path = Vec<String>;

/// How many savepoints of a transaction are told apart.
const MOST_SAVEPOINTS: usize = 64;

/// What a statement does to it, where the statement succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    /// It is set, for the transaction alone where `local` says so. Where it is not `sure`, that may also not have happened.
    Set { to: Rc<Path>, local: bool, sure: bool },
    /// A step of the transaction.
    Transaction(TransactionStep),
}

/// One way in which it may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// Whether a transaction was begun by name: then none but a step of it ends it.
    begun: bool,
    /// What a rollback brings back.
    base: Rc<Path>,
    /// What a commit leaves.
    session: Rc<Path>,
    /// What holds until the transaction ends.
    local: Option<Rc<Path>>,
    savepoints: Vec<(String, Rc<Path>, Option<Rc<Path>>)>,
}

impl State {
    /// Outside of a transaction.
    pub(super) fn settled(path: Rc<Path>) -> Self {
        Self { begun: false, base: Rc::clone(&path), session: path, local: None, savepoints: Vec::new() }
    }

    /// What holds.
    pub(super) fn current(&self) -> &Rc<Path> {
        self.local.as_ref().unwrap_or(&self.session)
    }

    /// Whether its transaction was begun by name.
    pub(super) const fn is_begun(&self) -> bool {
        self.begun
    }

    /// Whether the end of a transaction of which nobody is told, such as that of a pipeline, may change what holds.
    pub(super) fn is_loose(&self) -> bool {
        !self.begun && self.is_changed()
    }

    /// Whether the end of its transaction may change what holds.
    pub(super) fn is_changed(&self) -> bool {
        self.all().any(|path| path != self.current())
    }

    /// All that may hold again.
    pub(super) fn all(&self) -> impl Iterator<Item = &Rc<Path>> {
        let saved = self.savepoints.iter().flat_map(|(_, session, local)| [session].into_iter().chain(local));
        [&self.base, &self.session].into_iter().chain(&self.local).chain(saved)
    }

    /// Once the transaction was committed.
    pub(super) fn committed(&self) -> Self {
        Self::settled(Rc::clone(&self.session))
    }

    /// Once it was rolled back.
    pub(super) fn rolled_back(&self) -> Self {
        Self::settled(Rc::clone(&self.base))
    }

    /// What a move makes of it, which is nothing where nobody can tell. `doubt`: its transaction may have failed, so that a
    /// commit rolls back.
    pub(super) fn after(mut self, step: &Move, doubt: bool, into: &mut Vec<Self>) -> Option<()> {
        match step {
            Move::Set { to, local, sure } => {
                if !sure {
                    into.push(self.clone());
                }
                if *local {
                    self.local = Some(Rc::clone(to));
                } else {
                    (self.session, self.local) = (Rc::clone(to), None);
                }
                into.push(self);
            }
            Move::Transaction(step) => match step {
                TransactionStep::Begin => {
                    self.begun = true;
                    into.push(self);
                }
                TransactionStep::Commit => {
                    if doubt {
                        into.push(self.rolled_back());
                    }
                    into.push(self.committed());
                }
                TransactionStep::Rollback => into.push(self.rolled_back()),
                TransactionStep::Savepoint(name) => {
                    if self.savepoints.len() >= MOST_SAVEPOINTS {
                        return None;
                    }
                    self.savepoints.push((name.clone(), Rc::clone(&self.session), self.local.clone()));
                    into.push(self);
                }
                TransactionStep::Release(name) => {
                    let at = self.savepoint(name);
                    self.savepoints.truncate(at.unwrap_or(self.savepoints.len()));
                    into.push(self);
                }
                TransactionStep::RollbackTo(name) => {
                    // The server knows the name, or it would have refused.
                    let at = self.savepoint(name)?;
                    self.savepoints.truncate(at + 1);
                    let (_, session, local) = self.savepoints.last()?.clone();
                    (self.session, self.local) = (session, local);
                    into.push(self);
                }
                TransactionStep::TwoPhase => return None,
            },
        }
        Some(())
    }

    fn savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(saved, ..)| saved == name)
    }
}

/// The transaction's part of a statement.
pub(super) fn step_of(statement: &Statement) -> Option<Move> {
    statement.transaction.clone().map(Move::Transaction)
}
