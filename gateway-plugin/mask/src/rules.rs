//! Rules: what is masked, and how.
//!
//! A set of rules is read once, checked as a whole, and shared by the sessions that it governs. What it must never do: take a rule that could
//! not do what it says. A rule covers a column by name, a type by its OID, or what a detector matches. Where several
//! cover one value, the strictest action is taken ([`Action`] says the order); of rules with one action, the first.

use serde::Deserialize;

use crate::action::Action;
use crate::detect::{Detector, MOST_USER_DETECTORS, Set, UserDetector};

/// The longest value that is masked where the rules say nothing, in bytes.
pub const MAX_MASKED_VALUE: usize = 8 << 20;
/// The most rules.
const MOST_RULES: usize = 1000;

/// Rules as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskRules {
    /// The rules, in order.
    pub rules: Vec<MaskRule>,
    /// Detectors of one's own.
    pub detectors: Vec<Pattern>,
    /// What happens to a column that is computed.
    pub computed: Computed,
    /// The longest value that is masked, in bytes; default 8 MiB, at least 1 KiB.
    pub max_masked_value: Option<usize>,
    /// What happens to a longer one where a mask could apply.
    pub too_long: Otherwise,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRule {
    /// Its name, which stands in recordings.
    pub name: String,
    /// A column: `schema.relation.column` or `relation.column`, each part a name or `*`.
    pub column: Option<String>,
    /// The OID of a type.
    #[serde(rename = "type")]
    pub type_id: Option<u32>,
    /// A detector's name.
    pub detector: Option<String>,
    /// What is done.
    pub action: Action,
    /// What is done where the action has no encoding in the value's type.
    #[serde(default)]
    pub otherwise: Otherwise,
}

/// A detector of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Its name, by which rules refer to it.
    pub name: String,
    /// A regular expression in the syntax of the `regex` crate.
    pub pattern: String,
}

/// What happens to a value that cannot be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// It becomes NULL.
    #[default]
    Null,
    /// The session ends with an error.
    Error,
}

/// What happens to a column of which no relation is known: an expression, a function's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Computed {
    /// Detectors look at it.
    #[default]
    Detect,
    /// It is masked as if every rule for a column applied: nothing comes around a rule by way of an expression.
    Mask,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRules(pub String);

impl core::fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for InvalidRules {}

/// Rules that were checked.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Ready>,
    user: Vec<UserDetector>,
    wanted: Set,
    /// What happens to computed columns.
    pub computed: Computed,
    /// The longest value that is masked, in bytes.
    pub max_masked_value: usize,
    /// What happens to longer ones.
    pub too_long: Otherwise,
}

#[derive(Debug)]
struct Ready {
    name: String,
    on: On,
    duty: Duty,
}

#[derive(Debug)]
enum On {
    Column(Vec<String>),
    Type(u32),
    Detector(Detector),
}

/// What a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duty {
    /// The rule's place.
    pub(crate) rule: usize,
    pub(crate) action: Action,
    pub(crate) otherwise: Otherwise,
}

impl Duty {
    /// The stricter of two, and the first of equals.
    fn or(self, other: Self) -> Self {
        if other.action > self.action { other } else { self }
    }
}

fn strictest(duties: impl Iterator<Item = Duty>) -> Option<Duty> {
    duties.reduce(Duty::or)
}

impl RuleSet {
    /// Checks rules.
    ///
    /// # Errors
    /// [`InvalidRules`], which says which rule, what is wrong with it and what it could be.
    pub fn new(rules: &MaskRules) -> Result<Self, InvalidRules> {
        let fail = |text: String| Err(InvalidRules(text));
        if rules.rules.len() > MOST_RULES || rules.detectors.len() > MOST_USER_DETECTORS {
            return fail(format!(
                "there are more than {MOST_RULES} rules or {MOST_USER_DETECTORS} detectors; join some"
            ));
        }
        let mut user: Vec<UserDetector> = Vec::new();
        for Pattern { name, pattern } in &rules.detectors {
            if Detector::by_name(name).is_some() || user.iter().any(|known| known.name() == name) || !is_name(name) {
                return fail(format!("the detector `{name}` needs a name of its own of letters, digits and hyphens"));
            }
            let detector = UserDetector::new(name, pattern)
                .map_err(|why| InvalidRules(format!("the pattern of the detector `{name}` is refused: {}", why.0)))?;
            user.push(detector);
        }
        let max_masked_value = rules.max_masked_value.unwrap_or(MAX_MASKED_VALUE);
        if !(1 << 10..=1 << 30).contains(&max_masked_value) {
            return fail("`max_masked_value` is between 1 KiB and 1 GiB".to_owned());
        }
        let mut set = Self {
            rules: Vec::new(),
            user,
            wanted: Set::NONE,
            computed: rules.computed,
            max_masked_value,
            too_long: rules.too_long,
        };
        for rule in &rules.rules {
            set.add(rule)?;
        }
        Ok(set)
    }

