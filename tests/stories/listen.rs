//! `writ listen`: ways that stay open for whatever a job runs, and what keeps them from opening.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use writ_world::stack::{Stack, TARGET, printed};

use super::connect::hearing_signals;
use super::evidence::eventually;
use super::shared;

/// A workload whose token stands in a file, since each of these takes one connection at most.
struct Workload {
    stack: Arc<Stack>,
    directory: tempfile::TempDir,
}

impl Workload {
    fn new() -> Self {
        let stack = shared().unwrap();
        let directory = tempfile::Builder::new().prefix("l").tempdir_in("/tmp").unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        fs::write(directory.path().join("token"), stack.token().unwrap()).unwrap();
        Self { stack, directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn listen(&self, more: &[&str]) -> Command {
        let mut command = Command::new(self.stack.binary());
        command
            .env_clear()
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.args(["listen", "--gateway", &format!("localhost:{}", self.stack.gateway_port()), "--ca-file"]);
        command.arg(self.stack.roots()).args(["--token-file", &self.path("token")]).args(more);
        command
    }

    /// Sockets and what else was made for them.
    fn left(&self) -> usize {
        fs::read_dir(self.path("tmp")).unwrap().count()
    }
}

/// One that runs, and its lines.
struct Listening {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Listening {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn event(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended(mut self) -> Option<i32> {
        let status = eventually(|| self.child.try_wait().unwrap().ok_or_else(|| "it does not end".to_owned()));
        status.unwrap().code()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn psql(host: &str, port: &str) -> Result<String, String> {
    let mut command = Command::new("/usr/bin/psql");
    command.args(["-X", "-A", "-t", "-h", host, "-p", port, "-U", TARGET, "-d", TARGET, "-c", "select 6 * 7"]);
    printed(command.env_clear().stdin(Stdio::null()))
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_happens_is_told_line_by_line() {
    let workload = Workload::new();
    let services = workload.path("services");
    let arguments = ["--json", "--key", "--service-file", &services, "--for", "1h", TARGET];
    let mut listening = Listening::start(workload.listen(&arguments));
    let ready = listening.event();
    assert_eq!((&ready["event"], &ready["targets"][0]["name"]), (&"ready".into(), &TARGET.into()));
    let socket = ready["targets"][0]["host"].as_str().unwrap().to_owned();
    assert_eq!(ready["key"].as_str().map(str::len), Some(43), "the run's key, by its thumbprint");
    assert!(Path::new(&socket).starts_with(workload.path("tmp")) && ready["until"].as_str().unwrap().ends_with('Z'));
    assert_eq!(fs::metadata(&services).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(psql(&socket, "5432").unwrap(), "42");
    let opened = listening.event();
    assert_eq!(
        (&opened["event"], &opened["target"], &opened["connection"]),
        (&"opened".into(), &TARGET.into(), &1.into())
    );
    assert!(opened["writ"].as_str().unwrap().starts_with("writ-"));
    assert_eq!(listening.event()["event"], "closed");
    // The token in the file was used.
    let refused = psql(&socket, "5432").unwrap_err();
    let event = listening.event();
    assert_eq!(event["event"], "refused");
    let words = event["words"].as_str().unwrap();
    assert!(words.contains("@uses") && refused.contains(words.split(" (").next().unwrap()), "{words}: {refused}");
    listening.signal(Signal::SIGTERM);
    assert_eq!(listening.event()["why"], "a signal");
    assert_eq!(listening.ended(), Some(0));
    assert!(!Path::new(&services).exists() && workload.left() == 0);
}

#[test]
fn a_port_is_told_to_who_reads() {
    let workload = Workload::new();
    let mut command = hearing_signals(&workload.listen(&[&format!("{TARGET}=0")]));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut listening = Listening::start(command);
    let line = listening.line();
    let port = line.strip_prefix("payments: 127.0.0.1, port ").unwrap().to_owned();
    // The file's token may be others' too: no key is proved, and none told.
    assert_eq!(listening.line(), "listening until a signal ends it");
    assert_eq!(psql("127.0.0.1", &port).unwrap(), "42");
    assert!(listening.line().starts_with("payments: connection 1 opened under writ-"));
    assert_eq!(listening.line(), "payments: connection 1 closed");
    listening.signal(Signal::SIGHUP);
    assert_eq!(listening.line(), "ended: a signal");
    assert_eq!(listening.ended(), Some(0));
    assert!(psql("127.0.0.1", &port).unwrap_err().contains("Connection refused"));
}

/// A session that is open when the time is over ends with it.
#[test]
fn sessions_end_with_the_ways() {
    let workload = Workload::new();
    let mut listening = Listening::start(workload.listen(&["--json", "--for", "3s", TARGET]));
    let socket = listening.event()["targets"][0]["host"].as_str().unwrap().to_owned();
    let mut long = Command::new("/usr/bin/psql");
    long.args(["-X", "-h", &socket, "-U", TARGET, "-d", TARGET, "-c", "select pg_sleep(60)"]).env_clear();
    let output = long.stdin(Stdio::null()).output().unwrap();
    assert!(
        !output.status.success() && said(&output).1.contains("server closed the connection"),
        "{:?}",
        said(&output)
    );
    let events: Vec<Value> = (0..3).map(|_| listening.event()["event"].clone()).collect();
    assert_eq!(events, ["opened", "closed", "ended"]);
    assert_eq!(listening.ended(), Some(0));
    eventually(|| {
        match workload
            .stack
            .superuser("select count(*) from pg_stat_activity where query like 'select pg_sleep(60)%'")?
            .as_str()
        {
            "0" => Ok(()),
            some => Err(format!("{some} run")),
        }
    })
    .unwrap();
}

/// What `nohup` makes deaf stays so: a job's shell may be gone before the job is.
#[test]
fn it_outlives_the_shell_that_started_it() {
    let workload = Workload::new();
    let plain = workload.listen(&["--json", TARGET]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
    shell
        .env_clear()
        .env("TMPDIR", workload.path("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut listening = Listening::start(shell);
    let socket = listening.event()["targets"][0]["host"].as_str().unwrap().to_owned();
    listening.signal(Signal::SIGHUP);
    assert_eq!(psql(&socket, "5432").unwrap(), "42");
    listening.signal(Signal::SIGINT);
    assert_eq!(listening.ended(), Some(0));
}

#[test]
fn what_keeps_the_ways_from_opening_is_said_and_leaves_nothing() {
    let workload = Workload::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("{TARGET}={}", taken.local_addr().unwrap().port());
    let there = workload.path("there");
    fs::write(&there, "mine").unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["pay ments"], "`pay ments` names no target"),
        (&[TARGET, TARGET], "is named twice"),
        (&["--for", "0s", TARGET], "it would end before it began"),
        (&["--for", "soon", TARGET], "not a duration"),
        (&["--audience", "other", TARGET], "is for `writ`, not for `other`"),
        (&["--service-file", &there, TARGET], "`{there}` is there already"),
        (&[&port], "cannot be listened at: Address already in use"),
        (&[], "<TARGET[=PORT]>"),
    ];
    for (more, words) in cases {
        let output = workload.listen(more).output().unwrap();
        let (out, error) = said(&output);
        assert!(!output.status.success() && out.is_empty(), "{more:?}: {out}");
        assert!(error.contains(&words.replace("{there}", &there)), "{more:?}: {error}");
        assert_eq!(workload.left(), 0, "{more:?}");
    }
    assert_eq!(fs::read_to_string(PathBuf::from(there)).unwrap(), "mine");
}
