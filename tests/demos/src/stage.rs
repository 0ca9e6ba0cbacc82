//! The stage: Writ's broker as it is run, an issuer that plays the CI, and a job of it that has nothing but its token.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_world::postgres::{free_port, random_hex};
use writ_world::stack::{Part, Process};

use crate::show;

const START_LIMIT: Duration = Duration::from_secs(30);
/// The audience of workloads' tokens.
const AUDIENCE: &str = "writ";

/// A broker that runs, and a CI.
pub(crate) struct Stage {
    directory: tempfile::TempDir,
    writ: PathBuf,
    port: u16,
    ci: Issuer,
    process: Process,
}

/// What a command printed, and whether it succeeded.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) success: bool,
}

impl Stage {
    /// Starts the broker, an issuer itself, with these policies and no targets yet: those trust what it has made by then.
    pub(crate) fn start(policies: &str) -> Result<Self, String> {
        let (ci, port, writ) = (Issuer::start()?, free_port()?, beside("writ")?);
        let directory = tempfile::Builder::new().prefix("stage-").tempdir().map_err(said("a directory"))?;
        let at = directory.path();
        std::fs::create_dir(at.join("policies")).map_err(said("a directory"))?;
        write(&at.join("policies/ci.cedar"), policies)?;
        write(&at.join("admin-token"), &random_hex()?)?;
        let profile = format!(
            "broker = \"https://127.0.0.1:{port}\"\nca_file = \"{0}/broker/keys/ca.pem\"\ntoken_file = \"{0}/admin-token\"\n",
            at.display()
        );
        write(&at.join("client.toml"), &profile)?;
        write(&at.join(Part::Broker.configuration()), &configuration(at, port, ci.url(), ""))?;
        let process = Process::start(&writ, at, Part::Broker)?;
        let mut stage = Self { directory, writ, port, ci, process };
        stage.until("the broker answers", |stage| stage.writ(&["targets", "ls"]).is_ok_and(|shown| shown.success))?;
        Ok(stage)
    }

    /// The broker as an issuer: where its documents are.
    pub(crate) fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The authority that vouches for it, in PEM.
    pub(crate) fn authority(&self) -> Result<String, String> {
        let path = self.directory.path().join("broker/keys/ca.pem");
        std::fs::read_to_string(path).map_err(said("the broker's authority"))
    }

    /// The directory of everything.
    pub(crate) fn at(&self) -> &Path {
        self.directory.path()
    }

    /// Gives the broker its targets: it reads its configuration again.
    pub(crate) fn targets(&mut self, tables: &str, name: &str) -> Result<(), String> {
        let text = configuration(self.at(), self.port, self.ci.url(), tables);
        write(&self.at().join(Part::Broker.configuration()), &text)?;
        self.process.hang_up()?;
        self.until("the broker knows its target", |stage| {
            stage.writ(&["targets", "ls"]).is_ok_and(|shown| shown.text.contains(name))
        })
    }

    /// A job's token, as its CI gives it: of this branch, for this audience.
    pub(crate) fn token(&self, branch: &str, audience: Option<&str>) -> Result<String, String> {
        let mut claims = self.ci.claims(audience.unwrap_or(AUDIENCE), &format!("repo:acme/shop:ref:{branch}"));
        let id = random_hex()?;
        if let Some(claims) = claims.as_object_mut() {
            for (name, value) in [("repository", "acme/shop"), ("ref", branch), ("jti", &id)] {
                claims.insert(name.to_owned(), json!(value));
            }
        }
        self.ci.token(Algorithm::Es256, &claims)
    }

    /// A token that is good.
    pub(crate) fn good_token(&self) -> Result<String, String> {
        self.token("refs/heads/main", None)
    }

    /// Runs `writ` as an operator, and shows what it prints.
    pub(crate) fn shown(&self, arguments: &[&str]) -> Result<Shown, String> {
        show::line(&format!("    $ writ {}", typed(arguments)));
        let shown = self.writ(arguments)?;
        show::quoted(&shown.text);
        Ok(shown)
    }

    /// Runs `writ` as an operator.
    pub(crate) fn writ(&self, arguments: &[&str]) -> Result<Shown, String> {
        let mut command = Command::new(&self.writ);
        command.args(arguments).env_clear().env("WRIT_STATE", self.at());
        output(command, None)
    }

