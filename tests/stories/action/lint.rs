//! The action's own tests, its bundle, and what linters say of it and of the workflows that use it.

use std::path::Path;
use std::process::{Command, Stdio};

use writ_world::stack::printed;

use super::runner::cached;
use crate::coverage::root;

/// Runs a program in the action's directory.
fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root().join("action")).stdin(Stdio::null());
    command.env("PATH", format!("{}:/usr/bin:/bin", cached("venv/bin").display()));
    printed(&mut command)
}

#[test]
fn its_own_tests_hold() {
    let said = run(&cached("node"), &["--test", "--test-reporter=tap"]).unwrap_or_else(|said| panic!("{said}"));
    let count =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("# {name} "))?.parse::<u32>().ok());
    assert_eq!((count("fail"), count("skipped"), count("todo")), (Some(0), Some(0), Some(0)), "{said}");
    assert!(count("pass").unwrap() >= 17, "{said}");
}

/// What runs is what stands in the sources: the bundle is made anew and compared.
#[test]
fn the_bundle_is_made_of_the_sources() {
    let package = std::fs::read_to_string(root().join("action/package.json")).unwrap();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap();
    assert!(package["dependencies"].is_null(), "it depends on nothing at run time");
    let build = package["scripts"]["build"].as_str().unwrap();
    let made = tempfile::tempdir().unwrap();
    let words: Vec<String> = build
        .replace("--outdir=dist", &format!("--outdir={}", made.path().display()))
        .split(' ')
        .map(str::to_owned)
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(words[0], "esbuild");
    run(
        &cached("node_modules/@esbuild").read_dir().unwrap().next().unwrap().unwrap().path().join("bin/esbuild"),
        &words[1..],
    )
    .unwrap();
    let names = |at: &Path| {
        let mut all: Vec<String> =
            at.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    let dist = root().join("action/dist");
    assert_eq!(names(&dist), names(made.path()));
    for name in names(&dist) {
        let (checked_in, fresh) =
            (std::fs::read(dist.join(&name)).unwrap(), std::fs::read(made.path().join(&name)).unwrap());
        assert!(checked_in == fresh, "dist/{name} is not what the sources make: `npm run build` in action/");
    }
}

#[test]
fn linters_find_nothing() {
    let schema = |name: &str, file: &str| run(&cached("venv/bin/check-jsonschema"), &["--builtin-schema", name, file]);
    schema("vendor.github-actions", "action.yml").unwrap();
    schema("vendor.github-workflows", "../examples/github-actions/workflow.yml").unwrap();
    for file in ["action.yml", "../examples/github-actions/workflow.yml"] {
        run(&cached("venv/bin/zizmor"), &["--offline", "--no-progress", "--persona=pedantic", file]).unwrap();
    }
    // They would have found something.
    let scratch = tempfile::tempdir().unwrap();
    let bad = scratch.path().join("action.yml");
    let text = std::fs::read_to_string(root().join("action/action.yml")).unwrap();
    std::fs::write(&bad, text.replace("using: node24", "using: node1")).unwrap();
    schema("vendor.github-actions", bad.to_str().unwrap()).unwrap_err();
}
