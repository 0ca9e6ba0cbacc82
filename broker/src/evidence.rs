//! Evidence: the one place where the ledger grows, and the only caller of `writ-ledger`.
//!
//! Callers stage a request: conditions, events, rows. One task takes what has gathered, lets the store decide which conditions
//! hold, and commits all of it in one transaction: *group commit*. The order is the point:
//!
//! 1. the store checks conditions, changes rows, appends entries and the new head, and syncs. **Commit point**: before it
//!    nothing is promised, after it everything is recoverable;
//! 2. waiters are answered: what they asked for is durable;
//! 3. the entries are applied to the tiles and a checkpoint is published. A crash before this loses nothing: the next start
//!    applies what the store still holds, by the same code.
//!
//! A commit that fails answers its waiters with a fault, and nothing was promised. If tiles cannot be written, nothing new is
//! taken until they can: evidence that cannot be shown is none.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use writ_core::event::{Entry, Event};
use writ_core::proof::{Intended, Logged, Minted};
use writ_core::time::{Clock, Timestamp};
use writ_core::writ::{CredentialFacts, Writ, WritState};
use writ_ledger::note::Verifier;
use writ_ledger::{Hash, Head, TileSource as _};

use crate::store::{Change, Client, Condition, Request, Store, StoreFault, StoredHead};

mod directory;
mod signer;

pub use directory::LedgerDirectory;
pub use signer::LedgerSigner;

/// How many requests one commit takes at most.
const MAX_BATCH: usize = 1024;
/// How many requests may wait before callers wait themselves.
const QUEUE: usize = 8192;
/// How many entries are applied to the tiles at a time.
const APPLY_BATCH: u32 = 4096;
/// The longest entry, in bytes; the ledger's tiles hold no longer one.
const MAX_ENTRY: usize = 65_535;
/// How often tiles are written while entries keep coming. Each time syncs about eight files, which commits on the same disk
/// have to wait for.
const PUBLISH_EVERY: core::time::Duration = core::time::Duration::from_millis(250);
/// How long a commit waits for a ledger that cannot be written to be mended, before it is refused.
const HEALTHY_WITHIN: core::time::Duration = core::time::Duration::from_secs(1);

/// Why there is no evidence, and therefore no access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFault {
    /// The ledger cannot be written.
    #[error("the ledger cannot be written: {0}")]
    Unwritable(String),
    /// A condition did not hold: nothing was written.
    #[error("a condition of the request did not hold")]
    Refused,
    /// An event is too long.
    #[error("an event of {0} bytes is longer than a ledger entry may be")]
    TooLong(usize),
    /// The ledger does not continue what was signed.
    #[error("the ledger's files do not lead to the head that the store has: restore both from one backup")]
    Broken,
    /// The broker is shutting down.
    #[error("the broker is shutting down")]
    Closed,
}

impl From<StoreFault> for EvidenceFault {
    fn from(fault: StoreFault) -> Self {
        Self::Unwritable(fault.0)
    }
}

struct Staged {
    request: Request,
    reply: oneshot::Sender<Result<(), EvidenceFault>>,
}

/// Stages evidence. Cheap to clone.
#[derive(Clone)]
pub struct Evidence {
    staged: mpsc::Sender<Staged>,
    published: watch::Receiver<Published>,
    verifier: Verifier,
    clock: Arc<dyn Clock>,
}

impl core::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Evidence").field("published", &*self.published.borrow()).finish_non_exhaustive()
    }
}

/// The newest checkpoint whose tiles are all written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// How many entries it covers.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The signed note.
    pub note: String,
    /// Whether the ledger can be written.
    pub healthy: bool,
}

/// The writer, to be run as a task: one half commits, the other publishes what is committed. They run side by side, so that
/// nobody's answer waits for files that it does not need.
pub struct Writer {
    committer: Committer,
    publisher: Publisher,
}

struct Committer {
    store: Arc<dyn Store>,
    staged: mpsc::Receiver<Staged>,
    /// The head over all that is committed.
    head: Head,
    /// Whether the store failed last. Then the next commit is what finds out whether it works again.
    store_failed: bool,
    committed: watch::Sender<u64>,
    published: watch::Sender<Published>,
}

struct Publisher {
    store: Arc<dyn Store>,
    directory: Arc<LedgerDirectory>,
    signer: LedgerSigner,
    /// The head over all that is applied to the tiles.
    applied: Head,
    committed: watch::Receiver<u64>,
    published: watch::Sender<Published>,
}

