//! A bounded pool of connections. A connection goes back only after a call that ended: one that was given up on, by error or
//! by a dropped future, may still be at work and is ended instead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::{FromRow, Queryable as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use writ_core::provider::ProviderFault;

use super::connect::{Connector, Session};
use super::dialect::Server;
use super::{fault, rows};

/// Whoever has waited longer may have been forgotten by the server: it is asked first.
const FRESH: Duration = Duration::from_secs(1);

pub(crate) struct Pool {
    connector: Arc<Connector>,
    idle: Mutex<Vec<(Session, Instant)>>,
    places: Arc<Semaphore>,
}

/// A connection on loan. Dropped, it is ended; [`Pool::settle`] keeps it.
pub(crate) struct Loan {
    session: Option<Session>,
    server: Server,
    connector: Arc<Connector>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(connector: Connector, size: usize) -> Self {
        Self {
            connector: Arc::new(connector),
            idle: Mutex::new(Vec::with_capacity(size)),
            places: Arc::new(Semaphore::new(size)),
        }
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// An idle connection or a new one, as soon as there is a place.
    pub(crate) async fn take(&self) -> Result<Loan, ProviderFault> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| ProviderFault::Unreachable("the provider is stopping".to_owned()))?;
        let session = match self.take_idle().await {
            Some(session) => session,
            None => self.connector.connect().await?,
        };
        let server = session.server;
        Ok(Loan { session: Some(session), server, connector: Arc::clone(&self.connector), _place: place })
    }

    /// After a call that came to `outcome`: keeps the connection where the server answered, by success or by refusal. Where it
    /// did not, something may run on it still.
    pub(crate) fn settle<T>(&self, mut loan: Loan, outcome: &Result<T, ProviderFault>) {
        if !matches!(outcome, Err(ProviderFault::Unreachable(_)))
            && let Some(session) = loan.session.take()
        {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((session, Instant::now()));
        }
    }

    async fn take_idle(&self) -> Option<Session> {
        loop {
            let (mut session, since) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if since.elapsed() < FRESH || session.conn.ping().await.is_ok() {
                return Some(session);
            }
        }
    }
}

impl Loan {
    /// What it is connected to.
    pub(crate) const fn server(&self) -> Server {
        self.server
    }

    /// Sends `statements` in one round trip; the server stops at the first that fails.
    pub(crate) async fn run(&mut self, doing: &str, statements: &str) -> Result<(), ProviderFault> {
        let session = self.session.as_mut().ok_or_else(|| lost(doing))?;
        session.conn.query_drop(statements).await.map_err(|error| fault::of(doing, &error))
    }

    /// The same; that the server answers with the error `code` is well too, and then `false`.
    pub(crate) async fn run_unless(&mut self, doing: &str, statements: &str, code: u16) -> Result<bool, ProviderFault> {
        let session = self.session.as_mut().ok_or_else(|| lost(doing))?;
        match session.conn.query_drop(statements).await {
            Ok(()) => Ok(true),
            Err(error) if fault::code(&error) == Some(code) => Ok(false),
            Err(error) => Err(fault::of(doing, &error)),
        }
    }

    /// The rows that `question` has for an answer.
    pub(crate) async fn rows<T>(&mut self, doing: &str, question: &str) -> Result<Vec<T>, ProviderFault>
    where
        T: FromRow + Send + 'static,
    {
        let session = self.session.as_mut().ok_or_else(|| lost(doing))?;
        rows::asked(&mut session.conn, doing, question).await
    }
}

fn lost(doing: &str) -> ProviderFault {
    ProviderFault::Unreachable(format!("{doing}: the connection is gone"))
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // Whoever gave up must not have its statement take effect later than it must.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let connector = Arc::clone(&self.connector);
            runtime.spawn(async move {
                connector.kill(session.conn.id()).await;
                drop(session);
            });
        }
    }
}
