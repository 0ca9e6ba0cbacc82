//! The Query protocol: a form's fields, each once, each known, and none left over.
//!
//! AWS itself passes over parameters that it does not know, and takes one of those that stand twice. Here both are refused, so
//! that a misspelt parameter fails a test.

use std::collections::BTreeMap;

use super::refusal::Refusal;
use crate::sigv4::decode;

/// What is left of a request's parameters. Each is taken once; [`Self::finish`] refuses the rest.
#[derive(Debug)]
pub(crate) struct Params(BTreeMap<String, String>);

/// Lists may not be longer than the largest that AWS takes.
const LIST_LIMIT: usize = 50;

impl Params {
    pub(crate) fn parse(form: &str) -> Result<Self, Refusal> {
        let broken = || Refusal::new(400, "MalformedQueryString", "the form is not percent-encoded");
        let mut fields = BTreeMap::new();
        for part in form.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(broken)?;
            let name = decode(&name.replace('+', "%20")).ok_or_else(broken)?;
            let value = decode(&value.replace('+', "%20")).ok_or_else(broken)?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(Refusal::validation(format!("parameter `{name}` stands twice")));
            }
        }
        Ok(Self(fields))
    }

    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        self.optional(name).ok_or_else(|| constraint("null", name, "Member must not be null"))
    }

    /// A whole number in plain digits.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u32>, Refusal> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = plain.then(|| text.parse().ok()).flatten();
        number.map(Some).ok_or_else(|| Refusal::new(400, "MalformedInput", format!("`{name}` is not a whole number")))
    }

    /// `Name.member.1`, `Name.member.2`, ... without a gap.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        self.structures(name, &[""]).map(|items| items.into_iter().flatten().collect())
    }

    /// `Name.member.1.First`, `Name.member.1.Second`, ...: every field of every item.
    pub(crate) fn structures(&mut self, name: &str, fields: &[&str]) -> Result<Vec<Vec<String>>, Refusal> {
        let mut items = Vec::new();
        for number in 1..=LIST_LIMIT + 1 {
            let keys: Vec<String> = fields
                .iter()
                .map(|field| format!("{name}.member.{number}{}{field}", if field.is_empty() { "" } else { "." }))
                .collect();
            if !keys.iter().any(|key| self.names(key)) {
                break;
            }
            items.push(keys.iter().map(|key| self.required(key)).collect::<Result<Vec<_>, _>>()?);
        }
        if items.len() > LIST_LIMIT {
            return Err(constraint("[...]", name, "Member must have length less than or equal to 50"));
        }
        Ok(items)
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        match self.0.into_keys().next() {
            Some(name) => {
                Err(Refusal::validation(format!("unknown parameter `{name}`, or one that this action lacks")))
            }
            None => Ok(()),
        }
    }
}

/// AWS's own form of such a complaint. Only what the caller may see of its own value is in it.
pub(crate) fn constraint(value: &str, name: &str, rule: &str) -> Refusal {
    let mut letters = name.chars();
    let member: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    Refusal::validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
    ))
}

/// A value of so many characters, each allowed.
pub(crate) fn checked(
    value: String,
    name: &str,
    lengths: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Result<String, Refusal> {
    let length = value.chars().count();
    if length < *lengths.start() {
        let rule = format!("Member must have length greater than or equal to {}", lengths.start());
        return Err(constraint(&value, name, &rule));
    }
    if length > *lengths.end() {
        let rule = format!("Member must have length less than or equal to {}", lengths.end());
        return Err(constraint("...", name, &rule));
    }
    if !value.chars().all(allowed) {
        return Err(constraint(&value, name, "Member must satisfy regular expression pattern"));
    }
    Ok(value)
}

/// `[\w+=,.@-]`, where `\w` is ASCII: names of sessions and source identities.
pub(crate) fn name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}
