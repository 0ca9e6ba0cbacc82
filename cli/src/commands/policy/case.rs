//! The cases of `writ policy test`: YAML files that say what a policy set must answer.
//!
//! A field that is not known, a value of another kind, a key that stands twice: each is a mistake with its file and line, never a
//! case that silently asks something else.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;
use writ_core::client::ClientKey;
use writ_core::grant::SessionLimits;
use writ_core::target::{Labels, TargetName};
use writ_core::time::Timestamp;
use writ_gateway::evidence::ServerFacts;
use writ_policy::OwnFunctions;

use super::judges::Known;
use crate::failure::{Doing as _, Failure};
use crate::out;

/// The longest file, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// The `search_path` of a server that nobody configured.
pub(crate) const SEARCH_PATH: &str = "\"$user\", public";

/// What a policy set must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// A human decides.
    Hold,
}

/// One case, with what its file says of all.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The file.
    pub file: PathBuf,
    /// The line that it begins on.
    pub line: u64,
    /// What it shows.
    pub name: String,
    /// The token's claims.
    pub claims: Map<String, Value>,
    /// The target.
    pub target: TargetName,
    /// What else is known.
    pub setting: Setting,
    /// What the session had executed before.
    pub before: Vec<String>,
    /// What is asked: a statement, or without one whether the workload may connect.
    pub statement: Option<String>,
    /// The answer.
    pub verdict: Answer,
    /// Policies from which it must come.
    pub policies: Vec<String>,
}

/// What a case may know, and what a file may know for all of its cases.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Setting {
    claims: Map<String, Value>,
    target: Option<TargetName>,
    /// The target's labels.
    pub labels: Option<Labels>,
    /// The role that the session acts as at the target.
    pub role: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// The session's `search_path`.
    pub search_path: Option<String>,
    /// The client's address.
    pub client_address: Option<String>,
    /// The key that the client proved.
    pub client_key: Option<ClientKey>,
    /// The time.
    pub now: Option<Timestamp>,
}

impl Case {
    /// What is known of the case's session at its target.
    pub(crate) fn known(&self) -> Known {
        let setting = &self.setting;
        Known {
            database: setting.database.clone().unwrap_or_else(|| self.target.to_string()),
            facts: ServerFacts {
                search_path: setting.search_path.clone().unwrap_or_else(|| SEARCH_PATH.to_owned()),
                user_schema: false,
                role: setting.role.clone().unwrap_or_else(|| "writ".to_owned()),
                functions: OwnFunctions::default(),
            },
            limits: SessionLimits::default(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Setting,
    cases: Vec<Spanned<Written>>,
}

/// A case as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    #[serde(default)]
    claims: Map<String, Value>,
    target: Option<TargetName>,
    labels: Option<Labels>,
    role: Option<String>,
    database: Option<String>,
    search_path: Option<String>,
    client_address: Option<String>,
    client_key: Option<ClientKey>,
    now: Option<Timestamp>,
    #[serde(default)]
    before: Vec<String>,
    statement: Option<String>,
    verdict: Answer,
    #[serde(default)]
    policy: Names,
}

/// One name or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// The cases of a file, or of all `*.yaml` and `*.yml` files of a directory, in order.
///
/// # Errors
/// If a file cannot be read or is malformed, or there is no case at all: a run that asks nothing must not look like a good one.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for file in files(path)? {
        let size = std::fs::metadata(&file).doing(format!("`{}` cannot be read", file.display()))?.len();
        if size > MAX_FILE {
            return Err(Failure::new(format!("`{}` has {size} bytes, more than {MAX_FILE}", file.display())));
        }
        let text = std::fs::read_to_string(&file).doing(format!("`{}` cannot be read", file.display()))?;
        cases.extend(parse(&file, &text)?);
    }
    if cases.is_empty() {
        return Err(Failure::new(format!("`{}` has no case in a `*.yaml` or `*.yml` file", path.display())));
    }
    Ok(cases)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || format!("`{}` cannot be read", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).doing(unreadable())? {
        let file = entry.doing(unreadable())?.path();
        if file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn parse(file: &Path, text: &str) -> Result<Vec<Case>, Failure> {
    let read: File = serde_saphyr::from_str(text)
        .map_err(|error| Failure::new(format!("`{}`: {}", file.display(), out::harmless(&error.to_string()))))?;
    let File { defaults, cases } = read;
    cases.into_iter().enumerate().map(|(index, written)| case(file, index, &defaults, written)).collect()
}

fn case(file: &Path, index: usize, defaults: &Setting, written: Spanned<Written>) -> Result<Case, Failure> {
    let line = written.referenced.line();
    let Written { name, claims: own, policy, .. } = &written.value;
    let name = name.clone().unwrap_or_else(|| match &written.value.statement {
        Some(statement) => statement.clone(),
        None => format!("case {}", index + 1),
    });
    let mistake = |what: &str| Failure::new(format!("`{}`, line {line}: {what}", file.display()));
    let mut claims = defaults.claims.clone();
    claims.extend(own.clone());
    for claim in ["iss", "sub"] {
        if !claims.get(claim).is_some_and(Value::is_string) {
            return Err(mistake(&format!("the claims have no text `{claim}`, so no workload is named")));
        }
    }
    let policies = match policy {
        Names::One(name) => vec![name.clone()],
        Names::Many(names) => names.clone(),
    };
    let Written {
        target,
        labels,
        role,
        database,
        search_path,
        client_address,
        client_key,
        now,
        before,
        statement,
        verdict,
        ..
    } = written.value;
    let target = target.or_else(|| defaults.target.clone()).ok_or_else(|| mistake("no `target` is named"))?;
    if statement.is_none() && !before.is_empty() {
        return Err(mistake("`before` without a `statement` asks nothing"));
    }
    let setting = Setting {
        claims: Map::new(),
        target: None,
        labels: labels.or_else(|| defaults.labels.clone()),
        role: role.or_else(|| defaults.role.clone()),
        database: database.or_else(|| defaults.database.clone()),
        search_path: search_path.or_else(|| defaults.search_path.clone()),
        client_address: client_address.or_else(|| defaults.client_address.clone()),
        client_key: client_key.or_else(|| defaults.client_key.clone()),
        now: now.or(defaults.now),
    };
    Ok(Case { file: file.to_owned(), line, name, claims, target, setting, before, statement, verdict, policies })
}

#[cfg(test)]
mod tests;
