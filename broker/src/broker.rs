//! The broker: everything that one replica holds. Stateless over the store but for caches of files.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use writ_core::approval::Approval;
use writ_core::event::Event;
use writ_core::id::{GatewayId, RequestId};
use writ_core::target::Labels;
use writ_core::time::Clock;
use writ_core::writ::Writ;

use crate::bundle::{self, InForce, PolicyFault};
use crate::config::{BrokerConfig, WebhookConfig};
use crate::evidence::{Evidence, EvidenceFault, LedgerDirectory, LedgerSigner};
use crate::humans::Humans;
use crate::identity::config::ConfigFault;
use crate::identity::jwks::Key;
use crate::identity::session_token::{self, SessionIssuer, SessionTokenFault};
use crate::identity::verify::Verifier;
use crate::keys::rotating::Fresh;
use crate::keys::{Introduced, KeyFault, Keys, RotatingKeys};
use crate::rates::{Caller, Rates, RatesConfig};
use crate::refusal::{Refusal, no_evidence};
use crate::ssh::RevocationLists;
use crate::steady::Steady;
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreFault};
use crate::targets::Targets;
use crate::watch::ClockWatch;
use crate::webhooks::Webhook;

/// A gateway that TLS has shown and the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayIdentity {
    /// Its name.
    pub id: GatewayId,
    /// The key to which its credentials are sealed.
    pub sealing_key: writ_broker_api::sealed::SealingKey,
    /// The labels that a target must have for it; none: every target.
    pub serves: Labels,
}

/// What a running broker does not read again.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API's URL.
    pub url: String,
    /// The audience of workloads' tokens.
    pub audience: String,
    /// Where recordings are kept.
    pub recordings: PathBuf,
    /// The longest session.
    pub max_ttl: Duration,
    /// The life of a gateway's certificate.
    pub gateway_certificate_life: Duration,
    /// How long one key signs session tokens.
    pub session_token_key_life: Duration,
    /// How long the key before it is kept: longer than its last token can be accepted.
    pub session_token_overlap: Duration,
    /// How long a provider may take.
    pub provider_timeout: Duration,
    /// How long a gateway may be unheard.
    pub gateway_lost: Duration,
    /// The longest segment in bytes.
    pub max_segment_bytes: usize,
}

