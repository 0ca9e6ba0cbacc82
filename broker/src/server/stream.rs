//! The broker's stream to a gateway: heartbeats, policy, orders, checkpoints, as lines of JSON.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, watch};
use writ_broker_api::approval::ApprovalReply;
use writ_broker_api::gateway::{StreamMessage, StreamQuery};
use writ_broker_api::sealed::Base64;
use writ_core::id::{ApprovalId, GatewayId, SessionId};

use super::App;
use super::caller::{Known, Peer, Stopping};
use super::respond::Checked;
use crate::broker::Broker;
use crate::refusal::Refusal;

/// How often orders are looked for, beside being woken; other replicas write them too.
const TICK: Duration = Duration::from_millis(250);
/// Every so many ticks a heartbeat is sent, and the gateway's certificate looked at again.
const HEARTBEAT_EVERY: u32 = 4;
/// Every so many ticks the gateway is written down as heard.
const HEARD_EVERY: u32 = 40;
/// How many pieces may wait for a slow gateway before its stream is cut.
const QUEUE: usize = 64;

pub(super) async fn stream(
    State(app): State<App>,
    Known(gateway): Known,
    Extension(peer): Extension<Peer>,
    Extension(Stopping(stopping)): Extension<Stopping>,
    Checked(Query(query)): Checked<Query<StreamQuery>>,
) -> Result<Response, Refusal> {
    app.broker.heard(gateway.id).await?;
    let (lines, receiver) = mpsc::channel(QUEUE);
    let feed = Feed {
        lines,
        gateway: gateway.id,
        sent_policy: 0,
        sent_orders: BTreeSet::new(),
        sent_approvals: BTreeSet::new(),
        sent_size: query.seen,
        began: false,
    };
    tokio::spawn(feed.run(Arc::downgrade(&app.broker), peer, stopping));
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// What one gateway was told on this stream.
struct Feed {
    lines: mpsc::Sender<Result<Bytes, core::convert::Infallible>>,
    gateway: GatewayId,
    sent_policy: u64,
    sent_orders: BTreeSet<SessionId>,
    sent_approvals: BTreeSet<(ApprovalId, &'static str)>,
    sent_size: u64,
    /// Whether a checkpoint was sent: the first is, even if it is the one that the gateway has seen.
    began: bool,
}

/// The gateway is gone, too slow, or no longer ours.
struct Ended;

impl Feed {
    async fn run(mut self, broker: std::sync::Weak<Broker>, peer: Peer, mut stopping: watch::Receiver<bool>) {
        let mut ticks = 0_u32;
        loop {
            // Held for one turn only, so that a stream does not keep a stopped broker alive.
            let Some(broker) = broker.upgrade() else { return };
            if self.turn(&broker, &peer, ticks).await.is_err() {
                return;
            }
            ticks = ticks.wrapping_add(1);
            tokio::select! {
                _ = stopping.changed() => return,
                _ = tokio::time::timeout(TICK, broker.ordered.notified()) => {}
            }
        }
    }

    async fn turn(&mut self, broker: &Broker, peer: &Peer, ticks: u32) -> Result<(), Ended> {
        if ticks.is_multiple_of(HEARTBEAT_EVERY) {
            broker.identify(peer.gateway.as_ref()).await.map_err(|_| Ended)?;
        }
        if ticks.is_multiple_of(HEARD_EVERY) {
            broker.heard(self.gateway).await.map_err(|_| Ended)?;
        }
        self.policy(broker)?;
        self.orders(broker).await?;
        self.approvals(broker).await?;
        if ticks.is_multiple_of(HEARTBEAT_EVERY) {
            self.checkpoint(broker).await?;
            self.send(&StreamMessage::Heartbeat { at: broker.clock.now() })?;
        }
        Ok(())
    }

    fn policy(&mut self, broker: &Broker) -> Result<(), Ended> {
        let in_force = broker.policy.borrow().clone();
        if in_force.number == self.sent_policy {
            return Ok(());
        }
        self.sent_policy = in_force.number;
        self.send(&StreamMessage::Bundle { bundle: in_force.signed.clone() })
    }

    async fn orders(&mut self, broker: &Broker) -> Result<(), Ended> {
        let kills = broker.kills(self.gateway).await.map_err(|_| Ended)?;
        let ordered: BTreeSet<SessionId> = kills.iter().map(|kill| kill.session).collect();
        self.sent_orders.retain(|sent| ordered.contains(sent));
        // All in one piece: a freeze may order more sessions to end than lines may wait.
        let mut lines = Vec::new();
        for kill in kills {
            if self.sent_orders.insert(kill.session) {
                line(&StreamMessage::Kill(kill), &mut lines)?;
            }
        }
        if lines.is_empty() { Ok(()) } else { self.send_lines(lines) }
    }

    async fn approvals(&mut self, broker: &Broker) -> Result<(), Ended> {
        let settled = broker.settled_approvals(self.gateway).await.map_err(|_| Ended)?;
        let key = |reply: &ApprovalReply| (reply.approval, reply.state.as_str());
        let now: BTreeSet<_> = settled.iter().map(key).collect();
        self.sent_approvals.retain(|sent| now.contains(sent));
        let mut lines = Vec::new();
        for reply in settled {
            if self.sent_approvals.insert(key(&reply)) {
                line(&StreamMessage::Settled(reply), &mut lines)?;
            }
        }
        if lines.is_empty() { Ok(()) } else { self.send_lines(lines) }
    }

    async fn checkpoint(&mut self, broker: &Broker) -> Result<(), Ended> {
        let published = broker.evidence.published().borrow().clone();
        let from_size = self.sent_size;
        if self.began && from_size == published.size {
            return Ok(());
        }
        self.began = true;
        let ledger = broker.ledger.clone();
        let hashes = tokio::task::spawn_blocking(move || ledger.consistency(from_size, published.size)).await;
        // A gateway that has seen more than there is has seen another ledger: it is shown what there is, and says so itself.
        let proof = hashes.map_err(|_| Ended)?.unwrap_or_default();
        let proof = proof.iter().map(|hash| Base64(hash.0.to_vec())).collect();
        self.sent_size = published.size;
        self.send(&StreamMessage::Checkpoint { checkpoint: published.note, from_size, proof })
    }

    fn send(&self, message: &StreamMessage) -> Result<(), Ended> {
        let mut lines = Vec::new();
        line(message, &mut lines)?;
        self.send_lines(lines)
    }

    fn send_lines(&self, lines: Vec<u8>) -> Result<(), Ended> {
        self.lines.try_send(Ok(Bytes::from(lines))).map_err(|_| Ended)
    }
}

fn line(message: &StreamMessage, out: &mut Vec<u8>) -> Result<(), Ended> {
    serde_json::to_writer(&mut *out, message).map_err(|_| Ended)?;
    out.push(b'\n');
    Ok(())
}
