//! Decisions on statements: each thing that a statement does is asked about by itself, and all must be permitted.
//!
//! What a name stands for only the server knows. So an unqualified one is asked about in every schema in which the server may
//! look, and one denial denies. A column is asked about where policies tell it from its relation. What must never happen: that a
//! `forbid` is not asked about something that the statement may do.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use cedar_policy::{Context, Entity, EntityUid, RestrictedExpression};
use writ_core::fault::{Blame, Fault};
use writ_core::statement::{Access, Columns, Kind, QualifiedName, Statement};
use writ_core::time::Timestamp;
use writ_core::verdict::HoldTerms;

use crate::bundle::Bundle;
use crate::decide::{Denied, allowed, unusable_denied};
use crate::entities::{Cast, Unusable, cedar, text, uid};
use crate::functions::{OwnFunctions, only_computes};
use crate::terms::Combined;

mod needs;
pub(crate) mod slices;

pub use needs::{Need, Thing};

/// The most questions that one statement may take: each costs some microseconds.
const MOST_QUESTIONS: usize = 512;
/// The column that stands for all that no policy names.
const OTHER_COLUMN: &str = "*";
const CATALOG: &str = "pg_catalog";

/// What is known of a session when a statement of it is judged.
#[derive(Debug, Clone, Copy)]
pub struct StatementFacts<'a> {
    /// The time.
    pub now: Timestamp,
    /// The database.
    pub database: &'a str,
    /// The role that the session acts as there.
    pub database_role: &'a str,
    /// The schemas in which the server may look for a name that states none, in any order.
    pub schemas: &'a [String],
    /// Whether the server looks in `pg_catalog` before it looks in those.
    pub catalog_first: bool,
    /// The functions of the database's own.
    pub functions: &'a OwnFunctions,
    /// Whether a transaction is open, or something of a pipeline was executed that is not committed.
    pub in_transaction: bool,
    /// The rows that the session read and changed so far.
    pub session_rows: u64,
    /// The statements within the last minute.
    pub statements_last_minute: u64,
    /// Who approved this very command, as issuer, `|` and subject.
    pub approvers: &'a [String],
}

/// What policy says of statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Why they are denied, where they are.
    pub denied: Option<Fault>,
    /// What they wait for, where they are held.
    pub hold: Option<HoldTerms>,
    /// How many rows one of them may give or change.
    pub rows: Option<u64>,
    /// The policies that permitted, sorted, each once; where they are denied, those that forbid.
    pub policies: Vec<String>,
}

/// One statement's questions.
pub(crate) struct Asking<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) cast: &'a Cast,
    pub(crate) target: &'a str,
    pub(crate) facts: &'a StatementFacts<'a>,
}

/// What has been answered so far.
struct Answers {
    context: Context,
    /// All that policies could read, to be held to the schema; made with debug assertions alone.
    whole: Option<Context>,
    combined: Combined,
    policies: BTreeSet<String>,
    asked: usize,
}

/// What a statement is denied for.
struct No {
    denied: Denied,
    action: String,
    on: String,
}

