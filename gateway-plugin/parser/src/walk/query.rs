//! Queries: `WITH`, `FROM`, set operations, locks.

use pg_query::protobuf::{self, JoinExpr, LockingClause, Node, RangeSubselect, SelectStmt, WithClause};
use pg_query::{NodeEnum, NodeRef};
use writ_core::statement::{Kind, RowsTold};

use super::scope::Entry;
use super::{Lost, Walk, relation, string};

impl Walk {
    /// A query, wherever it stands.
    pub(super) fn select(&mut self, select: &SelectStmt) {
        let mark = self.with(select.with_clause.as_ref());
        if let Some(into) = select.into_clause.as_ref().and_then(|into| into.rel.as_ref()) {
            self.note(Kind::Ddl, Some(relation(into)));
        }
        match (&select.larg, &select.rarg) {
            (Some(left), Some(right)) => {
                self.select(left);
                self.select(right);
                // What orders a set operation are the names of its columns.
                self.framed(Vec::new(), |walk| walk.order_and_limit(select, &[]));
            }
            _ => self.framed(Vec::new(), |walk| walk.plain_select(select)),
        }
        self.ctes.truncate(mark);
        if self.order.is_empty() {
            self.note(Kind::Select, None);
        }
    }

    fn plain_select(&mut self, select: &SelectStmt) {
        select.from_clause.iter().for_each(|item| self.from(item));
        self.visit_all(&select.target_list);
        self.visit_all(&select.distinct_clause);
        self.visit_one(select.where_clause.as_deref());
        self.visit_all(&select.group_clause);
        self.visit_one(select.having_clause.as_deref());
        self.visit_all(&select.window_clause);
        self.visit_all(&select.values_lists);
        let named = select.target_list.iter().filter_map(result_name).collect::<Vec<_>>();
        self.order_and_limit(select, &named);
        for locking in &select.locking_clause {
            match locking.node.as_ref().map(pg_query::NodeEnum::to_ref) {
                Some(NodeRef::LockingClause(locking)) => self.lock(locking),
                _ => self.lose(Lost::Foreign),
            }
        }
    }

    fn order_and_limit(&mut self, select: &SelectStmt, named: &[&str]) {
        for sort in &select.sort_clause {
            // A result's name goes before a column's.
            if !bare_name(sort).is_some_and(|name| select.larg.is_some() || named.contains(&name)) {
                self.visit_one(Some(sort));
            }
        }
        self.visit_one(select.limit_offset.as_deref());
        self.visit_one(select.limit_count.as_deref());
    }

    /// The queries of a `WITH`, whose names then stand for them; gives how many names stood before.
    pub(super) fn with(&mut self, with: Option<&WithClause>) -> usize {
        let mark = self.ctes.len();
        let Some(with) = with else { return mark };
        let ctes = with.ctes.iter().filter_map(|cte| match cte.node.as_ref()?.to_ref() {
            NodeRef::CommonTableExpr(cte) => Some(cte),
            _ => None,
        });
        let ctes: Vec<_> = ctes.collect();
        // Only with `RECURSIVE` does a query see its own name and those behind it: else these are relations.
        if with.recursive {
            self.ctes.extend(ctes.iter().map(|cte| cte.ctename.clone()));
        }
        for cte in ctes {
            if cte.ctequery.as_ref().and_then(|query| query.node.as_ref()).is_some_and(writes) {
                self.rows = RowsTold::Nowhere;
            }
            self.visit_one(cte.ctequery.as_deref());
            if let Some(cycle) = &cte.cycle_clause {
                self.below(NodeRef::CtecycleClause(cycle));
            }
            if !with.recursive {
                self.ctes.push(cte.ctename.clone());
            }
        }
        mark
    }

