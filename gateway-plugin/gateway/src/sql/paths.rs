//! In which schemas the server may look for a name that states none, and which functions of the database's own it may find there.
//!
//! A session's `search_path` is what the server said at the login, and then what the session's own statements make of it. Where it
//! cannot be told whether a change came to be (a transaction that may be rolled back, a function that may or may not have been
//! called), both stand: a name is then asked about in all of them. What a block of code or another text that is not understood
//! did to it nobody knows; from then on no name without a schema can be placed.

use std::rc::Rc;

use writ_core::command::CommandId;
use writ_core::statement::{Kind, Setting, SettingValue, Statement, TransactionStep};
use writ_policy::OwnFunctions;

use crate::evidence::ServerFacts;

/// How many different paths are told apart; above it none is known.
const MOST: usize = 8;
/// A schema that none can have: its name is too long. In it stands what cannot be placed.
const NOWHERE: &str = "a schema that only the server knows, for nothing here says which one it is";
/// The longest name that a schema can have (`NAMEDATALEN`, without its end), in bytes.
const LONGEST_NAME: usize = 63;
const CATALOG: &str = "pg_catalog";
const USER: &str = "$user";

/// One value of `search_path`: the schemas, `$user` left as it is.
type Path = Vec<String>;

/// The paths that a session may have.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// What the session began with, to which `RESET` goes back.
    first: Path,
    possible: Vec<Path>,
    /// The role's own name, and whether there may be a schema of that name.
    user: String,
    user_schema: bool,
    lost: bool,
    /// The functions that the server named at the login, and those that the session may have made.
    functions: Rc<OwnFunctions>,
    /// A change that stands once this command has completed as often as it has statements.
    sure: Option<(CommandId, usize, Path)>,
    /// Counted up with each change.
    pub(super) version: u64,
}

impl Paths {
    /// What the server says at the login.
    #[must_use]
    pub(super) fn new(facts: &ServerFacts) -> Self {
        let first = list(&facts.search_path);
        let first = first.filter(|path| path.iter().all(|schema| schema.len() <= LONGEST_NAME));
        let (lost, first) = (first.is_none(), first.unwrap_or_default());
        Self {
            possible: vec![first.clone()],
            first,
            user: facts.role.clone(),
            user_schema: facts.user_schema,
            lost,
            functions: Rc::new(facts.functions.clone()),
            sure: None,
            version: 0,
        }
    }

    /// The functions of the database's own.
    #[must_use]
    pub(super) fn functions(&self) -> &OwnFunctions {
        &self.functions
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
        for schema in self.possible.iter().flatten() {
            match schema.as_str() {
                USER if self.user_schema => add(&self.user),
                USER => {}
                schema => add(schema),
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
        let first = |path: &Path| path.iter().position(|schema| schema == CATALOG).is_none_or(|at| at == 0);
        !self.lost && self.possible.iter().all(first)
    }

    /// A statement of a text will be executed: what stands for those behind it in the same text.
    pub(super) fn step(&mut self, statement: &Statement) {
        for setting in &statement.settings {
            self.set(setting);
        }
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
        if whole(Kind::Discard) {
            self.add(self.first.clone(), false);
        }
    }

    fn set(&mut self, setting: &Setting) {
        let path = match (setting.name.as_str(), &setting.value) {
            ("search_path" | "all", SettingValue::Default) => Some(self.first.clone()),
            ("search_path", SettingValue::Stated(values)) => Some(values.clone()),
            ("search_path", SettingValue::Text(text)) => list(text),
            ("search_path", SettingValue::Computed) => None,
            _ => return,
        };
        match path {
            Some(path) => self.add(path, setting.sure),
            None => self.lose(),
        }
    }

    fn add(&mut self, path: Path, sure: bool) {
        // The server cuts what is longer, and looks in a schema of another name.
        if path.iter().any(|schema| schema.len() > LONGEST_NAME) {
            return self.lose();
        }
        self.version += 1;
        if sure {
            self.possible = vec![path];
        } else if !self.possible.contains(&path) {
            if self.possible.len() < MOST { self.possible.push(path) } else { self.lose() }
        }
    }

    fn lose(&mut self) {
        (self.lost, self.version) = (true, self.version + 1);
    }

    /// A command was let go, behind which `after` stands if all of it comes to be; else what stood before may stand. Where
    /// nothing else was under way (`alone`) and it opens no transaction, that is known once it has completed.
    pub(super) fn released(&mut self, id: CommandId, statements: &[Statement], mut after: Self, alone: bool) {
        if after.version == self.version {
            return;
        }
        let steps = |statement: &Statement| {
            statement.transaction.is_some() || statement.settings.iter().any(|setting| setting.local)
        };
        let sure = alone && !after.lost && !statements.iter().any(steps) && after.possible.len() == 1;
        self.sure = after.possible.first().filter(|_| sure).map(|path| (id, statements.len(), path.clone()));
        for path in std::mem::take(&mut after.possible) {
            self.add(path, false);
        }
        self.lost |= after.lost;
        self.user_schema |= after.user_schema;
        self.functions = after.functions;
        self.version = after.version.max(self.version) + 1;
    }

    /// A statement of this command has completed, or failed.
    pub(super) fn came_out(&mut self, id: CommandId, completed: bool) {
        let Some((of, left, path)) = self.sure.take_if(|(of, ..)| *of == id) else { return };
        match (completed, left) {
            (true, 1) if !self.lost => {
                self.possible = vec![path];
                self.version += 1;
            }
            (true, left) if left > 1 => self.sure = Some((of, left - 1, path)),
            _ => {}
        }
    }
}

/// Whether it changes who the session is, and with it what `$user` means.
fn identity(statement: &Statement) -> bool {
    statement.settings.iter().any(|setting| matches!(setting.name.as_str(), "role" | "session_authorization"))
        || matches!(statement.transaction, Some(TransactionStep::TwoPhase))
}

/// The names of a list as PostgreSQL writes it: between commas, folded unless they stand in double quotes. `None`: it is none.
fn list(text: &str) -> Option<Path> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = name(rest)?;
        names.push(name);
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.is_empty() && !name.contains('"')).then(|| (name.to_ascii_lowercase(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match (character, characters.peek()) {
            ('"', Some((_, '"'))) => {
                characters.next();
                name.push('"');
            }
            ('"', _) => return Some((name, quoted.get(at + 1..)?)),
            _ => name.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests;
