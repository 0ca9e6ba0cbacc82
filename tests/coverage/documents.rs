//! What documents, examples and sources may say.

use super::files;

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
