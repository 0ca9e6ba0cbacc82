//! The plugin for Buildkite: its hooks as the agent runs them, with an agent's command that gives tokens.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use writ_world::stack::{TARGET, printed};

use super::runner::{cached, holds, parsed};
use super::world::{Endpoint, FORBIDDEN, SECOND, World, hostile, world};
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
    /// A step whose plugin has these properties besides those that every one has; `null` takes one of these away.
    fn new(world: &Arc<World>, properties: &Value) -> Self {
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
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
        let mut all = json!({
            "gateway": format!("localhost:{}", world.stack.gateway_port()), "ca-file": world.stack.roots(),
        });
        let all = all.as_object_mut().unwrap();
        all.extend(properties.as_object().unwrap().clone());
        all.retain(|_, value| !value.is_null());
        Self { variables: own.chain(given(all)).collect(), directory }
    }

    /// A variable of the build, which is there where the agent sets none.
    fn build(&mut self, name: &str, value: &str) {
        self.variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
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
        printed(command.process_group(0).stdin(Stdio::null()))
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

/// What the agent makes of the plugin's configuration: the whole as JSON, and a variable for each text in it.
fn given(properties: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let mut all = vec![("BUILDKITE_PLUGIN_CONFIGURATION".to_owned(), Value::Object(properties.clone()).to_string())];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in properties {
        let name = format!("BUILDKITE_PLUGIN_WRIT_{}", name.to_uppercase().replace('-', "_"));
        match value {
            Value::Array(many) => {
                all.extend(many.iter().enumerate().map(|(at, one)| (format!("{name}_{at}"), text(one))));
            }
            one => all.push((name, text(one))),
        }
    }
    all
}

fn hook(name: &str) -> PathBuf {
    root().join("action/buildkite/hooks").join(name)
}

#[test]
fn a_step_of_buildkite_reaches_its_targets() {
    let world = world();
    let mut step = Step::new(&world, &json!({ "targets": [TARGET, SECOND], "ttl": "10m", "reason": "it's $HOME" }));
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
    let key = after.split_once("writ sessions ls --key=").unwrap().1.lines().next().unwrap();
    assert_eq!(world.reasons(key), ["it's $HOME"; 2]);
    // A step whose ways were never opened has nothing to close.
    assert_eq!(step.hook("pre-exit").unwrap(), "");
}

#[test]
fn a_step_of_buildkite_that_cannot_connect_says_so_and_stops() {
    let world = world();
    for (properties, words) in [
        (json!({ "targets": "" }), "the plugin's `targets` names none"),
        (json!({ "targets": [] }), "the plugin's `targets` names none"),
        (json!({ "targets": null }), "the plugin's `targets` names none"),
        (json!({ "targets": [TARGET, 7] }), "the plugin's `targets` has what is no plain text"),
        (json!({ "targets": [TARGET, "a\"],"] }), "the plugin's `targets` has what is no plain text"),
        (json!({ "gateway": "" }), "the plugin's `gateway` is not given"),
        (
            json!({ "gateway": null, "audience": "\"gateway\":\"localhost:1\"" }),
            "`audience` is no plain text: write it in quotes",
        ),
        (json!({ "ttl": 60 }), "`ttl` is no plain text: write it in quotes"),
        (json!({ "targets": "pay ments" }), "`pay ments` names no target"),
        (json!({ "audience": "other" }), "`buildkite-agent` gave no token: exit status: 9"),
    ] {
        let mut all = json!({ "targets": TARGET });
        all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        let mut step = Step::new(&world, &all);
        let said = step.hook("pre-command").unwrap_err();
        assert!(said.contains("writ: ") && said.contains(words), "{properties}: {said}");
        step.hook("pre-exit").unwrap();
        assert_eq!(step.left(), 0, "{said}");
    }
}

/// Who may start a build may give it variables: what the pipeline leaves out of the plugin's configuration they do not fill in.
#[test]
fn variables_of_a_build_do_not_say_where_a_step_of_buildkite_goes() {
    let world = world();
    let variables = [
        ("BUILDKITE_PLUGIN_WRIT_TARGETS", FORBIDDEN),
        ("BUILDKITE_PLUGIN_WRIT_TARGETS_1", FORBIDDEN),
        ("BUILDKITE_PLUGIN_WRIT_AUDIENCE", "other"),
        ("BUILDKITE_PLUGIN_WRIT_TTL", "1s"),
        ("WRIT_GATEWAY", "localhost:1"),
        ("WRIT_AUDIENCE", "other"),
        ("WRIT_CA_FILE", "/none.pem"),
        ("WRIT_REASON", ""),
        ("WRIT_STATE", "/none"),
        ("WRIT_TOKEN_FILE", "/none"),
        ("SSL_CERT_FILE", "/none.pem"),
    ];
    let mut step = Step::new(&world, &json!({ "targets": [TARGET] }));
    for (name, value) in variables {
        step.build(name, value);
    }
    step.hook("pre-command").unwrap();
    let said = step.run(&format!("psql -X -A -t service={TARGET} -c 'select 6 * 7'"));
    let after = step.hook("pre-exit").unwrap();
    assert_eq!(said.unwrap_or_else(|said| panic!("{said}\n{after}")), "42");
    assert!(!after.contains(FORBIDDEN), "{after}");
    assert_eq!(step.left(), 0);

    // Without `ca-file` it is the system's authorities that vouch.
    let mut step = Step::new(&world, &json!({ "targets": [TARGET], "ca-file": null }));
    let roots = world.stack.roots().display().to_string();
    for name in ["BUILDKITE_PLUGIN_WRIT_CA_FILE", "WRIT_CA_FILE", "SSL_CERT_FILE"] {
        step.build(name, &roots);
    }
    let said = step.hook("pre-command").unwrap_err();
    assert!(said.contains("vouch") || said.contains("is not the one that it should be"), "{said}");
    step.hook("pre-exit").unwrap();
    assert_eq!(step.left(), 0);
}

/// The directory's name is known beforehand: another user of the machine can be there first.
#[test]
fn a_step_of_buildkite_prints_ends_and_removes_nothing_that_others_left_for_it() {
    let world = world();
    let mut step = Step::new(&world, &json!({ "targets": TARGET }));
    let place = step.directory.path().join("tmp/writ-0190-42");
    hostile(&place, |case, secret, bystander| {
        let said = step.hook("pre-command").unwrap_err();
        assert!(said.contains("cannot be made: remove what is left"), "{case}: {said}");
        let after = step.hook("pre-exit").unwrap();
        assert!(!said.contains(secret) && after.is_empty(), "{case}: {said}{after}");
        assert!(bystander.try_wait().unwrap().is_none(), "{case}: it was ended");
    });
    assert_eq!(step.left(), 0);
    for number in ["0", "-1", "", "1 2", "x"] {
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("process"), format!("{number}\n")).unwrap();
        std::fs::write(place.join("events"), "what happened\n").unwrap();
        assert_eq!(step.hook("pre-exit").unwrap_or_else(|said| panic!("{number}: {said}")), "what happened");
        assert_eq!(step.left(), 0, "{number}");
    }
    for id in ["", "42/../other"] {
        step.variables.insert("BUILDKITE_JOB_ID".to_owned(), id.to_owned());
        assert!(step.hook("pre-command").unwrap_err().contains("`BUILDKITE_JOB_ID` is no job's id"), "{id}");
        assert_eq!(step.hook("pre-exit").unwrap(), "", "{id}");
    }
}

/// What the plugin says that it takes is what its hooks read.
#[test]
fn the_plugin_is_well_formed() {
    let plugin = parsed(&std::fs::read_to_string(root().join("action/buildkite/plugin.yml")).unwrap());
    let hooks = std::fs::read_to_string(hook("pre-command")).unwrap();
    let stated: Vec<String> = plugin["configuration"]["properties"].as_object().unwrap().keys().cloned().collect();
    let mut read: Vec<String> =
        hooks.split("$(property ").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
    read.sort();
    let mut sorted = stated.clone();
    sorted.sort();
    assert_eq!(read, sorted);
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
