//! Session tags and source identities: their limits, from a request's parameters and from a token's claims.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Tags of a session, and which of them later hops inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) values: BTreeMap<String, String>,
    pub(super) transitive: BTreeSet<String>,
}

const MOST: usize = 50;

impl Tags {
    /// Checks the limits of number, length and alphabet.
    pub(super) fn new(values: Vec<(String, String)>, transitive: Vec<String>) -> Result<Self, String> {
        if values.len() > MOST || transitive.len() > MOST {
            return Err(format!("more than {MOST} session tags"));
        }
        let mut tags = Self::default();
        for (key, value) in values {
            check(&key, 1..=128).map_err(|what| format!("tag key: {what}"))?;
            check(&value, 0..=256).map_err(|what| format!("value of tag `{key}`: {what}"))?;
            if key.to_lowercase().starts_with("aws:") {
                return Err(format!("tag key `{key}` begins with `aws:`, which is reserved"));
            }
            if tags.values.keys().any(|known| known.to_lowercase() == key.to_lowercase()) {
                return Err(format!("Duplicate tag keys found: `{key}`; they do not differ by case"));
            }
            tags.values.insert(key, value);
        }
        for key in transitive {
            if !tags.values.contains_key(&key) {
                return Err(format!("transitive tag key `{key}` is not among the tags"));
            }
            if !tags.transitive.insert(key.clone()) {
                return Err(format!("transitive tag key `{key}` stands twice"));
            }
        }
        Ok(tags)
    }
}

fn check(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<(), String> {
    if !lengths.contains(&text.chars().count()) {
        return Err(format!("not of {} to {} characters", lengths.start(), lengths.end()));
    }
    // Letters, digits and separators of any script, and some signs.
    let allowed = |character: char| {
        character.is_alphanumeric()
            || (character.is_whitespace() && !character.is_control())
            || "_.:/=+-@".contains(character)
    };
    match text.chars().find(|character| !allowed(*character)) {
        Some(character) => Err(format!("`{}` is not allowed in a tag", character.escape_default())),
        None => Ok(()),
    }
}

/// The claim `https://aws.amazon.com/tags`: lists of exactly one string.
pub(super) fn from_claim(claim: &Value) -> Result<Tags, String> {
    let members = claim.as_object().ok_or("the claim of tags is not an object")?;
    if let Some(unknown) =
        members.keys().find(|name| !matches!(name.as_str(), "principal_tags" | "transitive_tag_keys"))
    {
        return Err(format!("the claim of tags has a member `{unknown}` that AWS does not know"));
    }
    let principal = members.get("principal_tags").and_then(Value::as_object).ok_or("no object `principal_tags`")?;
    let mut values = Vec::new();
    for (key, value) in principal {
        let one = value.as_array().map(Vec::as_slice);
        let Some([Value::String(value)]) = one else {
            return Err(format!("the value of tag `{key}` is not a list of one string"));
        };
        values.push((key.clone(), value.clone()));
    }
    let transitive = match members.get("transitive_tag_keys") {
        None => Vec::new(),
        Some(list) => {
            let texts = list.as_array().map(|list| list.iter().map(|key| key.as_str().map(str::to_owned)).collect());
            texts.flatten().ok_or("`transitive_tag_keys` is not a list of strings")?
        }
    };
    Tags::new(values, transitive)
}

/// A source identity of 2 to 64 characters, not AWS's own.
pub(super) fn source_identity(text: &str) -> Result<String, String> {
    let fits = (2..=64).contains(&text.chars().count()) && text.chars().all(super::query::name_character);
    if !fits || text.to_lowercase().starts_with("aws:") {
        return Err("the source identity is not of 2 to 64 characters of [A-Za-z0-9_+=,.@-]".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claims_tags_are_lists_of_one_string() {
        let sound = json!({"principal_tags": {"Writ": ["w1"]}, "transitive_tag_keys": ["Writ"]});
        let tags = from_claim(&sound).unwrap();
        assert_eq!(tags.values["Writ"], "w1");
        assert!(tags.transitive.contains("Writ"));
        for broken in [
            json!([]),
            json!({}),
            json!({"principal_tags": {"Writ": "w1"}}),
            json!({"principal_tags": {"Writ": ["w1", "w2"]}}),
            json!({"principal_tags": {"Writ": [1]}}),
            json!({"principal_tags": {"Writ": ["a"], "writ": ["b"]}}),
            json!({"principal_tags": {"aws:Writ": ["a"]}}),
            json!({"principal_tags": {"Writ": ["a*b"]}}),
            json!({"principal_tags": {"Writ": ["a"]}, "transitive_tag_keys": ["Other"]}),
            json!({"principal_tags": {"Writ": ["a"]}, "transitive_tag_keys": "Writ"}),
            json!({"principal_tags": {"Writ": ["a"]}, "session_tags": {}}),
            json!({"principal_tags": {"": ["a"]}}),
            json!({"principal_tags": {"Writ": ["x".repeat(257)]}}),
        ] {
            from_claim(&broken).unwrap_err();
        }
    }

    #[test]
    fn no_more_than_fifty_tags() {
        let tags = |count: usize| Tags::new((0..count).map(|n| (format!("k{n}"), String::new())).collect(), Vec::new());
        assert_eq!(tags(50).unwrap().values.len(), 50);
        tags(51).unwrap_err();
    }
}