impl Asking<'_> {
    pub(crate) fn judge(&self, statement: &Statement) -> Judgement {
        let whole = cfg!(debug_assertions).then(|| self.context(statement, |_| true)).transpose();
        let read = self.context(statement, |attribute| self.bundle.governs().reads_of_context(attribute));
        let (whole, context) = match whole.and_then(|whole| Ok((whole, read?))) {
            Ok(contexts) => contexts,
            Err(unusable) => return refused(&unusable_denied(self.bundle, unusable).fault()),
        };
        let (combined, policies) = (Combined::default(), BTreeSet::new());
        let mut answers = Answers { context, whole, combined, policies, asked: 0 };
        match self.all(statement, &mut answers) {
            Ok(()) => Judgement {
                denied: None,
                hold: answers.combined.hold,
                rows: answers.combined.rows,
                policies: answers.policies.into_iter().collect(),
            },
            Err(no) => Judgement { policies: no.denied.policies.clone(), ..refused(&fault(&no)) },
        }
    }

    fn all(&self, statement: &Statement, answers: &mut Answers) -> Result<(), No> {
        let mut unknown = statement.accesses.is_empty();
        for access in &statement.accesses {
            match (access.kind, &access.relation) {
                (Kind::Unknown, _) => unknown = true,
                (kind, None) => self.target(kind, answers)?,
                (kind, Some(name)) => self.relation(kind, name, &self.widened(access, statement), answers)?,
            }
        }
        for function in &statement.functions {
            unknown |= !self.function(function, answers)?;
        }
        for name in self.called(statement) {
            unknown |= !self.function(&QualifiedName { schema: None, name: name.to_owned() }, answers)?;
        }
        if unknown { self.unknown(answers) } else { Ok(()) }
    }

    /// Whether the server may find a function of the database's own under a name without a schema.
    fn may_be_own(&self, name: &str) -> bool {
        self.facts.functions.may_be(name, self.facts.catalog_first.then_some(self.facts.schemas))
    }

    /// The names behind a dot for which the server may call a function.
    fn called<'s>(&self, statement: &'s Statement) -> impl Iterator<Item = &'s str> {
        statement.selected.iter().map(String::as_str).filter(|name| self.may_be_own(name))
    }

    /// The columns of an access: any, where one that is stated may be a function instead that is called with the whole row.
    fn widened<'s>(&self, access: &'s Access, statement: &'s Statement) -> Cow<'s, Columns> {
        match &access.columns {
            Columns::Stated(columns) if self.called(statement).any(|name| columns.iter().any(|own| own == name)) => {
                Cow::Owned(Columns::Any)
            }
            columns => Cow::Borrowed(columns),
        }
    }

    fn target(&self, kind: Kind, answers: &mut Answers) -> Result<(), No> {
        self.ask(action(kind), (Thing::Target, self.target, self.cast.resource()), [], answers).map(drop).map_err(
            |(denied, action)| {
                let on = self.target.to_owned();
                No { denied, action, on }
            },
        )
    }

    /// A relation, under each name that it may have.
    fn relation(&self, kind: Kind, name: &QualifiedName, columns: &Columns, answers: &mut Answers) -> Result<(), No> {
        for schema in self.schemas(name, is_catalog(&name.name)) {
            self.relation_in(kind, schema, &name.name, columns, answers)?;
        }
        Ok(())
    }

    fn relation_in(
        &self,
        kind: Kind,
        schema: &str,
        name: &str,
        columns: &Columns,
        answers: &mut Answers,
    ) -> Result<(), No> {
        let id = format!("{}/{}.{}", self.target, identifier(schema), identifier(name));
        let relation = self.entity("Writ::Relation", &id, schema, name).map_err(|unusable| self.no(unusable, &id))?;
        let uid = relation.uid();
        let whole = self.ask(action(kind), (Thing::Relation, &id, &uid), [relation.clone()], answers);
        let asks = self.columns(&id, columns, whole.is_ok());
        for column in &asks {
            let of = &id;
            let id = format!("{id}.{column}");
            let entity = column_entity(&id, &uid).map_err(|unusable| self.no(unusable, &id))?;
            let on = entity.uid();
            let answer = self.ask(action(kind), (Thing::Column, of, &on), [relation.clone(), entity], answers);
            match answer {
                // What permits the relation permits its columns too, unless one of them is forbidden.
                Err((denied, action))
                    if denied.code != "policy.no_permit" || (whole.is_err() && column != OTHER_COLUMN) =>
                {
                    return Err(No { denied, action, on: id });
                }
                _ => {}
            }
        }
        match whole {
            Err((denied, action)) if asks.is_empty() || denied.code != "policy.no_permit" || !stated(columns) => {
                Err(No { denied, action, on: id })
            }
            _ => Ok(()),
        }
    }

    /// The columns to be asked about: those that policies tell from their relation, and where the relation as a whole is not
    /// permitted, all that are stated.
    fn columns(&self, relation: &str, columns: &Columns, permitted: bool) -> Vec<String> {
        let governs = self.bundle.governs();
        let named = governs.columns.get(relation);
        let mut asks: BTreeSet<String> = match columns {
            Columns::Any => named.cloned().unwrap_or_default(),
            Columns::Stated(stated) if !permitted => stated.iter().map(|column| identifier(column)).collect(),
            Columns::Stated(stated) => {
                let is_named = |column: &String| named.is_some_and(|named| named.contains(column));
                stated.iter().map(|column| identifier(column)).filter(is_named).collect()
            }
        };
        if governs.by_type {
            asks.insert(OTHER_COLUMN.to_owned());
        }
        asks.into_iter().collect()
    }

    /// Whether a function may be called; one that no policy permits makes its statement unknown.
    fn function(&self, function: &QualifiedName, answers: &mut Answers) -> Result<bool, No> {
        let Some(schemas) = self.function_schemas(function) else { return Ok(true) };
        for schema in schemas {
            let id = format!("{}/{}.{}", self.target, identifier(schema), identifier(&function.name));
            let no = |unusable| self.no(unusable, &id);
            let entity = self.entity("Writ::Function", &id, schema, &function.name).map_err(no)?;
            let uid = entity.uid();
            match self.ask("sql:function", (Thing::Function, &id, &uid), [entity], answers) {
                Ok(_) => {}
                Err((denied, _)) if denied.code == "policy.no_permit" => return Ok(false),
                Err((denied, action)) => return Err(No { denied, action, on: id }),
            }
        }
        Ok(true)
    }

    /// The schemas in which a function may stand; `None` for one that only computes.
    fn function_schemas<'n>(&'n self, function: &'n QualifiedName) -> Option<Vec<&'n str>> {
        let in_catalog = match function.schema.as_deref() {
            Some(schema) => schema == CATALOG,
            None => self.facts.catalog_first,
        };
        let own = function.schema.is_none() && self.may_be_own(&function.name);
        let computes = only_computes(&function.name);
        if in_catalog && !own && computes {
            return None;
        }
        let mut schemas = self.schemas(function, false);
        schemas.retain(|schema| *schema != CATALOG);
        if !computes && function.schema.as_deref().is_none_or(|schema| schema == CATALOG) {
            schemas.push(CATALOG);
        }
        Some(schemas)
    }

    /// What was not understood passes by a policy that names it, and by no other.
    fn unknown(&self, answers: &mut Answers) -> Result<(), No> {
        let on = || self.target.to_owned();
        match self.ask("sql:unknown", (Thing::Target, self.target, self.cast.resource()), [], answers) {
            Err((denied, action)) => Err(No { denied, action, on: on() }),
            Ok(policies) if policies.iter().any(|policy| self.bundle.governs().unknown.contains(policy)) => Ok(()),
            Ok(_) => {
                let denied = Denied::statement("policy.no_permit", self.bundle, "no policy names `sql:unknown`");
                Err(No { denied, action: "sql:unknown".to_owned(), on: on() })
            }
        }
    }

    /// The schemas in which a name may stand.
    fn schemas<'n>(&'n self, name: &'n QualifiedName, is_catalog: bool) -> Vec<&'n str> {
        match &name.schema {
            Some(schema) => vec![schema],
            None if is_catalog && self.facts.catalog_first => vec![CATALOG],
            None => {
                let own = self.facts.schemas.iter().map(String::as_str);
                let catalog = (is_catalog || name.name.starts_with("pg_") || self.facts.schemas.is_empty())
                    && !self.facts.schemas.iter().any(|schema| schema == CATALOG);
                own.chain(catalog.then_some(CATALOG)).collect()
            }
        }
    }

    fn entity(&self, kind: &str, id: &str, schema: &str, name: &str) -> Result<Entity, Unusable> {
        let target = self.cast.resource();
        let attributes = [
            ("target".to_owned(), RestrictedExpression::new_entity_uid(target.clone())),
            ("schema".to_owned(), text(schema)),
            ("name".to_owned(), text(name)),
        ];
        Entity::new(uid(kind, id)?, attributes.into(), [target.clone()].into())
            .map_err(|error| Unusable::Cedar(error.to_string()))
    }

    /// One question; its answer's policies and what they say are kept.
    fn ask(
        &self,
        action: &str,
        (thing, named, on): (Thing, &str, &EntityUid),
        entities: impl IntoIterator<Item = Entity>,
        answers: &mut Answers,
    ) -> Result<Vec<String>, (Denied, String)> {
        let denied = |denied| (denied, action.to_owned());
        answers.asked += 1;
        if answers.asked > MOST_QUESTIONS {
            let detail = "the statement does more than policies are asked about";
            return Err(denied(Denied::statement("policy.too_much", self.bundle, detail)));
        }
        let no_slice = || Unusable::Cedar(format!("nothing is asked as `{action}` on a {}", thing.as_str()));
        let slice = self.bundle.slices().action(action);
        let question = slice.and_then(|slice| Some((slice, slice.policies(thing, named)?))).ok_or_else(no_slice);
        let question = question.and_then(|(slice, policies)| {
            let contexts = (answers.context.clone(), answers.whole.as_ref());
            let question = self.cast.question_on(self.bundle, slice, on, entities, contexts)?;
            Ok(question.ask(policies))
        });
        let response = question.map_err(|unusable| denied(unusable_denied(self.bundle, unusable)))?;
        let policies = allowed(self.bundle, &response).map_err(denied)?;
        for id in &policies {
            if let Some(stated) = self.bundle.stated(id) {
                answers.combined.add(id, &stated.terms);
            }
            answers.policies.insert(id.clone());
        }
        Ok(policies)
    }

    fn no(&self, unusable: Unusable, on: &str) -> No {
        No { denied: unusable_denied(self.bundle, unusable), action: "sql".to_owned(), on: on.to_owned() }
    }

    /// The attributes of the context that are wanted: one that no policy reads changes no answer.
    fn context(&self, statement: &Statement, wanted: impl Fn(&str) -> bool) -> Result<Context, Unusable> {
        let facts = self.facts;
        let mut pairs = Vec::new();
        let mut put = |name: &str, value: &dyn Fn() -> RestrictedExpression| {
            if wanted(name) {
                pairs.push((name.to_owned(), value()));
            }
        };
        put("now", &|| RestrictedExpression::new_long(facts.now.as_second()));
        put("database", &|| text(facts.database));
        put("database_role", &|| text(facts.database_role));
        put("kinds", &|| texts(statement.accesses.iter().map(|access| access.kind.as_str())));
        put("unfiltered", &|| RestrictedExpression::new_bool(statement.unfiltered));
        put("settings", &|| texts(statement.settings.iter().map(|setting| setting.name.as_str())));
        put("fingerprint", &|| text(&statement.fingerprint.to_string()));
        put("in_transaction", &|| RestrictedExpression::new_bool(facts.in_transaction));
        put("session_rows", &|| long(facts.session_rows));
        put("statements_last_minute", &|| long(facts.statements_last_minute));
        put("approvers", &|| texts(facts.approvers.iter().map(String::as_str)));
        Context::from_pairs(pairs).map_err(cedar)
    }
}

