//! What a statement needs: the least that a policy set has to permit for it to pass.

use std::collections::BTreeSet;

use writ_core::statement::{Columns, Kind, QualifiedName, Statement};

use super::{Asking, action, identifier, is_catalog};

/// What kind of thing a need is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// The target.
    Target,
    /// A relation.
    Relation,
    /// A column.
    Column,
    /// A function.
    Function,
}

impl Thing {
    /// Its type, as policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "Writ::Target",
            Self::Relation => "Writ::Relation",
            Self::Column => "Writ::Column",
            Self::Function => "Writ::Function",
        }
    }
}

/// One thing that has to be permitted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// The action, as `sql:select`.
    pub action: &'static str,
    /// What kind of thing it is done to.
    pub thing: Thing,
    /// Its id.
    pub id: String,
}

impl Asking<'_> {
    /// What has to be permitted for the statement to pass, column by column where it states them.
    pub(crate) fn needs(&self, statement: &Statement) -> BTreeSet<Need> {
        let mut needs = BTreeSet::new();
        let mut need = |action, thing, id| {
            needs.insert(Need { action, thing, id });
        };
        let target = || self.target.to_owned();
        let mut unknown = statement.accesses.is_empty();
        for access in &statement.accesses {
            let Some(name) = access.relation.as_ref().filter(|_| access.kind != Kind::Unknown) else {
                match access.kind {
                    Kind::Unknown => unknown = true,
                    kind => need(action(kind), Thing::Target, target()),
                }
                continue;
            };
            for schema in self.schemas(name, is_catalog(&name.name)) {
                let id = format!("{}/{}.{}", self.target, identifier(schema), identifier(&name.name));
                match &*self.widened(access, statement) {
                    Columns::Stated(columns) if !columns.is_empty() => {
                        for column in columns {
                            need(action(access.kind), Thing::Column, format!("{id}.{}", identifier(column)));
                        }
                    }
                    _ => need(action(access.kind), Thing::Relation, id),
                }
            }
        }
        let called = self.called(statement).map(|name| QualifiedName { schema: None, name: name.to_owned() });
        for function in statement.functions.iter().cloned().chain(called) {
            for schema in self.function_schemas(&function).unwrap_or_default() {
                let id = format!("{}/{}.{}", self.target, identifier(schema), identifier(&function.name));
                need("sql:function", Thing::Function, id);
            }
        }
        if unknown {
            need("sql:unknown", Thing::Target, target());
        }
        needs
    }
}
