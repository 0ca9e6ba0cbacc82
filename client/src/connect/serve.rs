//! Connections are taken, counted, and served until the end comes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Passage, Shared, tunnel};

/// How many more than sessions may be connected: requests to cancel, and clients that are told that there are too many.
const MORE: usize = 16;
/// How long to wait where no connection can be taken, as when there are no descriptors left.
const AGAIN: Duration = Duration::from_millis(100);
/// How long connections may take to end once the end has come.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What takes connections.
pub(super) trait Listener {
    /// One of them.
    type Client: Client;
    /// Takes the next.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Client>> + Send;
}

/// A client's connection.
pub(super) trait Client: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// What it says.
    type From: AsyncRead + Unpin + Send;
    /// What it is told.
    type To: AsyncWrite + Unpin + Send;

    /// Whether it is a process of this user.
    fn is_this_user(&self) -> impl Future<Output = bool> + Send;

    /// Both ends, each to be used by itself.
    fn ends(self) -> (Self::From, Self::To);
}

/// Takes connections until `end` comes, which it gives back. Connections that are open then have a moment to say their last
/// words.
pub(super) async fn serve<T>(listener: &impl Listener, passage: Passage, end: impl Future<Output = T>) -> T {
    let passage: Shared = Arc::new(passage);
    let sessions = Arc::new(Semaphore::new(passage.most));
    let places = Arc::new(Semaphore::new(passage.most.saturating_add(MORE)));
    let mut open = JoinSet::new();
    tokio::pin!(end);
    loop {
        let arrival = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            match listener.accept().await {
                Ok(client) => Some((client, place)),
                Err(_) => {
                    tokio::time::sleep(AGAIN).await;
                    None
                }
            }
        };
        let arrived = tokio::select! {
            ended = &mut end => {
                let rest = async { while open.join_next().await.is_some() {} };
                drop(tokio::time::timeout(LAST_WORDS, rest).await);
                open.shutdown().await;
                return ended;
            }
            arrived = arrival => arrived,
        };
        while open.try_join_next().is_some() {}
        let Some((client, place)) = arrived else { continue };
        let (passage, sessions) = (Arc::clone(&passage), Arc::clone(&sessions));
        open.spawn(async move {
            if client.is_this_user().await {
                tunnel::serve(client, &passage, &sessions).await;
            }
            drop(place);
        });
    }
}
