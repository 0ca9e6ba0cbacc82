//! The component for GitLab CI: its scripts in the shell that GitLab runs them in, with what a job has.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::stack::{TARGET, printed};

use super::runner::{cached, holds, parsed};
use super::world::{FORBIDDEN, World, hostile, world};
use crate::coverage::root;

/// A job: what GitLab makes of the component with these inputs, and a directory for its files.
struct Job {
    template: Value,
    yaml: String,
    directory: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    token: String,
}

impl Job {
    fn new(world: &World, inputs: &[(&str, &str)]) -> Self {
        let text = std::fs::read_to_string(root().join("action/gitlab/templates/writ.yml")).unwrap();
        let (spec, job) = text.split_once("\n---\n").unwrap();
        let spec = parsed(spec);
        let gateway = format!("localhost:{}", world.stack.gateway_port());
        let roots = world.stack.roots().display().to_string();
        let given: BTreeMap<&str, &str> = [("gateway", gateway.as_str()), ("ca-file", &roots), ("targets", TARGET)]
            .into_iter()
            .chain(inputs.iter().copied())
            .collect();
        let mut yaml = job.to_owned();
        for (name, input) in spec["spec"]["inputs"].as_object().unwrap() {
            let value = given.get(name.as_str()).copied().or(input["default"].as_str()).unwrap();
            assert!(matches(input["regex"].as_str().unwrap(), value), "`{name}` does not take `{value}`");
            yaml = yaml.replace(&format!("$[[ inputs.{name} ]]"), value);
        }
        assert!(!yaml.contains("$[["), "{yaml}");
        let template = parsed(&yaml)[".writ"].clone();
        let directory = tempfile::Builder::new().prefix("gl").tempdir_in("/tmp").unwrap();
        let token = world.stack.token().unwrap();
        let own = [
            ("CI_JOB_ID", "42"),
            ("GITLAB_CI", "true"),
            ("PATH", &format!("{}:/usr/bin:/bin", world.stack.binary().parent().unwrap().display())),
            ("TMPDIR", directory.path().to_str().unwrap()),
            ("WRIT_ID_TOKEN", &token),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let stated = template["variables"].as_object().into_iter().flatten();
        let stated = stated.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let variables = own.chain(stated).collect();
        Self { template, yaml, directory, variables, token }
    }

    fn script(&self, name: &str) -> String {
        self.template[name].as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
    }

    /// The job's own script behind the component's, in one shell; then what comes after it, in another.
    fn run(&self, shell: &str, script: &str) -> (Result<String, String>, String) {
        let said = self.shell(shell, &format!("{}{script}", self.script("before_script")));
        (said, self.after(shell).unwrap())
    }

    fn after(&self, shell: &str) -> Result<String, String> {
        self.shell(shell, &self.script("after_script"))
    }

    fn shell(&self, shell: &str, text: &str) -> Result<String, String> {
        let mut command = Command::new(shell);
        command.args(["-e", "-c", text]).env_clear().envs(&self.variables).current_dir(self.directory.path());
        printed(command.process_group(0).stdin(Stdio::null()))
    }

    /// What a pipeline is started with comes before what stands at the job.
    fn pipeline(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    fn left(&self) -> usize {
        let running = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            holds(&line, self.directory.path().to_str().unwrap().as_bytes())
        });
        running.count() + std::fs::read_dir(self.directory.path()).unwrap().count()
    }
}

/// Whether a value has the form that GitLab holds it to.
fn matches(form: &str, value: &str) -> bool {
    let script = "import re, sys; sys.exit(0 if re.search(sys.argv[1], sys.argv[2]) else 1)";
    Command::new(cached("venv/bin/python")).args(["-c", script, form, value]).status().unwrap().success()
}

const PSQL: &str = "psql -X -A -t -v ON_ERROR_STOP=1";

#[test]
fn a_job_of_gitlab_reaches_its_targets_and_its_scripts_have_no_token() {
    let world = world();
    for shell in ["sh", "bash"] {
        let reason = format!("nightly run, by {shell}");
        let job = Job::new(&world, &[("reason", &reason)]);
        assert_eq!(job.template["id_tokens"]["WRIT_ID_TOKEN"]["aud"], "writ");
        let script = format!(
            "{PSQL} service={TARGET} -c 'select 6 * 7'; {PSQL} service={TARGET} -c 'select 1'; env; ls -lR \"$TMPDIR\""
        );
        let (said, after) = job.run(shell, &script);
        let said = said.unwrap();
        assert!(said.starts_with("42\n1\n") && said.contains("PGSERVICEFILE="), "{said}");
        assert!(!said.contains(&job.token) && !after.contains(&job.token), "{said}");
        assert!(after.contains("connection 2 opened under writ-") && after.contains("ended: a signal"), "{after}");
        assert_eq!(job.left(), 0, "{shell}");
        // One token for both connections, and the key of the one run that has it.
        let key = after.split_once("writ sessions ls --key=").unwrap().1.lines().next().unwrap();
        assert_eq!(world.reasons(key), [reason.as_str(), &reason]);
    }
}

#[test]
fn a_job_of_gitlab_that_cannot_connect_says_so_and_stops() {
    let world = world();
    for (inputs, words) in [
        ([("gateway", "localhost:1")], "the gateway at `localhost:1` cannot be reached"),
        ([("targets", "payments payments")], "`payments` is named twice"),
        ([("ca-file", "/none.pem")], "`/none.pem` cannot be read"),
        ([("audience", "other")], "is for `writ`, not for `other`"),
    ] {
        let job = Job::new(&world, &inputs);
        let (said, _) = job.run("sh", "echo reached");
        let said = said.unwrap_err();
        assert!(
            said.contains("writ: no way was opened") && said.contains(words) && !said.contains("reached\n"),
            "{said}"
        );
        assert!(!said.contains(&job.token), "{said}");
        assert_eq!(job.left(), 0);
    }
}

