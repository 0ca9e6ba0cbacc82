//! The plugin for Buildkite: its hooks as the agent runs them, with an agent's command that gives tokens.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use writ_world::stack::{TARGET, printed};

use super::runner::{cached, holds, parsed};
use super::world::{Endpoint, SECOND, World, world};
use crate::coverage::root;

/// A fake of the agent's command: it answers one question in one form, by another token each time.
const AGENT: &str = r#"#!/bin/sh
[ "$*" = "oidc request-token --audience writ --claim organization_id --claim pipeline_id" ] || exit 9
exec curl -sSf -H "authorization: Bearer $(cat "$0.secret")" "$(cat "$0.url")&audience=writ" | sed 's/.*"value":"\([^"]*\)".*/\1/'
"#;

struct Step {
    directory: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Step {
    fn new(world: &Arc<World>, properties: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("bk").tempdir_in("/tmp").unwrap();
        let (endpoint, tools) = (Endpoint::start(world, &[]), directory.path().join("tools"));
        std::fs::create_dir(&tools).unwrap();
        std::fs::create_dir(directory.path().join("tmp")).unwrap();
        for (name, text) in [("", AGENT), (".secret", endpoint.secret), (".url", &endpoint.url)] {
            let file = tools.join(format!("buildkite-agent{name}"));
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}:/usr/bin:/bin", tools.display(), world.stack.binary().parent().unwrap().display());
        let own = [
            ("BUILDKITE", "true".to_owned()),
            ("BUILDKITE_JOB_ID", "0190-42".to_owned()),
            ("PATH", path),
            ("TMPDIR", directory.path().join("tmp").display().to_string()),
            ("BUILDKITE_PLUGIN_WRIT_GATEWAY", format!("localhost:{}", world.stack.gateway_port())),
            ("BUILDKITE_PLUGIN_WRIT_CA_FILE", world.stack.roots().display().to_string()),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let given =
            properties.iter().map(|(name, value)| (format!("BUILDKITE_PLUGIN_WRIT_{name}"), (*value).to_owned()));
        Self { variables: own.chain(given).collect(), directory }
    }

    /// A hook, and what it leaves in the environment of what comes next.
    fn hook(&mut self, name: &str) -> Result<String, String> {
        let changed = self.directory.path().join("environment");
        let script = format!(". '{}'; env -0 > '{}'", hook(name).display(), changed.display());
        let said = self.run(&script)?;
        let text = std::fs::read_to_string(&changed).unwrap_or_default();
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        self.variables.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Ok(said)
    }

    fn run(&self, script: &str) -> Result<String, String> {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", script]).env_clear().envs(&self.variables).current_dir(self.directory.path());
        printed(command.stdin(Stdio::null()))
    }

    fn left(&self) -> usize {
        let temporary = self.directory.path().join("tmp");
        let running = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            holds(&line, temporary.to_str().unwrap().as_bytes())
        });
        running.count() + std::fs::read_dir(&temporary).unwrap().count()
    }
}

fn hook(name: &str) -> PathBuf {
    root().join("action/buildkite/hooks").join(name)
}

#[test]
fn a_step_of_buildkite_reaches_its_targets() {
    let world = world();
    let mut step = Step::new(&world, &[("TARGETS_0", TARGET), ("TARGETS_1", SECOND), ("TTL", "10m")]);
    step.hook("pre-command").unwrap();
    let psql = "psql -X -A -t -v ON_ERROR_STOP=1";
    let said = step.run(&format!(
        "{psql} service={TARGET} -c 'select 6 * 7'; {psql} 'service={SECOND} dbname={TARGET}' -c 'select 1'; env"
    ));
    let said = said.unwrap();
    assert!(said.starts_with("42\n1\n"), "{said}");
    for secret in world.stack.secrets() {
        assert!(!said.contains(&secret), "{said}");
    }
    let after = step.hook("pre-exit").unwrap();
    assert!(
        after.contains("payments: connection 1 opened under writ-") && after.contains("ended: a signal"),
        "{after}"
    );
    assert_eq!(step.left(), 0);
    // A step whose ways were never opened has nothing to close.
    assert_eq!(step.hook("pre-exit").unwrap(), "");
}

#[test]
fn a_step_of_buildkite_that_cannot_connect_says_so_and_stops() {
    let world = world();
    for (properties, words) in [
        ([("TARGETS", "")], "the plugin's `targets` names none"),
        ([("GATEWAY", "")], "the plugin's `gateway` is not given"),
        ([("TARGETS", "pay ments")], "`pay ments` names no target"),
        ([("AUDIENCE", "other")], "`buildkite-agent` gave no token: exit status: 9"),
    ] {
        let mut all = vec![("TARGETS", TARGET)];
        all.extend(properties);
        let mut step = Step::new(&world, &all);
        let said = step.hook("pre-command").unwrap_err();
        assert!(said.contains("writ: ") && said.contains(words), "{said}");
        step.hook("pre-exit").unwrap();
        assert_eq!(step.left(), 0, "{said}");
    }
}

/// What the plugin says that it takes is what its hooks read.
#[test]
fn the_plugin_is_well_formed() {
    let plugin = parsed(&std::fs::read_to_string(root().join("action/buildkite/plugin.yml")).unwrap());
    let hooks = std::fs::read_to_string(hook("pre-command")).unwrap();
    let stated: Vec<String> = plugin["configuration"]["properties"].as_object().unwrap().keys().cloned().collect();
    for name in &stated {
        assert!(hooks.contains(&format!("BUILDKITE_PLUGIN_WRIT_{}", name.to_uppercase().replace('-', "_"))), "{name}");
    }
    for read in hooks.split("BUILDKITE_PLUGIN_WRIT_").skip(1) {
        let name: String = read.chars().take_while(|letter| letter.is_ascii_uppercase() || *letter == '_').collect();
        assert!(stated.contains(&name.trim_end_matches('_').to_lowercase().replace('_', "-")), "{name}");
    }
    for file in ["pre-command", "pre-exit"] {
        assert_eq!(std::fs::metadata(hook(file)).unwrap().permissions().mode() & 0o111, 0o111);
    }
    let mut check = Command::new(cached("venv/bin/check-jsonschema"));
    printed(check.args(["--builtin-schema", "vendor.buildkite"]).arg(root().join("action/buildkite/pipeline.yml")))
        .unwrap();
    let pipeline = parsed(&std::fs::read_to_string(root().join("action/buildkite/pipeline.yml")).unwrap());
    let used = pipeline["steps"][0]["plugins"][0].as_object().unwrap().values().next().unwrap().as_object().unwrap();
    assert!(used.keys().all(|name| stated.contains(name)), "{used:?}");
}
