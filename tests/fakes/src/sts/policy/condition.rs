//! Conditions of statements, and what is known of a request to hold them to.

use std::collections::BTreeMap;

use super::like;
use crate::clock;

/// What is known of a request: keys in lower case, each with its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_lowercase(), vec![value.into()]);
    }

    pub(crate) fn set_all(&mut self, key: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.0.insert(key.to_lowercase(), values);
        }
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_lowercase()).map(Vec::as_slice)
    }

    /// Puts values in the places of `${...}`; none where one of them has no value, or not exactly one.
    pub(super) fn fill(&self, pattern: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}')?;
            filled.push_str(before);
            match (name, self.get(name)) {
                ("*" | "?" | "$", _) => filled.push_str(name),
                (_, Some([value])) => filled.push_str(value),
                _ => return None,
            }
            rest = after;
        }
        filled.push_str(rest);
        Some(filled)
    }
}

/// One operator on one key.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    key: String,
    values: Vec<String>,
    test: Test,
    negated: bool,
    if_exists: bool,
    many: Many,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Many {
    One,
    ForAll,
    ForAny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    EqualsIgnoringCase,
    Like,
    Truth,
    Null,
    Date(Order),
    Number(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Order {
    fn of(self, left: i64, right: i64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Equal => left == right,
            Self::AtLeast => left >= right,
            Self::More => left > right,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "LessThan" => Self::Less,
            "LessThanEquals" => Self::AtMost,
            "Equals" => Self::Equal,
            "GreaterThanEquals" => Self::AtLeast,
            "GreaterThan" => Self::More,
            _ => return None,
        })
    }
}

impl Condition {
    pub(super) fn read(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        let unknown = || format!("condition operator `{operator}` is not known");
        let (many, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Many::ForAll, name),
            Some(("ForAnyValue", name)) => (Many::ForAny, name),
            Some(_) => return Err(unknown()),
            None => (Many::One, operator),
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (test, negated) = match name {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoringCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoringCase, true),
            "StringLike" | "ArnLike" | "ArnEquals" => (Test::Like, false),
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => (Test::Like, true),
            "Bool" => (Test::Truth, false),
            "Null" => (Test::Null, false),
            other => {
                let date = other.strip_prefix("Date").and_then(Order::named).map(Test::Date);
                let number = || other.strip_prefix("Numeric").and_then(Order::named).map(Test::Number);
                (date.or_else(number).ok_or_else(unknown)?, false)
            }
        };
        if values.is_empty() {
            return Err(format!("condition key `{key}` without a value"));
        }
        if let Test::Date(_) = test
            && let Some(broken) = values.iter().find(|value| clock::from_policy(value).is_none())
        {
            return Err(format!("`{broken}` in a condition is not a date"));
        }
        Ok(Self { key: key.to_owned(), values, test, negated, if_exists, many })
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let known = context.get(&self.key);
        if self.test == Test::Null {
            return self.values.iter().all(|wanted| wanted == if known.is_some() { "false" } else { "true" });
        }
        let Some(known) = known else {
            // A key that is absent differs from everything, and all of its values are as wanted.
            return self.if_exists || self.negated || self.many == Many::ForAll;
        };
        match self.many {
            Many::ForAll => known.iter().all(|value| self.meets(value, context)),
            Many::ForAny => known.iter().any(|value| self.meets(value, context)),
            Many::One => matches!(known, [value] if self.meets(value, context)),
        }
    }

    fn meets(&self, value: &str, context: &Context) -> bool {
        let mut wanted = self.values.iter().filter_map(|wanted| context.fill(wanted));
        let found = wanted.any(|wanted| match self.test {
            Test::Equals => wanted == value,
            Test::EqualsIgnoringCase => wanted.eq_ignore_ascii_case(value),
            Test::Like => like(&wanted, value),
            Test::Truth => wanted.eq_ignore_ascii_case(value),
            Test::Null => false,
            Test::Date(order) => match (clock::from_policy(value), clock::from_policy(&wanted)) {
                (Some(value), Some(wanted)) => order.of(value, wanted),
                _ => false,
            },
            Test::Number(order) => match (value.parse(), wanted.parse()) {
                (Ok(value), Ok(wanted)) => order.of(value, wanted),
                _ => false,
            },
        });
        found != self.negated
    }
}
