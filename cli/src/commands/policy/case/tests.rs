//! What is read, and what is refused.

use super::*;

fn parsed(text: &str) -> Result<Vec<Case>, String> {
    parse(Path::new("a.yaml"), text).map_err(|failure| failure.to_string())
}

const GOOD: &str = "
defaults:
  claims: { iss: https://issuer.example, sub: 'job:1', level: 3 }
  target: payments
  labels: { env: test }
  search_path: app, public
cases:
  - name: may connect
    verdict: allow
    policy: ci
  - statement: |
      select 1;
      select 2
    before: [ 'set search_path = other' ]
    claims: { sub: 'job:2' }
    verdict: hold
    policy: [ one, two ]
    search_path: public
";

#[test]
fn a_case_has_what_its_file_says_of_all_and_its_own_first() {
    let cases = parsed(GOOD).unwrap();
    let [first, second] = cases.as_slice() else { panic!("two cases: {cases:?}") };
    assert_eq!((first.name.as_str(), first.line, first.verdict), ("may connect", 8, Answer::Allow));
    assert_eq!((first.claims["sub"].as_str(), first.claims["level"].as_i64()), (Some("job:1"), Some(3)));
    assert_eq!((first.policies.as_slice(), first.statement.as_deref()), (&["ci".to_owned()][..], None));
    assert_eq!(first.setting.search_path.as_deref(), Some("app, public"));
    assert_eq!((second.claims["sub"].as_str(), second.claims["level"].as_i64()), (Some("job:2"), Some(3)));
    assert_eq!(second.statement.as_deref(), Some("select 1;\nselect 2\n"));
    assert_eq!(second.setting.search_path.as_deref(), Some("public"));
    assert_eq!(second.setting.labels.as_ref().unwrap()["env"], "test");
    assert_eq!(second.policies, ["one", "two"]);
}

#[test]
fn what_cannot_be_meant_is_a_mistake_with_its_place() {
    for (from, to, words) in [
        ("verdict: hold", "verdict: held", "allow"),
        ("verdict: hold", "verdikt: hold", "verdikt"),
        ("verdict: hold\n", "\n", "verdict"),
        ("target: payments\n", "\n", "line 8: no `target`"),
        ("sub: 'job:1'", "sub: 1", "line 8: the claims have no text `sub`"),
        ("iss: https://issuer.example, ", "", "no text `iss`"),
        ("target: payments", "target: Pay Ments", "target name"),
        ("env: test }", "env: test, env: live }", "env"),
        ("- statement: |", "- statment: |", "statment"),
        ("- name: may connect", "- name: may connect\n    before: [ 'select 1' ]", "asks nothing"),
        ("cases:", "cases: [", "a.yaml"),
    ] {
        let changed = GOOD.replacen(from, to, 1);
        let said = if changed == GOOD { panic!("`{from}` is not there") } else { parsed(&changed) };
        let said = said.expect_err(words);
        assert!(said.contains("a.yaml") && said.contains(words), "{said}");
    }
}

#[test]
fn a_directory_is_read_in_order_and_one_without_a_case_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(read(directory.path()).unwrap_err().to_string().contains("no case"));
    for (name, text) in [("b.yml", GOOD), ("a.yaml", GOOD), ("c.txt", "no YAML: [")] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let files: Vec<_> = read(directory.path()).unwrap().into_iter().map(|case| case.file).collect();
    assert_eq!(files.len(), 4);
    assert!(files[0].ends_with("a.yaml") && files[2].ends_with("b.yml"));
    assert_eq!(read(&files[0]).unwrap().len(), 2);
    std::fs::write(directory.path().join("b.yml"), "cases: []").unwrap();
    assert_eq!(read(directory.path()).unwrap().len(), 2);
}
