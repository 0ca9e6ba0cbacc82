//! Every kind of statement: the closed list of what a statement can be, and what each does.

use pg_query::protobuf::{
    AlterTableType, CallStmt, CreateTableAsStmt, DefElem, DropStmt, ExplainStmt, Node, ObjectType, PrepareStmt,
};
use pg_query::{NodeEnum, NodeRef};
use writ_core::statement::{Kind, PreparedStep, QualifiedName, RowsTold};

use super::{Lost, Walk, names, relation, string};

impl Walk {
    /// Walks a statement; `false` where the node is none. Order is the list's point: all kinds, each once.
    pub(super) fn statement(&mut self, node: NodeRef<'_>) -> bool {
        match node {
            NodeRef::SelectStmt(select) => self.select(select),
            NodeRef::InsertStmt(insert) => self.insert(insert),
            NodeRef::UpdateStmt(update) => self.update(update),
            NodeRef::DeleteStmt(delete) => self.delete(delete),
            NodeRef::MergeStmt(merge) => self.merge(merge),
            NodeRef::CopyStmt(copy) => self.copy(copy),
            NodeRef::TruncateStmt(_) => self.plain(Kind::Truncate, node),
            NodeRef::LockStmt(_) => self.plain(Kind::Lock, node),
            NodeRef::CallStmt(call) => self.call_procedure(call),
            NodeRef::DoStmt(_) => self.note(Kind::Do, None),
            NodeRef::ExplainStmt(explain) => self.explain(explain),
            NodeRef::VariableSetStmt(set) => self.set(set),
            NodeRef::VariableShowStmt(_) => self.note(Kind::Show, None),
            NodeRef::ConstraintsSetStmt(_) => self.note(Kind::Set, None),
            NodeRef::TransactionStmt(transaction) => self.transaction(transaction),
            NodeRef::DeclareCursorStmt(declare) => {
                self.below(node);
                self.rows = RowsTold::Declared(declare.portalname.clone());
            }
            NodeRef::FetchStmt(fetch) => {
                self.note(Kind::Cursor, None);
                self.rows = RowsTold::Fetched(fetch.portalname.clone());
            }
            NodeRef::ClosePortalStmt(close) => {
                self.note(Kind::Cursor, None);
                self.rows = RowsTold::Closed(Some(close.portalname.clone()).filter(|name| !name.is_empty()));
            }
            NodeRef::PrepareStmt(prepare) => self.prepare(prepare),
            NodeRef::ExecuteStmt(execute) => {
                self.prepared = Some(PreparedStep::Execute(execute.name.clone()));
                self.plain(Kind::Prepared, node);
            }
            NodeRef::DeallocateStmt(deallocate) => {
                self.note(Kind::Prepared, None);
                let name = (!deallocate.isall).then(|| deallocate.name.clone());
                self.prepared = Some(PreparedStep::Deallocate(name));
            }
            NodeRef::ListenStmt(_) | NodeRef::NotifyStmt(_) | NodeRef::UnlistenStmt(_) => self.note(Kind::Notify, None),
            NodeRef::DiscardStmt(_) => self.note(Kind::Discard, None),
            NodeRef::VacuumStmt(_)
            | NodeRef::ClusterStmt(_)
            | NodeRef::ReindexStmt(_)
            | NodeRef::RefreshMatViewStmt(_)
            | NodeRef::CheckPointStmt(_) => self.plain(Kind::Maintenance, node),
            other => return self.privilege(other) || self.ddl(other),
        }
        true
    }

    /// A statement that does one thing to each relation that it names, or to none.
    fn plain(&mut self, kind: Kind, node: NodeRef<'_>) {
        let outer = std::mem::replace(&mut self.mode, kind);
        self.framed(Vec::new(), |walk| walk.below(node));
        self.mode = outer;
        if !self.has(kind) {
            self.note(kind, None);
        }
    }

