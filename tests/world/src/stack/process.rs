//! One process of Writ: started in a process group of its own, which ends with it.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Which part of Writ a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Broker and gateway.
    Serve,
    /// The broker alone.
    Broker,
    /// The gateway alone.
    Gateway,
}

impl Part {
    const fn command(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Broker => "broker",
            Self::Gateway => "gateway",
        }
    }

    /// Its configuration, below the stack's directory.
    #[must_use]
    pub const fn configuration(self) -> &'static str {
        match self {
            Self::Serve => "writ.toml",
            Self::Broker => "broker.toml",
            Self::Gateway => "gateway.toml",
        }
    }

    /// Its log, below the stack's directory.
    #[must_use]
    pub const fn log(self) -> &'static str {
        match self {
            Self::Serve => "serve.log",
            Self::Broker => "broker.log",
            Self::Gateway => "gateway.log",
        }
    }
}

/// A process that runs, or ran.
#[derive(Debug)]
pub struct Process {
    /// What it runs.
    pub part: Part,
    child: Child,
}

impl Process {
    /// Starts `writ` for this part; its log goes on where the one before ended.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(writ: &Path, at: &Path, part: Part) -> Result<Self, String> {
        let log = fs::OpenOptions::new().create(true).append(true).open(at.join(part.log()));
        let log = log.map_err(|error| format!("a log: {error}"))?;
        let both = log.try_clone().map_err(|error| format!("a log: {error}"))?;
        let mut command = Command::new(writ);
        command.arg(part.command()).arg("--config").arg(at.join(part.configuration()));
        let child = command.stdin(Stdio::null()).stdout(both).stderr(log).process_group(0).spawn();
        Ok(Self { part, child: child.map_err(|error| format!("writ: {error}"))? })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn runs(&mut self) -> Result<bool, String> {
        Ok(self.child.try_wait().map_err(|error| format!("the state of writ: {error}"))?.is_none())
    }

    /// Tells it to read its configuration again.
    ///
    /// # Errors
    /// If it does not run.
    pub fn hang_up(&self) -> Result<(), String> {
        let process = i32::try_from(self.child.id()).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(process), Signal::SIGHUP).map_err(|error| error.to_string())
    }

    /// Ends it as a power cut would, and waits for it.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits for it.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
        let _ = self.child.wait();
    }

    fn signal(&self, signal: Signal) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
