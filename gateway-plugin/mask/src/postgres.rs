//! The mask for PostgreSQL's protocol, version 3.
//!
//! Read next: [`row`] for rows, [`copy`] for bulk copies, [`message`] for errors, notices and the rest, [`value`] for what becomes of
//! one value, [`types`] for what it may become in its type.
//!
//! A mask is made for each session from shared rules and keys, and asks a [`Catalog`] whose column a result's column is. It never changes
//! a format: a masked value is legal in the format that it came in for the type that its column is described as, or it is NULL. It never passes what it
//! cannot read, a row whose columns it was not told, nor a covered value that is longer than what it may hold.

mod column;
mod copy;
mod message;
mod row;
mod types;
mod value;

use core::fmt;
use std::collections::HashMap;
use std::sync::Arc;

use writ_core::fault::{Blame, Fault};
use writ_core::mask::MaskMark;

use crate::action::MaskKey;
use crate::detect::{Region, Scanner};
use crate::rules::RuleSet;
use crate::{Context, CopyFormat, Mask, Masked, What};
pub(crate) use column::Column;
use column::Resolved;
use copy::Copy;
pub use types::{Catalog, NoCatalog, Source, TypeFact};
pub(crate) use value::{Engine, Fate};

/// The most statements of which it is kept what the client was told.
const MOST_STATEMENTS: usize = 65_536;

/// What the next frames of rows and columns are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Nothing,
    Query,
    Statement(u64),
    /// A portal of a statement, and whether the client sees its columns.
    Portal(u64, bool),
}

/// The mask of one session.
pub struct PostgresMask {
    engine: Engine,
    catalog: Arc<dyn Catalog>,
    about: About,
    /// The columns of the rows that come.
    columns: Vec<Column>,
    known: bool,
    resolved: Resolved,
    /// Which columns of statements the client was told to be text that are not; of statements that have such columns.
    told: HashMap<u64, Box<[bool]>>,
    copy: Option<Copy>,
    regions: Vec<Region>,
    /// What stands in the place of a value.
    field: Vec<u8>,
    /// A frame that comes in parts, and which column of it.
    part: Option<row::Part>,
}

impl fmt::Debug for PostgresMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresMask").field("about", &self.about).field("columns", &self.columns.len()).finish()
    }
}

impl PostgresMask {
    /// The mask of a session under these rules and keys, in the database that this catalog describes.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, key: Arc<MaskKey>, catalog: Arc<dyn Catalog>) -> Self {
        let scanner = Scanner::new(rules.wanted(), rules.user());
        Self {
            engine: Engine::new(rules, key, scanner, catalog.clone()),
            catalog,
            field: Vec::new(),
            about: About::Nothing,
            columns: Vec::new(),
            known: false,
            resolved: Resolved::default(),
            told: HashMap::new(),
            copy: None,
            regions: Vec::new(),
            part: None,
        }
    }

    /// Learns columns; whether they have to be described in other words.
    fn columns(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let start = out.len();
        let (rules, catalog) = (&self.engine.rules, self.catalog.as_ref());
        let columns = column::described(input, rules, catalog, &mut self.resolved, out)
            .ok_or_else(|| unreadable("a description of columns"))?;
        match self.about {
            About::Nothing => return Err(untold()),
            About::Query => (self.columns, self.known) = (columns, true),
            About::Portal(statement, true) => {
                self.tells(statement, &columns)?;
                (self.columns, self.known) = (columns, true);
            }
            About::Portal(statement, false) => {
                let told = self.told.get(&statement);
                let is_text = |place: usize| told.and_then(|told| told.get(place)).is_some_and(|text| *text);
                let as_told = |(place, column): (usize, Column)| column.as_told(is_text(place), &self.engine.rules);
                self.columns = columns.into_iter().enumerate().map(as_told).collect();
                self.known = true;
            }
            About::Statement(statement) => self.tells(statement, &columns)?,
        }
        Ok(out.len() != start)
    }

    /// Keeps what the client is told of a statement.
    fn tells(&mut self, statement: u64, columns: &[Column]) -> Result<(), Fault> {
        if !columns.iter().any(|column| column.retyped) {
            self.told.remove(&statement);
            return Ok(());
        }
        if self.told.len() >= MOST_STATEMENTS && !self.told.contains_key(&statement) {
            return Err(Fault::new(
                "mask.statements",
                Blame::NotAllowed,
                "the session has prepared too many statements",
            )
            .help("close statements that are no longer needed"));
        }
        self.told.insert(statement, columns.iter().map(|column| column.retyped).collect());
        Ok(())
    }

    /// What is known of the columns of the rows that come may not hold.
    fn doubt(&mut self) {
        let rules = &self.engine.rules;
        self.columns.iter_mut().for_each(|column| *column = column.doubted(rules));
    }
}

