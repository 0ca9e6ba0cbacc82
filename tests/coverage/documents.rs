//! What documents, examples and sources may say.

use std::process::Command;

/// The repository's files whose name ends in one of `endings`, with their text.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(super::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    let wanted = |name: &&str| endings.iter().any(|ending| name.ends_with(ending));
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(super::root().join(name)).ok()?));
    names.lines().filter(wanted).filter_map(read).collect()
}

/// libpq verifies nobody unless it is told to: whoever copies a connection string from us must not hand a token to a stranger.
#[test]
fn every_connection_string_verifies_the_gateway() {
    for (name, text) in files(&[".md"]) {
        for (number, line) in text.lines().enumerate() {
            let connects = line.contains("psql \"") || line.contains("host=") || line.contains("postgresql://");
            let to_the_gateway = connects && !line.contains("writ dev");
            let safe = line.contains("sslmode=verify-full") && line.contains("sslrootcert=");
            assert!(!to_the_gateway || safe, "{name}:{}: a connection string without verification: {line}", number + 1);
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (name, text) in files(&[".md"]) {
        let folder = super::root().join(&name).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{name}: `{target}` leads nowhere");
        }
    }
}

#[test]
fn sources_stay_small() {
    for (name, text) in files(&[".rs"]) {
        let lines = text.lines().count();
        assert!(lines <= 700, "{name} has {lines} lines: does it hold one thing?");
    }
}
