//! JSON objects without duplicate member names, at any depth (RFC 7515, 4 and RFC 7519, 4 let a reader reject them). Two
//! readers that pick different ones of two `aud` members would disagree about whom a token is for.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The prefix by which a duplicate's error is told from others.
const DUPLICATE: &str = "duplicate member: ";

/// An object's members by name.
pub type Object = BTreeMap<String, Value>;

/// Why bytes are no such object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonFault {
    /// Not JSON, not UTF-8, or no object.
    Malformed,
    /// This member name occurs twice in one object.
    Duplicate(String),
}

/// Parses one object and nothing after it.
///
/// # Errors
/// [`JsonFault`] if it is no object or a member name occurs twice, after its escapes are read, at any depth.
pub fn object(bytes: &[u8]) -> Result<Object, JsonFault> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict.deserialize(&mut reader).map_err(|error| fault(&error))?;
    reader.end().map_err(|_| JsonFault::Malformed)?;
    match value {
        Value::Object(members) => Ok(members.into_iter().collect()),
        _ => Err(JsonFault::Malformed),
    }
}

fn fault(error: &serde_json::Error) -> JsonFault {
    let text = error.to_string();
    match text.strip_prefix(DUPLICATE) {
        // serde_json appends the place.
        Some(rest) => JsonFault::Duplicate(rest.rsplit_once(" at line ").map_or(rest, |(name, _)| name).to_owned()),
        None => JsonFault::Malformed,
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Strict)?;
            if object.contains_key(&name) {
                return Err(de::Error::custom(format_args!("{DUPLICATE}{name}")));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
