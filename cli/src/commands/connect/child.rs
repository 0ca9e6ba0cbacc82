//! The command: its environment, the signals that are passed on to it, its end.

use core::future::poll_fn;
use core::task::Poll;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Doing as _, Failure};
use crate::interrupt::ignores;

/// What is passed on.
const PASSED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];
/// Variables that would lead libpq past the socket, make it ask for what a socket has not, or hold a password.
const TAKEN_OUT: [&str; 11] = [
    "PGPASSWORD",
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGGSSENCMODE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGREQUIREPEER",
];

/// A command that is to run, or runs.
pub(super) struct Child {
    signals: Vec<(Signal, tokio::signal::unix::Signal)>,
    running: Option<tokio::process::Child>,
}

impl Child {
    /// Takes the signals that are to be passed on.
    ///
    /// # Errors
    /// If the system gives no signals.
    pub(super) fn new() -> Result<Self, Failure> {
        let take = |passed: Signal| {
            let taken = signal(SignalKind::from_raw(passed as i32)).doing("signals cannot be taken")?;
            Ok((passed, taken))
        };
        // What this process was started to ignore, the command ignores too.
        let heard = PASSED.into_iter().filter(|passed| !ignores(*passed));
        Ok(Self { signals: heard.map(take).collect::<Result<_, Failure>>()?, running: None })
    }

    /// Starts the command. It does not get the variables in `hidden`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn start(
        &mut self,
        words: &[OsString],
        settings: &[(&str, OsString)],
        hidden: &[String],
    ) -> Result<(), Failure> {
        let (program, arguments) = words.split_first().ok_or_else(|| Failure::new("there is no command to run"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        for name in TAKEN_OUT.into_iter().chain(hidden.iter().map(String::as_str)) {
            command.env_remove(name);
        }
        for (name, value) in settings {
            command.env(name, value);
        }
        let shown = program.to_string_lossy();
        self.running = Some(command.spawn().doing(format!("`{shown}` cannot be run"))?);
        Ok(())
    }

    /// Waits until it has ended and passes signals on meanwhile.
    ///
    /// # Errors
    /// If the system does not say how it ended.
    pub(super) async fn ended(&mut self) -> Result<ExitCode, Failure> {
        let Some(running) = &mut self.running else { return Err(Failure::new("there is no command to wait for")) };
        let signals = &mut self.signals;
        loop {
            let came = poll_fn(|cx| {
                let mut all = signals.iter_mut();
                let due = all.find_map(|(passed, taken)| taken.poll_recv(cx).is_ready().then_some(*passed));
                due.map_or(Poll::Pending, Poll::Ready)
            });
            let id = running.id();
            tokio::select! {
                status = running.wait() => {
                    let status = status.doing("the end of the command cannot be seen")?;
                    // As a shell says it: 128 and the signal.
                    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
                    return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
                }
                passed = came => pass_on(passed, id),
            }
        }
    }
}

/// Passes a signal on, unless the terminal has sent it to the command already.
fn pass_on(passed: Signal, id: Option<u32>) {
    let of_terminal = matches!(passed, Signal::SIGINT | Signal::SIGQUIT);
    if of_terminal && is_in_the_foreground() {
        return;
    }
    if let Some(id) = id.and_then(|id| i32::try_from(id).ok()) {
        // One that has just ended needs no signal.
        let _ = kill(Pid::from_raw(id), passed);
    }
}

fn is_in_the_foreground() -> bool {
    std::fs::File::open("/dev/tty").is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
}
