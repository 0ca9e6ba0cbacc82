//! The one stream to the broker: heartbeats, policy, orders, checkpoints.
//!
//! While it is there, sessions may be opened. Without it new ones are refused at once, live ones run on for the grace, and then
//! end as terminated. What arrives is believed only with the signature of a key that was pinned at enrolment, a policy only with
//! a number that does not go back, a checkpoint only if it continues the newest that was seen.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use writ_broker_api::gateway::{Kill, RenewRequest, SignedBundle, StreamMessage, SyncRequest};
use writ_broker_api::sealed::Base64;
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::id::SessionId;
use writ_core::time::Timestamp;
use writ_ledger::note::Verifier;
use writ_ledger::{Checkpoint, Hash, proof};
use writ_policy::wire::Received;

use crate::approvals::Questions;
use crate::client::BrokerClient;
use crate::identity::Identity;
use crate::registry::{Ending, Registry};
use crate::settings::PluginSettings;

/// Without a line for so long, the stream is gone. The broker sends one each second.
const SILENCE: Duration = Duration::from_secs(4);
/// How often the broker is told which sessions live: one that it opened for a gateway that was gone when the answer came
/// is found by its not being named.
const SYNC_EVERY: Duration = Duration::from_secs(60);
/// The longest line of the stream: a policy bundle in base64.
const MAX_LINE: usize = 64 << 20;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The link to the broker.
#[derive(Debug)]
pub(crate) struct Link {
    settings: PluginSettings,
    client: ArcSwap<BrokerClient>,
    identity: Mutex<Identity>,
    ledger: Verifier,
    bundle_key: Vec<u8>,
    policy: ArcSwapOption<Received>,
    policy_changed: watch::Sender<u64>,
    fresh: watch::Sender<bool>,
    pub(crate) registry: Registry,
    /// The questions to humans that wait.
    pub(crate) questions: Questions,
    /// Whether the broker has not been told yet which sessions live: none was asked for before.
    started: AtomicBool,
    /// Sessions that ended here and whose end the broker has not taken yet.
    unacknowledged: Mutex<BTreeSet<SessionId>>,
    pub(crate) seen: Arc<Mutex<writ_record::segment::Checkpoint>>,
    newest: Mutex<Checkpoint>,
}

impl Link {
    /// A link for an enrolled gateway.
    pub(crate) fn new(settings: PluginSettings, identity: Identity) -> Result<Self, Fault> {
        let broken = |what: &str| {
            Fault::new("gateway.state", Blame::Ours, "the gateway's state cannot be used").detail(what.to_owned())
        };
        let client = BrokerClient::known(&settings.broker, &identity, settings.request_timeout)?;
        let ledger: Verifier = identity.pinned().ledger_key.parse().map_err(|_| broken("the pinned ledger key"))?;
        let note = identity.checkpoint()?.ok_or_else(|| broken("the newest checkpoint is missing"))?;
        let newest = Checkpoint::open(&note, &ledger).map_err(|fault| broken(&fault.to_string()))?;
        let seen = writ_record::segment::Checkpoint { size: newest.size, root: newest.root.0 };
        let bundle_key = identity.pinned().bundle_key.0.clone();
        Ok(Self {
            settings,
            client: ArcSwap::from_pointee(client),
            identity: Mutex::new(identity),
            ledger,
            bundle_key,
            policy: ArcSwapOption::empty(),
            policy_changed: watch::Sender::new(0),
            fresh: watch::Sender::new(false),
            registry: Registry::default(),
            questions: Questions::default(),
            started: AtomicBool::new(true),
            unacknowledged: Mutex::default(),
            seen: Arc::new(Mutex::new(seen)),
            newest: Mutex::new(newest),
        })
    }

    /// The client with the certificate of now.
    pub(crate) fn client(&self) -> Arc<BrokerClient> {
        self.client.load_full()
    }

    /// The policy set in force.
    pub(crate) fn policy(&self) -> Option<Arc<Received>> {
        self.policy.load_full()
    }

    /// Changes with each policy set.
    pub(crate) fn policy_changed(&self) -> watch::Receiver<u64> {
        self.policy_changed.subscribe()
    }

    /// Whether the broker is there now and a policy set is in force.
    pub(crate) fn ready(&self) -> bool {
        *self.fresh.borrow() && self.policy.load().is_some()
    }

