//! Health and metrics: what is documented is what is counted and served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use writ_world::packages;
use writ_world::stack::{Stack, printed};

use super::evidence::eventually;
use crate::coverage::{files, root};

/// Type and labels of each documented metric.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `writ_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    })
    .collect()
}

#[test]
fn what_is_counted_is_documented() {
    let mut counted = BTreeSet::new();
    for (name, text) in files(&[".rs"]).iter().filter(|(name, _)| !name.contains("tests")) {
        for kind in ["counter", "gauge", "histogram"] {
            for call in text.split(&format!("{kind}!(")).skip(1) {
                let metric = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                let metric = metric.unwrap_or_else(|| panic!("{name}: a metric without a literal name"));
                counted.insert((metric.to_owned(), kind.to_owned()));
            }
        }
    }
    let documented: BTreeSet<_> = documented().into_iter().map(|(name, (kind, _))| (name, kind)).collect();
    assert_eq!(counted, documented);
}

#[test]
fn what_is_served_is_documented_and_only_a_viewer_is_served() {
    let stack = Stack::start().unwrap();
    let used = stack.token().unwrap();
    stack.psql(&used, "select 1").unwrap().unwrap();
    stack.psql(&used, "select 1").unwrap().unwrap_err();
    let admin = std::fs::read_to_string(stack.state().join("admin-token")).unwrap();
    assert!(get(&stack, "/healthz", None).starts_with("200 "));
    assert!(get(&stack, "/readyz", None).starts_with("200 "));
    assert!(get(&stack, "/metrics", None).starts_with("401 "));
    let served = eventually(|| {
        let served = get(&stack, "/metrics", Some(&admin));
        let all = ["writ_revoked_total", "writ_refused_total", "writ_gateway_logins_refused_total"];
        if all.iter().all(|name| served.contains(name)) { Ok(served) } else { Err(served) }
    })
    .unwrap();
    let documented = documented();
    let mut seen = BTreeSet::new();
    for line in served.lines().filter(|line| line.starts_with("writ_")) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels: BTreeSet<String> =
            labels.split(['{', ',']).filter_map(|label| Some(label.split_once('=')?.0.to_owned())).collect();
        let (kind, known) = documented.get(name).unwrap_or_else(|| panic!("`{name}` is not documented"));
        assert_eq!(&labels, known, "{line}");
        assert!(served.contains(&format!("# TYPE {name} {kind}\n")), "{name}: {kind}");
        seen.insert(name);
    }
    for name in ["writ_ledger_entries_total", "writ_gateway_sessions_total", "writ_gateway_broker_connected"] {
        assert!(seen.contains(name), "`{name}` is not served: {served}");
    }
    for secret in stack.secrets() {
        assert!(!served.contains(&secret));
    }
}

/// Status and body. The token goes in on standard input: no argument list holds it.
fn get(stack: &Stack, path: &str, token: Option<&str>) -> String {
    let curl = packages::need(Path::new("/usr/bin/curl"), "`apt-get install curl`").unwrap();
    let configuration = std::fs::read_to_string(stack.state().join("client.toml")).unwrap();
    let broker = configuration.split('"').nth(1).unwrap();
    let header = stack.state().join("header");
    std::fs::write(&header, token.map(|token| format!("authorization: Bearer {token}")).unwrap_or_default()).unwrap();
    let mut command = Command::new(curl);
    command.args(["--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{http_code}", "--cacert"]);
    command.arg(stack.authority()).arg("--header").arg(format!("@{}", header.display()));
    let answer = printed(command.arg(format!("{broker}{path}")).stdin(Stdio::null())).unwrap();
    std::fs::remove_file(header).unwrap();
    let (body, status) = answer.rsplit_once('\n').unwrap();
    format!("{status} {body}")
}
