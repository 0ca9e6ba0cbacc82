//! Reading a token's claims as one issuer writes them, and writing named attributes.

use serde_json::{Map, Value};

use crate::identity::fault::{IdentityFault, shown};
use crate::identity::json::Object;

/// The longest single value of a claim that a preset reads, in bytes.
const MAX_VALUE_BYTES: usize = 4096;

/// A token's claims, or one object among them.
pub(super) struct Reader<'c> {
    claims: Claims<'c>,
    preset: &'static str,
}

enum Claims<'c> {
    Token(&'c Object),
    Member(&'c Map<String, Value>),
}

impl<'c> Reader<'c> {
    pub(super) const fn new(claims: &'c Object, preset: &'static str) -> Self {
        Self { claims: Claims::Token(claims), preset }
    }

    pub(super) fn get(&self, claim: &str) -> Option<&'c Value> {
        match self.claims {
            Claims::Token(claims) => claims.get(claim),
            Claims::Member(members) => members.get(claim),
        }
    }

    /// The members of a claim that is an object.
    pub(super) fn object(&self, claim: &'static str) -> Result<Option<Self>, IdentityFault> {
        match self.get(claim) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { claims: Claims::Member(members), preset: self.preset })),
            Some(_) => Err(IdentityFault::Malformed(claim)),
        }
    }

    /// A claim that is text, and not empty.
    pub(super) fn text(&self, claim: &'static str) -> Result<&'c str, IdentityFault> {
        self.optional(claim)?.ok_or(IdentityFault::Missing(claim))
    }

    /// A claim that is text or absent. Empty text counts as absent: some issuers write it so.
    pub(super) fn optional(&self, claim: &'static str) -> Result<Option<&'c str>, IdentityFault> {
        match self.get(claim) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control) => {
                Ok((!text.is_empty()).then_some(text.as_str()))
            }
            Some(_) => Err(IdentityFault::Malformed(claim)),
        }
    }

    /// A claim that is a number in digits, as text: an identifier that is never given again.
    pub(super) fn digits(&self, claim: &'static str) -> Result<&'c str, IdentityFault> {
        let text = self.text(claim)?;
        let digits = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(text) } else { Err(IdentityFault::Malformed(claim)) }
    }

    /// A claim that is a UUID, as text.
    pub(super) fn uuid(&self, claim: &'static str) -> Result<&'c str, IdentityFault> {
        let text = self.text(claim)?;
        if is_uuid(text) { Ok(text) } else { Err(IdentityFault::Malformed(claim)) }
    }

    /// A claim that is one of these.
    pub(super) fn one_of(&self, claim: &'static str, known: &[&str]) -> Result<&'c str, IdentityFault> {
        let text = self.text(claim)?;
        if known.contains(&text) { Ok(text) } else { Err(IdentityFault::Malformed(claim)) }
    }

    /// A claim that is true or false, as JSON or as text.
    pub(super) fn flag(&self, claim: &'static str) -> Result<Option<bool>, IdentityFault> {
        match self.get(claim) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(IdentityFault::Malformed(claim)),
        }
    }

    /// A claim that is 1 or 0.
    pub(super) fn bit(&self, claim: &'static str) -> Result<Option<bool>, IdentityFault> {
        match self.get(claim) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(Some(true)),
            Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(Some(false)),
            Some(_) => Err(IdentityFault::Malformed(claim)),
        }
    }

    /// The refusal of a token that this issuer would not have written.
    pub(super) fn refuse(&self, problem: impl Into<String>) -> IdentityFault {
        IdentityFault::Shape { preset: self.preset, problem: problem.into() }
    }

    /// The refusal of two claims that contradict each other.
    pub(super) fn contradiction(&self, one: &'static str, other: &'static str, found: &str) -> IdentityFault {
        self.refuse(format!("`{one}` and `{other}` contradict each other: `{}`", shown(found)))
    }
}

/// Whether the text is a UUID in its usual form, lower case.
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Named attributes.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    members: Map<String, Value>,
    exposures: Vec<Value>,
}

impl Attributes {
    /// Adds one.
    pub(super) fn put(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds one where there is a value.
    pub(super) fn put_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Marks that others than the workload's owners may decide what runs, and how.
    pub(super) fn expose(mut self, exposure: Option<&str>) -> Self {
        self.exposures.extend(exposure.map(Value::from));
        self
    }

    pub(super) fn into_value(mut self) -> Value {
        if !self.exposures.is_empty() {
            self.members.insert(writ_core::workload::EXPOSURES.to_owned(), Value::Array(self.exposures));
        }
        Value::Object(self.members)
    }
}
