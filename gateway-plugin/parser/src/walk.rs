//! One statement's parse tree, walked whole: what it reads, writes, calls and changes.
//!
//! Every node is either known here or below [`tree`](crate::tree)'s list; one that is not makes the statement unknown. Where the
//! grammar alone cannot tell, the answer is the wider one: a column that two relations may have stands with both.

mod query;
mod scope;
mod setting;
mod utility;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeRef;
use pg_query::protobuf::{self, RangeVar};
use writ_core::statement::{
    Access, Columns, Fingerprint, Kind, PreparedStep, QualifiedName, RowsTold, Setting, Statement, TransactionStep,
};

use crate::tree::children;
use scope::Frame;

/// The most steps that one statement is walked: nodes, and columns given to relations.
const STEPS: u32 = 400_000;
/// The most accesses and functions of one statement.
const FINDINGS: usize = 4096;

/// Why a statement was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It has a node whose meaning is not known, or does what no analysis can follow.
    Foreign,
    /// It does more than is looked at.
    Wide,
}

/// The columns seen so far; `None` is any.
type Seen = Option<BTreeSet<String>>;

/// What was found so far.
#[derive(Debug)]
pub(crate) struct Walk {
    /// In the order in which they were found.
    order: Vec<(Kind, Option<QualifiedName>)>,
    columns: BTreeMap<(Kind, Option<QualifiedName>), Seen>,
    functions: BTreeSet<QualifiedName>,
    selected: BTreeSet<String>,
    defines: Vec<String>,
    settings: Vec<Setting>,
    transaction: Option<TransactionStep>,
    unfiltered: bool,
    rows: RowsTold,
    prepared: Option<PreparedStep>,
    literal: bool,
    /// What a relation is that is named outside of `FROM`.
    mode: Kind,
    /// What names stand for, the innermost query last.
    frames: Vec<Frame>,
    /// The names that `WITH` gives, the innermost last.
    ctes: Vec<String>,
    steps: u32,
    lost: Option<Lost>,
}

impl Walk {
    /// Walks a statement.
    pub(crate) fn statement_of(root: NodeRef<'_>, fingerprint: Fingerprint) -> Result<Statement, Lost> {
        let mut walk = Self::new();
        if !walk.statement(root) {
            return Err(Lost::Foreign);
        }
        walk.simple_settings(root);
        walk.finish(fingerprint)
    }

    const fn new() -> Self {
        Self {
            order: Vec::new(),
            columns: BTreeMap::new(),
            functions: BTreeSet::new(),
            selected: BTreeSet::new(),
            defines: Vec::new(),
            settings: Vec::new(),
            transaction: None,
            unfiltered: false,
            rows: RowsTold::Here,
            prepared: None,
            literal: false,
            mode: Kind::Unknown,
            frames: Vec::new(),
            ctes: Vec::new(),
            steps: 0,
            lost: None,
        }
    }

    fn finish(mut self, fingerprint: Fingerprint) -> Result<Statement, Lost> {
        let columns = &mut self.columns;
        let accesses = self
            .order
            .into_iter()
            .map(|key| {
                let seen = columns.remove(&key).unwrap_or_default();
                let columns = seen.map_or(Columns::Any, |names| Columns::Stated(names.into_iter().collect()));
                Access { kind: key.0, relation: key.1, columns }
            })
            .collect::<Vec<_>>();
        // A root that nothing was found in would pass unjudged; a relation that stands where none is expected is not understood.
        let strange = accesses.is_empty() || accesses.iter().any(|access| access.kind == Kind::Unknown);
        let lost = self.lost.or(strange.then_some(Lost::Foreign));
        match lost {
            Some(lost) => Err(lost),
            None => Ok(Statement {
                accesses,
                functions: self.functions.into_iter().collect(),
                selected: self.selected.into_iter().collect(),
                defines: self.defines,
                settings: self.settings,
                transaction: self.transaction,
                unfiltered: self.unfiltered,
                rows: self.rows,
                prepared: self.prepared,
                literal: self.literal,
                fingerprint,
            }),
        }
    }

    /// Counts a step; whether there may be another.
    fn spend(&mut self) -> bool {
        self.steps += 1;
        if self.steps > STEPS {
            self.lose(Lost::Wide);
        }
        self.lost.is_none()
    }

