//! The upload: what is in the outbox goes to the broker, in order, until it is taken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use writ_core::fault::{Blame, Fault};
use writ_core::id::SessionId;

use crate::link::Link;
use crate::outbox::Outbox;

/// The first wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Uploads until it is stopped; then what is there is tried once more.
pub(crate) async fn run(
    outbox: Outbox,
    link: Arc<Link>,
    at_once: usize,
    mut ready: mpsc::UnboundedReceiver<SessionId>,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running: JoinSet<SessionId> = JoinSet::new();
    let (mut busy, mut again) = (BTreeSet::new(), BTreeSet::new());
    for session in outbox.sessions() {
        again.insert(session);
    }
    loop {
        for session in core::mem::take(&mut again) {
            if busy.contains(&session) {
                again.insert(session);
                continue;
            }
            busy.insert(session);
            let (outbox, link, permits, stop) = (outbox.clone(), link.clone(), permits.clone(), stop.clone());
            running.spawn(async move {
                let _permit = permits.acquire_owned().await;
                one(&outbox, &link, session, stop).await;
                session
            });
        }
        tokio::select! {
            session = ready.recv() => match session {
                Some(session) => { again.insert(session); }
                None => break,
            },
            Some(done) = running.join_next() => {
                if let Ok(session) = done {
                    busy.remove(&session);
                }
            }
            _ = stop.changed() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Uploads one session's segments and then its end.
async fn one(outbox: &Outbox, link: &Link, session: SessionId, mut stop: watch::Receiver<bool>) {
    let mut wait = FIRST_WAIT;
    loop {
        match push(outbox, link, session).await {
            Ok(()) => return,
            Err(fault) if fault.blame == Blame::NotAllowed => {
                // The broker has closed it or does not know it: what is here stays for an operator.
                tracing::error!(%session, code = fault.code, detail = %fault.detail, "the broker does not take a recording");
                return;
            }
            Err(fault) => tracing::warn!(%session, code = fault.code, detail = %fault.detail, "a recording waits"),
        }
        if *stop.borrow() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.changed() => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn push(outbox: &Outbox, link: &Link, session: SessionId) -> Result<(), Fault> {
    let client = link.client();
    // The end is looked for first: if it is there, all segments are there too.
    let close = outbox.close(session);
    for waiting in outbox.waiting(session) {
        let (bytes, facts) = outbox.segment(&waiting)?;
        client.put_segment(session, &waiting.stream, waiting.sequence, &facts, bytes).await?;
        outbox.taken(&waiting);
    }
    if let Some(close) = close {
        client.close(session, &close).await?;
        outbox.done(session);
        link.acknowledged(session);
    }
    Ok(())
}
