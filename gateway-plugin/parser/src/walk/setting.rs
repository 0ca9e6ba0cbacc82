//! What changes settings: `SET`, `RESET`, `set_config`, the modes of a transaction.

use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{
    self, AConst, FuncCall, Node, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt,
};
use pg_query::{NodeEnum, NodeRef};
use writ_core::statement::{Kind, Setting, SettingValue, TransactionStep};

use super::{Lost, Walk, names};

/// The settings that change who the session is.
const IDENTITY: [&str; 2] = ["role", "session_authorization"];

impl Walk {
    /// `SET` and `RESET`.
    pub(super) fn set(&mut self, set: &VariableSetStmt) {
        let name = set.name.to_ascii_lowercase();
        let value = match set.kind() {
            VariableSetKind::VarSetValue => value(&set.args),
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => SettingValue::Default,
            VariableSetKind::VarSetMulti => return self.set_modes(&name, set),
            VariableSetKind::VarResetAll => {
                self.note(Kind::Set, None);
                return self.change("all".to_owned(), SettingValue::Default, false);
            }
            VariableSetKind::VarSetCurrent | VariableSetKind::Undefined => return self.lose(Lost::Foreign),
        };
        self.note(if IDENTITY.contains(&name.as_str()) { Kind::Privilege } else { Kind::Set }, None);
        self.literal |= matches!(value, SettingValue::Stated(_));
        self.change(name, value, set.is_local);
    }

    /// `SET TRANSACTION`, `SET SESSION CHARACTERISTICS`.
    fn set_modes(&mut self, name: &str, set: &VariableSetStmt) {
        self.note(Kind::Set, None);
        match name {
            "transaction" => self.modes("", &set.args),
            "session characteristics" => self.modes("default_", &set.args),
            // Its argument names a snapshot, which is no setting.
            "transaction snapshot" => {}
            _ => self.lose(Lost::Foreign),
        }
    }

    /// The modes of a transaction: settings that are called after them.
    fn modes(&mut self, prefix: &str, modes: &[Node]) {
        for mode in modes {
            match mode.node.as_ref().map(NodeEnum::to_ref) {
                Some(NodeRef::DefElem(mode)) => {
                    let value =
                        mode.arg.as_deref().map_or(SettingValue::Default, |arg| value(std::slice::from_ref(arg)));
                    let value = match value {
                        SettingValue::Stated(values) if mode.defname != "transaction_isolation" => {
                            SettingValue::Stated(values.into_iter().map(switch).collect())
                        }
                        other => other,
                    };
                    self.change(format!("{prefix}{}", mode.defname), value, prefix.is_empty());
                }
                _ => self.lose(Lost::Foreign),
            }
        }
    }

    fn change(&mut self, name: String, value: SettingValue, local: bool) {
        self.settings.push(Setting { name, value, local, sure: true });
    }

    /// `set_config`, in whichever schema: whether and how often it is called only the server knows.
    pub(super) fn set_config(&mut self, call: &FuncCall) {
        if names(&call.funcname).last() != Some(&"set_config") {
            return;
        }
        self.literal = true;
        let [name, value, local] = call.args.as_slice() else { return self.lose(Lost::Foreign) };
        let (Some(name), Some(local)) = (constant(name), constant(local)) else { return self.lose(Lost::Foreign) };
        let name = name.to_ascii_lowercase();
        if IDENTITY.contains(&name.as_str()) {
            self.note(Kind::Privilege, None);
        }
        let value = constant(value).map_or(SettingValue::Computed, SettingValue::Text);
        // Any of the spellings of true that the server knows; what is none of them it refuses.
        let local = !matches!(local.to_ascii_lowercase().as_bytes(), [b'f' | b'n' | b'0', ..] | b"of" | b"off");
        self.settings.push(Setting { name, value, local, sure: false });
    }

    /// Settings are sure to change where the root is a query of nothing but calls of `set_config`.
    pub(super) fn simple_settings(&mut self, root: NodeRef<'_>) {
        let NodeRef::SelectStmt(select) = root else { return };
        if self.settings.is_empty() {
            return;
        }
        let targets = &select.target_list;
        let rest = protobuf::SelectStmt { target_list: Vec::new(), ..select.clone() };
        let nothing = protobuf::SelectStmt {
            limit_option: select.limit_option,
            op: protobuf::SetOperation::SetopNone.into(),
            ..Default::default()
        };
        if rest == nothing && targets.iter().all(is_set_config) {
            self.settings.iter_mut().for_each(|setting| setting.sure = true);
        }
    }

    pub(super) fn transaction(&mut self, transaction: &TransactionStmt) {
        self.note(Kind::Transaction, None);
        let name = || transaction.savepoint_name.clone();
        let step = match transaction.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => TransactionStep::Begin,
            TransactionStmtKind::TransStmtCommit => TransactionStep::Commit,
            TransactionStmtKind::TransStmtRollback => TransactionStep::Rollback,
            TransactionStmtKind::TransStmtSavepoint => TransactionStep::Savepoint(name()),
            TransactionStmtKind::TransStmtRelease => TransactionStep::Release(name()),
            TransactionStmtKind::TransStmtRollbackTo => TransactionStep::RollbackTo(name()),
            TransactionStmtKind::TransStmtPrepare
            | TransactionStmtKind::TransStmtCommitPrepared
            | TransactionStmtKind::TransStmtRollbackPrepared => TransactionStep::TwoPhase,
            TransactionStmtKind::Undefined => return self.lose(Lost::Foreign),
        };
        self.transaction = Some(step);
        self.modes("", &transaction.options);
    }
}

/// A switch as the server shows it; the grammar has a number for it.
fn switch(value: String) -> String {
    match value.as_str() {
        "0" => "off".to_owned(),
        "1" => "on".to_owned(),
        _ => value,
    }
}

/// The values that a `SET` states.
fn value(args: &[Node]) -> SettingValue {
    let values: Option<Vec<_>> = args.iter().map(constant).collect();
    values.map_or(SettingValue::Computed, SettingValue::Stated)
}

/// A constant as the text that the server would take it for, a cast of one with it.
fn constant(node: &Node) -> Option<String> {
    match node.node.as_ref()?.to_ref() {
        NodeRef::AConst(AConst { val: Some(val), .. }) => Some(match val {
            Val::Ival(value) => value.ival.to_string(),
            Val::Fval(value) => value.fval.clone(),
            Val::Boolval(value) => value.boolval.to_string(),
            Val::Sval(value) => value.sval.clone(),
            Val::Bsval(_) => return None,
        }),
        NodeRef::TypeCast(cast) if is_text(cast) => constant(cast.arg.as_deref()?),
        _ => None,
    }
}

/// A cast that leaves a string as it is, or says what a boolean is.
fn is_text(cast: &protobuf::TypeCast) -> bool {
    let Some(named) = &cast.type_name else { return false };
    let plain = named.typmods.is_empty() && named.array_bounds.is_empty() && !named.setof && !named.pct_type;
    plain && matches!(names(&named.names).as_slice(), ["text"] | ["pg_catalog", "text" | "bool"])
}

fn is_set_config(target: &Node) -> bool {
    let Some(NodeRef::ResTarget(target)) = target.node.as_ref().map(NodeEnum::to_ref) else { return false };
    let value = target.val.as_ref().and_then(|value| value.node.as_ref()).map(NodeEnum::to_ref);
    matches!(value, Some(NodeRef::FuncCall(call)) if names(&call.funcname).last() == Some(&"set_config"))
}
