//! A store that fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::RwLock;
use writ_broker_api::admin::Session;
use writ_core::approval::Approval;
use writ_core::client::ClientKey;
use writ_core::freeze::Freeze;
use writ_core::id::{ApprovalId, GatewayId, SessionId, WritId};
use writ_core::provider::Pending;
use writ_core::rotation::TurnRecord;
use writ_core::target::Labels;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::store::sqlite::Sqlite;
use crate::store::{
    Change, Committed, DueRevocation, EnrolledGateway, Request, Rows, Seal, Store, StoreFault, StoredHead, Uses,
};

/// SQLite whose commits fail on demand.
#[derive(Debug)]
pub(super) struct Failing {
    inner: Arc<Sqlite>,
    all: AtomicBool,
    outcomes: AtomicBool,
    after_next: AtomicBool,
    lost: AtomicBool,
    /// Whoever holds it keeps lists of certificates from being read.
    pub(super) lists: RwLock<()>,
    listed: AtomicUsize,
    panics: AtomicBool,
    commit_panics: AtomicBool,
}

impl Failing {
    pub(super) fn over(inner: Arc<Sqlite>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            all: AtomicBool::new(false),
            outcomes: AtomicBool::new(false),
            after_next: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            lists: RwLock::default(),
            listed: AtomicUsize::new(0),
            panics: AtomicBool::new(false),
            commit_panics: AtomicBool::new(false),
        })
    }

    /// Every commit fails.
    pub(super) fn all(&self, fail: bool) {
        self.all.store(fail, Ordering::SeqCst);
    }

    /// The next commit that holds the outcome of a mint fails.
    pub(super) fn next_outcome(&self) {
        self.outcomes.store(true, Ordering::SeqCst);
    }

    /// The next commit succeeds, and every one after it fails.
    pub(super) fn after_next_commit(&self) {
        self.after_next.store(true, Ordering::SeqCst);
    }

    /// The next commit is durable, and its answer is lost.
    pub(super) fn lose_next_answer(&self) {
        self.lost.store(true, Ordering::SeqCst);
    }

    /// How often a list of certificates was asked for.
    pub(super) fn listed(&self) -> usize {
        self.listed.load(Ordering::SeqCst)
    }

    /// Forgetting what has ended panics.
    pub(super) fn panics_at_prune(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
    }

    /// Every commit panics.
    pub(super) fn panics_at_commit(&self) {
        self.commit_panics.store(true, Ordering::SeqCst);
    }

    fn fails(&self, requests: &[Request]) -> bool {
        let outcome = |change: &Change| matches!(change, Change::Writ(writ) if writ.credential.is_some());
        let mut changes = requests.iter().flat_map(|request| &request.changes);
        self.all.load(Ordering::SeqCst) || (changes.any(outcome) && self.outcomes.swap(false, Ordering::SeqCst))
    }
}

type Answer<'a, T> = Pending<'a, Result<T, StoreFault>>;

impl Store for Failing {
    fn commit(&self, requests: Vec<Request>, expected: u64, seal: Seal) -> Answer<'_, Committed> {
        assert!(!self.commit_panics.load(Ordering::SeqCst), "a bug in the store");
        if self.fails(&requests) {
            return Box::pin(async { Err(StoreFault("the disk is full".to_owned())) });
        }
        if self.after_next.swap(false, Ordering::SeqCst) {
            self.all(true);
        }
        let lost = self.lost.swap(false, Ordering::SeqCst);
        Box::pin(async move {
            let committed = self.inner.commit(requests, expected, seal).await?;
            if lost { Err(StoreFault("the connection broke".to_owned())) } else { Ok(committed) }
        })
    }

    fn head(&self) -> Answer<'_, StoredHead> {
        self.inner.head()
    }

    fn entries(&self, from: u64, limit: u32) -> Answer<'_, Vec<Vec<u8>>> {
        self.inner.entries(from, limit)
    }

    fn applied(&self, size: u64) -> Answer<'_, ()> {
        self.inner.applied(size)
    }

    fn writ(&self, writ: WritId) -> Answer<'_, Option<Writ>> {
        self.inner.writ(writ)
    }

    fn writs(&self, rows: Rows<WritId>) -> Answer<'_, Vec<Writ>> {
        self.inner.writs(rows)
    }

    fn session(&self, session: SessionId) -> Answer<'_, Option<Session>> {
        self.inner.session(session)
    }

    fn sessions(&self, rows: Rows<SessionId>, key: Option<&ClientKey>) -> Answer<'_, Vec<Session>> {
        self.inner.sessions(rows, key)
    }

    fn open_sessions(&self, gateway: GatewayId) -> Answer<'_, Vec<Session>> {
        self.inner.open_sessions(gateway)
    }

    fn overdue(&self, intended_before: Timestamp, expired_before: Timestamp) -> Answer<'_, Vec<Writ>> {
        self.inner.overdue(intended_before, expired_before)
    }

    fn live_writs(&self) -> Answer<'_, Vec<WritId>> {
        self.inner.live_writs()
    }

    fn ended_certificates(&self, expire_after: Timestamp) -> Answer<'_, Vec<WritId>> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let _free = self.lists.read().await;
            self.inner.ended_certificates(expire_after).await
        })
    }

    fn due_revocations(&self, now: Timestamp, limit: u32) -> Answer<'_, Vec<DueRevocation>> {
        self.inner.due_revocations(now, limit)
    }

    fn uses(&self, token: &str) -> Answer<'_, Option<Uses>> {
        self.inner.uses(token)
    }

    fn join_token(&self, digest: &str) -> Answer<'_, Option<Labels>> {
        self.inner.join_token(digest)
    }

    fn gateway(&self, gateway: GatewayId) -> Answer<'_, Option<EnrolledGateway>> {
        self.inner.gateway(gateway)
    }

    fn gateways(&self) -> Answer<'_, Vec<EnrolledGateway>> {
        self.inner.gateways()
    }

    fn orders(&self, gateway: GatewayId) -> Answer<'_, Vec<(SessionId, String)>> {
        self.inner.orders(gateway)
    }

    fn approval(&self, id: ApprovalId) -> Pending<'_, Result<Option<Approval>, StoreFault>> {
        self.inner.approval(id)
    }

    fn approvals(&self, open: bool) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.inner.approvals(open)
    }

    fn open_approvals(&self) -> Pending<'_, Result<u64, StoreFault>> {
        self.inner.open_approvals()
    }

    fn settled_approvals(
        &self,
        gateway: GatewayId,
        since: Timestamp,
    ) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.inner.settled_approvals(gateway, since)
    }

    fn approval_windows(&self, now: Timestamp) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.inner.approval_windows(now)
    }

    fn freezes(&self) -> Answer<'_, Vec<Freeze>> {
        self.inner.freezes()
    }

    fn rotations(&self) -> Answer<'_, Vec<TurnRecord>> {
        self.inner.rotations()
    }

    fn policy_number(&self, policy_hash: &str) -> Answer<'_, u64> {
        self.inner.policy_number(policy_hash)
    }

    fn prune(&self, now: Timestamp) -> Answer<'_, ()> {
        assert!(!self.panics.load(Ordering::SeqCst), "a bug in the store");
        self.inner.prune(now)
    }
}
