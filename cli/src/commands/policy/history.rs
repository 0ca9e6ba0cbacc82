//! The recorded sessions of a period, a few at a time.
//!
//! What is held in memory is bounded: so many sessions are read at once, each holds one segment as it is stored, and waits with its
//! next frame until the one before was taken.

use std::sync::Arc;

use clap::Args;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use writ_broker::duration::Span;
use writ_broker_api::admin::{Page, Session};
use writ_core::freeze::FreezeScope;
use writ_core::target::TargetName;
use writ_core::time::{Clock as _, SignedDuration, SystemClock, Timestamp};
use writ_record::entry::Recorded;

use crate::api::Api;
use crate::commands::freeze;
use crate::commands::recording::Recording;
use crate::failure::Failure;

/// How many recordings are read at once.
const AT_ONCE: usize = 8;
/// Sessions of one page of the list.
const PAGE: usize = 1000;

/// Which sessions.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// Those that were opened within this time: `7d`, `12h`.
    #[arg(long, default_value = "7d", value_parser = span)]
    since: Span,
    /// Those of one workload: its whole subject, or `ISSUER|SUBJECT`.
    #[arg(long, value_name = "ISSUER|SUBJECT")]
    workload: Option<String>,
    /// Those at one target.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// A part of what was recorded.
pub(crate) enum Piece {
    /// Entries of a session, in their order; those of one session follow each other, between those of others.
    Entries(Arc<Session>, Vec<Recorded>),
    /// The session's recording ends here; what is missing of it.
    End(Arc<Session>, Vec<String>),
    /// The session's recording cannot be read, or not to its end.
    Unreadable(Arc<Session>, Failure),
    /// The list of sessions cannot be read to its end.
    Broken(Failure),
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}

impl Which {
    /// Whether a workload is named.
    #[must_use]
    pub(crate) const fn names_workload(&self) -> bool {
        self.workload.is_some()
    }

    fn takes(&self, session: &Session) -> bool {
        let writ = &session.writ;
        let workload = self.workload.as_deref().map(freeze::named);
        let of = |scope: FreezeScope| scope.covers(&writ.issuer, &writ.subject, &writ.target);
        workload.is_none_or(of) && self.target.as_ref().is_none_or(|target| writ.target.as_str() == target)
    }

    /// The path of the list's page behind `after`.
    fn page(after: Option<&str>) -> String {
        let after = after.map(|after| format!("&after={}", freeze::encoded(after))).unwrap_or_default();
        format!("/v1/sessions?limit={PAGE}{after}")
    }

    /// The time from which on.
    fn begin(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.since.get()).unwrap_or(SignedDuration::MAX);
        SystemClock.now().checked_sub(since).unwrap_or(Timestamp::MIN)
    }
}

/// Reads the recordings of sessions, newest first; the pieces come as they are read.
///
/// # Errors
/// If a target is named that cannot be one.
pub(crate) fn read(api: Arc<Api>, which: &Which) -> Result<mpsc::Receiver<Piece>, Failure> {
    if let Some(target) = &which.target {
        TargetName::new(target.clone()).map_err(|error| Failure::new(error.to_string()))?;
    }
    let (pieces, receiver) = mpsc::channel(AT_ONCE);
    let which = which.clone();
    tokio::spawn(async move {
        if let Err(failure) = all(&api, &which, &pieces).await {
            let _ = pieces.send(Piece::Broken(failure)).await;
        }
    });
    Ok(receiver)
}

async fn all(api: &Arc<Api>, which: &Which, pieces: &mpsc::Sender<Piece>) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (begin, mut after) = (which.begin(), None);
    let mut running = JoinSet::new();
    loop {
        let page: Page<Session> = api.get(&Which::page(after.as_deref())).await?;
        let reached = page.items.iter().any(|session| session.writ.opened < begin);
        let within = page.items.into_iter().filter(|session| session.writ.opened >= begin && which.takes(session));
        for session in within.map(Arc::new) {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
            while running.try_join_next().is_some() {}
            let (api, pieces) = (Arc::clone(api), pieces.clone());
            running.spawn(async move {
                one(&api, session, &pieces).await;
                drop(place);
            });
        }
        after = page.next.filter(|_| !reached);
        if after.is_none() {
            break;
        }
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

/// Reads one. Nobody who listens any more is no failure.
async fn one(api: &Api, session: Arc<Session>, pieces: &mpsc::Sender<Piece>) {
    let mut recording = Recording::new(api, &session);
    let mut commands = recording.stream("commands");
    loop {
        match commands.next().await {
            Ok(Some(entries)) => {
                if pieces.send(Piece::Entries(Arc::clone(&session), entries)).await.is_err() {
                    return;
                }
            }
            Ok(None) => break,
            Err(failure) => {
                let _ = pieces.send(Piece::Unreadable(Arc::clone(&session), failure)).await;
                return;
            }
        }
    }
    commands.finish();
    let remarks = recording.into_remarks();
    let _ = pieces.send(Piece::End(Arc::clone(&session), remarks)).await;
}
