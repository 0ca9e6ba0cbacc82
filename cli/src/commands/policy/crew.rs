//! Several judges, each with a parser of its own on a thread of its own; a session is one judge's from its begin to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use writ_broker_api::admin::Session;
use writ_core::id::SessionId;
use writ_policy::Bundle;

use super::history::Piece;
use super::judges::Judges;
use super::replay::answered;
use super::replayed::Change;
use super::rerun::{Judged, Rerun, Whole};
use crate::failure::{Doing as _, Failure};

/// How many judge at once at most.
const MOST: usize = 8;
/// How many pieces wait for one judge.
const WAITING: usize = 2;
/// How many findings wait to be shown.
const UNSHOWN: usize = 1024;

/// What judges find.
pub(crate) enum Found {
    /// A command whose verdict would change.
    Change(Box<Change>),
    /// A session was judged to its end; what is missing of its recording.
    Ended(Arc<Session>, Whole, Vec<String>),
    /// A session's recording cannot be read.
    Unreadable(Arc<Session>, Failure),
    /// So many sessions there were.
    Sessions(u64),
    /// It cannot go on.
    Broken(Failure),
}

/// Judges all pieces.
///
/// # Errors
/// If no thread can be started.
pub(crate) fn judge(bundle: &Arc<Bundle>, pieces: mpsc::Receiver<Piece>) -> Result<mpsc::Receiver<Found>, Failure> {
    let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let (found, receiver) = mpsc::channel(UNSHOWN);
    let mut crew = Vec::with_capacity(count);
    for _ in 0..count {
        let (sender, pieces) = mpsc::channel(WAITING);
        let (bundle, found) = (Arc::clone(bundle), found.clone());
        let work = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(work(bundle, pieces, found)),
            Err(error) => drop(found.blocking_send(Found::Broken(Failure::new(format!("no runtime: {error}"))))),
        };
        std::thread::Builder::new().name("judge".to_owned()).spawn(work).doing("no thread can be started")?;
        crew.push(sender);
    }
    tokio::spawn(deal(pieces, crew, found));
    Ok(receiver)
}

/// Gives each piece to the judge of its session.
async fn deal(mut pieces: mpsc::Receiver<Piece>, crew: Vec<mpsc::Sender<Piece>>, found: mpsc::Sender<Found>) {
    let mut sessions = 0;
    while let Some(piece) = pieces.recv().await {
        sessions += u64::from(matches!(piece, Piece::End(..) | Piece::Unreadable(..)));
        // The last bits of an identifier are random.
        let last = match &piece {
            Piece::Entries(session, _) | Piece::End(session, _) | Piece::Unreadable(session, _) => {
                let [.., last] = session.id.to_bytes();
                last
            }
            // Any of them passes it on.
            Piece::Broken(_) => 0,
        };
        let Some(judge) = crew.get(usize::from(last) % crew.len().max(1)) else { return };
        if judge.send(piece).await.is_err() {
            return;
        }
    }
    let _ = found.send(Found::Sessions(sessions)).await;
}

/// One judge, until there is nothing more or nobody listens.
async fn work(bundle: Arc<Bundle>, mut pieces: mpsc::Receiver<Piece>, found: mpsc::Sender<Found>) {
    let judges = Judges::new(bundle);
    let mut open: BTreeMap<SessionId, Rerun<'_>> = BTreeMap::new();
    while let Some(piece) = pieces.recv().await {
        let finding = match piece {
            Piece::Entries(session, entries) => {
                let rerun = open.entry(session.id).or_default();
                for recorded in entries {
                    let Some(Judged { command, text, given }) = rerun.take(&judges, &session, recorded).await else {
                        continue;
                    };
                    let was = answered(&command);
                    if given.verdict != was {
                        let change = Change::new(&session, &command, text.as_deref(), was, given);
                        if found.send(Found::Change(Box::new(change))).await.is_err() {
                            return;
                        }
                    }
                }
                continue;
            }
            Piece::End(session, remarks) => {
                let rerun = open.remove(&session.id).unwrap_or_default();
                Found::Ended(session, rerun.whole(), remarks)
            }
            Piece::Unreadable(session, failure) => {
                open.remove(&session.id);
                Found::Unreadable(session, failure)
            }
            Piece::Broken(failure) => Found::Broken(failure),
        };
        if found.send(finding).await.is_err() {
            return;
        }
    }
}
