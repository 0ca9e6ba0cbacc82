//! A fake of the runner of GitHub Actions, as far as a step sees it: a work folder, files for what later steps are to have, variables,
//! and the Node.js that the action asks for. What it reads it reads strictly.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use writ_world::packages;
use writ_world::stack::printed;

use super::super::canary::{Place, files};
use super::world::{Endpoint, World};
use crate::coverage::root;

/// The files in which a step leaves something, by their variables.
const COMMANDS: [(&str, &str); 5] = [
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STATE", "save_state"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
];

/// What a step did.
pub(super) struct Step {
    pub(super) success: bool,
    /// What it printed, on both ways.
    pub(super) said: String,
    /// What it left for later steps, in its order.
    pub(super) exported: Vec<(String, String)>,
    pub(super) summary: String,
    outputs: Vec<(String, String)>,
}

impl Step {
    pub(super) fn output(&self, name: &str) -> &str {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }
}

/// One job.
pub(super) struct Runner {
    directory: tempfile::TempDir,
    /// What every step sees.
    variables: BTreeMap<String, String>,
    states: Vec<(String, String)>,
    log: String,
    count: u32,
    tracking: String,
    tokens: Arc<AtomicU64>,
}

/// What the cache holds for the action.
pub(super) fn cached(name: &str) -> PathBuf {
    packages::need(&packages::cache().join("action").join(name), "tests/world/scripts/fetch-action").unwrap()
}

/// YAML, as the linters read it.
pub(super) fn parsed(yaml: &str) -> Value {
    let script = "import json, sys, ruamel.yaml; print(json.dumps(ruamel.yaml.YAML(typ='safe').load(sys.argv[1])))";
    let said = printed(Command::new(cached("venv/bin/python")).args(["-c", script, yaml])).unwrap();
    serde_json::from_str(&said).unwrap()
}