/// What is replaced as a whole when the configuration is read again.
#[derive(Debug)]
pub struct Loaded {
    /// Whose tokens are accepted.
    pub verifier: Verifier,
    /// What may be reached.
    pub targets: Targets,
    /// Who among humans may do what.
    pub humans: Humans,
    /// How often each caller may ask.
    pub rates: RatesConfig,
    /// Who hears of approvals.
    pub webhooks: Vec<Webhook>,
}

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The ledger.
    #[error(transparent)]
    Evidence(#[from] EvidenceFault),
    /// The policies.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    /// A receiver of notices.
    #[error("webhook `{name}`: {problem}")]
    Webhook {
        /// Which.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// An issuer.
    #[error(transparent)]
    Issuer(#[from] ConfigFault),
    /// The session tokens' key.
    #[error(transparent)]
    SessionToken(#[from] SessionTokenFault),
    /// A directory.
    #[error("`{path}` cannot be used: {source}")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Two brokers on one state would each overwrite what the other publishes.
    #[error("another broker runs on the state `{path}`: end it, or write another `state` for this one")]
    Taken {
        /// The state.
        path: String,
    },
}

/// One replica.
pub struct Broker {
    /// Keeps other brokers off the state while this one lives.
    _claim: Option<Claim>,
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) evidence: Evidence,
    pub(crate) ledger: Arc<LedgerDirectory>,
    pub(crate) session_issuer: SessionIssuer,
    pub(crate) loaded: ArcSwap<Loaded>,
    pub(crate) policy: watch::Sender<Arc<InForce>>,
    /// Wakes the streams: an order may have come.
    pub(crate) ordered: Notify,
    /// Wakes the revoker: a credential may be due.
    pub(crate) due: Notify,
    /// Writs whose credential was minted and not logged.
    pub(crate) unlogged: mpsc::UnboundedSender<Writ>,
    /// What receivers of notices are told.
    pub(crate) notices: mpsc::Sender<Approval>,
    pub(crate) rates: Rates,
    /// What SSH hosts fetched a moment ago.
    pub(crate) revocation_lists: RevocationLists,
    /// Which of its tasks are at work.
    pub(crate) steady: Steady,
    /// The port that it was given, where none was configured.
    pub(crate) port: OnceLock<u16>,
}

impl core::fmt::Debug for Broker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Broker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The tasks of a broker; they end when the broker is stopped.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Tasks {
    /// Stops the tasks and waits until what is durable is also published.
    pub async fn stop(mut self, broker: Arc<Broker>) {
        let _ = self.stop.send(true);
        drop(broker);
        while self.set.join_next().await.is_some() {}
    }

    /// Changes to `true` when the broker stops.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

impl Broker {
    /// Its API listens on this port, which was given by the system: the addresses that humans are told name it.
    pub fn listens_on(&self, port: u16) {
        // It listens once.
        let _ = self.port.set(port);
    }

    /// A path of its API, as others reach it.
    pub(crate) fn address(&self, path: &str) -> String {
        let port = self.port.get().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}{path}", self.settings.url)
    }

    /// Starts a broker on the state that was claimed: keys, store, ledger recovered, policies in force, janitor at work.
    ///
    /// # Errors
    /// [`StartFault`]: it starts whole or not at all.
    pub async fn start<P>(
        claim: Claim,
        config: &BrokerConfig<P>,
        targets: Targets,
        clock: Arc<dyn Clock>,
        config_hash: String,
    ) -> Result<(Arc<Self>, Tasks), StartFault> {
        let store = Sqlite::open(&config.state.join("writ.db"))?;
        Self::start_with(Some(claim), store, config, targets, clock, config_hash).await
    }

    /// Starts a broker on a store that is open.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub async fn start_on<P>(
        store: Arc<dyn Store>,
        config: &BrokerConfig<P>,
        targets: Targets,
        clock: Arc<dyn Clock>,
        config_hash: String,
    ) -> Result<(Arc<Self>, Tasks), StartFault> {
        Self::start_with(None, store, config, targets, clock, config_hash).await
    }

    async fn start_with<P>(
        claim: Option<Claim>,
        store: Arc<dyn Store>,
        config: &BrokerConfig<P>,
        targets: Targets,
        clock: Arc<dyn Clock>,
        config_hash: String,
    ) -> Result<(Arc<Self>, Tasks), StartFault> {
        let directory =
            |path: PathBuf| move |source| StartFault::Directory { path: path.display().to_string(), source };
        crate::keys::files::create_private_directory(&config.state)?;
        let keys = Keys::load_or_create(&config.state.join("keys"), clock.now())?;
        let ledger_path = config.state.join("evidence").join("ledger");
        let ledger = Arc::new(LedgerDirectory::open(&ledger_path).map_err(directory(ledger_path))?);
        let recordings = config.state.join("evidence").join("recordings");
        std::fs::create_dir_all(&recordings).map_err(directory(recordings.clone()))?;
        let signer =
            LedgerSigner::new(&ledger_name(config), keys.ledger.clone()).map_err(|_| KeyFault::Crypto("ledger"))?;
        let (evidence, writer) = Evidence::recover(store.clone(), ledger.clone(), signer, clock.clone()).await?;
        let (stop, stopping) = watch::channel(false);
        let mut set = JoinSet::new();
        set.spawn(writer.run());

        let session_issuer = session_issuer(config, &*keys.session_token.lock().await)?;
        let loaded = load(config, targets, &session_issuer)?;
        let policies = bundle::load(bundle::read_files(&config.policies)?)?;
        let number = store.policy_number(policies.hash().as_str()).await?;
        let in_force = bundle::sign(policies, number, clock.now(), &keys.bundle)?;
        let introduced: Vec<&Introduced> = keys.introduced.iter().chain(loaded.targets.introduced()).collect();
        write_start(&evidence, &introduced, &in_force, config_hash).await?;
        written(introduced);

        let (unlogged, abandoned) = mpsc::unbounded_channel();
        let (notices, told) = mpsc::channel(crate::webhooks::QUEUE);
        let broker = Arc::new(Self {
            _claim: claim,
            settings: settings(config, recordings),
            keys,
            clock_watch: ClockWatch::new(&*clock, config.max_clock_step.get()),
            clock,
            store,
            evidence,
            ledger,
            session_issuer,
            loaded: ArcSwap::from_pointee(loaded),
            policy: watch::Sender::new(in_force),
            port: OnceLock::new(),
            ordered: Notify::new(),
            due: Notify::new(),
            unlogged,
            notices,
            rates: Rates::new(),
            revocation_lists: RevocationLists::default(),
            steady: Steady::default(),
        });
        set.spawn(crate::webhooks::run(Arc::downgrade(&broker), told, stopping.clone()));
        set.spawn(crate::revoke::run(Arc::downgrade(&broker), stopping.clone()));
        set.spawn(crate::janitor::run(Arc::downgrade(&broker), abandoned, stopping));
        Ok((broker, Tasks { set, stop }))
    }

    /// Takes a new configuration in one step, or keeps the old one.
    ///
    /// # Errors
    /// [`StartFault`]; then the old one stays in force.
    pub async fn reload<P>(
        &self,
        config: &BrokerConfig<P>,
        targets: Targets,
        config_hash: String,
    ) -> Result<(), StartFault> {
        let loaded = load(config, targets, &self.session_issuer)?;
        let policies = bundle::load(bundle::read_files(&config.policies)?)?;
        let number = self.store.policy_number(policies.hash().as_str()).await?;
        let in_force = bundle::sign(policies, number, self.clock.now(), &self.keys.bundle)?;
        // The issuer's own were written when the broker started.
        let mut events: Vec<Event> = loaded.targets.made().map(introduction).collect();
        events.push(Event::ConfigReloaded { config_hash, accepted: true });
        if in_force.number != self.policy.borrow().number {
            events.push(policy_loaded(&in_force));
        }
        self.evidence.write(events, Vec::new(), Vec::new()).await?;
        written(loaded.targets.made());
        self.loaded.store(Arc::new(loaded));
        self.policy.send_replace(in_force);
        Ok(())
    }

    /// Takes one request out of the caller's bucket.
    ///
    /// # Errors
    /// [`Refusal`] with status 429 where it is empty; the first in a minute is in the ledger.
    pub(crate) async fn admit(&self, caller: Caller) -> Result<(), Refusal> {
        let Err(over) = self.rates.admit(caller, &self.loaded.load().rates, self.clock.now()) else { return Ok(()) };
        let request = RequestId::fresh();
        if over.first {
            let event = Event::Refused {
                request,
                gateway: caller.gateway(),
                code: over.fault.code.to_owned(),
                detail: over.fault.detail.to_string(),
                issuer: None,
                subject: None,
                target: None,
                policy_hash: None,
            };
            self.evidence.event(event).await.map_err(|fault| Refusal::new(no_evidence(&fault), request))?;
        }
        Err(Refusal { status: 429, ..Refusal::new(over.fault, request) })
    }

    /// Makes a new key for session tokens when the one in use is old enough, and forgets those whose tokens have ended. The
    /// ledger knows a key before anything is signed with it.
    ///
    /// # Errors
    /// [`StartFault`]; then the key before stays in use.
    pub(crate) async fn rotate_session_key(&self) -> Result<(), StartFault> {
        let (now, settings) = (self.clock.now(), &self.settings);
        let mut keys = self.keys.session_token.lock().await;
        let due = keys.is_due(now, settings.session_token_key_life);
        if due {
            let fresh = Fresh::make(keys.purpose(), now)?;
            let Introduced { purpose, public, .. } = fresh.introduced.clone();
            self.evidence.event(Event::KeyIntroduced { purpose: purpose.to_owned(), public }).await?;
            keys.rotate(fresh)?;
        }
        let forgotten = keys.forget(now, settings.session_token_overlap);
        if due || !matches!(forgotten, Ok(false)) {
            self.session_issuer.rotate(keys.signing(), &former(&keys)?)?;
            tracing::info!(due, former = keys.former().count(), "the keys of session tokens changed");
        }
        forgotten.map(drop).map_err(StartFault::from)
    }

    /// The same for the keys of the broker as an issuer, where it is one.
    ///
    /// # Errors
    /// As for [`Self::rotate_session_key`].
    pub(crate) async fn rotate_issuer_key(&self) -> Result<(), StartFault> {
        let loaded = self.loaded.load();
        let Some(issuer) = loaded.targets.issuer() else { return Ok(()) };
        let write = async |made: Introduced| -> Result<(), StartFault> {
            let event = Event::KeyIntroduced { purpose: made.purpose.to_owned(), public: made.public };
            Ok(self.evidence.event(event).await?)
        };
        issuer.turn(write).await
    }

    /// The key that verifies the ledger's checkpoints, in the form of C2SP signed-note.
    #[must_use]
    pub fn ledger_key(&self) -> String {
        self.evidence.verifier().to_string()
    }

    /// The broker's keys, for its listener.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether it can serve: the ledger can be written, the clock can be trusted, and its tasks are at work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.evidence.is_writable() && self.clock_watch.is_steady() && self.steady.is_whole()
    }
}