    fn add(&mut self, rule: &MaskRule) -> Result<(), InvalidRules> {
        let name = &rule.name;
        let fail = |text: &str| InvalidRules(format!("the rule `{name}` {text}"));
        if !is_name(name) || self.rules.iter().any(|known| known.name == *name) {
            return Err(fail("needs a name of its own of letters, digits and hyphens"));
        }
        let on = match (&rule.column, rule.type_id, &rule.detector) {
            (Some(column), None, None) => On::Column(
                column_parts(column)
                    .ok_or_else(|| fail("needs a column as `schema.relation.column` or `relation.column`"))?,
            ),
            (None, Some(0), None) => return Err(fail("needs a type's OID, which is not 0")),
            (None, Some(type_id), None) => On::Type(type_id),
            (None, None, Some(detector)) => {
                let known = self.detector(detector).ok_or_else(|| {
                    fail(&format!("names the detector `{detector}`, which is neither built in nor among `detectors`"))
                })?;
                self.wanted = self.wanted.with(known);
                On::Detector(known)
            }
            _ => return Err(fail("needs exactly one of `column`, `type` and `detector`")),
        };
        let duty = Duty { rule: self.rules.len(), action: rule.action, otherwise: rule.otherwise };
        self.rules.push(Ready { name: name.clone(), on, duty });
        Ok(())
    }

    fn detector(&self, name: &str) -> Option<Detector> {
        let own = || self.user.iter().position(|user| user.name() == name).and_then(|place| u8::try_from(place).ok());
        Detector::by_name(name).or_else(|| own().map(Detector::User))
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The detectors that rules ask for.
    #[must_use]
    pub const fn wanted(&self) -> Set {
        self.wanted
    }

    /// The detectors that the rules define.
    #[must_use]
    pub fn user(&self) -> &[UserDetector] {
        &self.user
    }

    /// The name of the rule at this place.
    pub(crate) fn name(&self, rule: usize) -> &str {
        self.rules.get(rule).map_or("", |rule| &rule.name)
    }

    /// How many rules there are.
    pub(crate) const fn len(&self) -> usize {
        self.rules.len()
    }

    /// What the rules ask for a column of these names, `schema.relation.column` each: itself, and those it is made of.
    pub(crate) fn for_columns(&self, names: &[String]) -> Option<Duty> {
        strictest(self.rules.iter().filter_map(|rule| match &rule.on {
            On::Column(parts) if names.iter().any(|name| covers(parts, name)) => Some(rule.duty),
            _ => None,
        }))
    }

    /// What the rules ask for a column of which nothing is known.
    pub(crate) fn for_any_column(&self) -> Option<Duty> {
        strictest(self.rules.iter().filter_map(|rule| matches!(rule.on, On::Column(_)).then_some(rule.duty)))
    }

    /// What the rules ask for a value of any type.
    pub(crate) fn for_any_type(&self) -> Option<Duty> {
        strictest(self.rules.iter().filter_map(|rule| matches!(rule.on, On::Type(_)).then_some(rule.duty)))
    }

    /// What the rules ask for a type.
    pub(crate) fn for_type(&self, type_id: u32) -> Option<Duty> {
        strictest(self.rules.iter().filter_map(|rule| match rule.on {
            On::Type(own) if own == type_id => Some(rule.duty),
            _ => None,
        }))
    }

    /// What the rules ask for what a detector matched.
    pub(crate) fn for_detector(&self, detector: Detector) -> Option<Duty> {
        strictest(self.rules.iter().filter_map(|rule| match rule.on {
            On::Detector(own) if own == detector => Some(rule.duty),
            _ => None,
        }))
    }

    /// The stricter of two duties.
    pub(crate) fn stricter(left: Option<Duty>, right: Option<Duty>) -> Option<Duty> {
        strictest(left.into_iter().chain(right))
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn column_parts(column: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = column.split('.').map(str::to_owned).collect();
    (matches!(parts.len(), 2 | 3) && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// Whether the parts of a rule, from the last, are those of a name.
fn covers(parts: &[String], name: &str) -> bool {
    let mut names = name.rsplit('.');
    parts.iter().rev().all(|part| names.next().is_some_and(|name| part == "*" || part == name))
}

#[cfg(test)]
mod tests;
