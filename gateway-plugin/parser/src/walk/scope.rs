//! What names stand for: the relations that a query's `FROM` brings into view, and whose column a name may be.

use pg_query::NodeRef;
use pg_query::protobuf::{Alias, ColumnRef, RangeVar};
use writ_core::statement::{Kind, QualifiedName};

use super::{Walk, names, relation};

/// Functions of PostgreSQL and its hstore that take a row of any relation and give away what is in it: `t.row_to_json` calls
/// one where `t` has no such column. Those of a database's own that take a row are the catalog's matter.
const OF_A_ROW: [&str; 20] = [
    "any_value",
    "array_agg",
    "concat",
    "hash_record",
    "hstore",
    "json_agg",
    "json_agg_strict",
    "json_build_array",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_build_array",
    "max",
    "min",
    "quote_literal",
    "quote_nullable",
    "record_out",
    "record_send",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// What one query brings into view.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) entries: Vec<Entry>,
}

/// One name in view.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// What columns are qualified by.
    pub(super) name: String,
    /// The relation behind it; `None` for a subquery, a function, a `WITH`.
    pub(super) relation: Option<QualifiedName>,
    /// It may be qualified by its relation's schema: it has no alias.
    plain: bool,
    /// Its columns have other names than the relation's.
    renamed: bool,
    /// It is a subquery, whose relations a lock reaches.
    pub(super) subquery: bool,
}

impl Entry {
    /// A relation, under its alias where it has one.
    pub(super) fn relation(named: &RangeVar) -> Self {
        let alias = named.alias.as_ref();
        Self {
            name: alias.map_or_else(|| named.relname.clone(), |alias| alias.aliasname.clone()),
            relation: Some(relation(named)),
            plain: alias.is_none(),
            renamed: alias.is_some_and(|alias| !alias.colnames.is_empty()),
            subquery: false,
        }
    }

    /// The same relation under another name.
    pub(super) fn also(&self, name: &str) -> Self {
        Self { name: name.to_owned(), plain: false, ..self.clone() }
    }

    /// The same with other names for its columns, where the alias gives any.
    pub(super) fn joined(&self, alias: &Alias) -> Self {
        Self { renamed: self.renamed || !alias.colnames.is_empty(), ..self.also(&alias.aliasname) }
    }

    /// What is no relation.
    pub(super) fn derived(alias: Option<&Alias>) -> Self {
        let name = alias.map(|alias| alias.aliasname.clone()).unwrap_or_default();
        Self { name, relation: None, plain: false, renamed: false, subquery: false }
    }

    /// A query in `FROM`.
    pub(super) fn subquery(alias: Option<&Alias>) -> Self {
        Self { subquery: true, ..Self::derived(alias) }
    }

    fn is_called(&self, schema: Option<&str>, name: &str) -> bool {
        let stated = self.relation.as_ref().and_then(|relation| relation.schema.as_deref());
        self.name == name && schema.is_none_or(|schema| self.plain && stated.is_none_or(|stated| stated == schema))
    }
}

impl Walk {
    /// A column, or what looks like one.
    pub(super) fn column(&mut self, column: &ColumnRef) {
        let all = column.fields.last().and_then(|field| field.node.as_ref()).map(pg_query::NodeEnum::to_ref);
        let star = matches!(all, Some(NodeRef::AStar(_)));
        if let ([_, .., name], false) = (names(&column.fields).as_slice(), star) {
            self.select_name(name);
        }
        match (names(&column.fields).as_slice(), star) {
            ([], _) => self.every_column(),
            ([name], false) => self.bare(name),
            ([entry], true) => self.qualified(None, entry, None),
            ([entry, name], false) => self.qualified(None, entry, Some(name)),
            ([.., schema, entry], true) => self.qualified(Some(schema), entry, None),
            ([.., schema, entry, name], false) => self.qualified(Some(schema), entry, Some(name)),
        }
    }

    /// `*`: all that the innermost query has in view.
    fn every_column(&mut self) {
        let here = self.frames.last().map(|frame| relations(&frame.entries)).unwrap_or_default();
        self.read_all(here, None);
    }

    /// A name alone: a column of any relation in view, or the whole row of the one that is called so.
    pub(super) fn bare(&mut self, name: &str) {
        let entries = || self.frames.iter().flat_map(|frame| frame.entries.iter());
        let whole: Vec<_> = entries().filter(|entry| entry.name == name).cloned().collect();
        let any: Vec<_> = entries().cloned().collect();
        self.read_all(relations(&whole), None);
        self.read_all(relations(&any), Some(name));
    }

    /// A name that is qualified: a column of the nearest relation that is called so. Of what is not found it may be anyone's.
    fn qualified(&mut self, schema: Option<&str>, entry: &str, name: Option<&str>) {
        let near = self.frames.iter().rev().find_map(|frame| {
            let found: Vec<_> = frame.entries.iter().filter(|e| e.is_called(schema, entry)).cloned().collect();
            (!found.is_empty()).then_some(found)
        });
        let Some(found) = near else {
            let any: Vec<_> = self.frames.iter().flat_map(|frame| frame.entries.iter()).cloned().collect();
            return self.read_all(relations(&any), None);
        };
        let of_a_row = name.filter(|name| OF_A_ROW.contains(name));
        if let Some(function) = of_a_row {
            self.function(None, function);
        }
        let stated = if of_a_row.is_some() { None } else { name };
        self.read_all(relations(&found), stated);
    }

    fn read_all(&mut self, of: Vec<(QualifiedName, bool)>, name: Option<&str>) {
        for (relation, renamed) in of {
            self.note_column(Kind::Select, &relation, name.filter(|_| !renamed));
        }
    }

    /// A column that all relations from this entry of the innermost query on have in common; `None`: any may be.
    pub(super) fn common(&mut self, from: usize, name: Option<&str>) {
        let here = self.frames.last().and_then(|frame| frame.entries.get(from..)).unwrap_or_default();
        let here = relations(here);
        self.read_all(here, name);
    }

    /// Brings into view.
    pub(super) fn enter(&mut self, entry: Entry) {
        if let Some(frame) = self.frames.last_mut() {
            frame.entries.push(entry);
        }
    }

    /// Runs what sees these, and what is around them.
    pub(super) fn framed(&mut self, entries: Vec<Entry>, body: impl FnOnce(&mut Self)) {
        self.frames.push(Frame { entries });
        body(self);
        self.frames.pop();
    }
}

/// The relations behind entries, and whether their columns have other names.
fn relations(entries: &[Entry]) -> Vec<(QualifiedName, bool)> {
    entries.iter().filter_map(|entry| entry.relation.clone().map(|relation| (relation, entry.renamed))).collect()
}