/// The ledger's name: the broker's host, which a checkpoint's origin line can hold.
fn ledger_name<P>(config: &BrokerConfig<P>) -> String {
    format!("{}/ledger", config.host().unwrap_or("writ"))
}

fn settings<P>(config: &BrokerConfig<P>, recordings: PathBuf) -> Settings {
    Settings {
        url: config.url.clone(),
        audience: config.audience.clone(),
        recordings,
        max_ttl: config.max_ttl.get(),
        gateway_certificate_life: config.gateway_certificate_life.get(),
        session_token_key_life: config.session_token_key_life.get(),
        session_token_overlap: config.session_token_life.get() + OVERLAP_MARGIN,
        provider_timeout: config.provider_timeout.get(),
        gateway_lost: config.gateway_lost.get(),
        max_segment_bytes: config.max_segment_bytes,
    }
}

/// Beyond a session token's life: the leeway of its verification, and the clocks of replicas.
const OVERLAP_MARGIN: Duration = Duration::from_secs(60);

fn session_issuer<P>(config: &BrokerConfig<P>, keys: &RotatingKeys) -> Result<SessionIssuer, SessionTokenFault> {
    let (url, audience) = (config.url.clone(), config.audience.clone());
    SessionIssuer::new(url, audience, config.session_token_life, keys.signing(), &former(keys)?)
}

