//! `writ.toml`: a table for each role, and how to log.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use writ_broker::config::BrokerConfig;
use writ_broker::duration::Span;
use writ_broker::humans::admin_token;
use writ_core::target::Protocol;
use writ_gateway::config::{GatewayConfig, Listener, OAuth};
use writ_provider_aws::{AwsConfig, EksAccessConfig, EksConfig, RdsConfig};
use writ_provider_azure::{AksAccessConfig, AzureConfig, AzureDatabaseConfig};
use writ_provider_database::{DatabaseConfig, MysqlConfig};
use writ_provider_gcp::{CloudSqlConfig, GcpConfig, GkeAccessConfig, GkeConfig};
use writ_provider_github::GithubConfig;
use writ_provider_kubernetes::KubernetesConfig;
use writ_provider_openbao::OpenbaoConfig;
use writ_provider_ssh::SshConfig;
use writ_provider_static::StaticConfig;

use crate::compose::health::TelemetryConfig;
use crate::compose::kms;
use crate::compose::place;
use crate::compose::sources::SourceTable;
use crate::compose::ssh;
use crate::compose::telemetry::LogConfig;
use crate::compose::turns::{self, RotationTable};
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
    /// Where health and metrics are served, beside the broker's API.
    pub telemetry: Option<TelemetryConfig>,
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
    /// Users of MySQL or MariaDB, one for each writ.
    Mysql(MysqlConfig),
    /// A password that somebody configured.
    Static(Box<StaticConfig<SourceTable, RotationTable>>),
    /// Sessions of AWS roles.
    Aws(AwsConfig),
    /// Login tokens of RDS and Aurora.
    Rds(RdsConfig),
    /// Tokens for EKS clusters.
    Eks(EksConfig),
    /// Tokens of Kubernetes' service accounts.
    Kubernetes(KubernetesConfig<EksAccessConfig, AksAccessConfig, GkeAccessConfig>),
    /// Access tokens of Microsoft Entra.
    Azure(AzureConfig),
    /// Logins to Azure Database for PostgreSQL.
    AzureDatabase(AzureDatabaseConfig),
    /// Secrets of an OpenBao or Vault.
    Openbao(OpenbaoConfig),
    /// Tokens of Google's service accounts.
    Gcp(GcpConfig),
    /// Logins to Cloud SQL.
    Cloudsql(CloudSqlConfig),
    /// Tokens for GKE clusters.
    Gke(GkeConfig),
    /// Certificates for the accounts of SSH hosts.
    Ssh(SshConfig),
    /// Installation tokens of a GitHub App.
    Github(GithubConfig),
}

