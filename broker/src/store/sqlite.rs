//! The store in SQLite: one writer thread, a few reader threads, write-ahead log, every commit synced.
//!
//! SQL is portable text: parameters `$1`, `$2`, ... in ascending order of first use, times as microseconds since 1970.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};
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

use super::{Committed, DueRevocation, EnrolledGateway, Request, Rows, Seal, Store, StoreFault, StoredHead, Uses};

mod approval;
mod checkpoint;
mod freeze;
mod migrate;
mod read;
mod rotation;
mod rows;
mod write;

/// How many reads may run at once.
const READERS: usize = 2;
/// How many calls may wait for a thread before callers wait themselves.
const QUEUE: usize = 1024;
/// The most memory that each connection's page cache takes, in KiB.
const CACHE_KIB: i64 = 16 * 1024;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A store in one file.
#[derive(Debug)]
pub struct Sqlite {
    writer: Arc<Worker>,
    copier: Arc<Worker>,
    readers: Vec<Worker>,
    next: AtomicUsize,
    /// Whether the log is being brought into the database.
    copying: Arc<AtomicBool>,
}

/// A thread with a connection of its own. It ends when the store is dropped.
#[derive(Debug)]
struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl Sqlite {
    /// Opens the file, makes it if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreFault`] if it cannot be opened, is of a newer version, or its migrations were changed.
    pub fn open(path: &Path) -> Result<Arc<Self>, StoreFault> {
        make_private(path)?;
        let mut connection = connect(path)?;
        migrate::run(&mut connection)?;
        let writer = Arc::new(Worker::start("store-writer", connection)?);
        let copier = Arc::new(Worker::start("store-copier", connect(path)?)?);
        let readers = (0..READERS)
            .map(|_| Worker::start("store-reader", connect(path)?))
            .collect::<Result<Vec<_>, StoreFault>>()?;
        Ok(Arc::new(Self { writer, copier, readers, next: AtomicUsize::new(0), copying: Arc::default() }))
    }

    /// Brings the log into the database if it is long, beside whatever else goes on.
    fn shorten_log(&self, pages: u64) {
        if pages < checkpoint::PAGES || self.copying.swap(true, Ordering::AcqRel) {
            return;
        }
        let (copier, writer, copying) = (self.copier.clone(), self.writer.clone(), self.copying.clone());
        tokio::spawn(async move {
            checkpoint::run(&copier, &writer).await;
            copying.store(false, Ordering::Release);
        });
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreFault>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        match self.readers.get(turn) {
            Some(worker) => worker.run(move |connection| work(connection)),
            None => self.writer.run(move |connection| work(connection)),
        }
    }
}

fn connect(path: &Path) -> Result<Connection, StoreFault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| fault(&error))?;
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(|error| fault(&error))?;
    connection.set_prepared_statement_cache_capacity(64);
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
        connection.pragma_update(None, name, value).map_err(|error| fault(&error))?;
    }
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(|error| fault(&error))?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint::MOST_PAGES).map_err(|error| fault(&error))?;
    Ok(connection)
}

/// The file holds who did what: nobody else on the machine may read it. It is made before SQLite opens it, because its log
/// and its index get the mode that it has at that time.
fn make_private(path: &Path) -> Result<(), StoreFault> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let failed = |error: std::io::Error| StoreFault(format!("`{}` cannot be made private: {error}", path.display()));
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)
}

fn fault(error: &rusqlite::Error) -> StoreFault {
    StoreFault(error.to_string())
}

impl Worker {
    fn start(name: &str, mut connection: Connection) -> Result<Self, StoreFault> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(|error| StoreFault(format!("a thread for the store cannot be started: {error}")))?;
        Ok(Self { jobs })
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreFault> + Send + 'static,
    ) -> Pending<'_, Result<T, StoreFault>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let job: Job = Box::new(move |connection| {
                let _ = reply.send(work(connection));
            });
            let gone = || StoreFault("the store's thread has ended".to_owned());
            self.jobs.send(job).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        })
    }
}