    /// What changes who may do what.
    fn privilege(&mut self, node: NodeRef<'_>) -> bool {
        match node {
            NodeRef::GrantStmt(_)
            | NodeRef::GrantRoleStmt(_)
            | NodeRef::AlterDefaultPrivilegesStmt(_)
            | NodeRef::CreateRoleStmt(_)
            | NodeRef::AlterRoleStmt(_)
            | NodeRef::DropRoleStmt(_)
            | NodeRef::AlterOwnerStmt(_)
            | NodeRef::DropOwnedStmt(_)
            | NodeRef::ReassignOwnedStmt(_)
            | NodeRef::CreatePolicyStmt(_)
            | NodeRef::AlterPolicyStmt(_)
            | NodeRef::LoadStmt(_) => self.plain(Kind::Privilege, node),
            // What they set is not this session's.
            NodeRef::AlterRoleSetStmt(_) | NodeRef::AlterDatabaseSetStmt(_) | NodeRef::AlterSystemStmt(_) => {
                self.note(Kind::Privilege, None);
            }
            NodeRef::SecLabelStmt(label) => self.named(Kind::Privilege, label.objtype(), label.object.as_deref()),
            _ => return false,
        }
        true
    }

    /// What changes the catalog.
    fn ddl(&mut self, node: NodeRef<'_>) -> bool {
        match node {
            NodeRef::CreateTableAsStmt(create) => self.create_as(create, node),
            NodeRef::AlterTableStmt(alter) => {
                self.plain(Kind::Ddl, node);
                if alter.cmds.iter().any(changes_rights) {
                    self.note(Kind::Privilege, alter.relation.as_ref().map(relation));
                }
            }
            NodeRef::CreateFunctionStmt(create) => {
                self.plain(Kind::Ddl, node);
                self.defines(&create.funcname);
                self.security(&create.options);
            }
            NodeRef::AlterFunctionStmt(alter) => {
                self.plain(Kind::Ddl, node);
                self.security(&alter.actions);
            }
            NodeRef::CreateTrigStmt(create) => {
                self.plain(Kind::Ddl, node);
                self.named_function(&create.funcname);
            }
            NodeRef::CreateEventTrigStmt(create) => {
                self.plain(Kind::Ddl, node);
                self.named_function(&create.funcname);
            }
            NodeRef::DropStmt(drop) => self.drop(drop),
            NodeRef::CommentStmt(comment) => self.named(Kind::Ddl, comment.objtype(), comment.object.as_deref()),
            NodeRef::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectRole => {
                self.note(Kind::Privilege, None);
            }
            NodeRef::RenameStmt(rename) if rename.rename_type() == ObjectType::ObjectPolicy => {
                self.plain(Kind::Privilege, node);
            }
            NodeRef::RenameStmt(rename) if is_routine(rename.rename_type()) => {
                self.plain(Kind::Ddl, node);
                self.define(&rename.newname);
            }
            NodeRef::DefineStmt(define) if define.kind() == ObjectType::ObjectAggregate => {
                self.plain(Kind::Ddl, node);
                self.defines(&define.defnames);
            }
            other if is_plain_ddl(other) => self.plain(Kind::Ddl, node),
            _ => return false,
        }
        true
    }

    fn create_as(&mut self, create: &CreateTableAsStmt, node: NodeRef<'_>) {
        if let Some(into) = create.into.as_ref().and_then(|into| into.rel.as_ref()) {
            self.note(Kind::Ddl, Some(relation(into)));
        }
        self.plain(Kind::Ddl, node);
    }

    fn call_procedure(&mut self, call: &CallStmt) {
        self.note(Kind::Call, None);
        match &call.funccall {
            Some(call) => self.visit(NodeRef::FuncCall(call)),
            None => self.lose(Lost::Foreign),
        }
    }