fn texts<'t>(values: impl Iterator<Item = &'t str>) -> RestrictedExpression {
    let values: BTreeSet<&str> = values.collect();
    RestrictedExpression::new_set(values.into_iter().map(text))
}

fn long(number: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}

impl Judgement {
    /// What policy says of this and another: both must be permitted.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        match (&self.denied, &other.denied) {
            (Some(_), _) => return self,
            (None, Some(_)) => return other,
            (None, None) => {}
        }
        self.rows = crate::obligations::least(self.rows, other.rows);
        self.hold = match (self.hold, other.hold) {
            (Some(one), Some(other)) => Some(crate::terms::both_hold(one, other)),
            (one, other) => one.or(other),
        };
        self.policies.extend(other.policies);
        self.policies.sort();
        self.policies.dedup();
        self
    }
}

fn refused(fault: &Fault) -> Judgement {
    Judgement { denied: Some(fault.clone()), ..Judgement::default() }
}

/// What the client learns: which policy, of what. It has a session already, and knows what it asked for.
fn fault(no: &No) -> Fault {
    let (action, on) = (&no.action, shown(&no.on));
    let (public, help) = match no.denied.code {
        "policy.forbidden" => {
            let policies = no.denied.policies.join("`, `");
            (
                format!("policy `{policies}` forbids `{action}` on `{on}`"),
                "ask the operator whether this job should do this",
            )
        }
        "policy.no_permit" if action == "sql:unknown" => (
            format!(
                "the statement was not understood, or calls a function that may do anything: no policy permits `{action}` on `{on}`"
            ),
            "simplify the statement, or ask the operator for a policy on `sql:function`",
        ),
        "policy.no_permit" => (
            format!("no policy permits `{action}` on `{on}`"),
            "ask the operator for a policy that permits it, or leave it out of the statement",
        ),
        "policy.too_much" => {
            ("the statement does more than policies are asked about".to_owned(), "split the statement into several")
        }
        _ => (Denied::PUBLIC.to_owned(), "ask the operator of this gateway, and quote the request"),
    };
    let full = no.denied.fault();
    Fault::new(no.denied.code, Blame::NotAllowed, public).help(help).detail(full.detail)
}

