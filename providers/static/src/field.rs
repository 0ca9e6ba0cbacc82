//! One field of a secret that is JSON.

use serde_json::{Map, Value};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use zeroize::Zeroize as _;

use crate::config::ConfigFault;

/// A secret's fields, overwritten when dropped; none where it is taken whole.
pub(crate) struct Fields<'a> {
    all: Map<String, Value>,
    place: &'a str,
}

impl Drop for Fields<'_> {
    fn drop(&mut self) {
        self.all.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'a> Fields<'a> {
    /// Those of `secret`, if one of them is asked for.
    pub(crate) fn of(field: Option<&str>, secret: &Secret, place: &'a str) -> Result<Self, ProviderFault> {
        if field.is_none() {
            return Ok(Self { all: Map::new(), place });
        }
        // A parser's words may quote the secret.
        let all = serde_json::from_slice(secret.expose()).map_err(|_| {
            ProviderFault::Misconfigured(format!("{place} is no JSON object: leave `field` out to take it whole"))
        })?;
        Ok(Self { all, place })
    }

    fn found(&self, name: &str) -> Result<&str, ProviderFault> {
        match self.all.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(_) => Err(self.unusable(&format!("the field `{name}` of {} is empty or no text", self.place))),
            None => Err(self.unusable(&format!("{} has no field `{name}`", self.place))),
        }
    }

    fn unusable(&self, problem: &str) -> ProviderFault {
        ProviderFault::Misconfigured(format!("{problem}: name one that it has"))
    }

    /// What is no secret: the user.
    pub(crate) fn text(&self, name: &str) -> Result<String, ProviderFault> {
        let text = self.found(name)?;
        if text.chars().any(char::is_control) {
            return Err(self.unusable(&format!("the field `{name}` of {} is not plain text", self.place)));
        }
        Ok(text.to_owned())
    }

    /// Puts text where a field was, or was not.
    pub(crate) fn put(&mut self, name: &str, text: &[u8]) {
        let text = Value::String(String::from_utf8_lossy(text).into_owned());
        if let Some(mut before) = self.all.insert(name.to_owned(), text) {
            wipe(&mut before);
        }
    }

    /// All of them, as JSON.
    pub(crate) fn written(&self) -> Result<Secret, ProviderFault> {
        // Of the right size from the start: what grows leaves its first bytes behind.
        let mut length = Counted(0);
        let said = |_| self.unusable(&format!("{} cannot be written as JSON", self.place));
        serde_json::to_writer(&mut length, &self.all).map_err(said)?;
        let mut bytes = Vec::with_capacity(length.0);
        serde_json::to_writer(&mut bytes, &self.all).map_err(said)?;
        Ok(Secret::new(bytes))
    }

    /// The password.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, ProviderFault> {
        self.found(name).map(|text| Secret::new(text.as_bytes().to_vec()))
    }
}

/// Counts what is written.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether a password can be had of what was read.
pub(crate) fn looked_at(field: Option<&str>, value: &Secret, place: &str) -> Result<(), ConfigFault> {
    let said = |fault: ProviderFault| ConfigFault::new(fault.detail());
    let fields = Fields::of(field, value, place).map_err(said)?;
    field.map_or(Ok(()), |name| fields.secret(name).map(drop).map_err(said))
}