impl Evidence {
    /// Recovers the ledger: applies what the store holds and the tiles lack, and checks that both lead to the same head.
    ///
    /// # Errors
    /// [`EvidenceFault`] if the store or the tiles cannot be read or written, or do not belong together.
    pub async fn recover(
        store: Arc<dyn Store>,
        directory: Arc<LedgerDirectory>,
        signer: LedgerSigner,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Writer), EvidenceFault> {
        let stored = store.head().await?;
        let applied =
            Head::load(stored.applied, &*directory).map_err(|fault| EvidenceFault::Unwritable(fault.to_string()))?;
        // Before anything is signed or written: a tile that was changed must not become a checkpoint.
        let head = complete(&*store, &applied, &stored).await?;
        let note = signer.checkpoint(applied.size(), &applied.root()).await?;
        let first = Published { size: applied.size(), root: applied.root(), note, healthy: true };
        let (published, watching) = watch::channel(first);
        let (sender, staged) = mpsc::channel(QUEUE);
        let (committed, committing) = watch::channel(stored.size);
        let verifier = signer.verifier().clone();
        let mut publisher = Publisher {
            store: store.clone(),
            directory,
            signer,
            applied,
            committed: committing,
            published: published.clone(),
        };
        publisher.apply(stored.size).await?;
        let committer = Committer { store, staged, head, store_failed: false, committed, published };
        Ok((Self { staged: sender, published: watching, verifier, clock }, Writer { committer, publisher }))
    }

    /// Writes down events with the rows that depend on them. Durable when this returns.
    ///
    /// # Errors
    /// [`EvidenceFault`]; then nothing was written.
    pub async fn write(
        &self,
        events: Vec<Event>,
        conditions: Vec<Condition>,
        changes: Vec<Change>,
    ) -> Result<(), EvidenceFault> {
        let at = self.clock.now();
        let entries = events.into_iter().map(|event| canonical(at, event)).collect::<Result<_, _>>()?;
        let (reply, answer) = oneshot::channel();
        let staged = Staged { request: Request { conditions, entries, changes }, reply };
        self.staged.send(staged).await.map_err(|_| EvidenceFault::Closed)?;
        answer.await.map_err(|_| EvidenceFault::Closed)?
    }

    /// Writes down one event.
    ///
    /// # Errors
    /// [`EvidenceFault`]; then nothing was written.
    pub async fn event(&self, event: Event) -> Result<(), EvidenceFault> {
        self.write(vec![event], Vec::new(), Vec::new()).await
    }

    /// COMMIT POINT A: the intent is durable before the provider is called. A crash from here on leaves an intent without an
    /// outcome, which the janitor settles.
    ///
    /// # Errors
    /// [`EvidenceFault::Refused`] if the token has no use left; any other fault if nothing could be written.
    pub async fn intend(
        &self,
        writ: Writ,
        client: Client,
        events: Vec<Event>,
        conditions: Vec<Condition>,
        more: Option<Change>,
    ) -> Result<Intended, EvidenceFault> {
        let open = Change::Open { writ: writ.clone(), client };
        self.write(events, conditions, core::iter::once(open).chain(more).collect()).await?;
        #[expect(clippy::disallowed_methods, reason = "this is the one maker: the intent is durable")]
        let intended = Intended::durable(writ);
        Ok(intended)
    }

    /// COMMIT POINT B: the outcome is durable before the credential leaves the broker. If it cannot be written, what was
    /// minted is dropped, and dropping it queues its revocation.
    ///
    /// # Errors
    /// [`EvidenceFault`]; then the credential is not released.
    pub async fn issued(&self, minted: Minted, facts: CredentialFacts) -> Result<Logged, EvidenceFault> {
        let Some(writ) = minted.writ() else { return Err(EvidenceFault::Closed) };
        let issued = Writ { state: WritState::Issued, credential: Some(facts.clone()), ..writ.clone() };
        let event = Event::WritIssued { writ: writ.id, credential: facts };
        // What was settled meanwhile, by an order or with its gateway, is not released any more; nor what was frozen.
        let conditions = vec![
            Condition::WritIs(writ.id, WritState::Intended),
            Condition::SessionOpen(writ.session),
            Condition::NotFrozen {
                issuer: writ.issuer.clone(),
                subject: writ.subject.clone(),
                target: writ.target.clone(),
            },
        ];
        self.write(vec![event], conditions, vec![Change::Writ(issued)]).await?;
        #[expect(clippy::disallowed_methods, reason = "this is the one maker: the outcome is durable")]
        let logged = minted.logged();
        logged.ok_or(EvidenceFault::Closed)
    }

