//! The arrows between crates: an edge that is not on the list fails, as does one on the list that is gone.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every crate and what it may depend on of ours, tests aside.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "writ",
        &[
            "writ-broker",
            "writ-broker-api",
            "writ-client",
            "writ-core",
            "writ-gateway",
            "writ-ledger",
            "writ-parser",
            "writ-plugin",
            "writ-policy",
            "writ-provider-aws",
            "writ-provider-azure",
            "writ-provider-database",
            "writ-provider-gcp",
            "writ-provider-github",
            "writ-provider-kubernetes",
            "writ-provider-openbao",
            "writ-provider-source",
            "writ-provider-ssh",
            "writ-provider-static",
            "writ-record",
        ],
    ),
    ("writ-aws-rds", &["writ-core"]),
    ("writ-broker", &["writ-broker-api", "writ-core", "writ-ledger", "writ-policy"]),
    ("writ-broker-api", &["writ-core"]),
    ("writ-client", &[]),
    ("writ-core", &[]),
    ("writ-demos", &["writ-fakes", "writ-world"]),
    ("writ-fakes", &["writ-world"]),
    (
        "writ-fuzz",
        &[
            "writ-broker",
            "writ-broker-api",
            "writ-client",
            "writ-core",
            "writ-gateway",
            "writ-ledger",
            "writ-mask",
            "writ-parser",
            "writ-plugin",
            "writ-policy",
            "writ-record",
            "writ-sql",
            "writ-wire-machine",
            "writ-wire-postgres",
        ],
    ),
    (
        "writ-gateway",
        &[
            "writ-broker-api",
            "writ-core",
            "writ-mask",
            "writ-parser",
            "writ-plugin",
            "writ-policy",
            "writ-record",
            "writ-sql",
            "writ-wire-machine",
            "writ-wire-postgres",
        ],
    ),
    ("writ-ledger", &[]),
    ("writ-mask", &["writ-core", "writ-sql"]),
    ("writ-parser", &["writ-core", "writ-sql"]),
    ("writ-plugin", &["writ-broker-api", "writ-core", "writ-ledger", "writ-mask", "writ-policy", "writ-record"]),
    ("writ-policy", &["writ-core"]),
    ("writ-provider-aws", &["writ-aws-rds", "writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-azure", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-calls", &["writ-core"]),
    ("writ-provider-database", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-gcp", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-github", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-kit", &["writ-core"]),
    ("writ-provider-kubernetes", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-openbao", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-source", &["writ-core"]),
    ("writ-provider-ssh", &["writ-core", "writ-provider-calls", "writ-provider-source"]),
    ("writ-provider-static", &["writ-core", "writ-provider-source"]),
    ("writ-record", &["writ-core"]),
    ("writ-sql", &["writ-core"]),
    ("writ-tests", &[]),
    ("writ-wire-machine", &["writ-core"]),
    ("writ-wire-postgres", &["writ-core", "writ-wire-machine"]),
    ("writ-world", &[]),
];

#[test]
fn arrows_point_one_way() {
    let edges = edges();
    assert_eq!(
        edges.keys().map(String::as_str).collect::<Vec<_>>(),
        ALLOWED.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for (name, allowed) in ALLOWED {
        for edge in &edges[*name] {
            assert!(allowed.contains(&edge.as_str()), "`{name}` may not depend on `{edge}`");
        }
    }
}

#[test]
fn the_graph_is_shallow() {
    let edges = edges();
    for name in edges.keys() {
        let depth = depth(name, &edges);
        assert!(depth <= 5, "`{name}` stands {depth} crates deep");
    }
}

fn depth(name: &str, edges: &BTreeMap<String, Vec<String>>) -> usize {
    edges[name].iter().map(|below| 1 + depth(below, edges)).max().unwrap_or(0)
}

fn edges() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(super::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = |name: &str| name == "writ" || name.starts_with("writ-");
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let mut below: Vec<String> = dependencies
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .filter(|name| ours(name))
                .collect();
            below.sort();
            (package["name"].as_str().unwrap().to_owned(), below)
        })
        .collect()
}