    /// What only plans does nothing of what it plans; but it may call functions, so that these stay.
    fn explain(&mut self, explain: &ExplainStmt) {
        if explain.options.iter().any(analyses) {
            self.literal |= explain.options.iter().any(has_argument);
            self.visit_one(explain.query.as_deref());
            if self.order.iter().any(|(kind, _)| !matches!(kind, Kind::Select)) {
                self.rows = RowsTold::Nowhere;
            }
            return;
        }
        self.literal |= explain.options.iter().any(has_argument);
        let mut inner = Self::new();
        inner.steps = self.steps;
        inner.visit_one(explain.query.as_deref());
        self.steps = inner.steps;
        self.lost = self.lost.or(inner.lost);
        self.prepared = inner.prepared;
        self.functions.append(&mut inner.functions);
        self.selected.append(&mut inner.selected);
        for (kind, of) in inner.order {
            self.note(Kind::Explain, of.clone());
            let Some(of) = of else { continue };
            match inner.columns.remove(&(kind, Some(of.clone()))).flatten() {
                None => self.note_column(Kind::Explain, &of, None),
                Some(names) => names.iter().for_each(|name| self.note_column(Kind::Explain, &of, Some(name))),
            }
        }
    }

    fn prepare(&mut self, prepare: &PrepareStmt) {
        self.visit_one(prepare.query.as_deref());
        // They change when it is executed.
        self.settings.iter_mut().for_each(|setting| setting.sure = false);
        self.prepared = Some(PreparedStep::Define(prepare.name.clone()));
    }

    fn security(&mut self, options: &[Node]) {
        if options.iter().filter_map(option).any(|option| matches!(option.defname.as_str(), "security" | "leakproof")) {
            self.note(Kind::Privilege, None);
        }
    }

    /// A function comes to be, of this name in whichever schema.
    fn defines(&mut self, name: &[Node]) {
        match names(name).last() {
            Some(name) => self.define(name),
            None => self.lose(Lost::Foreign),
        }
    }

    fn define(&mut self, name: &str) {
        self.defines.push(name.to_owned());
    }

    fn named_function(&mut self, name: &[Node]) {
        match names(name).as_slice() {
            [.., schema, name] => self.function(Some(schema), name),
            [name] => self.function(None, name),
            [] => {}
        }
    }

    fn drop(&mut self, drop: &DropStmt) {
        let kind = match drop.remove_type() {
            ObjectType::ObjectPolicy | ObjectType::ObjectRole => Kind::Privilege,
            _ => Kind::Ddl,
        };
        drop.objects.iter().for_each(|object| self.named(kind, drop.remove_type(), Some(object)));
    }

    /// An object that is named by a list of strings: a relation, or something of one, or something else.
    fn named(&mut self, kind: Kind, of: ObjectType, object: Option<&Node>) {
        let list = match object.and_then(|object| object.node.as_ref()).map(NodeEnum::to_ref) {
            Some(NodeRef::List(list)) => names(&list.items),
            _ => object.and_then(string).into_iter().collect(),
        };
        let name = match of {
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectIndex
            | ObjectType::ObjectSequence => list.as_slice(),
            // The last name is what stands on the relation.
            ObjectType::ObjectColumn
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectRule
            | ObjectType::ObjectPolicy
            | ObjectType::ObjectTabconstraint => list.split_last().map(|(_, relation)| relation).unwrap_or_default(),
            _ => &[],
        };
        let relation = match name {
            [.., schema, name] => Some(QualifiedName { schema: Some((*schema).to_owned()), name: (*name).to_owned() }),
            [name] => Some(QualifiedName { schema: None, name: (*name).to_owned() }),
            [] => None,
        };
        self.note(kind, relation);
    }
}

fn option(node: &Node) -> Option<&DefElem> {
    match node.node.as_ref()?.to_ref() {
        NodeRef::DefElem(option) => Some(option),
        _ => None,
    }
}

fn has_argument(node: &Node) -> bool {
    option(node).is_none_or(|option| option.arg.is_some())
}

