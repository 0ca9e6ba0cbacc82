//! Runs the demo in a process of its own, and leaves neither process nor file behind: not when it ends, not when it fails, not
//! when it is interrupted.
//!
//! Whatever the demo starts, at whatever depth, comes to this process when its own parent is gone (`PR_SET_CHILD_SUBREAPER`),
//! and is ended here. Its files are below one directory, which goes last.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::show;

/// How long what was started may take to end by itself once it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked for what is left.
const TICK: Duration = Duration::from_millis(20);

/// Runs the demo of this name.
pub(crate) fn run(name: &str) -> ExitCode {
    match guarded(name) {
        Ok(code) => code,
        Err(why) => {
            show::note(&format!("the demo cannot be started: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// The demo's own process, and what it starts, take the signals that the guard waits for: a shell whose SIGCHLD is blocked never
/// sees a child end.
pub(crate) fn take_signals() -> Result<(), String> {
    SigSet::all().thread_unblock().map_err(|error| error.to_string())
}

fn guarded(name: &str) -> Result<ExitCode, String> {
    let said = |error: Errno| error.to_string();
    set_child_subreaper(true).map_err(said)?;
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block().map_err(said)?;
    let directory = tempfile::Builder::new().prefix("writ-demo-").tempdir().map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut demo = Command::new(program);
    demo.args(["--on-stage", name]).env("TMPDIR", directory.path()).process_group(0);
    let demo = demo.spawn().map_err(|error| error.to_string())?;
    let code = watched(&signals, &demo)?;
    end_all();
    directory.close().map_err(|error| format!("what it wrote cannot be removed: {error}"))?;
    Ok(code)
}

/// Waits until the demo ends, or somebody asks it to.
fn watched(signals: &SigSet, demo: &Child) -> Result<ExitCode, String> {
    let pid = Pid::from_raw(i32::try_from(demo.id()).map_err(|error| error.to_string())?);
    loop {
        match signals.wait().map_err(|error| error.to_string())? {
            Signal::SIGCHLD => {}
            _ => return Ok(ExitCode::from(130)),
        }
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
            Ok(WaitStatus::Signaled(..)) | Err(_) => return Ok(ExitCode::FAILURE),
            Ok(_) => {}
        }
    }
}

/// Asks everything below this process to end, then ends it.
fn end_all() {
    let begun = Instant::now();
    loop {
        // What has ended is taken off the list; what is left shows as a child.
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
        let left = children();
        if left.is_empty() {
            return;
        }
        let signal = if begun.elapsed() < GRACE { Signal::SIGTERM } else { Signal::SIGKILL };
        for child in left {
            let _ = kill(child, signal);
        }
        std::thread::sleep(TICK);
    }
}

fn children() -> Vec<Pid> {
    let own = std::process::id();
    let listed = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}
