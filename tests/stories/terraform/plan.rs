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

/// A configuration whose files of authorities are this one, which is there.
pub(super) fn with_authority(configuration: &str, authority: &Path) -> String {
    let line = |line: &str| match line.strip_prefix("ca_file = ") {
        Some(_) => format!("ca_file = \"{}\"", authority.display()),
        None => line.to_owned(),
    };
    configuration.lines().map(line).collect::<Vec<_>>().join("\n")
}
