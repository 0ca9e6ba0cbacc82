//! Broker and gateway as one server, each where it is configured.

use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use writ_broker::server::ListenerFault;
use writ_core::fault::Fault;
use writ_core::time::Timestamp;
use writ_gateway::Gateway;
use writ_gateway::config::{Certificate, GatewayConfig};
use writ_gateway::embedded::Embedded;
use writ_plugin::{Plugin, PluginSettings};

use super::broker::BrokerRole;
use super::config::{self, Config, LinkConfig, Read};
use super::health::{Health, Parts, TelemetryConfig};
use super::telemetry::LogConfig;
use crate::failure::{Doing as _, Failure};

/// How long the gateway may take to be ready once its broker is.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long recordings may take to be uploaded at the end.
const UPLOAD_LIMIT: Duration = Duration::from_secs(20);
/// The life of a gateway's self-made certificate; a reload and a restart make a new one.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A running server.
pub(crate) struct Server {
    path: PathBuf,
    hash: String,
    broker: Option<BrokerRole>,
    gateway: Option<GatewayRole>,
    fixed: Fixed,
    leaving: Arc<AtomicBool>,
    /// Held, and ended with the rest.
    _health: Option<Health>,
}

/// What was read at the start and holds until the end.
struct Fixed {
    link: Option<LinkConfig>,
    log: LogConfig,
    telemetry: Option<TelemetryConfig>,
    broker: Option<(SocketAddr, PathBuf, String)>,
}

impl Fixed {
    fn of(config: &Config) -> Self {
        let broker =
            config.broker.as_ref().map(|broker| (broker.listen, broker.state.clone(), format!("{:?}", broker.issues)));
        Self { link: config.link.clone(), log: config.log.clone(), telemetry: config.telemetry.clone(), broker }
    }

    /// What is written otherwise now, and needs a restart.
    fn changes(&self, config: &Config) -> Vec<String> {
        let new = Self::of(config);
        let unlike = [
            (new.link != self.link, "`[link]` was changed"),
            (new.log != self.log, "`[log]` was changed"),
            (new.telemetry != self.telemetry, "`[telemetry]` was changed"),
            (
                self.broker.is_some() && new.broker != self.broker,
                "`broker.listen`, `broker.state` or `[broker.issues]` was changed",
            ),
        ];
        unlike.into_iter().filter(|(changed, _)| *changed).map(|(_, what)| what.to_owned()).collect()
    }
}

struct GatewayRole {
    gateway: Gateway,
    plugin: Arc<Plugin>,
}

