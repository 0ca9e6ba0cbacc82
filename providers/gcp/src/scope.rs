//! Scopes: the part of what a service account may do that a token may do. Google gives a token what the account's roles, its OAuth
//! scopes and its access boundary all allow, so that a scope never adds anything.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;
use writ_provider_calls::plain as shown;

use crate::config::ConfigFault;

/// How many rules a boundary has at most.
const MOST: usize = 10;
/// What a rule's resource begins with: boundaries are known for Cloud Storage alone.
const BUCKETS: &str = "//storage.googleapis.com/projects/_/buckets/";
/// By this scope a token's address is told to whom it is shown, and nothing more.
pub(crate) const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";

/// What tokens may do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// OAuth scopes, as `https://www.googleapis.com/auth/...`.
    pub oauth: Vec<String>,
    /// Buckets of Cloud Storage that a token is bounded to, and what it may do there. Without rules there is no boundary.
    #[serde(default)]
    pub boundary: Vec<Rule>,
}

/// One rule of a boundary: what is available on a bucket, when.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The bucket, `//storage.googleapis.com/projects/_/buckets/NAME`.
    pub resource: String,
    /// Roles whose permissions are available, as `inRole:roles/NAME`.
    pub permissions: Vec<String>,
    /// A condition in CEL, as for IAM.
    #[serde(default)]
    pub condition: Option<String>,
}

/// A scope as Google takes it.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) oauth: Vec<String>,
    /// The `options` of the exchange that puts a token behind its boundary.
    pub(crate) boundary: Option<String>,
}

/// Every scope as Google takes it.
#[derive(Debug)]
pub(crate) struct Scopes {
    granted: BTreeMap<String, Granted>,
    default: Option<String>,
}

impl Scopes {
    /// Checks scopes.
    pub(crate) fn read(scopes: &BTreeMap<String, Scope>, default: Option<&str>) -> Result<Self, ConfigFault> {
        let one = |(name, scope): (&String, &Scope)| granted(name, scope).map(|granted| (name.clone(), granted));
        let granted: BTreeMap<String, Granted> = scopes.iter().map(one).collect::<Result<_, _>>()?;
        if granted.is_empty() {
            let text = "no scope: write `scopes`, with what tokens may do. Tokens never get all that the service account may do \
                        unless a scope says so";
            return Err(ConfigFault::new(text));
        }
        if let Some(default) = default.filter(|name| !granted.contains_key(*name)) {
            let text =
                format!("`default_scope` names `{}`, which is not in `scopes`: write one that is", shown(default));
            return Err(ConfigFault::new(text));
        }
        Ok(Self { granted, default: default.map(str::to_owned) })
    }

    /// The scope that policy's `@scope` names, else the default.
    pub(crate) fn of(&self, writ: &Writ) -> Result<&Granted, ProviderFault> {
        let asked = writ.obligations.scope.as_deref();
        let name = asked.or(self.default.as_deref()).ok_or_else(|| {
            let text = "no scope: write `@scope` in the policy that permits, or `default_scope` in the provider";
            ProviderFault::Misconfigured(text.to_owned())
        })?;
        self.granted.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.granted.keys().map(String::as_str).collect();
            ProviderFault::Misconfigured(format!(
                "policy names the scope `{}`, and the provider knows `{}`: correct `@scope`, or add it to `scopes`",
                shown(name),
                shown(&known.join("`, `"))
            ))
        })
    }

    /// Whether one has a boundary.
    pub(crate) fn bounded(&self) -> bool {
        self.granted.values().any(|granted| granted.boundary.is_some())
    }
}

fn granted(name: &str, scope: &Scope) -> Result<Granted, ConfigFault> {
    let wrong = |why: String| ConfigFault::new(format!("the scope `{}`: {why}", shown(name)));
    if scope.oauth.is_empty() {
        return Err(wrong("it allows nothing: write `oauth`".to_owned()));
    }
    if let Some(odd) = scope.oauth.iter().find(|scope| !is_oauth(scope)) {
        let text = format!("`{}` is no OAuth scope: write `https://www.googleapis.com/auth/...`", shown(odd));
        return Err(wrong(text));
    }
    if scope.boundary.len() > MOST {
        return Err(wrong(format!("its boundary has {} rules, and Google takes {MOST}", scope.boundary.len())));
    }
    let rules: Vec<Value> = scope.boundary.iter().map(rule).collect::<Result<_, _>>().map_err(wrong)?;
    let boundary =
        (!rules.is_empty()).then(|| json!({ "accessBoundary": { "accessBoundaryRules": rules } }).to_string());
    let mut oauth = scope.oauth.clone();
    // By it the target and its audit see the account's address and not a number.
    if !oauth.iter().any(|scope| scope == EMAIL) {
        oauth.push(EMAIL.to_owned());
    }
    Ok(Granted { oauth, boundary })
}

fn rule(rule: &Rule) -> Result<Value, String> {
    let bucket = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let named = |name: &str| (3..=222).contains(&name.len()) && name.bytes().all(bucket);
    if !rule.resource.strip_prefix(BUCKETS).is_some_and(named) {
        return Err(format!(
            "`{}` is no bucket: write `{BUCKETS}NAME`, as boundaries are of Cloud Storage alone",
            shown(&rule.resource)
        ));
    }
    let role = |text: &String| {
        let of = |rest: &str| rest.starts_with("roles/") || rest.contains("/roles/");
        text.strip_prefix("inRole:").is_some_and(of) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if rule.permissions.is_empty() {
        return Err("a rule without `permissions`: write `inRole:roles/NAME`".to_owned());
    }
    if let Some(odd) = rule.permissions.iter().find(|text| !role(text)) {
        return Err(format!("`{}` is none of a rule's permissions: write `inRole:roles/NAME`", shown(odd)));
    }
    let mut written = json!({ "availableResource": rule.resource, "availablePermissions": rule.permissions });
    if let Some(condition) = &rule.condition {
        if condition.trim().is_empty() || condition.len() > 2048 || condition.chars().any(char::is_control) {
            return Err("a rule's `condition` is empty, too long or not plain text: write it in CEL".to_owned());
        }
        if let Some(members) = written.as_object_mut() {
            members.insert("availabilityCondition".to_owned(), json!({ "expression": condition }));
        }
    }
    Ok(written)
}

fn is_oauth(text: &str) -> bool {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    !rest.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}
