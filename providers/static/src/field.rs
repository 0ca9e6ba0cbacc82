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

    /// The password.
    pub(crate) fn secret(&self, name: &str) -> Result<Secret, ProviderFault> {
        self.found(name).map(|text| Secret::new(text.as_bytes().to_vec()))
    }
}

/// Whether a password can be had of what was read.
pub(crate) fn looked_at(field: Option<&str>, value: &Secret, place: &str) -> Result<(), ConfigFault> {
    let said = |fault: ProviderFault| ConfigFault::new(fault.detail());
    let fields = Fields::of(field, value, place).map_err(said)?;
    field.map_or(Ok(()), |name| fields.secret(name).map(drop).map_err(said))
}
