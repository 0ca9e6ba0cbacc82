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

/// Uploads until nothing is sealed any more and what was is taken, or tried once more after the stop.
pub(crate) async fn run(
    outbox: Outbox,
    link: Arc<Link>,
    at_once: usize,
    mut ready: mpsc::UnboundedReceiver<SessionId>,
    stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(at_once.max(1)));
    let mut running: JoinSet<SessionId> = JoinSet::new();
    let (mut busy, mut again) = (BTreeSet::new(), BTreeSet::new());
    for session in outbox.sessions() {
        again.insert(session);
    }
    // While there is a sealer, and then until what it sealed has been tried: an end may wait behind its session's segments.
    let mut sealing = true;
    loop {
        for session in core::mem::take(&mut again) {
            if !busy.insert(session) {
                again.insert(session);
                continue;
            }
            let (outbox, link, permits, stop) = (outbox.clone(), link.clone(), permits.clone(), stop.clone());
            running.spawn(async move {
                one(&outbox, &link, session, &permits, stop).await;
                session
            });
        }
        if !sealing && running.is_empty() {
            return;
        }
        tokio::select! {
            session = ready.recv(), if sealing => match session {
                Some(session) => { again.insert(session); }
                None => sealing = false,
            },
            Some(done) = running.join_next() => {
                if let Ok(session) = done {
                    busy.remove(&session);
                }
            }
        }
    }
}

/// Uploads one session's segments and then its end, as often as it takes. A recording that the broker refuses stays in the
/// outbox and is offered again: only the broker's taking it makes it go. Who waits holds up nobody else.
async fn one(outbox: &Outbox, link: &Link, session: SessionId, permits: &Semaphore, mut stop: watch::Receiver<bool>) {
    let mut wait = FIRST_WAIT;
    let mut waiting = None;
    loop {
        let permit = permits.acquire().await;
        let pushed = push(outbox, link, session).await;
        drop(permit);
        let Err(fault) = pushed else { return };
        waiting.get_or_insert_with(Waits::begin);
        match fault.blame {
            Blame::NotAllowed | Blame::Peer => {
                tracing::error!(%session, code = fault.code, detail = %fault.detail, "the broker does not take a recording; it is kept");
            }
            _ => tracing::warn!(%session, code = fault.code, detail = %fault.detail, "a recording waits"),
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

/// Counts a recording among those that wait after a failure, until it is dropped.
struct Waits(metrics::Gauge);

impl Waits {
    fn begin() -> Self {
        let gauge = metrics::gauge!("writ_gateway_recordings_waiting");
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.decrement(1.0);
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