impl ProviderTable {
    /// The table's name.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Mysql(_) => "mysql",
            Self::Static(_) => "static",
            Self::Aws(_) => "aws",
            Self::Rds(_) => "rds",
            Self::Eks(_) => "eks",
            Self::Kubernetes(_) => "kubernetes",
            Self::Azure(_) => "azure",
            Self::AzureDatabase(_) => "azure_database",
            Self::Openbao(_) => "openbao",
            Self::Gcp(_) => "gcp",
            Self::Cloudsql(_) => "cloudsql",
            Self::Gke(_) => "gke",
            Self::Ssh(_) => "ssh",
            Self::Github(_) => "github",
        }
    }

    /// What is wrong with its settings.
    fn mistake(&self) -> Option<String> {
        let validated = match self {
            Self::Database(settings) => settings.validate(),
            Self::Mysql(settings) => settings.validate(),
            Self::Static(settings) => {
                let source = settings.source.as_ref().map_or(Ok(()), SourceTable::validate);
                let turns = settings.rotation.as_ref().map_or(Ok(()), RotationTable::validate);
                source.and(turns).and_then(|()| settings.validate())
            }
            Self::Aws(settings) => settings.validate(),
            Self::Rds(settings) => settings.validate(),
            Self::Eks(settings) => settings.validate(),
            Self::Kubernetes(settings) => {
                let eks = settings.eks.as_ref().map_or(Ok(()), EksAccessConfig::validate);
                let aks = settings.aks.as_ref().map_or(Ok(()), AksAccessConfig::validate);
                let gke = settings.gke.as_ref().map_or(Ok(()), GkeAccessConfig::validate);
                eks.and(aks).and(gke).and_then(|()| settings.validate())
            }
            Self::Azure(settings) => settings.validate(),
            Self::AzureDatabase(settings) => settings.validate(),
            Self::Openbao(settings) => settings.validate(),
            Self::Gcp(settings) => settings.validate(),
            Self::Cloudsql(settings) => settings.validate(),
            Self::Gke(settings) => settings.validate(),
            Self::Ssh(settings) => settings.validate(),
            Self::Github(settings) => settings.validate(),
        };
        validated.err().map(|fault| fault.to_string())
    }

    /// What its credentials are of use for, where that is one protocol alone.
    const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Database(_) | Self::Rds(_) | Self::AzureDatabase(_) | Self::Cloudsql(_) => Some(Protocol::Postgres),
            Self::Mysql(_) => Some(Protocol::Mysql),
            Self::Aws(_) => Some(Protocol::Aws),
            Self::Eks(_) | Self::Kubernetes(_) | Self::Gke(_) => Some(Protocol::Kubernetes),
            Self::Azure(_) => Some(Protocol::Azure),
            Self::Gcp(_) => Some(Protocol::Gcp),
            Self::Ssh(_) => Some(Protocol::Ssh),
            Self::Github(_) => Some(Protocol::Github),
            Self::Static(settings) => match &settings.rotation {
                Some(turns) => Some(turns.protocol()),
                None => None,
            },
            Self::Openbao(_) => None,
        }
    }

    /// The files that it names.
    fn files(&self) -> Vec<&Path> {
        match self {
            Self::Database(settings) => settings.password_file.iter().map(PathBuf::as_path).collect(),
            Self::Github(settings) => settings.private_key_file.iter().map(PathBuf::as_path).collect(),
            Self::Mysql(settings) => settings.password_file.iter().map(PathBuf::as_path).collect(),
            Self::Kubernetes(settings) => {
                let aks = settings.aks.as_ref().and_then(|aks| aks.entra.authority_ca_file.as_ref());
                settings.kubeconfig.iter().chain(aks).map(PathBuf::as_path).collect()
            }
            Self::Static(settings) => {
                let elsewhere = settings.source.iter().flat_map(SourceTable::files);
                let turns = settings.rotation.iter().flat_map(RotationTable::files);
                settings.password_file.iter().map(PathBuf::as_path).chain(elsewhere).chain(turns).collect()
            }
            Self::Openbao(settings) => settings.ca_file.iter().map(PathBuf::as_path).collect(),
            // A scope's file is read when the settings are checked.
            Self::Azure(settings) => settings.entra.authority_ca_file.iter().map(PathBuf::as_path).collect(),
            Self::AzureDatabase(settings) => settings.entra.authority_ca_file.iter().map(PathBuf::as_path).collect(),
            Self::Aws(_)
            | Self::Rds(_)
            | Self::Eks(_)
            | Self::Gcp(_)
            | Self::Cloudsql(_)
            | Self::Gke(_)
            | Self::Ssh(_) => Vec::new(),
        }
    }
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
    let at = |line: usize, what: String| {
        Mistake { file: file.clone(), line, column: 1, excerpt: None, what, help: None }.to_string()
    };
    let located =
        |setting: &str, problem: &str| at(place::line(text, setting, problem), format!("{setting}: {problem}"));
    let mut found: Vec<String> = Vec::new();
    if config.broker.is_none() && config.gateway.is_none() {
        found.push(format!("{file}: no role is configured: add `[broker]`, `[gateway]` or both"));
    }
    found.extend(config.log.mistake().map(|problem| located("log.filter", &problem)));
    if let Some(broker) = &config.broker {
        found.extend(broker.mistakes().iter().map(|mistake| located(&mistake.setting, &mistake.problem)));
        let token = broker.admin_token_file.as_deref().and_then(|file| admin_token(file).err());
        found.extend(token.map(|problem| located("broker.admin_token_file", &problem)));
        found.extend(provider_mistakes(broker).iter().map(|(setting, problem)| located(setting, problem)));
        match policy_mistakes(&broker.policies) {
            Ok(mistakes) => found.extend(mistakes),
            Err(problem) => found.push(located("broker.policies", &problem)),
        }
    }
    if let Some(gateway) = &config.gateway {
        let problems = gateway_mistakes(gateway, config);
        found.extend(problems.iter().map(|(setting, problem)| located(setting, problem)));
        let certificates = gateway.listeners.iter().filter_map(|listener| listener.certificate.as_ref());
        found.extend(certificates.filter_map(|certificate| {
            let fault = writ_gateway::tls::server(certificate).err()?;
            Some(at(place::line_of_file(text, &certificate.chain), format!("gateway.listeners: {}", fault.detail)))
        }));
    }
    found.extend(unreadable(config).iter().map(|(path, error)| {
        let problem = format!("`{}` cannot be read: {error}", path.display());
        at(place::line_of_file(text, path), problem)
    }));
    found
}

/// The files that are named for good and cannot be read.
fn unreadable(config: &Config) -> Vec<(&Path, std::io::Error)> {
    let broker = config.broker.iter();
    let issuers = broker.clone().flat_map(|broker| &broker.issuers).flat_map(|issuer| {
        let review = issuer.review.as_ref();
        let asks =
            [review.and_then(|review| review.ca_file.as_deref()), review.map(|review| review.token_file.as_path())];
        asks.into_iter().flatten().chain(issuer.jwks_file.as_deref())
    });
    let targets = broker
        .flat_map(|broker| &broker.targets)
        .flat_map(|target| target.ca_file.as_deref().into_iter().chain(target.provider.files()));
    let files = issuers.chain(targets);
    files.filter_map(|path| std::fs::File::open(path).err().map(|error| (path, error))).collect()
}