/// Who may start a pipeline may give it variables, and decides nothing by them.
#[test]
fn variables_of_a_pipeline_do_not_say_where_a_job_of_gitlab_goes() {
    let world = world();
    let mut job = Job::new(&world, &[]);
    let variables = [
        ("WRIT_GATEWAY", "localhost:1"),
        ("WRIT_AUDIENCE", "other"),
        ("WRIT_CA_FILE", "/none.pem"),
        ("WRIT_REASON", ""),
        ("WRIT_STATE", "/none"),
        ("WRIT_TARGETS", FORBIDDEN),
        ("WRIT_TTL", "1s"),
        ("WRIT_TOKEN_FILE", "/none"),
        ("WRIT_ID_TOKEN_VARIABLE", "OTHER_TOKEN"),
        ("SSL_CERT_FILE", "/none.pem"),
    ];
    for (name, value) in variables {
        job.pipeline(name, value);
    }
    let (said, after) = job.run("sh", &format!("{PSQL} service={TARGET} -c 'select 6 * 7'"));
    assert_eq!(said.unwrap_or_else(|said| panic!("{said}\n{after}")), "42");
    assert!(after.contains("payments: ") && !after.contains(FORBIDDEN), "{after}");
    assert_eq!(job.left(), 0);
}

/// Without `ca-file` it is the system's authorities that vouch, and not those of a variable.
#[test]
fn no_variable_of_a_pipeline_vouches_for_the_gateway_of_a_job_of_gitlab() {
    let world = world();
    let mut job = Job::new(&world, &[("ca-file", "")]);
    let roots = world.stack.roots().display().to_string();
    for name in ["SSL_CERT_FILE", "WRIT_CA_FILE"] {
        job.pipeline(name, &roots);
    }
    let (said, _) = job.run("sh", "echo reached");
    let said = said.unwrap_err();
    assert!(said.contains("writ: no way was opened") && !said.contains("reached\n"), "{said}");
    assert!(said.contains("vouch") || said.contains("is not the one that it should be"), "{said}");
    assert_eq!(job.left(), 0);
}

/// The directory's name is known beforehand: another user of the machine can be there first.
#[test]
fn a_job_of_gitlab_prints_ends_and_removes_nothing_that_others_left_for_it() {
    let world = world();
    let mut job = Job::new(&world, &[]);
    let place = job.directory.path().join("writ-42");
    hostile(&place, |case, secret, bystander| {
        let (said, after) = job.run("sh", "echo reached");
        let said = said.unwrap_err();
        assert!(said.contains("cannot be made: remove what is left") && !said.contains("reached\n"), "{case}: {said}");
        // Where the job goes on after what fails, too.
        let lax = job.shell("sh", &format!("set +e\n{}echo reached", job.script("before_script"))).unwrap_err();
        assert!(lax.contains("cannot be made") && !lax.contains("reached\n"), "{case}: {lax}");
        for text in [&said, &lax, &after] {
            assert!(!text.contains(secret), "{case}: {text}");
        }
        assert!(bystander.try_wait().unwrap().is_none(), "{case}: it was ended");
    });
    for id in ["", "42/../other", "0x2a"] {
        job.pipeline("CI_JOB_ID", id);
        let (said, after) = job.run("sh", "echo reached");
        assert!(said.unwrap_err().contains("`CI_JOB_ID` is no number") && after.is_empty(), "{id}: {after}");
    }
    assert_eq!(job.left(), 0);
}

/// A number of a process is a number of one process.
#[test]
fn a_job_of_gitlab_ends_no_group_of_processes() {
    let world = world();
    for number in ["0", "-1", "", "1 2", "x"] {
        let job = Job::new(&world, &[]);
        let own = job.directory.path().join("writ-42");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("process"), format!("{number}\n")).unwrap();
        std::fs::write(own.join("events"), "what happened\n").unwrap();
        assert_eq!(job.after("sh").unwrap_or_else(|said| panic!("{number}: {said}")), "what happened", "{number}");
        assert_eq!(job.left(), 0, "{number}");
    }
}

/// Inputs stand in the job's text: none of them can bring in what is not one.
#[test]
fn inputs_of_the_component_hold_their_form() {
    let text = std::fs::read_to_string(root().join("action/gitlab/templates/writ.yml")).unwrap();
    let spec = parsed(text.split_once("\n---\n").unwrap().0);
    for (name, input) in spec["spec"]["inputs"].as_object().unwrap() {
        for evil in ["x\n  script: evil", "$(id)", "`id`", "a; id", "x: y", "\"x", "'x", "a #b", "a\\b", "*"] {
            assert!(!matches(input["regex"].as_str().unwrap(), evil), "`{name}` takes {evil:?}");
        }
    }
}

#[test]
fn the_component_is_well_formed() {
    let world = world();
    let job = Job::new(&world, &[]);
    let file = job.directory.path().join("job.yml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        printed(
            Command::new(cached("venv/bin/check-jsonschema"))
                .args(["--builtin-schema", "vendor.gitlab-ci"])
                .arg(Path::new(&file)),
        )
    };
    let migrate = "migrate:\n  extends: .writ\n  script:\n    - psql service=payments -c 'select 1'\n";
    check(&format!("{}{migrate}", job.yaml)).unwrap();
    // What is hidden is not looked at: as a job of its own it is.
    let seen = job.yaml.replace(".writ:\n", "writ:\n  script: [\"true\"]\n");
    check(&seen).unwrap();
    check(&seen.replace("aud: writ", "audience: writ")).unwrap_err();
}