fn former(keys: &RotatingKeys) -> Result<Vec<Key>, SessionTokenFault> {
    keys.former().map(session_token::public_key).collect()
}

/// A state as this process's own, until this is dropped: whoever makes something there has it first.
#[derive(Debug)]
pub struct Claim {
    _file: File,
}

impl Claim {
    /// Claims the state, which is made where it is not there.
    ///
    /// # Errors
    /// [`StartFault::Taken`] if a broker runs on it; others if it cannot be used.
    pub fn take(state: &Path) -> Result<Self, StartFault> {
        crate::keys::files::create_private_directory(state)?;
        let path = state.join("lock");
        let fault = |source| StartFault::Directory { path: path.display().to_string(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fault)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StartFault::Taken { path: state.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(fault(source)),
        }
    }
}

fn load<P>(config: &BrokerConfig<P>, targets: Targets, sessions: &SessionIssuer) -> Result<Loaded, StartFault> {
    Ok(Loaded {
        verifier: Verifier::new(&config.issuers, &config.audience, Some(sessions))?,
        targets,
        humans: Humans::new(config)?,
        rates: config.rates,
        webhooks: config.webhooks.iter().map(webhook).collect::<Result<_, _>>()?,
    })
}

fn webhook(config: &WebhookConfig) -> Result<Webhook, StartFault> {
    Webhook::new(config).map_err(|problem| StartFault::Webhook { name: config.name.clone(), problem })
}

fn introduction(key: &Introduced) -> Event {
    Event::KeyIntroduced { purpose: key.purpose.to_owned(), public: key.public.clone() }
}

/// The ledger knows these keys.
fn written<'a>(keys: impl IntoIterator<Item = &'a Introduced>) {
    for fault in keys.into_iter().filter_map(|key| key.written().err()) {
        tracing::error!(%fault, "a key's file keeps the name of one that is not in the ledger: it will be introduced once more");
    }
}

async fn write_start(
    evidence: &Evidence,
    introduced: &[&Introduced],
    in_force: &InForce,
    config_hash: String,
) -> Result<(), EvidenceFault> {
    let mut events: Vec<Event> = introduced.iter().copied().map(introduction).collect();
    events.push(Event::BrokerStarted { version: env!("CARGO_PKG_VERSION").to_owned(), config_hash });
    events.push(policy_loaded(in_force));
    evidence.write(events, Vec::new(), Vec::new()).await
}

/// The longest policy text that an entry holds; a longer one stands by its digest.
const MAX_POLICY_TEXT: usize = 48 * 1024;

fn policy_loaded(in_force: &InForce) -> Event {
    let text: String =
        in_force.bundle.files().iter().map(|(name, text)| format!("// file: {name}\n{text}\n")).collect();
    // JSON may double the length of what it has to escape.
    let text = match serde_json::to_string(&text) {
        Ok(json) if json.len() <= MAX_POLICY_TEXT => text,
        _ => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            format!("sha256:{}", crate::keys::files::hex(digest.as_ref()))
        }
    };
    Event::PolicyLoaded { policy_hash: in_force.bundle.hash().clone(), number: in_force.number, text }
}
