//! `writ demo` as a newcomer runs it: what it shows, what it leaves (nothing), and that it fails where a step shows nothing.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use writ_world::stack::{binary, printed};

/// Ten times what a loaded machine was seen to take.
const LIMIT: Duration = Duration::from_secs(300);

/// A demo in a temporary directory of its own.
struct Demo {
    child: Child,
    directory: tempfile::TempDir,
}

impl Demo {
    fn start(arrange: impl FnOnce(&Path) -> Command) -> Self {
        let directory = tempfile::Builder::new().prefix("writ-demos-").tempdir().unwrap();
        // PostgreSQL's account passes through it.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        let scratch = directory.path().join("tmp");
        std::fs::create_dir(&scratch).unwrap();
        std::fs::set_permissions(&scratch, std::fs::Permissions::from_mode(0o1777)).unwrap();
        let said = std::fs::File::create(directory.path().join("said")).unwrap();
        let mut command = arrange(directory.path());
        command.env("TMPDIR", &scratch).stdin(Stdio::null()).stderr(said.try_clone().unwrap()).stdout(said);
        Self { child: command.spawn().unwrap(), directory }
    }

    fn said(&self) -> String {
        let mut text = String::new();
        let mut file = std::fs::File::open(self.directory.path().join("said")).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    fn wait_until_said(&mut self, words: &str) {
        let until = Instant::now() + LIMIT;
        while !self.said().contains(words) {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended before it said `{words}`: {}", self.said());
            assert!(Instant::now() < until, "it did not say `{words}`: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end, and looks that neither a file nor a process is left.
    fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < until, "it did not end: {}", self.said()),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let left: Vec<_> = std::fs::read_dir(self.scratch()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?} after {}", self.said());
        let processes = processes_naming(&self.scratch());
        assert!(processes.is_empty(), "left running: {processes:?}");
        status
    }

    fn scratch(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary().unwrap());
    command.arg("demo").args(arguments);
    command
}

/// The command lines that hold a path.
fn processes_naming(path: &Path) -> Vec<String> {
    let path = path.to_str().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(path)).collect()
}

#[test]
fn two_demos_at_once_show_everything_and_leave_nothing() {
    let mut both = [Demo::start(|_| demo(&["--exit"])), Demo::start(|_| demo(&["--exit"]))];
    for demo in &mut both {
        assert!(demo.ended().success(), "{}", demo.said());
        let said = demo.said();
        assert!(said.ends_with("Every step showed what it claims.\n"), "{said}");
        assert!(!said.contains("sslmode=require") && said.contains("sslmode=verify-full"), "{said}");
    }
}

#[test]
fn the_three_commands_work_when_pasted_and_the_last_is_refused() {
    let mut shown = Demo::start(|_| demo(&[]));
    shown.wait_until_said("Ctrl-C ends it");
    let said = shown.said();
    let commands: Vec<&str> = said.lines().filter(|line| line.starts_with("  PGPASSWORD=$(")).collect();
    let [first, second, last] = commands.as_slice() else { panic!("{said}") };
    let paste = |line: &str| printed(Command::new("bash").args(["-c", line]).stdin(Stdio::null()));
    assert!(paste(first).unwrap().contains("Ada Okafor"));
    assert!(paste(second).unwrap().contains("writ-"));
    let refused = paste(last).unwrap_err();
    assert!(refused.contains("FATAL:  this is not permitted by policy"), "{refused}");
    shown.signal(Signal::SIGINT);
    assert!(shown.ended().success(), "{}", shown.said());
}

#[test]
fn a_demo_that_is_ended_early_cleans_up_and_does_not_claim_success() {
    for (signal, at) in
        [(Signal::SIGTERM, "[1]"), (Signal::SIGHUP, "[2]"), (Signal::SIGINT, "[4]"), (Signal::SIGTERM, "[7]")]
    {
        let mut shown = Demo::start(|_| demo(&["--exit"]));
        shown.wait_until_said(at);
        shown.signal(signal);
        assert_eq!(shown.ended().code(), Some(1), "{signal} at `{at}`: {}", shown.said());
    }
}

#[test]
fn a_demo_that_nobody_reads_cleans_up() {
    let mut shown = Demo::start(|_| {
        let mut command = Command::new("bash");
        command.args(["-c", "\"$0\" demo | head -n 3"]).arg(binary().unwrap());
        command
    });
    shown.ended();
}

#[test]
fn a_step_that_shows_nothing_fails_the_demo() {
    let mut shown = Demo::start(|directory| {
        // Stands before the real psql and pretends that all went well.
        let fake = directory.join("psql");
        std::fs::write(&fake, "#!/bin/sh\nexit 0\n").unwrap();
        std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = demo(&["--exit"]);
        command.env("PATH", format!("{}:{}", directory.display(), std::env::var("PATH").unwrap()));
        command
    });
    assert_eq!(shown.ended().code(), Some(1));
    assert!(
        shown.said().contains("this step did not show what it claims: `Ada Okafor` is missing"),
        "{}",
        shown.said()
    );
}

/// Where the tests run as root, `nobody` is the ordinary user; else every other test here is run by one.
#[test]
fn an_ordinary_user_sees_it_too() {
    let mut shown = Demo::start(|directory| {
        if !Uid::effective().is_root() {
            return demo(&["--exit"]);
        }
        let copy = directory.join("writ");
        std::fs::copy(binary().unwrap(), &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(copy).args(["demo", "--exit"]);
        command.env_remove("HOME").current_dir("/");
        command
    });
    assert!(shown.ended().success(), "{}", shown.said());
}