impl Server {
    /// Starts what is configured: the broker first.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) async fn start(read: Read, metrics: Option<PrometheusHandle>) -> Result<Self, Failure> {
        let Read { config, hash, path } = read;
        let fixed = Fixed::of(&config);
        let broker = match &config.broker {
            Some(settings) => Some(BrokerRole::start(settings, hash.clone(), metrics.clone()).await?),
            None => None,
        };
        let gateway = match (&config.gateway, &config.link) {
            (Some(gateway), Some(link)) => Some(start_gateway(gateway, link, broker.as_ref(), &config).await?),
            _ => None,
        };
        let leaving = Arc::new(AtomicBool::new(false));
        let parts = Parts {
            broker: broker.as_ref().map(|role| Arc::downgrade(role.broker())),
            plugin: gateway.as_ref().map(|role| Arc::downgrade(&role.plugin)),
            metrics,
            leaving: Arc::clone(&leaving),
        };
        let health = match &config.telemetry {
            Some(telemetry) => Some(Health::start(telemetry, parts).await?),
            None => None,
        };
        Ok(Self { path, hash, broker, gateway, fixed, leaving, _health: health })
    }

    /// The ledger's key, where the broker runs here.
    #[must_use]
    pub(crate) fn ledger_key(&self) -> Option<String> {
        self.broker.as_ref().map(|broker| broker.broker().ledger_key())
    }

    /// Where the broker's API listens, where it runs here.
    #[must_use]
    pub(crate) fn broker_address(&self) -> Option<SocketAddr> {
        self.broker.as_ref().map(BrokerRole::address)
    }

    /// Where the gateway's first listener is, where it runs here.
    #[must_use]
    pub(crate) fn gateway_address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().and_then(|role| role.gateway.addresses().first().copied())
    }

    /// Reads the configuration again and takes it whole, or keeps the old one whole: everything is checked before anything is
    /// changed. Gives what a restart alone can change.
    ///
    /// # Errors
    /// What is wrong; then nothing changed.
    pub(crate) async fn reload(&mut self) -> Result<Vec<String>, Failure> {
        let read = config::read(&self.path)?;
        let mut restart = self.fixed.changes(&read.config);
        let prepared = match (&self.gateway, &read.config.gateway) {
            (Some(role), Some(settings)) => {
                let settings = self.completed(settings, &read.config)?;
                let prepared = role.gateway.prepare(&settings);
                Some(prepared.map_err(|fault| failed("the new configuration of the gateway is refused", &fault))?)
            }
            _ => None,
        };
        if let (Some(broker), Some(settings)) = (&self.broker, &read.config.broker) {
            broker.reload(settings, read.hash.clone()).await?;
        }
        if let (Some(role), Some(prepared)) = (&mut self.gateway, prepared) {
            restart.extend(role.gateway.apply(prepared));
        }
        self.hash = read.hash;
        Ok(restart)
    }

    /// The gateway's settings with a self-made certificate, a fresh one, for each listener that has none.
    fn completed(&self, settings: &GatewayConfig, config: &Config) -> Result<GatewayConfig, Failure> {
        let mut settings = settings.clone();
        if let (Some(broker), Some(link)) = (&self.broker, &self.fixed.link) {
            certify(&mut settings, link, broker, config)?;
        }
        Ok(settings)
    }

    /// Stops in the order in which evidence flows: sessions, recordings, broker.
    pub(crate) async fn stop(self) {
        self.leaving.store(true, Ordering::Relaxed);
        if let Some(GatewayRole { gateway, plugin }) = self.gateway {
            gateway.drain().await;
            plugin.shutdown(UPLOAD_LIMIT).await;
        }
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

async fn start_gateway(
    gateway: &GatewayConfig,
    link: &LinkConfig,
    broker: Option<&BrokerRole>,
    config: &Config,
) -> Result<GatewayRole, Failure> {
    let mut gateway = gateway.clone();
    private_directory(&link.state)?;
    let mut settings = match broker {
        Some(role) => {
            certify(&mut gateway, link, role, config)?;
            join_by_itself(link, role).await?
        }
        None => {
            let ca = link.broker_ca_file.clone().unwrap_or_default();
            let ca_pem = std::fs::read_to_string(&ca).doing(format!("`{}` cannot be read", ca.display()))?;
            PluginSettings::new(link.broker.clone().unwrap_or_default(), ca_pem, link.state.clone())
        }
    };
    settings.join_token_file = settings.join_token_file.or_else(|| link.join_token_file.clone());
    settings.strict = link.strict;
    settings.spool_bytes = link.spool_bytes;
    settings.broker_grace = link.broker_grace.get();
    settings.request_timeout = link.request_timeout.get();
    let plugin = Plugin::start(settings).await.map_err(|fault| failed("the gateway cannot start", &fault))?;
    if broker.is_some() && tokio::time::timeout(READY_LIMIT, plugin.wait_until_ready()).await.is_err() {
        return Err(Failure::new("the gateway was not ready in time: it does not hear its broker"));
    }
    let evidence = Arc::new(Embedded(Arc::clone(&plugin), writ_parser::Settings::own()));
    let gateway =
        Gateway::start(&gateway, evidence).await.map_err(|fault| failed("the gateway cannot start", &fault))?;
    for address in gateway.addresses() {
        tracing::info!(%address, "the gateway listens");
    }
    Ok(GatewayRole { gateway, plugin })
}

/// A gateway in the broker's own process needs no operator to join.
async fn join_by_itself(link: &LinkConfig, role: &BrokerRole) -> Result<PluginSettings, Failure> {
    let url = format!("https://{}", role.near_address());
    let ca_pem = role.broker().keys().ca.pem().to_owned();
    let mut settings = PluginSettings::new(url, ca_pem, link.state.clone());
    if !link.state.join("identity").join("identity.json").exists() {
        let token = role.broker().join_token_for_this_process().await;
        let token = token.map_err(|refusal| failed("no join token can be made", &refusal.fault))?;
        let file = link.state.join("join-token");
        crate::private::replace(&file, token.join_token.as_bytes())?;
        settings.join_token_file = Some(file);
    }
    Ok(settings)
}

/// Listeners without a certificate get one of Writ's own authority.
fn certify(gateway: &mut GatewayConfig, link: &LinkConfig, role: &BrokerRole, config: &Config) -> Result<(), Failure> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(config.broker.iter().flat_map(|broker| broker.certificate_names()));
    names.sort();
    names.dedup();
    for listener in gateway.listeners.iter_mut().filter(|listener| listener.certificate.is_none()) {
        listener.certificate = Some(own_certificate(&link.state, role, &names)?);
    }
    Ok(())
}

fn own_certificate(state: &Path, role: &BrokerRole, names: &[String]) -> Result<Certificate, Failure> {
    let authority = &role.broker().keys().ca;
    let identity = authority.issue_server(names, Timestamp::now(), CERTIFICATE_LIFE);
    let identity = identity.map_err(ListenerFault::from).doing("the gateway's certificate cannot be made")?;
    let pem = |label: &str, der: &[u8]| {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<String> =
            body.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let certificate = Certificate { chain: state.join("gateway.pem"), key: state.join("gateway.key") };
    let chain: String = identity.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
    crate::private::replace(&certificate.chain, chain.as_bytes())?;
    let key = zeroize::Zeroizing::new(pem("PRIVATE KEY", identity.key.secret_der()));
    crate::private::replace(&certificate.key, key.as_bytes())?;
    Ok(certificate)
}

fn private_directory(path: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.doing(format!("`{}` cannot be made", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
        .doing(format!("the mode of `{}` cannot be set", path.display()))
}

fn failed(what: &str, fault: &Fault) -> Failure {
    let failure = Failure::new(format!("{what}: {}", fault.detail));
    match &fault.help {
        Some(help) => failure.help(help.to_string()),
        None => failure,
    }
}
