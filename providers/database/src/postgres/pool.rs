//! A bounded pool of connections. A connection goes back only after a call that ended: one that was given up on, by
//! error or by a dropped future, may still be at work and is closed instead.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Client;
use writ_core::provider::ProviderFault;

use super::connect::Connector;

pub(crate) struct Pool {
    connector: Arc<Connector>,
    idle: Mutex<Vec<Client>>,
    places: Arc<Semaphore>,
}

/// A connection on loan. Dropped, it is closed; [`Pool::put_back`] keeps it.
pub(crate) struct Loan {
    client: Option<Client>,
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
        let client = match self.take_idle() {
            Some(client) => client,
            None => self.connector.connect().await?,
        };
        Ok(Loan { client: Some(client), connector: Arc::clone(&self.connector), _place: place })
    }

    /// Keeps the connection for the next call: only when nothing is running on it.
    pub(crate) fn put_back(&self, mut loan: Loan) {
        if let Some(client) = loan.client.take()
            && !client.is_closed()
        {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }

    fn take_idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }
}

impl Loan {
    /// Closes the connection: nothing is running on it.
    pub(crate) fn end(mut self) {
        self.client = None;
    }

    /// Sends `statements` in one round trip, as one transaction.
    pub(crate) async fn run(
        &self,
        statements: &str,
    ) -> Result<Vec<tokio_postgres::SimpleQueryMessage>, tokio_postgres::Error> {
        match &self.client {
            Some(client) => client.simple_query(statements).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if client.is_closed() {
            return;
        }
        // Whoever gave up must not have its statement take effect later than it must.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let connector = Arc::clone(&self.connector);
            runtime.spawn(async move {
                let limit = std::time::Duration::from_secs(5);
                let _ = tokio::time::timeout(limit, connector.cancel(&client)).await;
            });
        }
    }
}
