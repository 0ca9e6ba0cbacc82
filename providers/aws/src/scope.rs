//! Scopes: the part of what a role may do that a session may do. AWS gives a session what its role's policies and its scope
//! both allow, so that a scope never adds anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use crate::config::ConfigFault;
use crate::region::{Region, shown};

/// The longest session policy, in characters.
const LONGEST: usize = 2048;
/// The largest file that is read as one: spaces and line ends are taken out of it.
const LARGEST_FILE: u64 = 64 * 1024;

/// One statement of a scope: what is allowed, on what, when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Actions, as `service:Action`; `*` stands for any characters.
    pub actions: Vec<String>,
    /// Resources, as ARNs; `*` stands for any characters.
    pub resources: Vec<String>,
    /// Conditions: operator, then key, then values.
    #[serde(default)]
    pub conditions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Every scope as AWS takes it.
#[derive(Debug)]
pub(crate) struct Scopes {
    policies: BTreeMap<String, String>,
    default: Option<String>,
}

impl Scopes {
    /// Checks scopes, and reads those that are in files.
    pub(crate) fn read(
        statements: &BTreeMap<String, Vec<Statement>>,
        files: &BTreeMap<String, PathBuf>,
        default: Option<&str>,
        region: &Region,
    ) -> Result<Self, ConfigFault> {
        let mut policies = BTreeMap::new();
        for (name, statements) in statements {
            policies.insert(name.clone(), of_statements(name, statements, region)?);
        }
        for (name, path) in files {
            if policies.insert(name.clone(), of_file(name, path)?).is_some() {
                let text = format!("the scope `{}` is in `scopes` and in `scope_files`: keep one", shown(name));
                return Err(ConfigFault::new(text));
            }
        }
        if policies.is_empty() {
            let text = "no scope: write `scopes`, with what sessions may do. Sessions never get all that the role may do \
                        unless a scope says so";
            return Err(ConfigFault::new(text));
        }
        if let Some(default) = default.filter(|name| !policies.contains_key(*name)) {
            let text =
                format!("`default_scope` names `{}`, which is not in `scopes`: write one that is", shown(default));
            return Err(ConfigFault::new(text));
        }
        Ok(Self { policies, default: default.map(str::to_owned) })
    }

    /// The session policy that policy's `@scope` names, else the default.
    pub(crate) fn of(&self, writ: &Writ) -> Result<&str, ProviderFault> {
        let asked = writ.obligations.scope.as_deref();
        let name = asked.or(self.default.as_deref()).ok_or_else(|| {
            let text = "no scope: write `@scope` in the policy that permits, or `default_scope` in the provider";
            ProviderFault::Misconfigured(text.to_owned())
        })?;
        self.policies.get(name).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.policies.keys().map(String::as_str).collect();
            ProviderFault::Misconfigured(format!(
                "policy names the scope `{}`, and the provider knows `{}`: correct `@scope`, or add it to `scopes`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }
}

/// A session that may do nothing: for calls that show whether a role can be assumed.
pub(crate) const NOTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// A policy that allows these actions on these resources, and nothing else.
pub(crate) fn allowing(actions: &[&str], resources: &[String]) -> String {
    document(vec![json!({ "Effect": "Allow", "Action": actions, "Resource": resources })])
}

fn document(statements: Vec<Value>) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn of_statements(name: &str, statements: &[Statement], region: &Region) -> Result<String, ConfigFault> {
    let wrong = |why: String| ConfigFault::new(format!("the scope `{}`: {why}", shown(name)));
    if statements.is_empty() {
        return Err(wrong("it allows nothing: write `actions` and `resources`".to_owned()));
    }
    let mut written = Vec::new();
    for statement in statements {
        if statement.actions.is_empty() || statement.resources.is_empty() {
            return Err(wrong("a statement without `actions` or `resources`: write both".to_owned()));
        }
        if let Some(action) = statement.actions.iter().find(|action| !is_action(action)) {
            return Err(wrong(format!("`{}` is no action: write `service:Action`", shown(action))));
        }
        if let Some(resource) = statement.resources.iter().find(|resource| !is_resource(resource, region)) {
            let partition = region.partition().name();
            let text = format!("`{}` is no resource: write an ARN, `arn:{partition}:...`, or `*`", shown(resource));
            return Err(wrong(text));
        }
        let mut members = Map::new();
        members.insert("Effect".to_owned(), "Allow".into());
        members.insert("Action".to_owned(), json!(statement.actions));
        members.insert("Resource".to_owned(), json!(statement.resources));
        if !statement.conditions.is_empty() {
            members.insert("Condition".to_owned(), json!(statement.conditions));
        }
        written.push(Value::Object(members));
    }
    fits(name, document(written))
}

fn of_file(name: &str, path: &Path) -> Result<String, ConfigFault> {
    let wrong = |why: &str| {
        ConfigFault::new(format!(
            "the scope `{}`: `{}` {why}: write an IAM policy in JSON",
            shown(name),
            path.display()
        ))
    };
    let size = path.metadata().map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    if !size.is_file() || size.len() > LARGEST_FILE {
        return Err(wrong("is no file of at most 64 KiB"));
    }
    let text = std::fs::read(path).map_err(|error| wrong(&format!("cannot be read ({error})")))?;
    let policy: Value = serde_json::from_slice(&text).map_err(|_| wrong("is not JSON"))?;
    let statements = policy.get("Statement").and_then(Value::as_array).filter(|statements| !statements.is_empty());
    let statements = statements.ok_or_else(|| wrong("has no list of statements in `Statement`"))?;
    if policy.get("Version").and_then(Value::as_str) != Some("2012-10-17") {
        return Err(wrong("is not of the `Version` `2012-10-17`"));
    }
    if statements
        .iter()
        .any(|statement| statement.get("Principal").is_some() || statement.get("NotPrincipal").is_some())
    {
        return Err(wrong("names a principal, as only policies of resources do"));
    }
    if !statements.iter().any(|statement| statement.get("Effect").and_then(Value::as_str) == Some("Allow")) {
        return Err(wrong("allows nothing"));
    }
    fits(name, policy.to_string())
}

fn fits(name: &str, policy: String) -> Result<String, ConfigFault> {
    let long = policy.chars().count();
    let text = if long > LONGEST {
        format!("the scope `{}` has {long} characters as a policy, and AWS takes {LONGEST}: write less", shown(name))
    } else if let Some(odd) = policy.chars().find(|c| !matches!(c, '\u{20}'..='\u{ff}')) {
        format!("the scope `{}` has the character `{}`, which AWS does not take", shown(name), odd.escape_default())
    } else {
        return Ok(policy);
    };
    Err(ConfigFault::new(text))
}

fn is_action(text: &str) -> bool {
    let named = |(service, action): (&str, &str)| {
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let free = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'?');
        !service.is_empty() && service.bytes().all(lower) && !action.is_empty() && action.bytes().all(free)
    };
    text == "*" || text.split_once(':').is_some_and(named)
}

fn is_resource(text: &str, region: &Region) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    text == "*"
        || matches!(parts.as_slice(), ["arn", partition, service, _, _, rest]
            if *partition == region.partition().name() && !service.is_empty() && !rest.is_empty())
}
