//! Logs and metrics. What is logged names things by their ids: no token, no secret, no statement.

use std::io::IsTerminal as _;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::failure::{Doing as _, Failure};

/// How to log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `pretty` for people (default), `json` for machines.
    #[serde(default)]
    pub format: LogFormat,
    /// What to log, in the form of tracing's filter: `info`, `writ_broker=debug,info`.
    #[serde(default)]
    pub filter: Option<String>,
}

impl LogConfig {
    /// What is wrong with it that its form does not show.
    pub(crate) fn mistake(&self) -> Option<String> {
        let filter = self.filter.as_deref()?;
        let error = EnvFilter::try_new(filter).err()?;
        Some(format!("`{filter}` is no filter ({error}): write a level, or `part=level` with commas between: `info`"))
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Libraries that show whole requests, and tokens in them, to whoever asks for more than `info`.
const TALKATIVE: [&str; 6] = ["aws_", "h2", "hyper", "kube", "reqwest", "tower"];

/// Whether something is ever logged, whatever the filter says.
fn is_loggable(target: &str, level: Level) -> bool {
    level <= Level::INFO || !TALKATIVE.iter().any(|library| target.starts_with(library))
}

/// Starts logging to standard error and counting.
///
/// # Errors
/// If the filter is malformed, or it was started before.
pub(crate) fn start(config: &LogConfig) -> Result<PrometheusHandle, Failure> {
    let filter = EnvFilter::try_new(config.filter.as_deref().unwrap_or("info")).doing("`log.filter` is malformed")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for a terminal; a file keeps the escape codes for ever.
    let builder = if std::io::stderr().is_terminal() { builder } else { builder.with_ansi(false) };
    let never = filter_fn(|metadata| is_loggable(metadata.target(), *metadata.level()));
    let started = match config.format {
        LogFormat::Pretty => builder.with_target(false).finish().with(never).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().with(never).try_init(),
    };
    started.map_err(|error| Failure::new(format!("logging cannot be started: {error}")))?;
    PrometheusBuilder::new().install_recorder().doing("metrics cannot be started")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_see_tokens_show_none() {
        for library in ["aws_smithy_runtime::client::orchestrator", "aws_config::profile", "hyper::proto", "h2::codec"]
        {
            assert!(is_loggable(library, Level::WARN) && is_loggable(library, Level::INFO));
            assert!(!is_loggable(library, Level::DEBUG) && !is_loggable(library, Level::TRACE), "{library}");
        }
        assert!(is_loggable("writ_provider_aws::sts", Level::TRACE));
    }
}