    /// Whether events can be written, and are published.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.staged.is_closed() && self.published.borrow().healthy
    }

    /// The newest published checkpoint, to be watched.
    #[must_use]
    pub fn published(&self) -> watch::Receiver<Published> {
        self.published.clone()
    }

    /// The key that verifies checkpoints.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// The head after everything that the store holds and `known` lacks: the store's own, or there is none to go on from.
async fn complete(store: &dyn Store, known: &Head, stored: &StoredHead) -> Result<Head, EvidenceFault> {
    let mut head = known.clone();
    while head.size() < stored.size {
        let entries = store.entries(head.size(), APPLY_BATCH).await?;
        if entries.is_empty() {
            return Err(EvidenceFault::Broken);
        }
        let appended = head.appended(entries.iter().map(Vec::as_slice));
        head = appended.map_err(|fault| EvidenceFault::Unwritable(fault.to_string()))?;
    }
    if head.size() != stored.size || head.root() != stored.root {
        return Err(EvidenceFault::Broken);
    }
    Ok(head)
}

fn canonical(at: Timestamp, event: Event) -> Result<Vec<u8>, EvidenceFault> {
    let bytes = Entry::new(at, event).to_canonical().map_err(|error| EvidenceFault::Unwritable(error.to_string()))?;
    if bytes.len() > MAX_ENTRY { Err(EvidenceFault::TooLong(bytes.len())) } else { Ok(bytes) }
}

impl Writer {
    /// Runs until every [`Evidence`] is gone, then applies what is left.
    pub async fn run(self) {
        tokio::join!(self.committer.run(), self.publisher.run());
    }
}

impl Committer {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while self.staged.recv_many(&mut batch, MAX_BATCH).await > 0 {
            self.commit(core::mem::take(&mut batch)).await;
        }
    }

    async fn commit(&mut self, batch: Vec<Staged>) {
        let (requests, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|staged| (staged.request, staged.reply)).unzip();
        let answer = self.try_commit(requests).await;
        if answer.is_err() {
            self.published.send_modify(|published| published.healthy = false);
        }
        self.committed.send_replace(self.head.size());
        for (index, reply) in replies.into_iter().enumerate() {
            let outcome = match &answer {
                Ok(taken) if taken.get(index) == Some(&true) => Ok(()),
                Ok(_) => Err(EvidenceFault::Refused),
                Err(fault) => Err(fault.clone()),
            };
            // A waiter that is gone does not unmake what is durable.
            let _ = reply.send(outcome);
        }
    }

    /// Nothing is taken while the tiles cannot be written.
    async fn until_healthy(&self) -> Result<(), EvidenceFault> {
        let mut published = self.published.subscribe();
        let healthy = published.wait_for(|published| published.healthy);
        match tokio::time::timeout(HEALTHY_WITHIN, healthy).await {
            Ok(_) => Ok(()),
            Err(_) => Err(EvidenceFault::Unwritable("the ledger's tiles cannot be written".to_owned())),
        }
    }

    /// After a failure nobody knows what the store took: what it has is taken over before anything is appended to it.
    async fn catch_up(&mut self) -> Result<(), EvidenceFault> {
        let stored = self.store.head().await?;
        self.head = complete(&*self.store, &self.head, &stored).await?;
        Ok(())
    }

    async fn try_commit(&mut self, requests: Vec<Request>) -> Result<Vec<bool>, EvidenceFault> {
        if self.store_failed {
            self.catch_up().await?;
        } else {
            self.until_healthy().await?;
        }
        let expected = self.head.size();
        let head = self.head.clone();
        // What the store signs over is what is kept: the entries are hashed once.
        let (sealed, kept) = std::sync::mpsc::sync_channel(1);
        let seal = Box::new(move |_: u64, entries: &[Vec<u8>]| {
            let head =
                head.appended(entries.iter().map(Vec::as_slice)).map_err(|fault| StoreFault(fault.to_string()))?;
            let root = head.root();
            let _ = sealed.try_send(head);
            Ok(root)
        });
        let committed = self.store.commit(requests, expected, seal).await;
        self.store_failed = committed.is_err();
        let committed = committed?;
        if let Ok(head) = kept.try_recv() {
            self.head = head;
        }
        metrics::counter!("writ_ledger_entries_total").increment(committed.entries.len() as u64);
        Ok(committed.taken)
    }
}