impl Mask for PostgresMask {
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault> {
        let start = out.len();
        let done = match what {
            What::Columns => self.columns(input, out),
            What::Rows => self.rows(input, out),
            What::Copy => self.copied(input, out),
            other => self.messages(other, input, out),
        };
        let changed = done.inspect_err(|_| out.truncate(start))?;
        let marks = self.engine.take_marks();
        if changed { Ok(Masked::Changed { marks }) } else { Ok(Masked::Unchanged) }
    }

    fn part(&mut self, what: What, input: &[u8], last: bool, _out: &mut Vec<u8>) -> Result<Masked, Fault> {
        if self.engine.rules.is_empty() {
            return Ok(Masked::Unchanged);
        }
        match what {
            What::Rows => self.row_part(input, last).map(|()| Masked::Unchanged),
            _ => Err(too_long()),
        }
    }

    fn learn(&mut self, context: Context<'_>) -> Result<(), Fault> {
        match context {
            Context::Query => {
                (self.about, self.known) = (About::Query, false);
                self.columns.clear();
            }
            Context::Describes { statement } => self.about = About::Statement(statement),
            Context::Opens { statement, shown } => {
                (self.about, self.known) = (About::Portal(statement, shown), false);
                self.columns.clear();
            }
            Context::Executes { doubted: false } => {}
            Context::Executes { doubted: true } => self.doubt(),
            Context::Schema { tables } => {
                self.resolved.clear();
                if !tables {
                    self.doubt();
                }
            }
            Context::Forget { statement } => drop(self.told.remove(&statement)),
            Context::Copy { format, columns } => {
                self.copy = Some(Copy::new(format, columns, &self.engine.rules, self.catalog.as_ref()));
            }
            Context::CopyOf { binary, .. } => {
                let format = if binary { CopyFormat::Binary } else { CopyFormat::Text { delimiter: b'\t' } };
                self.copy = Some(Copy::new(format, None, &self.engine.rules, self.catalog.as_ref()));
            }
            Context::CopyEnd => {
                if self.copy.take().is_some_and(|copy| !copy.is_done()) {
                    return Err(unreadable("a copy that ends within a row"));
                }
            }
        }
        Ok(())
    }
}

fn unreadable(what: &str) -> Fault {
    Fault::new("mask.unreadable", Blame::Target, "the target sent what cannot be masked")
        .detail(format!("unreadable: {what}"))
}

fn untold() -> Fault {
    Fault::new("mask.untold", Blame::Misuse, "rows came whose columns the mask was not told")
}

fn too_long() -> Fault {
    Fault::new("mask.too_long", Blame::NotAllowed, "a value is too long to be masked")
        .help("select less in one value, or ask for a policy that lets this column be")
}

/// The marks of what was counted by rule.
fn marks(rules: &RuleSet, counts: &mut [u64]) -> Vec<MaskMark> {
    let hit = counts.iter_mut().enumerate().filter(|(_, count)| **count > 0);
    hit.map(|(rule, count)| MaskMark { rule: rules.name(rule).to_owned(), count: core::mem::take(count) }).collect()
}

#[cfg(test)]
mod tests;
