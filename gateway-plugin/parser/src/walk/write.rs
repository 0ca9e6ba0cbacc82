//! What writes: `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY`.

use pg_query::protobuf::{
    CmdType, CopyStmt, DeleteStmt, InferClause, InsertStmt, MergeStmt, MergeWhenClause, Node, OnConflictClause,
    RangeVar, ReturningClause, UpdateStmt,
};
use pg_query::{NodeEnum, NodeRef};
use writ_core::statement::{Kind, QualifiedName};

use super::scope::Entry;
use super::{Lost, Walk, names, relation};
use crate::tree::children;

impl Walk {
    pub(super) fn insert(&mut self, insert: &InsertStmt) {
        let Some(target) = &insert.relation else { return self.lose(Lost::Foreign) };
        let mark = self.with(insert.with_clause.as_ref());
        let into = relation(target);
        self.note(Kind::Insert, Some(into.clone()));
        self.written(Kind::Insert, &into, &insert.cols);
        if insert.cols.is_empty() && insert.select_stmt.is_some() {
            self.note_column(Kind::Insert, &into, None);
        }
        self.framed(Vec::new(), |walk| walk.visit_one(insert.select_stmt.as_deref()));
        if let Some(conflict) = &insert.on_conflict_clause {
            self.conflict(target, conflict);
        }
        self.returning(target, Vec::new(), insert.returning_clause.as_ref());
        self.ctes.truncate(mark);
    }

    fn conflict(&mut self, target: &RangeVar, conflict: &OnConflictClause) {
        let into = relation(target);
        let mut excluded = Entry::derived(None);
        "excluded".clone_into(&mut excluded.name);
        self.framed(vec![Entry::relation(target)], |walk| {
            conflict.infer.iter().for_each(|infer| walk.infer(&into, infer));
        });
        self.framed(vec![Entry::relation(target), excluded], |walk| {
            if !conflict.target_list.is_empty() {
                walk.written(Kind::Update, &into, &conflict.target_list);
            }
            walk.visit_one(conflict.where_clause.as_deref());
        });
    }

    /// What a conflict is looked for in; the server wants the right to read it.
    fn infer(&mut self, into: &QualifiedName, infer: &InferClause) {
        if !infer.conname.is_empty() {
            self.note_column(Kind::Select, into, None);
        }
        for element in &infer.index_elems {
            match element.node.as_ref().map(NodeEnum::to_ref) {
                Some(NodeRef::IndexElem(element)) if !element.name.is_empty() => {
                    self.note_column(Kind::Select, into, Some(&element.name));
                }
                _ => self.visit_one(Some(element)),
            }
        }
        self.visit_one(infer.where_clause.as_deref());
    }

    /// Columns that are written, and what is written to them.
    fn written(&mut self, kind: Kind, into: &QualifiedName, targets: &[Node]) {
        for target in targets {
            match target.node.as_ref().map(NodeEnum::to_ref) {
                Some(NodeRef::ResTarget(target)) => {
                    self.note_column(kind, into, Some(&target.name));
                    self.visit_all(&target.indirection);
                    self.visit_one(target.val.as_deref());
                }
                _ => self.lose(Lost::Foreign),
            }
        }
    }

    pub(super) fn update(&mut self, update: &UpdateStmt) {
        let Some(target) = &update.relation else { return self.lose(Lost::Foreign) };
        let into = relation(target);
        if into.name == "pg_settings" {
            // The server turns it into a change of a setting whose name is data.
            return self.lose(Lost::Foreign);
        }
        let mark = self.with(update.with_clause.as_ref());
        self.note(Kind::Update, Some(into.clone()));
        self.framed(vec![Entry::relation(target)], |walk| {
            update.from_clause.iter().for_each(|item| walk.from(item));
            walk.written(Kind::Update, &into, &update.target_list);
            walk.filter(update.where_clause.as_deref());
            let others = walk.others();
            walk.returning(target, others, update.returning_clause.as_ref());
        });
        self.ctes.truncate(mark);
    }

    pub(super) fn delete(&mut self, delete: &DeleteStmt) {
        let Some(target) = &delete.relation else { return self.lose(Lost::Foreign) };
        let mark = self.with(delete.with_clause.as_ref());
        self.note(Kind::Delete, Some(relation(target)));
        self.framed(vec![Entry::relation(target)], |walk| {
            delete.using_clause.iter().for_each(|item| walk.from(item));
            walk.filter(delete.where_clause.as_deref());
            let others = walk.others();
            walk.returning(target, others, delete.returning_clause.as_ref());
        });
        self.ctes.truncate(mark);
    }

    /// What is in view besides the target.
    fn others(&self) -> Vec<Entry> {
        self.frames.last().and_then(|frame| frame.entries.get(1..)).unwrap_or_default().to_vec()
    }