impl Publisher {
    /// Publishes what is committed, and what could not be published until it can; a last time when the committer is gone.
    async fn run(mut self) {
        let mut pace = tokio::time::interval(PUBLISH_EVERY);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let healthy = self.published.borrow().healthy;
            let ended = if healthy { self.committed.changed().await } else { self.committed.has_changed().map(drop) };
            if ended.is_ok() {
                pace.tick().await;
            }
            let size = *self.committed.borrow_and_update();
            if size > self.applied.size() || !self.published.borrow().healthy {
                self.publish(size).await;
            }
            if ended.is_err() {
                return;
            }
        }
    }

    async fn publish(&mut self, size: u64) {
        if let Err(fault) = self.apply(size).await {
            tracing::error!(%fault, "the ledger's tiles cannot be written; nothing new is accepted until they can");
            self.published.send_modify(|published| published.healthy = false);
        }
    }

    /// Applies the store's entries to the tiles, up to `size`, and publishes a checkpoint. Doing it again changes nothing.
    async fn apply(&mut self, size: u64) -> Result<(), EvidenceFault> {
        while self.applied.size() < size {
            let entries = self.store.entries(self.applied.size(), APPLY_BATCH).await?;
            if entries.is_empty() {
                return Err(EvidenceFault::Broken);
            }
            self.applied = self.apply_batch(entries).await?;
        }
        let (size, root) = (self.applied.size(), self.applied.root());
        let note = self.signer.checkpoint(size, &root).await?;
        self.write_files(vec![("checkpoint".to_owned(), note.clone().into_bytes())]).await?;
        self.store.applied(size).await?;
        self.published.send_replace(Published { size, root, note, healthy: true });
        Ok(())
    }

    /// Hashing some thousand entries takes milliseconds, which belong to nobody's answer: it runs beside the runtime's threads.
    async fn apply_batch(&self, entries: Vec<Vec<u8>>) -> Result<Head, EvidenceFault> {
        let (directory, applied) = (Arc::clone(&self.directory), self.applied.clone());
        let unwritable = |fault: &dyn core::fmt::Display| EvidenceFault::Unwritable(fault.to_string());
        tokio::task::spawn_blocking(move || {
            let plan = applied.plan(entries.iter().map(Vec::as_slice)).map_err(|fault| unwritable(&fault))?;
            directory.write_all(&plan.files).map_err(|error| unwritable(&error))?;
            Ok(plan.head)
        })
        .await
        .map_err(|error| EvidenceFault::Unwritable(error.to_string()))?
    }

    async fn write_files(&self, files: Vec<(String, Vec<u8>)>) -> Result<(), EvidenceFault> {
        let directory = Arc::clone(&self.directory);
        tokio::task::spawn_blocking(move || directory.write_all(&files))
            .await
            .map_err(|error| EvidenceFault::Unwritable(error.to_string()))?
            .map_err(|error| EvidenceFault::Unwritable(error.to_string()))
    }
}

/// Proofs and tiles for whoever asks, from the published files.
impl LedgerDirectory {
    /// The hashes that show that the log of `new` entries continues that of `old`.
    ///
    /// # Errors
    /// [`EvidenceFault`] if a tile cannot be read.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, EvidenceFault> {
        writ_ledger::proof::consistency(old, new, self).map_err(|fault| EvidenceFault::Unwritable(fault.to_string()))
    }

    /// The root that the log of `of` entries had when it had `size`.
    ///
    /// # Errors
    /// [`EvidenceFault`] if it never had so many, or a tile cannot be read.
    pub fn root_at(&self, size: u64, of: u64) -> Result<Hash, EvidenceFault> {
        writ_ledger::verify::root_at(size, of, self).map_err(|fault| EvidenceFault::Unwritable(fault.to_string()))
    }

    /// A file of the log, by its path below `tile/` or `checkpoint`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, EvidenceFault> {
        self.read(path).map_err(|error| EvidenceFault::Unwritable(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
