//! The demos as a newcomer runs them: what they show, and that they leave nothing, however they end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io::Read as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ten times what a loaded machine was seen to take.
const LIMIT: Duration = Duration::from_secs(600);

/// A demo, with a temporary directory of its own.
struct Demo {
    child: Child,
    directory: tempfile::TempDir,
}

impl Demo {
    fn start(name: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("writ-played-").tempdir().unwrap();
        let said = std::fs::File::create(directory.path().join("said")).unwrap();
        let scratch = directory.path().join("tmp");
        std::fs::create_dir(&scratch).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_writ-demos"));
        command.arg(name).env("TMPDIR", scratch).stdin(Stdio::null());
        command.stdout(said.try_clone().unwrap()).stderr(said);
        Self { child: command.spawn().unwrap(), directory }
    }

    fn said(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(self.directory.path().join("said")).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < LIMIT, "it did not come to pass that {what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, and looks that neither a file nor a process is left.
    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        self.until("it ends", |demo| {
            status = demo.child.try_wait().unwrap();
            status.is_some()
        });
        let scratch = self.directory.path().join("tmp");
        let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().collect();
        assert!(left.is_empty(), "{left:?} {}", self.said());
        // Whatever it started had its directory in its environment.
        let mark = format!("TMPDIR={}", scratch.display());
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let alive: Vec<_> = processes
            .filter(|process| {
                let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
                String::from_utf8_lossy(&environment).contains(&mark)
            })
            .map(|process| process.file_name())
            .collect();
        assert!(alive.is_empty(), "{alive:?} live on");
        status.unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plays(name: &str, words: &[&str]) {
    let mut demo = Demo::start(name);
    let status = demo.ended();
    let said = demo.said();
    assert!(status.success(), "{said}");
    for words in words {
        assert!(said.contains(words), "`{words}` is missing in {said}");
    }
}

fn is_cut_short(name: &str, words: &str, signal: Signal) {
    let mut demo = Demo::start(name);
    demo.until("it is in the middle", |demo| demo.said().contains(words) || demo.child.try_wait().unwrap().is_some());
    kill(Pid::from_raw(i32::try_from(demo.child.id()).unwrap()), signal).unwrap();
    assert_eq!(demo.ended().code(), Some(130), "{}", demo.said());
}

#[test]
fn a_jobs_token_becomes_a_session_of_a_role() {
    plays("aws", &["reports lets you in", "AssumeRoleWithWebIdentity", "GetCallerIdentity", "AWSRevokeOlderSessions"]);
}

#[test]
fn a_jobs_token_becomes_a_bound_token_of_a_service_account() {
    plays("kubernetes", &["cluster lets you in", "selfsubjectreviews", "system:serviceaccount:writ-access:viewer"]);
}

#[test]
fn a_demo_that_is_cut_short_leaves_nothing() {
    is_cut_short("aws", "[1]", Signal::SIGINT);
    is_cut_short("kubernetes", "[1]", Signal::SIGTERM);
}

#[test]
fn an_unknown_demo_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_writ-demos")).arg("everything").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: writ-demos aws|kubernetes"));
}
