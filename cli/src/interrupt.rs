//! Ctrl-C, SIGTERM and a terminal that goes away: what asks a running server to end.
//!
//! The signals are taken from the moment that this is made, so that none is lost while nobody waits for one.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Doing as _, Failure};

/// The signals that end a server.
#[derive(Debug)]
pub(crate) struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
    /// A server that reads its configuration again on SIGHUP does not end by it.
    hangup: Option<Signal>,
}

impl Interrupt {
    /// Takes SIGINT and SIGTERM.
    ///
    /// # Errors
    /// If the system gives no signals.
    pub(crate) fn new() -> Result<Self, Failure> {
        let take = |kind| signal(kind).doing("signals cannot be taken");
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())?, hangup: None })
    }

    /// Takes SIGHUP too: the terminal was closed.
    ///
    /// # Errors
    /// If the system gives no signals.
    pub(crate) fn with_hangup() -> Result<Self, Failure> {
        let hangup = signal(SignalKind::hangup()).doing("signals cannot be taken")?;
        Ok(Self { hangup: Some(hangup), ..Self::new()? })
    }

    /// Waits for the next of them; one that came since the last is there at once.
    pub(crate) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether this process was started to ignore a signal, as `nohup` does.
pub(crate) fn ignores(signal: nix::sys::signal::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Bit 0 is signal 1.
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal as i32 - 1)) != 0
}
