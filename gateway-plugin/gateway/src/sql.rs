//! Verdicts on SQL: what a statement does, by PostgreSQL's own grammar, and what policy says of it.
//!
//! One [`Governor`] for each worker: the parser, what it said of texts of late, and what policy said of them. One [`Governed`] for
//! each session whose policies name an action for SQL. The common case, a text of a shape that was seen before, is two look-ups
//! and no parse; what depends on more than its shape (a literal, the time, a counter) is judged anew.
//!
//! Never: a verdict on a text that was not understood but `unknown`, or on another text than the one that is let go.

mod budgets;
mod cache;
mod counts;
pub mod desk;
mod governed;
pub mod hold;
mod paths;

use std::rc::Rc;
use std::sync::Arc;

use writ_core::statement::Statement;
use writ_parser::Parser;
use writ_policy::Judgement;
use writ_sql::Shape;

use cache::Recent;
pub use governed::{Decided, Governed, Said};

/// How much a worker remembers of texts and of verdicts, in bytes, each.
const MEMORY: usize = 16 << 20;

/// What is understood of one text.
#[derive(Debug)]
pub struct Parsed {
    /// Its statements; none for an empty text.
    pub statements: Vec<Statement>,
    /// Its shape, where it has one and all that is said of it holds for every text of that shape.
    pub shape: Option<Shape>,
}

impl Parsed {
    fn unknown() -> Arc<Self> {
        Arc::new(Self { statements: vec![Statement::unknown()], shape: None })
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let of = |statement: &Statement| {
            let names: usize = statement
                .accesses
                .iter()
                .map(|access| {
                    let columns = match &access.columns {
                        writ_core::statement::Columns::Stated(columns) => {
                            columns.iter().map(|column| column.len() + 24).sum()
                        }
                        writ_core::statement::Columns::Any => 0,
                    };
                    128 + columns
                })
                .sum();
            size_of::<Statement>()
                + names
                + 96 * (statement.functions.len() + statement.settings.len())
                + 48 * (statement.selected.len() + statement.defines.len())
        };
        self.statements.iter().map(of).sum()
    }
}

/// Under what a verdict is remembered: the shape, and whom and where it was said of.
type VerdictKey = ([u8; 32], [u8; 32]);

/// One worker's part.
pub struct Governor {
    parser: Rc<Parser>,
    texts: Recent<[u8; 32], Arc<Parsed>>,
    verdicts: Recent<VerdictKey, Arc<Judgement>>,
}

impl core::fmt::Debug for Governor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Governor").field("parser", &self.parser).finish_non_exhaustive()
    }
}

impl Governor {
    /// A worker's part, with this parser.
    #[must_use]
    pub fn new(parser: Parser) -> Self {
        Self { parser: Rc::new(parser), texts: Recent::new(MEMORY), verdicts: Recent::new(MEMORY) }
    }
}
