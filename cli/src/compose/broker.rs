//! The broker's role: targets with their providers, the API's listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use writ_broker::broker::Claim;
use writ_broker::config::{BrokerConfig, TargetConfig};
use writ_broker::issuer::{IssuingConfig, KeyForm, OidcIssuer};
use writ_broker::server::{self, Limits, Listener};
use writ_broker::targets::{Served, Targets};
use writ_broker::{Broker, Tasks};
use writ_core::assertion::{Assertion, AssertionSigner, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::{Pending, Provider, ProviderFault};
use writ_core::target::{Address, Target, TargetName};
use writ_core::time::SystemClock;
use writ_provider_aws::{AwsProvider, EksAccess, EksProvider, RdsProvider};
use writ_provider_azure::{AksAccess, AzureDatabaseProvider, AzureProvider};
use writ_provider_database::{DatabaseProvider, MysqlProvider};
use writ_provider_gcp::{CloudSqlProvider, GcpProvider, GkeAccess};
use writ_provider_github::{GithubProvider, Tokens};
use writ_provider_kubernetes::{BearerSource, KubernetesProvider, Seams};
use writ_provider_openbao::OpenbaoProvider;
use writ_provider_ssh::SshProvider;
use writ_provider_static::StaticProvider;

use super::config::ProviderTable;
use super::ssh::SshKeys;
use crate::failure::{Doing as _, Failure};

/// A running broker.
pub(crate) struct BrokerRole {
    broker: Arc<Broker>,
    tasks: Tasks,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    issuer: Option<Arc<OidcIssuer>>,
    given: Given,
}

/// What providers are given.
struct Given {
    /// The broker as an issuer, where it is one.
    assertions: Option<Arc<dyn Assertions>>,
    /// Where the keys of SSH authorities are; none where a configuration is only looked at.
    state: Option<PathBuf>,
    /// Tokens of GitHub that live.
    github: Arc<Tokens>,
}

fn asserting(issuer: Arc<OidcIssuer>) -> Arc<dyn Assertions> {
    issuer
}

impl BrokerRole {
    /// Starts it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) async fn start(
        config: &BrokerConfig<ProviderTable>,
        hash: String,
        metrics: Option<PrometheusHandle>,
    ) -> Result<Self, Failure> {
        // Before keys are made there.
        let claim = Claim::take(&config.state).doing("the broker cannot start")?;
        let issuer = issuer(config).await?;
        let given = Given {
            assertions: issuer.clone().map(asserting),
            state: Some(config.state.clone()),
            github: Arc::default(),
        };
        let targets = targets(config, &given)?.asserted_by(issuer.clone());
        let started = Broker::start(claim, config, targets, Arc::new(SystemClock), hash).await;
        let (broker, tasks) = started.doing("the broker cannot start")?;
        // Public, and beside what it verifies: `writ ledger` looks here.
        crate::private::replace(&config.state.join("ledger.vkey"), broker.ledger_key().as_bytes())?;
        let authority = Arc::clone(&broker.keys().ca);
        // A gateway in this process asks here, whatever name others use.
        let mut names = config.certificate_names();
        names.push(near(config.listen).ip().to_string());
        names.sort();
        names.dedup();
        let listener = Listener::bind(config.listen, authority, names, Limits::default())
            .await
            .doing("the broker's API cannot start")?;
        let address = listener.address().doing("the broker's API has no address")?;
        if config.listen.port() == 0 {
            broker.listens_on(address.port());
        }
        let (stop, stopping) = watch::channel(false);
        let routes = server::routes(Arc::clone(&broker), metrics);
        let serving = tokio::spawn(listener.serve(routes, stopping));
        tracing::info!(%address, "the broker's API listens");
        Ok(Self { broker, tasks, address, stop, serving, issuer, given })
    }

    /// The broker itself.
    #[must_use]
    pub(crate) const fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where its API listens.
    #[must_use]
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as this machine reaches it.
    #[must_use]
    pub(crate) fn near_address(&self) -> SocketAddr {
        near(self.address)
    }

    /// Takes a new configuration, or keeps the old one.
    ///
    /// # Errors
    /// What is wrong; then nothing changed.
    pub(crate) async fn reload(&self, config: &BrokerConfig<ProviderTable>, hash: String) -> Result<(), Failure> {
        let targets = targets(config, &self.given)?.asserted_by(self.issuer.clone());
        self.broker.reload(config, targets, hash).await.doing("the new configuration is refused")
    }

    /// Lets open requests end, then publishes what is durable.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        self.tasks.stop(self.broker).await;
    }
}

