//! IAM policies: read strictly, and evaluated as far as this crate's callers need.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use self::condition::Condition;

mod condition;

pub(crate) use condition::Context;

/// Where a policy stands, which decides what it must and may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On a user or a role, or given with a session: resources, no principals.
    Identity,
    /// A role's trust: principals, no resources.
    Trust,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    Deny,
    Nothing,
}

/// Who asks, to a trust policy.
#[derive(Debug)]
pub(crate) enum Asker<'a> {
    /// By the ARN of the provider that vouched for it.
    Federated(&'a str),
    /// By ARN (of a role's session: the session's and the role's), and the account.
    Aws { arns: Vec<String>, account: &'a str },
}

/// A policy that was understood whole.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    allow: bool,
    principals: Vec<(String, String)>,
    actions: Pattern,
    resources: Option<Pattern>,
    conditions: Vec<Condition>,
}

/// Some names, or all but some.
#[derive(Debug, Clone)]
struct Pattern {
    except: bool,
    any_of: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawDocument {
    version: String,
    #[serde(default)]
    #[expect(dead_code, reason = "AWS takes it and does nothing with it")]
    id: Option<String>,
    statement: OneOrMany<RawStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    #[serde(default)]
    sid: Option<String>,
    effect: String,
    #[serde(default)]
    principal: Option<RawPrincipal>,
    #[serde(default)]
    action: Option<OneOrMany<String>>,
    #[serde(default)]
    not_action: Option<OneOrMany<String>>,
    #[serde(default)]
    resource: Option<OneOrMany<String>>,
    #[serde(default)]
    not_resource: Option<OneOrMany<String>>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany<Scalar>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPrincipal {
    Anyone(String),
    Named(BTreeMap<String, OneOrMany<String>>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Truth(bool),
    Number(serde_json::Number),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Document {
    /// Reads a policy of that kind.
    ///
    /// # Errors
    /// What is not as AWS's grammar has it, or is not known here.
    pub(crate) fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let raw: RawDocument =
            serde_json::from_str(text).map_err(|error| format!("syntax error in policy: {error}"))?;
        if raw.version != "2012-10-17" {
            return Err(format!("policy version `{}` is not 2012-10-17", raw.version));
        }
        let raw = raw.statement.into_vec();
        if raw.is_empty() {
            return Err("a policy without a statement".to_owned());
        }
        let mut sids = BTreeSet::new();
        let statements = raw.into_iter().map(|statement| {
            if let Some(sid) = &statement.sid {
                if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return Err(format!("statement id `{sid}` is not of letters and digits"));
                }
                if !sids.insert(sid.clone()) {
                    return Err(format!("statement id `{sid}` stands twice"));
                }
            }
            Statement::read(statement, kind)
        });
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// What it says of an action on a resource.
    pub(crate) fn decide(&self, action: &str, resource: &str, context: &Context) -> Decision {
        self.over(|statement| {
            let resources = statement.resources.as_ref();
            statement.actions.has(&action.to_lowercase(), context)
                && resources.is_some_and(|resources| resources.has(resource, context))
                && statement.conditions.iter().all(|condition| condition.holds(context))
        })
    }

    /// What it says of an action by an asker, as a trust policy.
    pub(crate) fn trusts(&self, asker: &Asker<'_>, action: &str, context: &Context) -> Decision {
        self.over(|statement| {
            statement.names(asker)
                && statement.actions.has(&action.to_lowercase(), context)
                && statement.conditions.iter().all(|condition| condition.holds(context))
        })
    }

    /// Whether it names this very principal, and not only its account.
    pub(crate) fn names_exactly(&self, arns: &[String]) -> bool {
        self.statements.iter().any(|statement| {
            statement.allow && statement.principals.iter().any(|(kind, value)| kind == "AWS" && arns.contains(value))
        })
    }

    fn over(&self, applies: impl Fn(&Statement) -> bool) -> Decision {
        let mut decision = Decision::Nothing;
        for statement in self.statements.iter().filter(|statement| applies(statement)) {
            if !statement.allow {
                return Decision::Deny;
            }
            decision = Decision::Allow;
        }
        decision
    }
}

impl Statement {
    fn read(raw: RawStatement, kind: Kind) -> Result<Self, String> {
        let allow = match raw.effect.as_str() {
            "Allow" => true,
            "Deny" => false,
            other => return Err(format!("effect `{other}` is neither Allow nor Deny")),
        };
        let actions = Pattern::read(raw.action, raw.not_action, "Action")?.ok_or("a statement without an action")?;
        for action in &actions.any_of {
            let shaped = action.split_once(':').is_some_and(|(vendor, name)| {
                !vendor.is_empty() && !name.is_empty() && vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
            if action != "*" && !shaped {
                return Err(format!("action `{action}` is not SERVICE:NAME"));
            }
        }
        let any_of = actions.any_of.iter().map(|action| action.to_lowercase()).collect();
        let actions = Pattern { except: actions.except, any_of };
        let resources = Pattern::read(raw.resource, raw.not_resource, "Resource")?;
        for resource in resources.iter().flat_map(|resources| &resources.any_of) {
            if resource != "*" && resource.split(':').count() < 6 {
                return Err(format!("resource `{resource}` is neither `*` nor an ARN"));
            }
        }
        let principals = principals(raw.principal)?;
        match kind {
            Kind::Identity if !principals.is_empty() => return Err("a principal where none may be".to_owned()),
            Kind::Identity if resources.is_none() => return Err("a statement without a resource".to_owned()),
            Kind::Trust if principals.is_empty() => return Err("a trust without a principal".to_owned()),
            Kind::Trust if resources.is_some() => return Err("a resource in a trust policy".to_owned()),
            _ => {}
        }
        let mut conditions = Vec::new();
        for (operator, keys) in raw.condition {
            for (key, values) in keys {
                let values = values.into_vec().into_iter().map(Scalar::into_text).collect();
                conditions.push(Condition::read(&operator, &key, values)?);
            }
        }
        Ok(Self { allow, principals, actions, resources, conditions })
    }

    fn names(&self, asker: &Asker<'_>) -> bool {
        self.principals.iter().any(|(kind, value)| match asker {
            // A web identity must be named by its provider: `*` would trust every provider of the account.
            Asker::Federated(arn) => kind == "Federated" && value == arn,
            Asker::Aws { arns, account } => {
                let root = format!("arn:aws:iam::{account}:root");
                kind == "AWS" && (arns.contains(value) || *value == root || value == account || value == "*")
            }
        })
    }
}

fn principals(raw: Option<RawPrincipal>) -> Result<Vec<(String, String)>, String> {
    match raw {
        None => Ok(Vec::new()),
        Some(RawPrincipal::Anyone(star)) if star == "*" => Ok(vec![("AWS".to_owned(), star)]),
        Some(RawPrincipal::Anyone(other)) => Err(format!("principal `{other}` is not `*`")),
        Some(RawPrincipal::Named(kinds)) => {
            let mut found = Vec::new();
            for (kind, values) in kinds {
                if !matches!(kind.as_str(), "AWS" | "Federated" | "Service") {
                    return Err(format!("principals of kind `{kind}` are not known"));
                }
                for value in values.into_vec() {
                    if value != "*" && value.contains('*') {
                        return Err(format!("principal `{value}`: a star stands for everybody or not at all"));
                    }
                    found.push((kind.clone(), value));
                }
            }
            Ok(found)
        }
    }
}

impl Pattern {
    fn read(
        only: Option<OneOrMany<String>>,
        except: Option<OneOrMany<String>>,
        name: &str,
    ) -> Result<Option<Self>, String> {
        let (except, values) = match (only, except) {
            (Some(_), Some(_)) => return Err(format!("both {name} and Not{name} in one statement")),
            (Some(values), None) => (false, values),
            (None, Some(values)) => (true, values),
            (None, None) => return Ok(None),
        };
        let any_of = values.into_vec();
        if any_of.is_empty() {
            return Err(format!("an empty {name}"));
        }
        Ok(Some(Self { except, any_of }))
    }

    fn has(&self, value: &str, context: &Context) -> bool {
        let named = self.any_of.iter().any(|pattern| {
            // A variable without a value matches nothing, whatever else the pattern says.
            context.fill(pattern).is_some_and(|pattern| like(&pattern, value))
        });
        named != self.except
    }
}

/// `*` for any run of characters, `?` for one.
pub(crate) fn like(pattern: &str, value: &str) -> bool {
    let (pattern, value): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < value.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(character) if *character == '?' || value.get(here) == Some(character) => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                (at, here) = (back + 1, taken + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|character| *character == '*'))
}

#[cfg(test)]
mod tests;
