//! `writ policy test` as a pipeline runs it: the real policies, the real parser's child, the exit status.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/policy-tests")
}

fn test(cases: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(["policy", "test"]).arg(cases).arg("--policies").arg(example().join("policies"));
    command.args(more).output().expect("the binary runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The example's cases with one thing changed, in a directory of its own.
fn changed(from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let text = std::fs::read_to_string(example().join("cases/payments.yaml")).expect("the cases");
    assert!(text.contains(from), "`{from}` is not in the cases");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("payments.yaml"), text.replacen(from, to, 1)).expect("written");
    let path = directory.path().to_owned();
    (directory, path)
}

#[test]
fn the_example_passes() {
    let output = test(&example().join("cases"), &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "12 cases: 12 passed, 0 failed\n");
}

#[test]
fn a_case_that_fails_shows_what_came_and_fails_the_run() {
    let (_directory, cases) = changed("    verdict: hold\n    policy: report-clears", "    verdict: allow");
    let output = test(&cases, &[]);
    assert!(!output.status.success());
    let told = said(&output);
    assert!(
        told.contains("payments.yaml:38 clearing waits for a human\n  - allow\n  + hold by `report-clears`\n"),
        "{told}"
    );
    assert!(told.ends_with("12 cases: 11 passed, 1 failed\n"), "{told}");
}

#[test]
fn the_right_answer_of_another_policy_fails() {
    let (_directory, cases) = changed("policy: no-phones", "policy: no-names");
    let told = said(&test(&cases, &[]));
    assert!(told.contains("  - deny by `no-names`\n  + deny by `no-phones`\n"), "{told}");
    assert!(told.contains("policy `no-phones` forbids `sql:select` on `payments/public.customers.phone`"), "{told}");
}

#[test]
fn a_denial_for_want_of_a_session_is_no_denial_of_a_statement() {
    let (_directory, cases) =
        changed("- statement: drop table orders", "- statement: drop table orders\n    labels: {}");
    let told = said(&test(&cases, &[]));
    assert!(told.contains("  - deny\n  + not asked: the workload may not connect"), "{told}");
}

#[test]
fn json_has_every_case() {
    let (_directory, cases) = changed("policy: no-phones", "policy: no-names");
    let report: Value = serde_json::from_slice(&test(&cases, &["--json"]).stdout).expect("JSON");
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(11), Some(1)));
    let all = report["cases"].as_array().expect("cases");
    let failed: Vec<&Value> = all.iter().filter(|case| case["passed"] == false).collect();
    let [failed] = failed.as_slice() else { panic!("{failed:?}") };
    assert_eq!(failed["expected"]["policies"][0], "no-names");
    assert_eq!(failed["got"]["verdict"], "deny");
    assert_eq!(failed["got"]["policies"][0], "no-phones");
    assert_eq!(failed["got"]["code"], "policy.forbidden");
    assert!(failed["line"].as_u64().is_some_and(|line| line > 20));
}

#[test]
fn a_run_without_cases_or_policies_is_no_good_one() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(!test(directory.path(), &[]).status.success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_writ"));
    command.args(["policy", "test"]).arg(example().join("cases")).arg("--policies").arg(directory.path());
    let output = command.output().expect("the binary runs");
    assert!(!output.status.success(), "{}", said(&output));
}
