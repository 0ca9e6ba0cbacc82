//! What is asked of GitHub for a scope, and whether what it gave is that and no more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use writ_core::credential::Secret;
use writ_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::config::{Level, Scope};

/// How long a token of GitHub's lives, in seconds, and by how much the clocks may differ.
const LIFE: i64 = 3_600;
pub(crate) const SKEW: i64 = 60;
/// The permission that comes with every other.
const IMPLIED: (&str, Level) = ("metadata", Level::Read);

/// The body of the request for a token. Neither part is ever empty: GitHub takes that for everything.
#[derive(Debug, Serialize)]
pub(crate) struct Asked<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) repositories: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) repository_ids: &'a [u64],
    pub(crate) permissions: &'a BTreeMap<String, Level>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(scope: &'a Scope) -> Self {
        Self {
            repositories: &scope.repositories,
            repository_ids: &scope.repository_ids,
            permissions: &scope.permissions,
        }
    }
}

/// A repository, as GitHub names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Repository {
    pub(crate) full_name: String,
    pub(crate) name: String,
    pub(crate) id: u64,
}

/// GitHub's answer. What it has besides is not looked at.
#[derive(Deserialize)]
pub(crate) struct Answer {
    #[serde(deserialize_with = "overwritten")]
    token: Zeroizing<String>,
    expires_at: Timestamp,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    repository_selection: Option<String>,
    #[serde(default)]
    repositories: Vec<Repository>,
}

fn overwritten<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// A token that can do what was asked, and no more.
pub(crate) struct Granted {
    pub(crate) expires: Timestamp,
    /// `owner/one,owner/two`.
    pub(crate) repositories: String,
}

impl Answer {
    /// The token, if it can be one: a header's value.
    pub(crate) fn token(&self) -> Option<Secret> {
        let plain = self.token.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && self.token.len() >= 20).then(|| Secret::new(self.token.as_bytes().to_vec()))
    }

    /// What is wrong with it, where it is not what was asked.
    pub(crate) fn granted(&self, scope: &Scope, now: Timestamp) -> Result<Granted, String> {
        let left = self.expires_at.as_second() - now.as_second();
        if !(1..=LIFE + SKEW).contains(&left) {
            let by = if left > 0 { left - LIFE } else { left };
            return Err(format!(
                "the token's end, {}, is {by} s from where it should be: compare the clocks",
                self.expires_at
            ));
        }
        let level = |text: &str| serde_json::from_value::<Level>(text.into()).ok();
        for (name, given) in &self.permissions {
            let asked = scope.permissions.get(name).copied();
            let most = if name == IMPLIED.0 { asked.max(Some(IMPLIED.1)) } else { asked };
            if level(given).is_none_or(|given| most.is_none_or(|most| given > most)) {
                return Err(format!(
                    "the token has the permission `{}: {}`, which was not asked for",
                    word(name),
                    word(given)
                ));
            }
        }
        for (name, asked) in &scope.permissions {
            if self.permissions.get(name).and_then(|given| level(given)) != Some(*asked) {
                return Err(format!("the token lacks the permission `{}` as it was asked for", word(name)));
            }
        }
        if self.repository_selection.as_deref() != Some("selected") {
            return Err("the token is not for selected repositories alone".to_owned());
        }
        let repositories = listed(&self.repositories, scope)?;
        Ok(Granted { expires: self.expires_at, repositories })
    }
}

/// The repositories' names, if they are those of the scope, each once.
pub(crate) fn listed(given: &[Repository], scope: &Scope) -> Result<String, String> {
    let names: BTreeSet<String> = given.iter().map(|repository| repository.name.to_ascii_lowercase()).collect();
    let asked: BTreeSet<String> = scope.repositories.iter().map(|name| name.to_ascii_lowercase()).collect();
    let ids: BTreeSet<u64> = given.iter().map(|repository| repository.id).collect();
    let asked_ids: BTreeSet<u64> = scope.repository_ids.iter().copied().collect();
    let same = if asked_ids.is_empty() { names == asked } else { ids == asked_ids };
    let owners: BTreeSet<&str> = given.iter().filter_map(|repository| owner(repository)).collect();
    let sound = given.iter().all(|repository| owner(repository).is_some());
    if !same || !sound || owners.len() != 1 || ids.len() != given.len() {
        return Err("the token is for other repositories than those that were asked for".to_owned());
    }
    Ok(joined(given))
}

/// `owner/one,owner/two`, in order.
pub(crate) fn joined(given: &[Repository]) -> String {
    let all: BTreeSet<&str> = given.iter().map(|repository| repository.full_name.as_str()).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// The owner, if the full name is the owner's and the repository's.
fn owner(repository: &Repository) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let (owner, name) = repository.full_name.split_once('/')?;
    let sound = name == repository.name && !owner.is_empty() && (owner.bytes().chain(name.bytes())).all(plain);
    sound.then_some(owner)
}

fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect()
}
