//! What npm and pip fetch for the tests and benchmarks is held to hashes: all of it, and by files that name no registry.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files;

/// The lock files whose name ends in this, with what they lock.
fn locks(ending: &str) -> Vec<(String, String)> {
    let found: Vec<_> = files(&[ending])
        .into_iter()
        .filter(|(name, _)| !name.starts_with("Cargo") && !name.contains("/Cargo"))
        .collect();
    assert!(found.len() > 4, "{ending}: {}", found.len());
    found
}

#[test]
fn what_npm_fetches_is_held_to_hashes() {
    let manifests: BTreeMap<String, String> = files(&["package.json"]).into_iter().collect();
    let mut locked = Vec::new();
    for (name, text) in locks("package-lock.json") {
        let lock: Value = serde_json::from_str(&text).unwrap();
        let (own, packages): (Vec<_>, Vec<_>) =
            lock["packages"].as_object().unwrap().iter().partition(|(place, _)| place.is_empty());
        for (place, package) in packages {
            let hash = package["integrity"].as_str().unwrap_or_default();
            assert!(hash.starts_with("sha512-"), "{name}: {place} has no hash: run tests/world/scripts/lock-packages");
            assert!(package["resolved"].is_null(), "{name}: {place} names where it came from");
        }
        let of = name.replace("package-lock.json", "package.json");
        let manifest: Value = serde_json::from_str(&manifests[&of]).unwrap();
        for kind in ["dependencies", "devDependencies", "optionalDependencies"] {
            assert_eq!(own[0].1[kind], manifest[kind], "{of} has changed: run tests/world/scripts/lock-packages");
            let versions = manifest[kind].as_object().into_iter().flatten();
            for (wanted, version) in versions {
                let place = format!("node_modules/{wanted}");
                assert_eq!(&lock["packages"][&place]["version"], version, "{of}: {wanted} is not pinned");
            }
        }
        locked.push(of);
    }
    locked.sort();
    assert_eq!(locked, manifests.into_keys().collect::<Vec<_>>(), "each has its lock");
}

#[test]
fn what_pip_fetches_is_held_to_hashes() {
    let wanted: BTreeMap<String, String> = files(&["requirements.txt"]).into_iter().collect();
    let mut locked = Vec::new();
    for (name, text) in locks("requirements.lock") {
        // A package to a line, its hashes behind it.
        let packages: Vec<String> = text.replace("\\\n", " ").lines().map(str::to_owned).collect();
        for package in &packages {
            assert!(package.contains("==") && package.contains(" --hash=sha256:"), "{name}: `{package}` has no hash");
            assert!(!package.contains("://"), "{name}: `{package}` names where it came from");
        }
        let of = name.replace(".lock", ".txt");
        for pin in wanted[&of].lines() {
            // What an extra brings stands among the packages: its name does not.
            let (wanted, version) = pin.split_once("==").unwrap_or_else(|| panic!("{of}: `{pin}` is not pinned"));
            let plain = format!("{}=={version} ", wanted.split('[').next().unwrap()).to_lowercase();
            let pinned = |package: &String| package.to_lowercase().starts_with(&plain);
            assert!(packages.iter().any(pinned), "{of}: `{pin}` is not locked: run tests/world/scripts/lock-packages");
        }
        locked.push(of);
    }
    locked.sort();
    assert_eq!(locked, wanted.into_keys().collect::<Vec<_>>(), "each has its lock");
}

/// Only the lock files' own script resolves anything anew.
#[test]
fn no_script_fetches_what_is_not_locked() {
    let scripts = files(&[""]).into_iter().filter(|(name, text)| {
        text.starts_with("#!") && !name.ends_with("/lock-packages") && (name.contains("scripts/") || name == ".ci/run")
    });
    let mut seen = 0;
    for (name, text) in scripts {
        let commands = text.replace("\\\n", " ");
        for line in commands.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let pip = ["pip\" install", "pip\" download", "pip install", "pip download"];
            if pip.iter().any(|words| line.contains(words)) {
                seen += 1;
                assert!(line.contains("--require-hashes"), "{name}: {line}");
            }
            if ["npm install", "npm i ", "npm add", "npx ", "npm exec"].iter().any(|words| line.contains(words)) {
                panic!("{name}: {line}: `npm ci` takes what is locked");
            }
            seen += usize::from(line.contains("npm ci "));
        }
    }
    assert!(seen > 10, "{seen} fetches were found");
}
