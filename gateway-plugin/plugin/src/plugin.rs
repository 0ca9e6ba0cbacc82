//! The plugin: identity, link, spool, sealing and upload, as one thing that a gateway starts.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use writ_broker_api::gateway::{EnrolRequest, OpenReply, OpenRequest};
use writ_broker_api::sealed::{OpenedSession, Purpose, Sealed, SealedSession};
use writ_core::fault::{Blame, Fault};
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_mask::action::MaskKey;
use writ_policy::wire::Received;
use writ_policy::{Bundle, SessionPolicy};
use writ_record::DataKey;
use writ_record::segment::{Sealer, Settings as SealSettings};
use writ_record::spool::SessionMeta;

use crate::client::{self, BrokerClient};
use crate::gate::WorkerGate;
use crate::identity::{Fresh, Identity, private_directory};
use crate::link::Link;
use crate::masks::{self, Masking};
use crate::opening::{HeldOpening, Opening};
use crate::outbox::Outbox;
use crate::registry::LiveSession;
use crate::seal::{Notice, OpenKey, Sealing};
use crate::session::{Admitted, Claim};
use crate::settings::PluginSettings;
use crate::spool::{Budget, Settings as SpoolSettings, WorkerSpool};

/// How long a session waits for the policy set by which the broker admitted it.
const POLICY_WAIT: Duration = Duration::from_secs(3);

/// A running plugin.
pub struct Plugin {
    settings: PluginSettings,
    link: Arc<Link>,
    budget: Budget,
    outbox: Outbox,
    ready: mpsc::WeakUnboundedSender<SessionId>,
    notices: Mutex<Sender<Notice>>,
    runtime: Handle,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
    sealing: Mutex<Option<JoinHandle<()>>>,
    masks: masks::Ready,
    stop: watch::Sender<bool>,
}

