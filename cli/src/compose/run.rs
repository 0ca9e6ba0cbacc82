//! `writ serve`, `writ broker`, `writ gateway`: until a signal, with the configuration read again on SIGHUP and on change.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::{self, Config, Read};
use super::serve::Server;
use super::telemetry;
use crate::failure::{Doing as _, Failure};
use crate::interrupt::Interrupt;
use crate::out;

/// How often files are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often everything is read again though nothing changed: self-made certificates are renewed by it.
const RENEW_EVERY: Duration = Duration::from_hours(24);

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
        super::broker::check(broker)?;
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
    let files = watched(&read.config, &read.path);
    let mut interrupt = Interrupt::new()?;
    let hangup = signal(SignalKind::hangup()).doing("signals cannot be taken")?;
    let mut server = Server::start(read, Some(metrics)).await?;
    follow(&mut server, path, files, &mut interrupt, Some(hangup)).await;
    server.stop().await;
    Ok(())
}

/// Reads the configuration again whenever one of `files` changes, and on `hangup`, until it is interrupted.
pub(crate) async fn follow(
    server: &mut Server,
    path: &Path,
    mut files: Vec<PathBuf>,
    interrupt: &mut Interrupt,
    mut hangup: Option<Signal>,
) {
    let mut before = stamps(&files);
    let mut watch = tokio::time::interval(WATCH_EVERY);
    let mut renewal = tokio::time::interval(RENEW_EVERY);
    renewal.reset();
    loop {
        tokio::select! {
            () = interrupt.next() => break,
            () = next(&mut hangup) => {}
            _ = renewal.tick() => {}
            _ = watch.tick() => {
                let now = stamps(&files);
                if now == before {
                    continue;
                }
                before = now;
            }
        }
        reload(server, path, &mut files).await;
    }
}

/// Waits for a signal; for ever where none is taken, or none can come any more.
async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    core::future::pending().await
}

async fn reload(server: &mut Server, path: &Path, files: &mut Vec<PathBuf>) {
    match server.reload().await {
        Ok(restart) => {
            tracing::info!("the configuration was read again");
            for what in restart {
                tracing::warn!("the new configuration is in force but for this, which needs a restart: {what}");
            }
            if let Ok(read) = config::read(path) {
                *files = watched(&read.config, path);
            }
        }
        Err(failure) => tracing::error!("the new configuration is refused, the old one stays: {failure}"),
    }
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

/// The configuration, every policy, and every certificate that clients are shown.
pub(crate) fn watched(config: &Config, path: &Path) -> Vec<PathBuf> {
    let policies = config.broker.as_ref().map(|broker| broker.policies.clone());
    let certificates = config.gateway.iter().flat_map(|gateway| &gateway.listeners);
    let certificates = certificates.filter_map(|listener| listener.certificate.clone());
    let certificates = certificates.flat_map(|certificate| [certificate.chain, certificate.key]);
    core::iter::once(path.to_owned()).chain(policies).chain(certificates).collect()
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