    /// The job tries the target: all that it has is its token, on standard input, and what everybody may know.
    pub(crate) fn job(&self, target: &str, token: &str, more: &[&str]) -> Result<Shown, String> {
        let authority = self.at().join("broker/keys/ca.pem").display().to_string();
        let broker = self.issuer();
        let mut arguments = vec!["try", target, "--token-stdin", "--broker", &broker, "--ca-file", &authority];
        arguments.extend(more);
        show::line(
            format!("    job$ echo \"$CI_TOKEN\" | writ try {target} --token-stdin {}", more.join(" ")).trim_end(),
        );
        let mut command = Command::new(&self.writ);
        command.args(arguments).env_clear();
        output(command, Some(token))
    }

    /// The same, shown, and as JSON for the demo itself.
    pub(crate) fn lets_in(&self, target: &str) -> Result<Value, String> {
        let shown = self.job(target, &self.good_token()?, &[])?;
        show::quoted(&shown.text);
        shown.claims(true, &["lets you in", "the broker presented it"])?;
        let named = |name: &str| {
            let line = shown.text.lines().find_map(|line| line.trim_start().strip_prefix(name));
            line.map(|rest| rest.trim().to_owned()).unwrap_or_default()
        };
        Ok(json!({
            "writ": named("writ "), "as": named("as "), "audit": named("in its audit "),
            "fingerprint": named("fingerprint "), "text": shown.text,
        }))
    }

    /// The job is refused.
    pub(crate) fn keeps_out(&self, target: &str, token: &str, words: &str) -> Result<(), String> {
        let shown = self.job(target, token, &[])?;
        show::quoted(&shown.text);
        shown.claims(false, &[words])
    }

    /// Waits for a condition, boundedly.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > START_LIMIT || !self.process.runs()? {
                let log = std::fs::read_to_string(self.at().join(Part::Broker.log())).unwrap_or_default();
                return Err(format!("it did not come to pass that {what}\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The writ, the ledger: what an operator and an auditor see.
    pub(crate) fn evidence(&self, writ: &str, heading: usize) -> Result<(), String> {
        show::heading(
            heading,
            "the writ ties workload, policy, credential and session together, and the ledger proves it",
        );
        self.shown(&["writs", "show", writ])?.claims(true, &[writ])?;
        let state = self.at().join("broker").display().to_string();
        self.shown(&["ledger", "verify", "--state", &state])?.claims(true, &[])
    }
}

impl Shown {
    /// Claims that it ended so and printed each of `words`.
    pub(crate) fn claims(&self, success: bool, words: &[&str]) -> Result<(), String> {
        let missing = words.iter().find(|words| !self.text.contains(**words));
        match missing {
            None if self.success == success => Ok(()),
            None => Err(format!("this should have {}: {}", if success { "succeeded" } else { "failed" }, self.text)),
            Some(words) => Err(format!("`{words}` is missing in: {}", self.text)),
        }
    }
}

fn configuration(at: &Path, port: u16, ci: &str, targets: &str) -> String {
    let at = at.display();
    format!(
        r#"[log]
filter = "info"

[broker]
listen = "127.0.0.1:{port}"
url = "https://127.0.0.1:{port}"
state = "{at}/broker"
policies = "{at}/policies"
audience = "{AUDIENCE}"
admin_token_file = "{at}/admin-token"

[broker.issues]

[[broker.issuer]]
name = "ci"
issuer = "{ci}"
allow_http_loopback = true
algorithms = ["ES256"]

{targets}"#
    )
}

fn output(mut command: Command, input: Option<&str>) -> Result<Shown, String> {
    let input_of = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child =
        command.stdin(input_of).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(said("writ"))?;
    if let (Some(input), Some(mut to)) = (input, child.stdin.take()) {
        to.write_all(input.as_bytes()).map_err(said("the job's token"))?;
    }
    let output = child.wait_with_output().map_err(said("writ"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(Shown { text, success: output.status.success() })
}

fn typed(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|argument| {
        let plain = argument.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=".contains(&byte));
        if plain { (*argument).to_owned() } else { format!("\"{argument}\"") }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A program that was built beside this one.
fn beside(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(said("the demo's own place"))?;
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(format!("`{}` is not built: `cargo build -p writ`", path.display())) }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(said("a file"))
}

pub(crate) fn said(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}