impl Store for Sqlite {
    fn commit(&self, requests: Vec<Request>, expected: u64, seal: Seal) -> Pending<'_, Result<Committed, StoreFault>> {
        Box::pin(async move {
            let work = move |connection: &mut Connection| {
                let committed = write::commit(connection, requests, expected, seal)?;
                Ok((committed, checkpoint::pages(connection).unwrap_or(0)))
            };
            let (committed, pages) = self.writer.run(work).await?;
            self.shorten_log(pages);
            Ok(committed)
        })
    }

    fn head(&self) -> Pending<'_, Result<StoredHead, StoreFault>> {
        self.writer.run(|connection| read::head(connection))
    }

    fn entries(&self, from: u64, limit: u32) -> Pending<'_, Result<Vec<Vec<u8>>, StoreFault>> {
        self.read(move |connection| read::entries(connection, from, limit))
    }

    fn applied(&self, size: u64) -> Pending<'_, Result<(), StoreFault>> {
        self.writer.run(move |connection| write::applied(connection, size))
    }

    fn writ(&self, writ: WritId) -> Pending<'_, Result<Option<Writ>, StoreFault>> {
        self.read(move |connection| read::writ(connection, writ))
    }

    fn writs(&self, rows: Rows<WritId>) -> Pending<'_, Result<Vec<Writ>, StoreFault>> {
        self.read(move |connection| read::writs(connection, rows))
    }

    fn session(&self, session: SessionId) -> Pending<'_, Result<Option<Session>, StoreFault>> {
        self.read(move |connection| read::session(connection, session))
    }

    fn sessions(
        &self,
        rows: Rows<SessionId>,
        key: Option<&ClientKey>,
    ) -> Pending<'_, Result<Vec<Session>, StoreFault>> {
        let key = key.cloned();
        self.read(move |connection| read::sessions(connection, rows, key.as_ref()))
    }

    fn open_sessions(&self, gateway: GatewayId) -> Pending<'_, Result<Vec<Session>, StoreFault>> {
        self.read(move |connection| read::open_sessions(connection, gateway))
    }

    fn overdue(
        &self,
        intended_before: Timestamp,
        expired_before: Timestamp,
    ) -> Pending<'_, Result<Vec<Writ>, StoreFault>> {
        self.read(move |connection| read::overdue(connection, intended_before, expired_before))
    }

    fn live_writs(&self) -> Pending<'_, Result<Vec<WritId>, StoreFault>> {
        self.read(read::live_writs)
    }

    fn ended_certificates(&self, expire_after: Timestamp) -> Pending<'_, Result<Vec<WritId>, StoreFault>> {
        self.read(move |connection| read::ended_certificates(connection, expire_after))
    }

    fn due_revocations(&self, now: Timestamp, limit: u32) -> Pending<'_, Result<Vec<DueRevocation>, StoreFault>> {
        self.read(move |connection| read::due_revocations(connection, now, limit))
    }

    fn uses(&self, token: &str) -> Pending<'_, Result<Option<Uses>, StoreFault>> {
        let token = token.to_owned();
        self.read(move |connection| read::uses(connection, &token))
    }

    fn join_token(&self, digest: &str) -> Pending<'_, Result<Option<Labels>, StoreFault>> {
        let digest = digest.to_owned();
        self.read(move |connection| read::join_token(connection, &digest))
    }

    fn gateway(&self, gateway: GatewayId) -> Pending<'_, Result<Option<EnrolledGateway>, StoreFault>> {
        self.read(move |connection| read::gateway(connection, gateway))
    }

    fn gateways(&self) -> Pending<'_, Result<Vec<EnrolledGateway>, StoreFault>> {
        self.read(read::gateways)
    }

    fn orders(&self, gateway: GatewayId) -> Pending<'_, Result<Vec<(SessionId, String)>, StoreFault>> {
        self.read(move |connection| read::orders(connection, gateway))
    }

    fn approval(&self, id: ApprovalId) -> Pending<'_, Result<Option<Approval>, StoreFault>> {
        self.read(move |connection| approval::one(connection, id))
    }

    fn approvals(&self, open: bool) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.read(move |connection| approval::all(connection, open))
    }

    fn open_approvals(&self) -> Pending<'_, Result<u64, StoreFault>> {
        self.read(approval::open)
    }

    fn settled_approvals(
        &self,
        gateway: GatewayId,
        since: Timestamp,
    ) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.read(move |connection| approval::settled(connection, gateway, since))
    }

    fn approval_windows(&self, now: Timestamp) -> Pending<'_, Result<Vec<Approval>, StoreFault>> {
        self.read(move |connection| approval::windows(connection, now))
    }

    fn freezes(&self) -> Pending<'_, Result<Vec<Freeze>, StoreFault>> {
        self.read(freeze::all)
    }

    fn rotations(&self) -> Pending<'_, Result<Vec<TurnRecord>, StoreFault>> {
        self.read(rotation::all)
    }

    fn policy_number(&self, policy_hash: &str) -> Pending<'_, Result<u64, StoreFault>> {
        let policy_hash = policy_hash.to_owned();
        self.writer.run(move |connection| write::policy_number(connection, &policy_hash))
    }

    fn prune(&self, now: Timestamp) -> Pending<'_, Result<(), StoreFault>> {
        self.writer.run(move |connection| write::prune(connection, now))
    }
}

#[cfg(test)]
mod tests;
