//! `writ.toml`: a table for each role, and how to log.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use writ_broker::config::BrokerConfig;
use writ_gateway::config::GatewayConfig;
use writ_provider_database::DatabaseConfig;
use writ_provider_static::StaticConfig;

use crate::compose::telemetry::LogConfig;
use crate::failure::Failure;
use crate::toml_file::{self, Mistake};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The broker, for `writ broker` and `writ serve`.
    pub broker: Option<BrokerConfig<ProviderTable>>,
    /// The gateway, for `writ gateway` and `writ serve`.
    pub gateway: Option<GatewayConfig>,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// What mints for a target: one table, named after the provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ProviderTable {
    /// PostgreSQL roles, one for each writ.
    Database(DatabaseConfig),
    /// A password that somebody configured.
    Static(StaticConfig),
}

/// A configuration as it was read: with its file, and the digest of its text for the ledger.
#[derive(Debug)]
pub struct Read {
    /// The configuration.
    pub config: Config,
    /// SHA-256 over the file, in hexadecimal.
    pub hash: String,
    /// The file.
    pub path: PathBuf,
}

/// Reads a configuration and everything that it names, and reports every mistake.
///
/// # Errors
/// The mistakes, one after another.
pub fn read(path: &Path) -> Result<Read, Failure> {
    let all = |mistakes: Vec<String>| Failure::new(mistakes.join("\n"));
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("`{}` cannot be read: {error}", path.display())).help("name the file with `--config FILE`")
    })?;
    let config: Config = toml_file::parse(&path.display().to_string(), &text).map_err(|mistake| all(vec![mistake.to_string()]))?;
    let mistakes = mistakes(&config, path, &text);
    if !mistakes.is_empty() {
        return Err(all(mistakes));
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hash = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Read { config, hash, path: path.to_owned() })
}

fn mistakes(config: &Config, path: &Path, text: &str) -> Vec<String> {
    let file = path.display().to_string();
    let mut found: Vec<String> = Vec::new();
    if config.broker.is_none() && config.gateway.is_none() {
        found.push(format!("{file}: no role is configured: add `[broker]`, `[gateway]` or both"));
    }
    if let Some(broker) = &config.broker {
        let stated = broker.mistakes().into_iter();
        found.extend(stated.map(|mistake| located(&file, text, &mistake.setting, &mistake.problem)));
        found.extend(policy_mistakes(&broker.policies));
    }
    if let Some(gateway) = &config.gateway {
        let stated = gateway.mistakes().into_iter();
        found.extend(stated.map(|(setting, problem)| located(&file, text, &setting, &problem)));
    }
    found
}

fn policy_mistakes(directory: &Path) -> Vec<String> {
    match writ_broker::bundle::read_files(directory) {
        Ok(files) => writ_policy::check(&files).iter().map(ToString::to_string).collect(),
        Err(fault) => vec![fault.to_string()],
    }
}

/// A mistake with the line of the setting that it names: `broker.max_ttl` is looked for as `max_ttl`.
fn located(file: &str, text: &str, setting: &str, problem: &str) -> String {
    let last = setting.split([' ', '.']).next_back().unwrap_or(setting).trim_matches('`');
    let line = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches('[');
        let keyed = line.strip_prefix(last).is_some_and(|rest| rest.trim_start().starts_with('='));
        keyed || line.contains(&format!("\"{last}\""))
    });
    Mistake {
        file: file.to_owned(),
        line: line.map_or(0, |line| line + 1),
        column: 1,
        excerpt: None,
        what: format!("{setting}: {problem}"),
        help: None,
    }
    .to_string()
}
