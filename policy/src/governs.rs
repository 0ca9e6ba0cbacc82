//! What a set of policies says of SQL, found in the policies themselves when it is loaded.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{ActionConstraint, Policy};
use serde_json::Value;

/// The prefix of the actions for SQL.
const SQL: &str = "sql:";
const UNKNOWN: &str = "sql:unknown";
const ACTION: &str = "Writ::Action";

/// Which of the changing inputs of a verdict policies on SQL read. What none reads, no cached verdict depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The time, or a counter: a verdict that may depend on it holds for one command alone.
    pub moving: bool,
    /// Whether a transaction is open.
    pub transaction: bool,
}

/// What a set of policies says of SQL.
#[derive(Debug, Default)]
pub(crate) struct Governs {
    /// Whether any policy names an action for SQL: then nothing is executed that none permits.
    pub(crate) statements: bool,
    /// The policies that name `sql:unknown`.
    pub(crate) unknown: BTreeSet<String>,
    /// The columns that policies name, by the id of their relation.
    pub(crate) columns: BTreeMap<String, BTreeSet<String>>,
    /// Whether a policy tells columns from relations, so that a column must be asked about though none is named.
    pub(crate) by_type: bool,
    /// Whether a condition may name an action, so that more actions matter to it than the one that is asked about.
    pub(crate) actions: bool,
    /// What the policies read.
    pub(crate) inputs: Inputs,
    /// The attributes of the context that the policies read or ask for.
    context: BTreeSet<String>,
    /// Whether a policy speaks of the context as a whole.
    whole_context: bool,
}

impl Governs {
    /// Adds what one policy says, under its id.
    pub(crate) fn add(&mut self, id: &str, policy: &Policy) {
        let scope = match policy.action_constraint() {
            ActionConstraint::Any => Vec::new(),
            ActionConstraint::Eq(action) => vec![action],
            ActionConstraint::In(actions) => actions,
        };
        if scope.iter().any(|action| action.id().unescaped() == UNKNOWN) {
            self.unknown.insert(id.to_owned());
        }
        for literal in scope.iter().chain(&policy.entity_literals()) {
            let id = literal.id().unescaped();
            match literal.type_name().to_string().as_str() {
                ACTION => self.statements |= id == "sql" || id.starts_with(SQL),
                "Writ::Column" => self.column(id),
                _ => {}
            }
        }
        match policy.to_json() {
            Ok(json) => self.walk(&json),
            // Not seen where the policy is valid; then all is taken to be read.
            Err(_) => {
                self.reads_all();
                self.actions = true;
            }
        }
    }

    fn column(&mut self, id: &str) {
        let (relation, column) = split_column(id);
        self.columns.entry(relation.to_owned()).or_default().insert(column.to_owned());
    }

    /// Whether the context is another to some policy without this attribute.
    pub(crate) fn reads_of_context(&self, attribute: &str) -> bool {
        self.whole_context || self.context.contains(attribute)
    }

    const fn reads_all(&mut self) {
        self.whole_context = true;
        self.inputs = Inputs { moving: true, transaction: true };
        self.by_type = true;
    }

    fn walk(&mut self, json: &Value) {
        match json {
            Value::Array(elements) => elements.iter().for_each(|element| self.walk(element)),
            Value::Object(members) => members.iter().for_each(|(key, value)| match (key.as_str(), value) {
                // A literal's content is data, whatever it looks like; at most it names an action.
                ("Value", literal) => self.actions |= says(literal, ACTION),
                ("Record", Value::Object(fields)) => fields.values().for_each(|field| self.walk(field)),
                ("Var", Value::String(name)) if name == "context" => self.reads_all(),
                ("entity_type", Value::String(name)) if name == "Writ::Column" => self.by_type = true,
                ("." | "has", access) if is_context(access.get("left")) => {
                    self.reads(access.get("attr").and_then(Value::as_str));
                }
                _ => self.walk(value),
            }),
            _ => {}
        }
    }

    fn reads(&mut self, attribute: Option<&str>) {
        let Some(attribute) = attribute else { return self.reads_all() };
        self.context.insert(attribute.to_owned());
        match attribute.as_bytes() {
            b"now" | b"session_rows" | b"statements_last_minute" => self.inputs.moving = true,
            b"in_transaction" => self.inputs.transaction = true,
            _ => {}
        }
    }
}

/// Whether this text stands in it anywhere.
fn says(json: &Value, text: &str) -> bool {
    match json {
        Value::String(own) => own == text,
        Value::Array(elements) => elements.iter().any(|element| says(element, text)),
        Value::Object(members) => members.values().any(|value| says(value, text)),
        _ => false,
    }
}

fn is_context(expression: Option<&Value>) -> bool {
    expression.and_then(|expression| expression.get("Var")).and_then(Value::as_str) == Some("context")
}

/// A column's id as the id of its relation and its own name, which may stand in double quotes.
pub(crate) fn split_column(id: &str) -> (&str, &str) {
    let mut inside = false;
    let mut at = None;
    for (index, byte) in id.bytes().enumerate() {
        match byte {
            b'"' => inside = !inside,
            b'.' if !inside => at = Some(index),
            _ => {}
        }
    }
    at.and_then(|at| Some((id.get(..at)?, id.get(at + 1..)?))).unwrap_or((id, ""))
}