    fn lose(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
    }

    /// Any node.
    fn visit(&mut self, node: NodeRef<'_>) {
        if !self.spend() {
            return;
        }
        match node {
            NodeRef::RangeVar(named) => self.note(self.mode, Some(relation(named))),
            NodeRef::ColumnRef(column) => self.column(column),
            NodeRef::FuncCall(call) => {
                self.call(call);
                self.below(node);
            }
            NodeRef::AIndirection(indirection) => {
                names(&indirection.indirection).into_iter().for_each(|name| self.select_name(name));
                self.below(node);
            }
            // A setting of a function is not the session's.
            NodeRef::DefElem(option) if is_set(option) => {}
            other if self.statement(other) => {}
            other => self.below(other),
        }
    }

    /// What is below a node.
    fn below(&mut self, node: NodeRef<'_>) {
        if children(node, &mut |child| self.visit(child)).is_err() {
            self.lose(Lost::Foreign);
        }
    }

    fn visit_one(&mut self, node: Option<&protobuf::Node>) {
        if let Some(node) = node.and_then(|node| node.node.as_ref()) {
            self.visit(node.to_ref());
        }
    }

    fn visit_all(&mut self, nodes: &[protobuf::Node]) {
        nodes.iter().for_each(|node| self.visit_one(Some(node)));
    }

    /// An access to no column yet.
    fn note(&mut self, kind: Kind, relation: Option<QualifiedName>) {
        let key = (kind, relation);
        if !self.columns.contains_key(&key) {
            self.order.push(key.clone());
            self.columns.insert(key, Some(BTreeSet::new()));
            if self.order.len() + self.functions.len() > FINDINGS {
                self.lose(Lost::Wide);
            }
        }
    }

    /// An access to a column, or to any where none is named.
    fn note_column(&mut self, kind: Kind, relation: &QualifiedName, column: Option<&str>) {
        if !self.spend() {
            return;
        }
        let key = (kind, Some(relation.clone()));
        if !self.columns.contains_key(&key) {
            self.note(kind, Some(relation.clone()));
        }
        if let Some(seen) = self.columns.get_mut(&key) {
            match (column, seen.as_mut()) {
                (None, _) => *seen = None,
                (Some(name), Some(names)) if !names.contains(name) => drop(names.insert(name.to_owned())),
                _ => {}
            }
        }
    }

    fn has(&self, kind: Kind) -> bool {
        self.order.iter().any(|(found, _)| *found == kind)
    }

    /// A function that is called by name.
    fn call(&mut self, call: &protobuf::FuncCall) {
        match names(&call.funcname).as_slice() {
            [] => self.lose(Lost::Foreign),
            [.., schema, name] => self.function(Some(schema), name),
            [name] => self.function(None, name),
        }
        self.set_config(call);
    }

    /// A name behind a dot.
    fn select_name(&mut self, name: &str) {
        if !self.selected.contains(name) {
            self.selected.insert(name.to_owned());
        }
    }

    fn function(&mut self, schema: Option<&str>, name: &str) {
        self.functions.insert(QualifiedName { schema: schema.map(str::to_owned), name: name.to_owned() });
        if self.order.len() + self.functions.len() > FINDINGS {
            self.lose(Lost::Wide);
        }
    }
}

/// A relation as the text names it.
fn relation(named: &RangeVar) -> QualifiedName {
    let schema = (!named.schemaname.is_empty()).then(|| named.schemaname.clone());
    QualifiedName { schema, name: named.relname.clone() }
}

/// The strings of a list of names.
fn names(nodes: &[protobuf::Node]) -> Vec<&str> {
    nodes.iter().filter_map(string).collect()
}

fn is_set(option: &protobuf::DefElem) -> bool {
    let arg = option.arg.as_ref().and_then(|arg| arg.node.as_ref());
    matches!(arg, Some(pg_query::NodeEnum::VariableSetStmt(_)))
}

fn string(node: &protobuf::Node) -> Option<&str> {
    match node.node.as_ref()?.to_ref() {
        NodeRef::String(string) => Some(&string.sval),
        _ => None,
    }
}
