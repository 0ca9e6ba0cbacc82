//! What of a secret is given out.

use serde::Deserialize;
use serde_json::{Map, Value};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_provider_calls::plain;
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::OpenbaoConfig;

/// A secret's fields, overwritten when dropped.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Fields(Map<String, Value>);

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
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

/// The principal and the secret that `config` makes of the fields of the secret at `path`.
pub(crate) fn chosen(config: &OpenbaoConfig, path: &str, fields: &Fields) -> Result<(String, Secret), ProviderFault> {
    let Some(password) = &config.password_field else { return together(config, path, fields) };
    let user = match &config.user_field {
        Some(field) => text(path, fields, field)?.to_owned(),
        None => config.user.clone().unwrap_or_default(),
    };
    if user.chars().any(char::is_control) {
        return Err(unusable(path, "its user is not plain text"));
    }
    Ok((user, Secret::new(text(path, fields, password)?.as_bytes().to_vec())))
}

fn text<'f>(path: &str, fields: &'f Fields, field: &str) -> Result<&'f str, ProviderFault> {
    match fields.0.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(unusable(path, &format!("its field `{}` is empty or no text", plain(field)))),
        None => Err(absent(path, field)),
    }
}

/// Exactly the fields that are named, so that nobody gets what was put beside them later.
fn together(config: &OpenbaoConfig, path: &str, fields: &Fields) -> Result<(String, Secret), ProviderFault> {
    let mut given = Fields(Map::new());
    for field in &config.fields {
        let value = fields.0.get(field).ok_or_else(|| absent(path, field))?;
        given.0.insert(field.clone(), value.clone());
    }
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    serde_json::to_writer(&mut *text, &given.0).map_err(|_| unusable(path, "it cannot be written as JSON"))?;
    Ok((path.to_owned(), Secret::new(std::mem::take(&mut *text))))
}

fn absent(path: &str, field: &str) -> ProviderFault {
    unusable(path, &format!("it has no field `{}`: name one that it has", plain(field)))
}

fn unusable(path: &str, problem: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!("the secret at `{path}`: {problem}"))
}