fn provider_mistakes(broker: &BrokerConfig<ProviderTable>) -> Vec<(String, String)> {
    let found = broker.targets.iter().flat_map(|target| {
        let protocol = target.provider.protocol().filter(|protocol| *protocol != target.protocol);
        let misfit = protocol.map(|protocol| {
            let (of, spoken) = (protocol.as_str(), target.protocol.as_str());
            format!("its provider's credentials are for `{of}`, and it speaks `{spoken}`: write `protocol = \"{of}\"`")
        });
        let wordless = match &target.provider {
            ProviderTable::Openbao(settings) if target.protocol == Protocol::Postgres && !settings.gives_password() => {
                Some("a database takes a user's password: write `user_field` and `password_field`".to_owned())
            }
            _ => None,
        };
        let hasty = match &target.provider {
            ProviderTable::Static(settings) => settings.rotation.as_ref().filter(|turns| turns.every <= broker.max_ttl),
            _ => None,
        };
        let hasty = hasty.map(|turns| {
            let (every, max_ttl) = (turns.every, broker.max_ttl);
            format!("`every` is `{every}`, and sessions last up to `{max_ttl}` (`broker.max_ttl`): write a longer time, so that none outlives two turns")
        });
        let problems = target.provider.mistake().into_iter().chain(misfit).chain(wordless).chain(hasty);
        problems.map(|problem| (format!("broker.target `{}`", target.name), problem))
    });
    let ssh = broker.targets.iter().filter_map(|target| match &target.provider {
        ProviderTable::Ssh(settings) => Some((&target.name, settings)),
        _ => None,
    });
    let taken = ssh::taken(ssh).into_iter().map(|(target, problem)| (format!("broker.target `{target}`"), problem));
    let turned = turns::taken(&broker.targets).into_iter();
    let turned = turned.map(|(target, problem)| (format!("broker.target `{target}`"), problem));
    let issues = broker.issues.iter().flat_map(|issues| {
        let keys = issues.kms_key.iter().chain(&issues.kms_other_keys);
        keys.filter_map(|key| kms::check(key, issues.kms_endpoint.as_deref()).err())
    });
    let issues = issues.map(|fault| ("broker.issues".to_owned(), fault.to_string()));
    found.chain(taken).chain(turned).chain(issues).collect()
}

fn gateway_mistakes(gateway: &GatewayConfig, config: &Config) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, &'static str)> = Vec::new();
    let alone = config.broker.is_none();
    if gateway.listeners.is_empty() {
        found.push(("gateway.listeners", "nobody could connect: add `[[gateway.listeners]]` with `listen`"));
    }
    let numbers = [
        ("gateway.workers", gateway.workers.unwrap_or(1)),
        ("gateway.max_sessions", gateway.max_sessions),
        ("gateway.max_pending", gateway.max_pending),
    ];
    let none = numbers.iter().filter(|(_, number)| *number == 0);
    found.extend(none.map(|(setting, _)| (*setting, "with 0 nobody could connect: write from 1")));
    found.extend(gateway.listeners.iter().filter_map(Listener::mistake));
    if let Some(broker) = &config.broker {
        let named = gateway.listeners.iter().filter_map(|listener| listener.oauth.as_ref());
        let known = |oauth: &OAuth| broker.issuers.iter().any(|issuer| oauth.is_of(&issuer.issuer()));
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
    let found = found.into_iter().map(|(setting, problem)| (setting, problem.to_owned()));
    found.chain(taken_twice(gateway, config).map(|problem| ("gateway.listeners.listen", problem))).collect()
}

/// The address that two would listen on.
fn taken_twice(gateway: &GatewayConfig, config: &Config) -> Option<String> {
    let mut taken: Vec<_> = gateway.listeners.iter().map(|listener| listener.listen).collect();
    taken.retain(|address| address.port() != 0);
    let broker = config.broker.as_ref().map(|broker| broker.listen);
    if let Some(both) = taken.iter().find(|address| broker == Some(**address)) {
        return Some(format!("`{both}` is the broker's own: write another port"));
    }
    taken.sort();
    let twice = taken.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first().copied()));
    twice.flatten().map(|address| format!("two listeners have `{address}`: keep one, or write another port"))
}

/// The mistakes in the policies, or why they cannot be read.
fn policy_mistakes(directory: &Path) -> Result<Vec<String>, String> {
    let files = writ_broker::bundle::read_files(directory).map_err(|fault| fault.to_string())?;
    Ok(policy_problems(&files).iter().map(ToString::to_string).collect())
}

/// Every mistake in the files of a policy set: policies, and the sets of masks beside them.
pub(crate) fn policy_problems(files: &[(String, String)]) -> Vec<writ_policy::Problem> {
    let mut problems = writ_policy::check(files);
    problems.extend(writ_plugin::masks::check(files));
    problems
}

#[cfg(test)]
mod tests;