/// Whether an option of `EXPLAIN` makes it execute: all that is not plainly off.
fn analyses(node: &Node) -> bool {
    let Some(option) = option(node) else { return true };
    let off = match option.arg.as_ref().and_then(|arg| arg.node.as_ref()).map(NodeEnum::to_ref) {
        Some(NodeRef::Integer(value)) => value.ival == 0,
        Some(NodeRef::Boolean(value)) => !value.boolval,
        Some(NodeRef::String(value)) => ["off", "false"].iter().any(|off| value.sval.eq_ignore_ascii_case(off)),
        _ => false,
    };
    option.defname.eq_ignore_ascii_case("analyze") && !off
}

const fn is_routine(of: ObjectType) -> bool {
    use ObjectType as O;
    matches!(of, O::ObjectFunction | O::ObjectProcedure | O::ObjectRoutine | O::ObjectAggregate)
}

/// Whether a part of `ALTER TABLE` changes who may do what.
fn changes_rights(command: &Node) -> bool {
    let Some(NodeRef::AlterTableCmd(command)) = command.node.as_ref().map(NodeEnum::to_ref) else { return true };
    matches!(
        command.subtype(),
        AlterTableType::AtChangeOwner
            | AlterTableType::AtEnableRowSecurity
            | AlterTableType::AtDisableRowSecurity
            | AlterTableType::AtForceRowSecurity
            | AlterTableType::AtNoForceRowSecurity
    )
}

/// What changes the catalog, and of which no more is to say than which relations it names.
#[rustfmt::skip]
const fn is_plain_ddl(node: NodeRef<'_>) -> bool {
    use NodeRef as N;
    matches!(
        node,
        N::CreateStmt(_) | N::CreateForeignTableStmt(_) | N::ViewStmt(_) | N::IndexStmt(_) | N::RuleStmt(_)
            | N::CreateSeqStmt(_) | N::AlterSeqStmt(_) | N::CreateSchemaStmt(_) | N::RenameStmt(_)
            | N::AlterObjectSchemaStmt(_) | N::AlterObjectDependsStmt(_) | N::ReplicaIdentityStmt(_)
            | N::CreateDomainStmt(_) | N::AlterDomainStmt(_) | N::CompositeTypeStmt(_) | N::CreateEnumStmt(_)
            | N::CreateRangeStmt(_) | N::AlterEnumStmt(_) | N::AlterTypeStmt(_) | N::DefineStmt(_)
            | N::CreateOpClassStmt(_) | N::CreateOpFamilyStmt(_) | N::AlterOpFamilyStmt(_) | N::AlterOperatorStmt(_)
            | N::CreateCastStmt(_) | N::CreateConversionStmt(_) | N::CreateTransformStmt(_)
            | N::AlterCollationStmt(_) | N::CreateStatsStmt(_) | N::AlterStatsStmt(_)
            | N::AlterTsdictionaryStmt(_) | N::AlterTsconfigurationStmt(_) | N::AlterEventTrigStmt(_)
            | N::CreatePlangStmt(_) | N::CreateAmStmt(_) | N::CreateExtensionStmt(_) | N::AlterExtensionStmt(_)
            | N::AlterExtensionContentsStmt(_) | N::CreateFdwStmt(_) | N::AlterFdwStmt(_)
            | N::CreateForeignServerStmt(_) | N::AlterForeignServerStmt(_) | N::CreateUserMappingStmt(_)
            | N::AlterUserMappingStmt(_) | N::DropUserMappingStmt(_) | N::ImportForeignSchemaStmt(_)
            | N::CreatePublicationStmt(_) | N::AlterPublicationStmt(_) | N::CreateSubscriptionStmt(_)
            | N::AlterSubscriptionStmt(_) | N::DropSubscriptionStmt(_) | N::CreateTableSpaceStmt(_)
            | N::DropTableSpaceStmt(_) | N::AlterTableSpaceOptionsStmt(_) | N::AlterTableMoveAllStmt(_)
            | N::CreatedbStmt(_) | N::AlterDatabaseStmt(_) | N::AlterDatabaseRefreshCollStmt(_) | N::DropdbStmt(_)
    )
}
