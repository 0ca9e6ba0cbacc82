//! Which claims a policy set reads, found in the policies themselves.
//!
//! Names of claims must stand in the policy as literals: with a computed name nobody could tell whether a claim that has
//! no form in Cedar is one that the policy depends on.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// The names of the claims that policies read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Reads {
    /// As a single value: `principal.getTag("name")`.
    pub(crate) single: BTreeSet<String>,
    /// As a list: `principal.lists.getTag("name")`.
    pub(crate) lists: BTreeSet<String>,
}

/// Why the claims that a policy reads cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknowable {
    /// A tag's name is computed.
    Computed,
    /// The policy has no structure that can be read.
    Opaque,
}

impl Reads {
    /// Adds what one policy reads.
    pub(crate) fn add(&mut self, policy: &Policy) -> Result<(), Unknowable> {
        let json = policy.to_json().map_err(|_unreadable| Unknowable::Opaque)?;
        json.get("conditions").map_or(Ok(()), |conditions| self.walk(conditions))
    }

    fn walk(&mut self, json: &Value) -> Result<(), Unknowable> {
        match json {
            Value::Array(elements) => elements.iter().try_for_each(|element| self.walk(element)),
            Value::Object(members) => members.iter().try_for_each(|(key, value)| {
                match (key.as_str(), value) {
                    // A literal's content is data, whatever it looks like.
                    ("Value", _) => return Ok(()),
                    // A record's keys are names that the policy chose.
                    ("Record", Value::Object(fields)) => return fields.values().try_for_each(|field| self.walk(field)),
                    _ => {}
                }
                if let ("getTag" | "hasTag", Some(of), Some(name)) =
                    (key.as_str(), value.get("left"), value.get("right"))
                {
                    self.tag(of, name)?;
                }
                self.walk(value)
            }),
            _ => Ok(()),
        }
    }

    fn tag(&mut self, of: &Value, name: &Value) -> Result<(), Unknowable> {
        if variable(of) == Some("resource") {
            return Ok(());
        }
        let name = name.get("Value").and_then(Value::as_str).ok_or(Unknowable::Computed)?;
        let is_lists = of.get(".").is_some_and(|access| {
            access.get("left").and_then(variable) == Some("principal")
                && access.get("attr").and_then(Value::as_str) == Some("lists")
        });
        let is_principal = variable(of) == Some("principal");
        if !is_lists {
            self.single.insert(name.to_owned());
        }
        if !is_principal {
            self.lists.insert(name.to_owned());
        }
        Ok(())
    }
}

fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var").and_then(Value::as_str)
}