/// An address that stands for all of a machine's is reached by its loopback address.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The targets with their providers, each checked.
///
/// # Errors
/// What is wrong with the first that is.
fn targets(config: &BrokerConfig<ProviderTable>, given: &Given) -> Result<Targets, Failure> {
    let ssh = SshKeys::in_state(given.state.as_deref());
    let targets: Targets = config.targets.iter().map(|target| served(target, given, &ssh)).collect::<Result<_, _>>()?;
    Ok(targets.introducing(ssh.made()))
}

/// The broker as an issuer, where it is one.
///
/// # Errors
/// If its keys cannot be read, made or asked for.
async fn issuer(config: &BrokerConfig<ProviderTable>) -> Result<Option<Arc<OidcIssuer>>, Failure> {
    let Some(issues) = &config.issues else { return Ok(None) };
    let (url, directory) = (issues.url.as_ref().unwrap_or(&config.url), config.state.join("keys"));
    let clock = Arc::new(SystemClock);
    let issuer = match &issues.kms_key {
        None => OidcIssuer::open(issues, url, &directory, clock),
        Some(key) => {
            let signer = kms(issues, key).await?;
            if issues.algorithm == KeyForm::Rs256 && signer.algorithm() != "RS256" {
                let text = "`broker.issues`: `algorithm` is `RS256`, and the key that `kms_key` names signs no such";
                return Err(Failure::new(text).help("name an RSA key, or remove `algorithm`"));
            }
            let mut others = Vec::new();
            for key in &issues.kms_other_keys {
                others.push(kms(issues, key).await?);
            }
            OidcIssuer::with_signer(issues, url, signer, &others, SIGNING_LIMIT, clock)
        }
    };
    Ok(Some(Arc::new(issuer.doing("the broker's own issuer cannot start")?)))
}

/// How long a signature by a key elsewhere may take.
const SIGNING_LIMIT: Duration = Duration::from_secs(5);

async fn kms(issues: &IssuingConfig, key: &str) -> Result<Arc<dyn AssertionSigner>, Failure> {
    super::kms::open(key, issues.kms_endpoint.as_deref()).await.map_err(|fault| {
        Failure::new(format!("the broker's own issuer cannot start: {}", fault.detail())).help("see docs/issuer.md")
    })
}

/// Stands for the issuer where a configuration is only looked at: it makes no keys and signs nothing.
#[derive(Debug)]
struct Unasked(String);

impl Assertions for Unasked {
    fn issuer(&self) -> &str {
        &self.0
    }

    fn assert<'a>(&'a self, _: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async { Err(ProviderFault::Unreachable("the broker does not run".to_owned())) })
    }
}

/// Whether the targets of a configuration can be served, without making anything.
///
/// # Errors
/// What is wrong with the first that cannot.
pub(crate) fn check(config: &BrokerConfig<ProviderTable>) -> Result<(), Failure> {
    let unasked = |issues: &IssuingConfig| issues.url.clone().unwrap_or_else(|| config.url.clone());
    let assertions = config.issues.as_ref().map(|issues| Arc::new(Unasked(unasked(issues))) as Arc<dyn Assertions>);
    targets(config, &Given { assertions, state: None, github: Arc::default() }).map(drop)
}

