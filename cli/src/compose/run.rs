//! `writ serve`, `writ broker`, `writ gateway`: until a signal, with the configuration read again on SIGHUP and on change.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};

use super::config::{self, Read};
use super::serve::Server;
use super::telemetry;
use crate::failure::{Doing as _, Failure};
use crate::interrupt::Interrupt;
use crate::out;

/// How often files are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Which roles to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roles {
    /// Whatever is configured.
    All,
    /// The broker alone.
    Broker,
    /// The gateway alone.
    Gateway,
}

/// Reports every mistake.
///
/// # Errors
/// The mistakes.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let read = config::read(path)?;
    if let Some(broker) = &read.config.broker {
        super::broker::targets(broker)?;
    }
    out::line(&format!("{} is well formed", path.display()));
    Ok(())
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) async fn run(path: &Path, roles: Roles) -> Result<(), Failure> {
    let mut read = config::read(path)?;
    choose(&mut read, roles)?;
    let metrics = telemetry::start(&read.config.log)?;
    let files = watched(&read);
    let mut interrupt = Interrupt::new()?;
    let mut server = Server::start(read, Some(metrics)).await?;
    let mut hangup = signal(SignalKind::hangup()).doing("signals cannot be taken")?;
    let mut before = stamps(&files);
    let mut watch = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            () = interrupt.next() => break,
            _ = hangup.recv() => {}
            _ = watch.tick() => {
                let now = stamps(&files);
                if now == before {
                    continue;
                }
                before = now;
            }
        }
        match server.reload().await {
            Ok(()) => tracing::info!("the configuration was read again"),
            Err(failure) => tracing::error!("the new configuration is refused, the old one stays: {failure}"),
        }
    }
    server.stop().await;
    Ok(())
}

fn choose(read: &mut Read, roles: Roles) -> Result<(), Failure> {
    let missing = |role: &str| Failure::new(format!("`{}` does not configure a {role}", read.path.display()));
    match roles {
        Roles::All => Ok(()),
        Roles::Broker if read.config.broker.is_none() => Err(missing("broker: add `[broker]`")),
        Roles::Gateway if read.config.gateway.is_none() => Err(missing("gateway: add `[gateway]`")),
        Roles::Broker => {
            read.config.gateway = None;
            Ok(())
        }
        Roles::Gateway => {
            read.config.broker = None;
            Ok(())
        }
    }
}

/// The configuration and every policy.
fn watched(read: &Read) -> Vec<PathBuf> {
    let policies = read.config.broker.as_ref().map(|broker| broker.policies.clone());
    core::iter::once(read.path.clone()).chain(policies).collect()
}

/// When each file, and each file in a directory, was changed.
fn stamps(paths: &[PathBuf]) -> Vec<(PathBuf, Option<SystemTime>)> {
    let mut found = Vec::new();
    for path in paths {
        let changed = |path: &Path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok();
        found.push((path.clone(), changed(path)));
        if let Ok(entries) = std::fs::read_dir(path) {
            found.extend(entries.filter_map(Result::ok).map(|entry| (entry.path(), changed(&entry.path()))));
        }
    }
    found.sort();
    found
}