/// A name from outside, for a message.
fn shown(name: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = name.chars().take(MOST).flat_map(char::escape_debug).collect();
    if name.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

const fn stated(columns: &Columns) -> bool {
    matches!(columns, Columns::Stated(stated) if !stated.is_empty())
}

fn column_entity(id: &str, relation: &EntityUid) -> Result<Entity, Unusable> {
    let attributes = [("relation".to_owned(), RestrictedExpression::new_entity_uid(relation.clone()))];
    Entity::new(uid("Writ::Column", id)?, attributes.into(), [relation.clone()].into())
        .map_err(|error| Unusable::Cedar(error.to_string()))
}

/// A name as it stands in ids: plain, or in double quotes as SQL writes it.
#[must_use]
pub fn identifier(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if name.bytes().all(plain) && name.bytes().next().is_some_and(begins) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn is_catalog(name: &str) -> bool {
    static SET: LazyLock<HashSet<&'static str>> = LazyLock::new(|| CATALOGS.split_ascii_whitespace().collect());
    SET.contains(name)
}

/// The relations of `pg_catalog` of PostgreSQL 13 to 18, as drivers and tools read them.
const CATALOGS: &str = include_str!("catalogs.txt");

const fn action(kind: Kind) -> &'static str {
    match kind {
        Kind::Select => "sql:select",
        Kind::Insert => "sql:insert",
        Kind::Update => "sql:update",
        Kind::Delete => "sql:delete",
        Kind::Truncate => "sql:truncate",
        Kind::CopyIn => "sql:copy_in",
        Kind::CopyOut => "sql:copy_out",
        Kind::CopyServer => "sql:copy_server",
        Kind::Lock => "sql:lock",
        Kind::Call => "sql:call",
        Kind::Do => "sql:do",
        Kind::Explain => "sql:explain",
        Kind::Ddl => "sql:ddl",
        Kind::Privilege => "sql:privilege",
        Kind::Set => "sql:set",
        Kind::Show => "sql:show",
        Kind::Transaction => "sql:transaction",
        Kind::Cursor => "sql:cursor",
        Kind::Prepared => "sql:prepared",
        Kind::Notify => "sql:notify",
        Kind::Maintenance => "sql:maintenance",
        Kind::Discard => "sql:discard",
        Kind::Unknown => "sql:unknown",
    }
}

#[cfg(test)]
mod tests;