fn served(config: &TargetConfig<ProviderTable>, given: &Given, ssh: &SshKeys) -> Result<Served, Failure> {
    let assertions = given.assertions.as_ref();
    let name = &config.name;
    let ca_pem = config.ca_file.as_ref().map(std::fs::read_to_string).transpose();
    let ca_pem = ca_pem.doing(format!("`ca_file` of target `{name}` cannot be read"))?;
    let address = Address { host: config.host.clone(), port: config.port(), tls: config.tls, ca_pem };
    let doing = format!("target `{name}`");
    let provider: Arc<dyn Provider> = match &config.provider {
        ProviderTable::Database(settings) => Arc::new(DatabaseProvider::new(settings.clone(), &address).doing(doing)?),
        ProviderTable::Mysql(settings) => Arc::new(MysqlProvider::new(settings.clone(), &address).doing(doing)?),
        ProviderTable::Static(settings) => {
            let source = settings.source.as_ref().map(|source| source.open(assertions)).transpose();
            Arc::new(StaticProvider::new(settings, source.doing(doing.clone())?).doing(doing)?)
        }
        ProviderTable::Aws(settings) => Arc::new(AwsProvider::new(settings, assertions).doing(doing)?),
        ProviderTable::Rds(settings) => Arc::new(RdsProvider::new(settings, &address, assertions).doing(doing)?),
        ProviderTable::Gcp(settings) => Arc::new(GcpProvider::new(settings, assertions).doing(doing)?),
        ProviderTable::Gke(settings) => Arc::new(GcpProvider::for_clusters(settings, assertions).doing(doing)?),
        ProviderTable::Cloudsql(settings) => {
            Arc::new(CloudSqlProvider::new(settings, &address, assertions).doing(doing)?)
        }
        ProviderTable::Eks(settings) => Arc::new(EksProvider::new(settings, assertions).doing(doing)?),
        ProviderTable::Kubernetes(settings) => {
            let eks = settings.eks.as_ref().map(EksAccess::new).transpose().doing(doing.clone())?;
            let eks = eks.map(|access| Arc::new(EksBearer(access)) as Arc<dyn BearerSource>);
            let aks = settings.aks.as_ref().map(|access| AksAccess::new(access, assertions)).transpose();
            let aks = aks.doing(doing.clone())?.map(|access| Arc::new(AksBearer(access)) as Arc<dyn BearerSource>);
            let gke =
                settings.gke.as_ref().map(|gke| GkeAccess::new(gke, assertions)).transpose().doing(doing.clone())?;
            let gke = gke.map(|access| Arc::new(GkeBearer(access)) as Arc<dyn BearerSource>);
            let seams = Seams { assertions: assertions.cloned(), eks, aks, gke, ..Seams::default() };
            Arc::new(KubernetesProvider::new(settings, &address, seams).doing(doing)?)
        }
        ProviderTable::Azure(settings) => Arc::new(AzureProvider::new(settings, &address, assertions).doing(doing)?),
        ProviderTable::AzureDatabase(settings) => {
            Arc::new(AzureDatabaseProvider::new(settings, &address, assertions).doing(doing)?)
        }
        ProviderTable::Openbao(settings) => Arc::new(OpenbaoProvider::new(settings, assertions).doing(doing)?),
        ProviderTable::Github(settings) => {
            Arc::new(GithubProvider::new(settings, Arc::clone(&given.github)).doing(doing)?)
        }
        ProviderTable::Ssh(settings) => {
            let authority = ssh.authority(settings, name)?;
            Arc::new(SshProvider::new(settings, authority).doing(doing)?)
        }
    };
    let target = Target {
        name: name.clone(),
        labels: config.labels.clone(),
        protocol: config.protocol,
        address,
        provider: provider.describe().kind.to_owned(),
    };
    Ok(Served::new(target, provider))
}

/// An EKS cluster lets the broker in by its identity at AWS.
#[derive(Debug)]
struct EksBearer(EksAccess);

impl BearerSource for EksBearer {
    fn named(&self) -> String {
        format!("the broker's identity at AWS, at the cluster `{}`", self.0.cluster())
    }

    fn bearer<'a>(&'a self, _: &'a TargetName, _: Option<&'a Intended>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(self.0.token())
    }
}

/// An AKS cluster lets the broker in by a client of Entra's that trusts Writ.
#[derive(Debug)]
struct AksBearer(AksAccess);

impl BearerSource for AksBearer {
    fn named(&self) -> String {
        format!("the client `{}` of Entra", self.0.client_id())
    }

    fn bearer<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
    ) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(self.0.token(target, intended))
    }
}

/// A GKE cluster lets the broker in as a service account of Google's.
#[derive(Debug)]
struct GkeBearer(GkeAccess);

impl BearerSource for GkeBearer {
    fn named(&self) -> String {
        format!("the service account `{}`", self.0.account())
    }

    fn bearer<'a>(
        &'a self,
        target: &'a TargetName,
        intended: Option<&'a Intended>,
    ) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(self.0.token(target, intended))
    }
}