impl core::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Plugin").field("gateway", &self.gateway()).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Starts a plugin on the runtime that calls: enrols if it must, recovers what a crash left, and holds the link.
    ///
    /// # Errors
    /// If there is no identity and no join token, the state cannot be used, or the broker refuses to enrol.
    pub async fn start(settings: PluginSettings) -> Result<Arc<Self>, Fault> {
        private_directory(&settings.state)?;
        let identity = match Identity::load(&settings.state.join("identity"))? {
            Some(identity) => identity,
            None => enrol(&settings).await?,
        };
        let spool = settings.state.join("spool");
        private_directory(&spool)?;
        let outbox = Outbox::open(&settings.state.join("outbox"))?;
        let budget = Budget::new(settings.spool_bytes);
        let link = Arc::new(Link::new(settings.clone(), identity)?);

        let mut sealer = sealer(&settings)?;
        let mut open_key = open_key(&link);
        let crashed = crate::seal::recover(&spool, &budget, &mut sealer, &mut open_key, &outbox)
            .map_err(|error| unusable(&error.to_string()))?;
        if crashed > 0 {
            tracing::warn!(sessions = crashed, "sessions of a gateway that crashed were closed from its spool");
        }
        // Their ends are still to be uploaded: the broker must not settle them before.
        outbox.sessions().into_iter().for_each(|session| link.admitted(session));
        let (notices, receiver) = channel();
        let (ready, uploads) = mpsc::unbounded_channel();
        let weak = ready.downgrade();
        let sealing = Sealing {
            notices: receiver,
            outbox: outbox.clone(),
            budget: budget.clone(),
            sealer,
            open_key,
            seen: link.seen.clone(),
            ready,
        };
        let sealing = std::thread::Builder::new().name("seal".to_owned()).spawn(move || sealing.run());
        let sealing = sealing.map_err(|error| unusable(&error.to_string()))?;
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&link).run(stop.subscribe()));
        tasks.spawn(crate::upload::run(outbox.clone(), link.clone(), settings.uploads, uploads, stop.subscribe()));
        Ok(Arc::new(Self {
            settings,
            link,
            budget,
            outbox: outbox.clone(),
            ready: weak,
            notices: Mutex::new(notices),
            runtime: Handle::current(),
            tasks: tokio::sync::Mutex::new(tasks),
            sealing: Mutex::new(Some(sealing)),
            masks: masks::Ready::default(),
            stop,
        }))
    }

    /// The gateway's name.
    #[must_use]
    pub fn gateway(&self) -> GatewayId {
        self.link.with_identity(Identity::gateway)
    }

    /// Whether sessions can be opened: the broker is there and a policy set is in force.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.link.ready()
    }

    /// Waits until sessions can be opened.
    pub async fn wait_until_ready(&self) {
        self.link.wait_until_ready().await;
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs what talks to the broker on the plugin's own runtime, whichever awaits it.
    pub(crate) async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        match self.runtime.spawn(work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(unusable("the gateway is shutting down")),
        }
    }

    /// Asks the broker for a session. May be awaited on any runtime.
    ///
    /// # Errors
    /// If the broker refuses or is not there.
    pub async fn open(self: &Arc<Self>, request: OpenRequest) -> Result<Opening, Fault> {
        let plugin = Arc::clone(self);
        self.on_runtime(async move { plugin.admit(request).await }).await
    }

    async fn admit(self: &Arc<Self>, request: OpenRequest) -> Result<Opening, Fault> {
        if !self.link.ready() {
            return Err(crate::client::no_broker("there is no stream to the broker, or no policy yet".to_owned()));
        }
        let reply = match self.link.client().open(&request).await? {
            client::Opening::Open(reply) => *reply,
            client::Opening::Held(put) => {
                let held = HeldOpening::put_to(self, put, request).await?;
                return Ok(Opening::Held(Box::new(held)));
            }
        };
        self.link.admitted(reply.session);
        let (session, writ, begun) = (reply.session, reply.writ, Instant::now());
        let taken = self.take(reply, begun).await;
        if let Err(fault) = &taken {
            self.give_up(session, writ, fault);
        }
        taken.map(|admitted| Opening::Admitted(Box::new(admitted)))
    }

    async fn take(self: &Arc<Self>, reply: OpenReply, begun: Instant) -> Result<Admitted, Fault> {
        let policy = self.policy_of(&reply).await?;
        let purpose =
            Purpose { writ: reply.writ, session: reply.session, gateway: self.gateway(), target: &reply.target.name };
        let (credential, data_key, mask_key) = (&reply.credential, &reply.data_key, reply.mask_key.as_ref());
        let sealed = SealedSession { credential, data_key, mask_key };
        let opened = self.link.with_identity(|identity| identity.opening().session(sealed, purpose));
        let opened = opened.map_err(|fault| unusable(&fault.to_string()))?;
        let OpenedSession { principal, secret, data_key, mask_key } = opened;
        let masking = self.masking(&policy.bundle, &reply.obligations.masks, mask_key.as_deref())?;
        let sealed_key = serde_json::to_vec(&reply.data_key).map_err(|error| unusable(&error.to_string()))?;
        let meta = SessionMeta {
            session: reply.session,
            writ: reply.writ,
            target: reply.target.name.clone(),
            level: reply.obligations.record,
            opened: writ_core::time::Timestamp::now(),
            sealed_key,
            wrapped_key: reply.wrapped_data_key.0.clone(),
        };
        Ok(Admitted {
            claim: Claim::new(Arc::clone(self), reply.session, reply.writ),
            session: reply.session,
            writ: reply.writ,
            policy: SessionPolicy::prepare(&policy.bundle, &reply.workload, &reply.target),
            issuer: reply.workload.issuer,
            subject: reply.workload.subject,
            target: reply.target,
            claims: reply.workload.claims,
            principal,
            secret,
            deadline: begun + Duration::from_secs(reply.remaining_seconds),
            obligations: reply.obligations,
            meta,
            key: DataKey::new(data_key),
            masking,
        })
    }

    /// The masks of a session: none where policy asks for none, and no session where those that it asks for cannot be had.
    fn masking(&self, bundle: &Bundle, sets: &[String], key: Option<&[u8; 32]>) -> Result<Option<Masking>, Fault> {
        if sets.is_empty() {
            return Ok(None);
        }
        let key = key.ok_or_else(|| unusable("the broker asks for masks and gives no key for them"))?;
        let rules = self.masks.rules(bundle, sets)?;
        Ok(Some(Masking { rules, key: Arc::new(MaskKey::derive(key)) }))
    }

    /// The policy set by which the broker admitted the session: the gateway decides by the same, or not at all.
    async fn policy_of(&self, reply: &OpenReply) -> Result<Arc<Received>, Fault> {
        let mut changed = self.link.policy_changed();
        let wanted = async {
            loop {
                if let Some(policy) = self.link.policy().filter(|policy| *policy.bundle.hash() == reply.policy_hash) {
                    return Some(policy);
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        let found = tokio::time::timeout(POLICY_WAIT, wanted).await.ok().flatten();
        found.ok_or_else(|| {
            Fault::new("policy.behind", Blame::Ours, "the gateway does not have the policy in force yet")
                .help("try again in a moment")
        })
    }

    /// The gate of worker `index`; called on its thread.
    ///
    /// # Errors
    /// If its spool cannot be made.
    pub fn worker(&self, index: u32) -> Result<WorkerGate, Fault> {
        let settings = SpoolSettings {
            strict: self.settings.strict,
            rotate_bytes: self.settings.spool_file_bytes,
            ..SpoolSettings::default()
        };
        let spool = WorkerSpool::open(&self.settings.state.join("spool"), index, settings, self.budget.clone());
        let spool = spool.map_err(|error| unusable(&error.to_string()))?;
        Ok(WorkerGate::new(spool, self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }

    /// Enters a live session; it learns from the answer when it must end.
    #[must_use]
    pub fn register(&self, session: SessionId) -> LiveSession {
        self.link.registry.register(session)
    }

    /// A session was admitted and never began: its end is on the way to the broker, which takes the credential back.
    pub fn not_begun(&self, meta: &SessionMeta, why: &Fault) {
        self.give_up(meta.session, meta.writ, why);
    }

    pub(crate) fn give_up(&self, session: SessionId, writ: WritId, why: &Fault) {
        let closed = writ_record::segment::Closed {
            session,
            writ,
            end: writ_core::event::SessionEnd::NotOpened,
            code: why.code.to_owned(),
            commands: 0,
            command_segments: 0,
            row_segments: 0,
        };
        let (outbox, ready) = (self.outbox.clone(), self.ready.clone());
        self.runtime.spawn_blocking(move || match outbox.put_close(&closed) {
            Ok(()) => drop(ready.upgrade().map(|ready| ready.send(closed.session))),
            Err(fault) => tracing::error!(session = %closed.session, detail = %fault.detail, "an end cannot be kept"),
        });
    }

    /// Seals and uploads what is there, then stops. Call it when no session lives any more; after `limit` what is left stays for
    /// the next start.
    pub async fn shutdown(&self, limit: Duration) {
        let _ = self.notices.lock().unwrap_or_else(PoisonError::into_inner).send(Notice::Stop);
        let sealing = self.sealing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sealing) = sealing {
            let _ = tokio::task::spawn_blocking(move || sealing.join()).await;
        }
        // The sealing thread is gone, and with it the sender of what is ready: the upload ends when it is through.
        let mut tasks = self.tasks.lock().await;
        let uploaded = async { while tasks.len() > 1 && tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(limit, uploaded).await;
        let _ = self.stop.send(true);
        let _ =
            tokio::time::timeout(Duration::from_secs(1), async { while tasks.join_next().await.is_some() {} }).await;
        tasks.shutdown().await;
    }
}

async fn enrol(settings: &PluginSettings) -> Result<Identity, Fault> {
    let missing = || {
        unusable("the gateway has not enrolled, and there is no join token: make one with `writ gateways join-token`")
    };
    let file = settings.join_token_file.as_ref().ok_or_else(missing)?;
    let token = std::fs::read_to_string(file).map(zeroize::Zeroizing::new);
    let token = token.map_err(|error| unusable(&format!("the join token cannot be read: {error}")))?;
    let fresh = Fresh::make(&settings.state.join("identity"))?;
    let (csr_pem, sealing_key) = fresh.request()?;
    let client = BrokerClient::unknown(&settings.broker, &settings.broker_ca_pem, settings.request_timeout)?;
    let request = EnrolRequest { join_token: token.trim().to_owned(), csr_pem, sealing_key };
    let identity = fresh.enrolled(client.enrol(&request).await?)?;
    tracing::info!(gateway = %identity.gateway(), "the gateway has joined");
    Ok(identity)
}

fn sealer(settings: &PluginSettings) -> Result<Sealer, Fault> {
    let seconds = u32::try_from(settings.segment_age.as_secs()).unwrap_or(u32::MAX);
    Sealer::new(SealSettings { segment_seconds: seconds, ..SealSettings::default() })
        .map_err(|error| unusable(&error.to_string()))
}

/// The key of a session is in its spool, sealed to this gateway.
fn open_key(link: &Arc<Link>) -> OpenKey {
    let link = Arc::clone(link);
    Box::new(move |meta: &SessionMeta| {
        let sealed: Sealed = serde_json::from_slice(&meta.sealed_key).ok()?;
        link.with_identity(|identity| {
            let purpose =
                Purpose { writ: meta.writ, session: meta.session, gateway: identity.gateway(), target: &meta.target };
            let key = identity.opening().data_key(&sealed, purpose).ok()?;
            Some(DataKey::new(key))
        })
    })
}

fn unusable(why: &str) -> Fault {
    Fault::new("gateway.unusable", Blame::Ours, "the gateway cannot serve").detail(why.to_owned())
}

/// Where a gateway's state is looked for in tests and tools.
#[must_use]
pub fn spool_directory(state: &Path) -> std::path::PathBuf {
    state.join("spool")
}
