//! How the claims of a token become tags.
//!
//! A claim that is a text, a whole number or a boolean is a tag of the principal, as text, and a set of one among its
//! `lists`. An array of such values is a set among `lists`. The members of an object are claims of their own, their
//! names joined with dots. `null` is absent.
//!
//! Everything else (fractions, whole numbers beyond 64 bits, arrays that hold objects or arrays, nesting beyond
//! [`MAX_DEPTH`], values or names that are too long, two claims that come to the same name) has no form here. Leaving it
//! out would let a `forbid` or an `unless` pass by omission, so its name is kept among the *unreadable*: a workload is
//! refused as soon as a policy reads such a name, or reads a claim as what it is not (a list as a single value). A claim
//! that no policy reads harms nobody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use writ_core::workload::Claims;

use crate::reads::Reads;

/// The deepest nesting of objects whose members are read.
pub const MAX_DEPTH: usize = 8;
/// The longest name and the longest value, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;
/// The most values that one token may hold, those within arrays included.
pub const MAX_VALUES: usize = 2048;
/// The most bytes that all names and values may take together.
pub const MAX_BYTES: usize = 512 * 1024;

/// The claims hold more than [`MAX_VALUES`] values or [`MAX_BYTES`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Claims in the form that policies read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tags {
    pub(crate) single: BTreeMap<String, String>,
    pub(crate) lists: BTreeMap<String, BTreeSet<String>>,
    /// Names that are there but have no form at all, nor has anything below them.
    opaque: BTreeSet<String>,
    /// Names of objects: their members are read, they themselves cannot be.
    objects: BTreeSet<String>,
    values: usize,
    bytes: usize,
}

impl Tags {
    pub(crate) fn of(claims: &Claims) -> Result<Self, TooLarge> {
        let mut tags = Self::default();
        for (name, value) in claims {
            tags.add(name.clone(), value, 0)?;
        }
        for name in &tags.opaque {
            tags.single.remove(name);
            tags.lists.remove(name);
        }
        Ok(tags)
    }

    /// The first name that a policy reads and that is not what the policy takes it for.
    pub(crate) fn misread<'a>(&self, reads: &'a Reads) -> Option<&'a str> {
        let single = reads.single.iter().find(|name| self.hidden(name) || self.plural(name));
        single.or_else(|| reads.lists.iter().find(|name| self.hidden(name))).map(String::as_str)
    }

    fn plural(&self, name: &str) -> bool {
        self.lists.contains_key(name) && !self.single.contains_key(name)
    }

    /// Whether the name, or an object that it may lie within, is there without a form.
    fn hidden(&self, name: &str) -> bool {
        let within =
            name.char_indices().filter(|(_, character)| *character == '.').filter_map(|(at, _)| name.get(..at));
        self.objects.contains(name) || within.chain([name]).any(|prefix| self.opaque.contains(prefix))
    }

    fn add(&mut self, name: String, value: &Value, depth: usize) -> Result<(), TooLarge> {
        self.count(name.len())?;
        match value {
            Value::Null => {}
            Value::Object(_) if depth >= MAX_DEPTH => self.hide(name),
            Value::Object(members) => {
                for (member, value) in members {
                    self.add(format!("{name}.{member}"), value, depth + 1)?;
                }
                self.claim(&name);
                self.objects.insert(name);
            }
            Value::Array(elements) => match self.texts(elements)? {
                Some(set) if self.claim(&name) => {
                    self.lists.insert(name, set);
                }
                Some(_) => {}
                None => self.hide(name),
            },
            single => match text(single) {
                Some(text) => {
                    self.count(text.len())?;
                    if self.claim(&name) {
                        self.lists.insert(name.clone(), BTreeSet::from([text.clone()]));
                        self.single.insert(name, text);
                    }
                }
                None => self.hide(name),
            },
        }
        Ok(())
    }

    /// Whether the name is free and usable; where it is not, it becomes opaque.
    fn claim(&mut self, name: &str) -> bool {
        let taken = self.lists.contains_key(name) || self.objects.contains(name) || self.opaque.contains(name);
        let free = !taken && name.len() <= MAX_TEXT;
        if !free {
            self.hide(name.to_owned());
        }
        free
    }

    fn hide(&mut self, name: String) {
        self.opaque.insert(name);
    }

    fn texts(&mut self, elements: &[Value]) -> Result<Option<BTreeSet<String>>, TooLarge> {
        let mut set = BTreeSet::new();
        for element in elements {
            let Some(text) = text(element) else { return Ok(None) };
            self.count(text.len())?;
            set.insert(text);
        }
        Ok(Some(set))
    }

    fn count(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.values += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.values > MAX_VALUES || self.bytes > MAX_BYTES { Err(TooLarge) } else { Ok(()) }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.len() <= MAX_TEXT => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}