    fn filter(&mut self, condition: Option<&Node>) {
        self.unfiltered |= !condition.and_then(|node| node.node.as_ref()).is_some_and(|node| looks(node.to_ref()));
        self.visit_one(condition);
    }

    /// `RETURNING` sees the target as it was and as it is, and what was joined to it.
    fn returning(&mut self, target: &RangeVar, others: Vec<Entry>, clause: Option<&ReturningClause>) {
        let Some(clause) = clause else { return };
        let entry = Entry::relation(target);
        let mut entries = vec![entry.clone()];
        entries.extend(others);
        self.framed(entries, |walk| {
            // A `*` is a column of what is in view, and the old and new row are no more of it.
            let (stars, rest): (Vec<_>, Vec<_>) = clause.exprs.iter().partition(|node| is_star(node));
            stars.into_iter().for_each(|node| walk.visit_one(Some(node)));
            for name in ["old", "new"].into_iter().chain(clause.options.iter().filter_map(option_name)) {
                walk.enter(entry.also(name));
            }
            rest.into_iter().for_each(|node| walk.visit_one(Some(node)));
        });
    }

    pub(super) fn merge(&mut self, merge: &MergeStmt) {
        let (Some(target), Some(source)) = (&merge.relation, &merge.source_relation) else {
            return self.lose(Lost::Foreign);
        };
        let mark = self.with(merge.with_clause.as_ref());
        self.framed(vec![Entry::relation(target)], |walk| {
            walk.from(source);
            walk.visit_one(merge.join_condition.as_deref());
            for arm in &merge.merge_when_clauses {
                match arm.node.as_ref().map(NodeEnum::to_ref) {
                    Some(NodeRef::MergeWhenClause(arm)) => walk.arm(&relation(target), arm),
                    _ => walk.lose(Lost::Foreign),
                }
            }
            let others = walk.others();
            walk.returning(target, others, merge.returning_clause.as_ref());
        });
        // Its arms may all be `DO NOTHING`: it reads the target all the same.
        self.note(Kind::Select, Some(relation(target)));
        self.ctes.truncate(mark);
    }

    fn arm(&mut self, into: &QualifiedName, arm: &MergeWhenClause) {
        self.visit_one(arm.condition.as_deref());
        let kind = match arm.command_type() {
            CmdType::CmdInsert => Kind::Insert,
            CmdType::CmdUpdate => Kind::Update,
            CmdType::CmdDelete => Kind::Delete,
            CmdType::CmdNothing => return,
            _ => return self.lose(Lost::Foreign),
        };
        self.note(kind, Some(into.clone()));
        self.written(kind, into, &arm.target_list);
        if kind == Kind::Insert && arm.target_list.is_empty() && !arm.values.is_empty() {
            self.note_column(kind, into, None);
        }
        self.visit_all(&arm.values);
    }

    /// `COPY` is judged as itself and as the read or write that it is.
    pub(super) fn copy(&mut self, copy: &CopyStmt) {
        let of_server = copy.is_program || !copy.filename.is_empty();
        let (kind, also) = match (of_server, copy.is_from) {
            (true, true) => (Kind::CopyServer, Kind::Insert),
            (true, false) => (Kind::CopyServer, Kind::Select),
            (false, true) => (Kind::CopyIn, Kind::Insert),
            (false, false) => (Kind::CopyOut, Kind::Select),
        };
        let Some(named) = &copy.relation else {
            self.note(kind, None);
            return self.visit_one(copy.query.as_deref());
        };
        let of = relation(named);
        for kind in [kind, also] {
            self.note(kind, Some(of.clone()));
            names(&copy.attlist).into_iter().for_each(|column| self.note_column(kind, &of, Some(column)));
            if copy.attlist.is_empty() {
                self.note_column(kind, &of, None);
            }
        }
        self.framed(vec![Entry::relation(named)], |walk| walk.visit_one(copy.where_clause.as_deref()));
    }
}

/// Whether a condition looks at a row: one that names no column is true of all rows or of none.
fn looks(node: NodeRef<'_>) -> bool {
    let mut found = matches!(node, NodeRef::ColumnRef(_) | NodeRef::CurrentOfExpr(_));
    if !found {
        let _ = children(node, &mut |child| found = found || looks(child));
    }
    found
}

fn is_star(node: &Node) -> bool {
    let Some(NodeRef::ResTarget(target)) = node.node.as_ref().map(NodeEnum::to_ref) else { return false };
    let value = target.val.as_ref().and_then(|value| value.node.as_ref()).map(NodeEnum::to_ref);
    matches!(value, Some(NodeRef::ColumnRef(column)) if column.fields.len() == 1 && names(&column.fields).is_empty())
}

fn option_name(node: &Node) -> Option<&str> {
    match node.node.as_ref()?.to_ref() {
        NodeRef::ReturningOption(option) => Some(&option.value),
        _ => None,
    }
}