    /// An item of `FROM`, into the innermost query's view.
    pub(super) fn from(&mut self, item: &Node) {
        let Some(node) = item.node.as_ref().map(pg_query::NodeEnum::to_ref) else { return self.lose(Lost::Foreign) };
        if !self.spend() {
            return;
        }
        match node {
            NodeRef::RangeVar(named) if named.schemaname.is_empty() && self.ctes.contains(&named.relname) => {
                let mut entry = Entry::relation(named);
                entry.relation = None;
                self.enter(entry);
            }
            NodeRef::RangeVar(named) => {
                self.note(Kind::Select, Some(relation(named)));
                self.enter(Entry::relation(named));
            }
            NodeRef::RangeSubselect(subselect) => self.subselect(subselect),
            NodeRef::JoinExpr(join) => self.join(join),
            NodeRef::RangeFunction(function) => {
                self.below(node);
                self.enter(Entry::derived(function.alias.as_ref()));
            }
            NodeRef::RangeTableFunc(table) => {
                self.below(node);
                self.enter(Entry::derived(table.alias.as_ref()));
            }
            NodeRef::JsonTable(table) => {
                self.below(node);
                self.enter(Entry::derived(table.alias.as_ref()));
            }
            NodeRef::RangeTableSample(sample) => {
                sample.relation.iter().for_each(|relation| self.from(relation));
                self.visit_all(&sample.args);
                self.visit_one(sample.repeatable.as_deref());
            }
            _ => self.lose(Lost::Foreign),
        }
    }

    fn subselect(&mut self, subselect: &RangeSubselect) {
        // Its neighbours are out of its view unless it is lateral.
        let hidden = (!subselect.lateral).then(|| self.frames.last_mut().map(std::mem::take)).flatten();
        self.visit_one(subselect.subquery.as_deref());
        if let (Some(hidden), Some(frame)) = (hidden, self.frames.last_mut()) {
            *frame = hidden;
        }
        self.enter(Entry::subquery(subselect.alias.as_ref()));
    }

    fn join(&mut self, join: &JoinExpr) {
        let first = self.frames.last().map_or(0, |frame| frame.entries.len());
        for side in [&join.larg, &join.rarg] {
            match side {
                Some(side) => self.from(side),
                None => self.lose(Lost::Foreign),
            }
        }
        if join.is_natural {
            self.common(first, None);
        }
        for name in join.using_clause.iter().filter_map(string) {
            self.common(first, Some(name));
        }
        self.visit_one(join.quals.as_deref());
        for alias in [&join.alias, &join.join_using_alias].into_iter().flatten() {
            let sides = self.frames.last().and_then(|frame| frame.entries.get(first..)).unwrap_or_default();
            sides.to_vec().iter().for_each(|entry| self.enter(entry.joined(alias)));
        }
    }

    /// `FOR UPDATE` and its like: of the relations that it names, or of all.
    fn lock(&mut self, locking: &LockingClause) {
        let named: Vec<_> = locking.locked_rels.iter().filter_map(locked_name).collect();
        let entries = self.frames.last().map(|frame| frame.entries.clone()).unwrap_or_default();
        let locked = entries.iter().filter(|entry| named.is_empty() || named.contains(&entry.name.as_str()));
        for entry in locked {
            if entry.relation.is_some() || entry.subquery {
                self.note(Kind::Lock, entry.relation.clone());
            }
        }
    }
}

const fn writes(query: &NodeEnum) -> bool {
    !matches!(query, NodeEnum::SelectStmt(_))
}

fn result_name(target: &Node) -> Option<&str> {
    match target.node.as_ref()?.to_ref() {
        NodeRef::ResTarget(target) if !target.name.is_empty() => Some(&target.name),
        _ => None,
    }
}

/// The name that a `SortBy` is, where it is nothing but one.
fn bare_name(sort: &Node) -> Option<&str> {
    let NodeRef::SortBy(sort) = sort.node.as_ref()?.to_ref() else { return None };
    let NodeRef::ColumnRef(protobuf::ColumnRef { fields, .. }) = sort.node.as_ref()?.node.as_ref()?.to_ref() else {
        return None;
    };
    match fields.as_slice() {
        [name] => string(name),
        _ => None,
    }
}

fn locked_name(node: &Node) -> Option<&str> {
    match node.node.as_ref()?.to_ref() {
        NodeRef::RangeVar(named) => Some(&named.relname),
        _ => None,
    }
}
