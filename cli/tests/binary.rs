//! The binary as a user meets it.
#![cfg(test)]

use std::process::{Command, Output};

fn writ(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_writ")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_configuration_with_a_mistake_is_refused_with_file_line_and_what_to_write() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("writ.toml");
    std::fs::write(&file, "[link]\nstate = \"/var/lib/writ\"\nbroker_gracee = \"1m\"\n").unwrap();
    let output = writ(&["check", "--config", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = stderr(&output);
    assert!(said.contains("writ.toml:3:1: there is no setting `broker_gracee` here"), "{said}");
    assert!(said.contains("did you mean `broker_grace`?"), "{said}");
}

#[test]
fn a_missing_configuration_says_what_to_do() {
    let output = writ(&["check", "--config", "/nonexistent/writ.toml"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("name the file with `--config FILE`"), "{}", stderr(&output));
}

#[test]
fn a_command_without_a_broker_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = writ(&["writs", "ls", "--state", directory.path().to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("start `writ dev`"), "{}", stderr(&output));
}

#[test]
fn dev_serves_this_machine_alone() {
    let output = writ(&["dev", "--target", "postgres://u:p@127.0.0.1/d", "--listen", "0.0.0.0:0"]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("is not a loopback address"), "{}", stderr(&output));
}

#[test]
fn policies_with_mistakes_are_reported_with_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let policy = "@ttl(\"soon\")\npermit (principal is Writ::Workload, action, resource);\n";
    std::fs::write(directory.path().join("bad.cedar"), policy).unwrap();
    let output = writ(&["policy", "check", directory.path().to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("bad.cedar:1"), "{said}");
}