impl Runner {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self::with_claims(world, &[])
    }

    /// A job whose tokens claim this instead.
    pub(super) fn with_claims(world: &Arc<World>, claims: &[(&'static str, &'static str)]) -> Self {
        let directory = tempfile::Builder::new().prefix("run").tempdir_in("/tmp").unwrap();
        let at = directory.path();
        for folder in ["work/_temp/_runner_file_commands", "work/repo/repo", "home"] {
            std::fs::create_dir_all(at.join(folder)).unwrap();
        }
        let endpoint = Endpoint::start(world, claims);
        let tracking = format!("github_{}", at.file_name().unwrap().to_str().unwrap());
        let path = |folder: &str| at.join(folder).display().to_string();
        let variables = [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_REPOSITORY", "octo-org/octo-repo".to_owned()),
            ("GITHUB_WORKSPACE", path("work/repo/repo")),
            ("HOME", path("home")),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_TEMP", path("work/_temp")),
            ("RUNNER_TRACKING_ID", tracking.clone()),
            ("XDG_RUNTIME_DIR", path("home")),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", endpoint.url),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", endpoint.secret.to_owned()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self {
            directory,
            variables,
            states: Vec::new(),
            log: String::new(),
            count: 0,
            tracking,
            tokens: endpoint.given,
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.variables.remove(name).unwrap();
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Installs a program in the runner's `PATH`.
    pub(super) fn program(&mut self, name: &str, program: &Path) {
        let folder = self.directory.path().join("tools");
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(program, folder.join(name)).unwrap();
        let path = format!("{}:{}", folder.display(), self.variables["PATH"]);
        self.set("PATH", &path);
    }

    /// How many tokens the job was given.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::SeqCst)
    }

    /// Puts a state in the place of what the action saved.
    pub(super) fn state(&mut self, name: &str, value: &str) {
        self.states.retain(|(known, _)| known != name);
        self.states.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.directory.path().join("work/_temp")
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.directory.path().join("work/repo/repo")
    }

    /// What all steps have printed.
    pub(super) fn log(&self) -> String {
        self.log.clone()
    }

    /// The action's first step.
    pub(super) fn main(&mut self, inputs: &[(&str, String)]) -> Step {
        self.node(
            "main.js",
            inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.clone())).collect(),
        )
    }

    /// Its last.
    pub(super) fn post(&mut self) -> Step {
        self.node("post.js", self.states.iter().map(|(name, value)| (format!("STATE_{name}"), value.clone())).collect())
    }

    fn node(&mut self, file: &str, more: Vec<(String, String)>) -> Step {
        let mut command = Command::new(cached("node"));
        command.arg(root().join("action/dist").join(file));
        self.run(command, more)
    }

    /// A step of the workflow, as `run:` runs it.
    pub(super) fn step(&mut self, script: &str) -> Step {
        let command = self.shell(script);
        self.run(command, Vec::new())
    }

    /// The same, not waited for.
    pub(super) fn start(&mut self, script: &str) -> Child {
        let mut command = self.shell(script);
        command.env_clear().envs(&self.variables).current_dir(self.workspace());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn shell(&mut self, script: &str) -> Command {
        self.count += 1;
        let file = self.temporary().join(format!("step-{}.sh", self.count));
        std::fs::write(&file, script).unwrap();
        let mut command = Command::new("/bin/bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(file);
        command
    }

    fn run(&mut self, mut command: Command, more: Vec<(String, String)>) -> Step {
        self.count += 1;
        let file = |name: &str| self.temporary().join(format!("_runner_file_commands/{name}_{}", self.count));
        command.env_clear().envs(&self.variables).envs(more).current_dir(self.workspace()).stdin(Stdio::null());
        for (variable, name) in COMMANDS {
            std::fs::write(file(name), "").unwrap();
            command.env(variable, file(name));
        }
        // A step has a group of its own; what it leaves running is nobody's to wait for.
        let Output { status, stdout, stderr } = command.process_group(0).output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
        let (exported, outputs) = (values(&read("set_env")), values(&read("set_output")));
        let summary = read("step_summary");
        assert_eq!(read("add_path"), "");
        for (name, value) in values(&read("save_state")) {
            self.state(&name, &value);
        }
        self.variables.extend(exported.iter().cloned());
        self.log += &said;
        Step { success: status.success(), said, exported, summary, outputs }
    }

    /// Every file below a directory, and every directory and socket.
    pub(super) fn written(&self, below: &Path) -> Vec<PathBuf> {
        let mut all = Vec::new();
        for path in std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                all.extend(self.written(&path));
            }
            all.push(path);
        }
        all
    }

    /// What the action left: files in the runner's folder for temporary ones, processes of the job.
    pub(super) fn left(&self) -> Vec<String> {
        let own = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("writ-");
        let entries = std::fs::read_dir(self.temporary()).unwrap().map(|entry| entry.unwrap().path());
        let left = entries.filter(own).map(|path| path.display().to_string());
        left.chain(self.written(&self.directory.path().join("home")).iter().map(|path| path.display().to_string()))
            .chain(self.listeners())
            .collect()
    }

    /// The processes that keep ways open: the program of each.
    pub(super) fn listeners(&self) -> Vec<String> {
        let words = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let lines = self.processes().into_iter().map(|id| String::from_utf8_lossy(&words(&id)).into_owned());
        lines
            .filter(|line| line.contains("\0listen\0"))
            .map(|line| line.split('\0').next().unwrap().to_owned())
            .collect()
    }

    /// Ends the processes that keep ways open, as the system does where memory is short.
    pub(super) fn kill_listeners(&self) {
        for id in self.processes() {
            if std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| holds(&line, b"\0listen\0")) {
                kill(Pid::from_raw(i32::try_from(id).unwrap()), Signal::SIGKILL).unwrap();
            }
        }
    }

    /// The processes of the job: the runner knows them by a variable. What may not be dumped shows its variables to root alone, and
    /// is known by the job's folder among its arguments.
    fn processes(&self) -> Vec<u32> {
        let mark = format!("RUNNER_TRACKING_ID={}\0", self.tracking);
        let folder = self.temporary().display().to_string();
        let all =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        let of_job = |id: &u32| {
            let read = |what: &str| std::fs::read(format!("/proc/{id}/{what}")).unwrap_or_default();
            holds(&read("environ"), mark.as_bytes()) || holds(&read("cmdline"), folder.as_bytes())
        };
        all.filter(of_job).collect()
    }

    /// Everything that a step can look at: its files, those of the runner, and what the kernel shows of every process of the job.
    pub(super) fn everything(&self) -> Vec<Place> {
        let mut all = files(self.directory.path());
        for id in self.processes() {
            for what in ["cmdline", "environ", "comm"] {
                let path = format!("/proc/{id}/{what}");
                // A process may have ended meanwhile.
                all.extend(std::fs::read(&path).map(|bytes| Place::new(path, bytes)));
            }
        }
        all
    }
}

/// Whether a text has a part.
pub(super) fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The runner ends what a job left running.
impl Drop for Runner {
    fn drop(&mut self) {
        for id in self.processes() {
            let _ = kill(Pid::from_raw(i32::try_from(id).unwrap()), Signal::SIGKILL);
        }
    }
}

/// `NAME<<END`, lines, `END`; or `NAME=VALUE`. Nothing else is taken.
fn values(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        let at = line.find(['=', '<']).unwrap_or_else(|| panic!("`{line}` begins no value"));
        let (name, rest) = line.split_at(at);
        if let Some(value) = rest.strip_prefix('=') {
            all.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let end = rest.strip_prefix("<<").unwrap_or_else(|| panic!("`{line}` begins no value"));
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        all.push((name.to_owned(), value.join("\n")));
    }
    all
}
