//! `writ.toml`: a table for each role, and how to log.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use writ_broker::config::BrokerConfig;
use writ_broker::duration::Span;
use writ_gateway::config::{GatewayConfig, Listener, OAuth};
use writ_provider_database::DatabaseConfig;
use writ_provider_static::StaticConfig;

use crate::compose::telemetry::LogConfig;
use crate::failure::Failure;
use crate::toml_file::{self, Mistake};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The broker, for `writ broker` and `writ serve`.
    pub broker: Option<BrokerConfig<ProviderTable>>,
    /// The gateway, for `writ gateway` and `writ serve`.
    pub gateway: Option<GatewayConfig>,
    /// The gateway's link to its broker, its state and its spool.
    pub link: Option<LinkConfig>,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
}

/// How a gateway reaches its broker, and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkConfig {
    /// The directory of the gateway's identity, spool and outbox.
    pub state: PathBuf,
    /// The broker's URL. Left out where the broker runs in the same process.
    #[serde(default)]
    pub broker: Option<String>,
    /// The certificate of the broker's authority. Left out where the broker runs in the same process.
    #[serde(default)]
    pub broker_ca_file: Option<PathBuf>,
    /// The file with a join token, for the first start.
    #[serde(default)]
    pub join_token_file: Option<PathBuf>,
    /// Whether what is recorded waits for the disk before anything is forwarded.
    #[serde(default)]
    pub strict: bool,
    /// The most bytes that the spool may hold on disk.
    #[serde(default = "spool_bytes")]
    pub spool_bytes: u64,
    /// How long live sessions run on without the broker; `0s` ends them at once.
    #[serde(default = "broker_grace")]
    pub broker_grace: Span,
    /// How long the broker may take to answer.
    #[serde(default = "request_timeout")]
    pub request_timeout: Span,
}

const fn spool_bytes() -> u64 {
    4 << 30
}

const fn broker_grace() -> Span {
    Span::seconds(60)
}

const fn request_timeout() -> Span {
    Span::seconds(15)
}

/// What mints for a target: one table, named after the provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum ProviderTable {
    /// PostgreSQL roles, one for each writ.
    Database(DatabaseConfig),
    /// A password that somebody configured.
    Static(StaticConfig),
}

/// A configuration as it was read: with its file, and the digest of its text for the ledger.
#[derive(Debug)]
pub(crate) struct Read {
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
pub(crate) fn read(path: &Path) -> Result<Read, Failure> {
    let all = |mistakes: Vec<String>| Failure::new(mistakes.join("\n"));
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("`{}` cannot be read: {error}", path.display())).help("name the file with `--config FILE`")
    })?;
    let config: Config =
        toml_file::parse(&path.display().to_string(), &text).map_err(|mistake| all(vec![mistake.to_string()]))?;
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
        let problems = gateway_mistakes(gateway, config);
        found.extend(problems.into_iter().map(|(setting, problem)| located(&file, text, setting, problem)));
    }
    found
}

fn gateway_mistakes(gateway: &GatewayConfig, config: &Config) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let alone = config.broker.is_none();
    if gateway.listeners.is_empty() {
        found.push(("gateway.listeners", "nobody could connect: add `[[gateway.listeners]]` with `listen`"));
    }
    found.extend(gateway.listeners.iter().filter_map(Listener::mistake));
    if let Some(broker) = &config.broker {
        let named = gateway.listeners.iter().filter_map(|listener| listener.oauth.as_ref());
        let known = |oauth: &OAuth| broker.issuers.iter().any(|issuer| oauth.is_of(&issuer.issuer));
        if !named.into_iter().all(known) {
            let problem =
                "the broker would refuse every token of this issuer: add a `[[broker.issuer]]` with the same `issuer`";
            found.push(("gateway.listeners.oauth", problem));
        }
    }
    if alone && gateway.listeners.iter().any(|listener| listener.certificate.is_none()) {
        let problem = "without the broker in the same process each listener needs a certificate: add `certificate = { chain = \
                       \"...\", key = \"...\" }`";
        found.push(("gateway.listeners", problem));
    }
    match &config.link {
        None => found.push(("link", "the gateway keeps state and needs its broker: add `[link]`")),
        Some(link) if alone && (link.broker.is_none() || link.broker_ca_file.is_none()) => {
            found.push(("link.broker", "name the broker's URL, and its authority's certificate in `broker_ca_file`"));
        }
        Some(link) if link.broker.as_ref().is_some_and(|url| !url.starts_with("https://")) => {
            found.push(("link.broker", "write it as `https://host:port`"));
        }
        Some(_) => {}
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