    /// Waits until [`Self::ready`].
    pub(crate) async fn wait_until_ready(&self) {
        let mut fresh = self.fresh.subscribe();
        let mut policy = self.policy_changed.subscribe();
        while !self.ready() {
            tokio::select! {
                changed = fresh.changed() => if changed.is_err() { return },
                changed = policy.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Opens a session's data key.
    pub(crate) fn with_identity<T>(&self, work: impl FnOnce(&Identity) -> T) -> T {
        work(&self.identity.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A session was admitted; until its end is taken the broker is told that it is ours.
    pub(crate) fn admitted(&self, session: SessionId) {
        self.unacknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(session);
    }

    /// The broker has taken a session's end.
    pub(crate) fn acknowledged(&self, session: SessionId) {
        self.unacknowledged.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    /// Holds the stream until it is stopped.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut wait = FIRST_WAIT;
        let mut lost_since: Option<Instant> = None;
        loop {
            let begun = Instant::now();
            let ended = tokio::select! {
                ended = self.hold() => ended,
                () = self.outlive(lost_since) => {
                    lost_since = None;
                    continue;
                }
                _ = stop.changed() => return,
            };
            self.fresh.send_replace(false);
            tracing::warn!(code = ended.code, detail = %ended.detail, "the broker is gone; new sessions are refused");
            metrics::gauge!("writ_gateway_broker_connected").set(0.0);
            lost_since = lost_since.filter(|_| begun.elapsed() < SILENCE).or(Some(Instant::now()));
            if begun.elapsed() > SILENCE * 2 {
                wait = FIRST_WAIT;
            }
            let pause = wait.mul_f64(0.5 + f64::from(jitter()) / 512.0);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.outlive(lost_since) => lost_since = None,
                _ = stop.changed() => return,
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Ends all sessions once the broker was gone for longer than the grace.
    async fn outlive(&self, lost_since: Option<Instant>) {
        match lost_since {
            Some(since) => {
                tokio::time::sleep_until(since + self.settings.broker_grace).await;
                if !*self.fresh.borrow() {
                    self.registry.end_all(&Ending {
                        end: SessionEnd::BrokerLost,
                        reason: "the gateway has lost its broker".to_owned(),
                    });
                }
            }
            None => core::future::pending().await,
        }
    }

    /// Connects, tells which sessions live, and takes lines until the stream ends.
    async fn hold(&self) -> Fault {
        match self.hold_until_fault().await {
            Ok(()) => Fault::new("broker.stream", Blame::Ours, "the broker's stream has ended"),
            Err(fault) => fault,
        }
    }

    async fn hold_until_fault(&self) -> Result<(), Fault> {
        self.renew_if_due().await?;
        self.sync().await?;
        let mut response = self.client().stream(self.seen_size()).await?;
        let mut buffer: Vec<u8> = Vec::new();
        let mut synced = Instant::now();
        loop {
            let chunk = timeout(SILENCE, response.chunk()).await;
            let chunk = chunk.map_err(|_| crate::client::no_broker("its stream is silent".to_owned()))?;
            let chunk = chunk.map_err(|error| crate::client::no_broker(error.to_string()))?;
            let Some(chunk) = chunk else { return Ok(()) };
            buffer.extend_from_slice(&chunk);
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                self.line(&line)?;
            }
            if buffer.len() > MAX_LINE {
                return Err(strange("a line is too long"));
            }
            self.renew_if_due().await?;
            if synced.elapsed() >= SYNC_EVERY {
                self.sync().await?;
                synced = Instant::now();
            }
        }
    }

    async fn sync(&self) -> Result<(), Fault> {
        let mut sessions: BTreeSet<SessionId> = self.registry.sessions().into_iter().collect();
        sessions.extend(self.unacknowledged.lock().unwrap_or_else(PoisonError::into_inner).iter().copied());
        let started = self.started.load(Ordering::Relaxed);
        let request = SyncRequest { sessions: sessions.into_iter().collect(), started };
        let reply = self.client().sync(&request).await?;
        self.started.store(false, Ordering::Relaxed);
        reply.kill.iter().for_each(|kill| self.kill(kill));
        Ok(())
    }

    fn kill(&self, kill: &Kill) {
        let ending = Ending { end: SessionEnd::Revoked, reason: kill.reason.clone() };
        if self.registry.end(kill.session, &ending) {
            tracing::info!(session = %kill.session, "a session is ended by order");
        }
    }

    fn line(&self, line: &[u8]) -> Result<(), Fault> {
        let message = serde_json::from_slice(line).map_err(|error| strange(&error.to_string()))?;
        match message {
            StreamMessage::Heartbeat { .. } => {}
            StreamMessage::Kill(kill) => self.kill(&kill),
            StreamMessage::Settled(reply) => self.questions.settled(reply),
            StreamMessage::Bundle { bundle } => self.take_policy(&bundle)?,
            StreamMessage::Checkpoint { checkpoint, from_size, proof } => {
                self.take_checkpoint(&checkpoint, from_size, &proof)?;
            }
        }
        if !self.fresh.send_replace(true) {
            metrics::gauge!("writ_gateway_broker_connected").set(1.0);
        }
        Ok(())
    }

    fn take_policy(&self, signed: &SignedBundle) -> Result<(), Fault> {
        let check = |message: &[u8], signature: &[u8]| {
            UnparsedPublicKey::new(&ED25519, &self.bundle_key).verify(message, signature).is_ok()
        };
        let received = writ_policy::wire::verify(&signed.bytes.0, &signed.signature.0, check);
        let received = received.map_err(|fault| strange(&fault.to_string()))?;
        if self.policy.load().as_ref().is_some_and(|before| before.number > received.number) {
            return Err(strange("the policy set is older than the one in force"));
        }
        let number = received.number;
        self.policy.store(Some(Arc::new(received)));
        self.policy_changed.send_replace(number);
        Ok(())
    }

    /// A checkpoint that does not continue the newest one that was seen is a fork or a rollback: the broker is not believed.
    fn take_checkpoint(&self, note: &str, from_size: u64, hashes: &[Base64]) -> Result<(), Fault> {
        let checkpoint = Checkpoint::open(note, &self.ledger).map_err(|fault| strange(&fault.to_string()))?;
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if checkpoint == *newest {
            return Ok(());
        }
        let hashes: Option<Vec<Hash>> = hashes.iter().map(|hash| Hash::from_slice(&hash.0)).collect();
        let hashes = hashes.ok_or_else(|| strange("a consistency proof is malformed"))?;
        // The first of a stream proves nothing by itself: the gateway asks from the size that it has seen.
        let proved = from_size == newest.size
            && proof::check_consistency(newest.size, &newest.root, checkpoint.size, &checkpoint.root, &hashes).is_ok();
        if !proved {
            tracing::error!(seen = newest.size, shown = checkpoint.size, "THE LEDGER DOES NOT CONTINUE WHAT WAS SEEN");
            metrics::counter!("writ_gateway_ledger_forks_total").increment(1);
            return Err(strange("the ledger does not continue the newest checkpoint that was seen"));
        }
        self.with_identity(|identity| identity.keep_checkpoint(note))?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) =
            writ_record::segment::Checkpoint { size: checkpoint.size, root: checkpoint.root.0 };
        *newest = checkpoint;
        Ok(())
    }

    /// The size of the newest checkpoint that was seen.
    pub(crate) fn seen_size(&self) -> u64 {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).size
    }

    async fn renew_if_due(&self) -> Result<(), Fault> {
        let due = self.with_identity(Identity::renew_at) <= Timestamp::now().as_second();
        if !due {
            return Ok(());
        }
        let (csr_pem, sealing_key) = self.with_identity(|identity| {
            identity.signing_request().map(|csr| (csr, identity.pinned().sealing_key.clone()))
        })?;
        let reply = self.client().renew(&RenewRequest { csr_pem, sealing_key }).await?;
        let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        identity.renewed(reply.certificate_pem)?;
        let client = BrokerClient::known(&self.settings.broker, &identity, self.settings.request_timeout)?;
        self.client.store(Arc::new(client));
        tracing::info!("the gateway's certificate was renewed");
        Ok(())
    }
}

fn jitter() -> u8 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    byte
}

fn strange(why: &str) -> Fault {
    Fault::new("broker.strange", Blame::Ours, "the gateway does not believe its broker").detail(why.to_owned())
}
