//! What `terraform show -json` says of a plan.

use std::path::Path;

use serde_json::Value;

/// The resources of a type as they will be, by the module that makes them: `module.reports`, `module.orders.module.role`.
pub(super) fn planned(plan: &Value, kind: &str) -> Vec<(String, Value)> {
    let changes = plan["resource_changes"].as_array().unwrap().iter().filter(|change| change["type"] == kind);
    let made = |change: &Value| {
        let module = change["module_address"].as_str().unwrap_or_default().to_owned();
        assert_eq!(change["change"]["actions"], serde_json::json!(["create"]), "{module}: {kind}");
        (module, change["change"]["after"].clone())
    };
    let found: Vec<_> = changes.map(made).collect();
    assert!(!found.is_empty(), "the plan has no `{kind}`");
    found
}

/// An issuer that a plan names, and the one that runs in its place, with the authority that vouches for that.
pub(super) struct Hosted<'a> {
    pub(super) named: &'a str,
    pub(super) url: String,
    pub(super) ca_pem: String,
}

impl Hosted<'_> {
    /// The issuer that runs for a name, and its authority; a name that nobody stands in for leads nowhere.
    pub(super) fn find(all: &[Self], named: &str) -> (String, Option<String>) {
        let found = all.iter().find(|one| one.named == named);
        found.map_or_else(|| (named.to_owned(), None), |one| (one.url.clone(), Some(one.ca_pem.clone())))
    }
}

/// A configuration whose files of authorities are this one, which is there.
pub(super) fn with_authority(configuration: &str, authority: &Path) -> String {
    let line = |line: &str| match line.strip_prefix("ca_file = ") {
        Some(_) => format!("ca_file = \"{}\"", authority.display()),
        None => line.to_owned(),
    };
    configuration.lines().map(line).collect::<Vec<_>>().join("\n")
}
