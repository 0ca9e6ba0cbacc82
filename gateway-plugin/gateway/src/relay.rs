//! A session that is logged in: both sockets in one future, on one thread.
//!
//! Bytes are read into the worker's scratch memory and written straight out of it; a session owns memory only for what is
//! left over: a part of a frame, a command that waits, output that a slow peer did not take. What a peer did not take
//! stops the reading of the other, so that memory stays bounded.
//!
//! Where a worker has several sessions, one whose records are staged and whose bytes are few steps back once: those that
//! are ready too stage theirs, and the first to go on writes the records of all by one commit. A session never goes on
//! without a commit of its own; it is only that there is mostly nothing left to write.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::time::Timestamp;
use writ_wire_machine::{Machine as _, Side, TransactionState};

use crate::batch::{Batch, Session, Shared, Verdicts};
use crate::evidence::{Ending, Gate};
use crate::stream::Stream;

/// How much is read at once, in bytes.
pub const SCRATCH: usize = 64 << 10;
/// How much of one side may be left over: the longest message that is not spilled, and one read.
const MOST_LEFT: usize = (1 << 20) + SCRATCH;
/// How many rounds one turn of a session may take before others get theirs.
const ROUNDS: u32 = 16;
/// How many bytes a session may keep while others stage their records: more are cheaper to write than to copy.
const MOST_DUE: usize = 16 << 10;
/// How much of the client may be left over behind a command that waits, that command included where it is no longer.
const MOST_BEHIND: usize = 8 << 10;
/// How often it is looked whether the client of a command that waits is still there: what is not read tells nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How much memory a peer that owes nothing may keep: an ordinary command's, so that none is allocated for the next.
const MOST_KEPT: usize = 512;
/// How long the last words to a peer may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a worker's sessions share.
pub struct Worker<G: Gate> {
    /// The gate.
    pub gate: G,
    /// The memory of a batch.
    pub shared: Shared<G::Allowed>,
    /// What is read into.
    pub scratch: Vec<u8>,
    /// How many sessions run.
    pub sessions: usize,
}

/// One peer: its socket, what it sent and is not consumed, what it did not take yet.
struct Peer {
    stream: Stream,
    left: Vec<u8>,
    pending: Vec<u8>,
    written: usize,
    unflushed: bool,
    ended: bool,
}

impl Peer {
    const fn new(stream: Stream, left: Vec<u8>) -> Self {
        Self { stream, left, pending: Vec::new(), written: 0, unflushed: false, ended: false }
    }

    fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes what it did not take yet. Ready once all is out.
    fn poll_clear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = self.stream.is_tls();
        }
        self.written = 0;
        empty(&mut self.pending);
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes as much as it takes; keeps the rest.
    fn put(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while self.is_clear() && !rest.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.unflushed = self.stream.is_tls();
                    rest = rest.get(count..).unwrap_or_default();
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        self.pending.extend_from_slice(rest);
        match self.poll_clear(cx) {
            Poll::Ready(done) => done,
            Poll::Pending => Ok(()),
        }
    }

    /// Drops what was consumed, and with the last of it the memory, where it is more than an ordinary command needs.
    fn consume(&mut self, count: usize) {
        if count >= self.left.len() {
            empty(&mut self.left);
        } else if count > 0 {
            self.left.drain(..count);
        }
    }
}

/// A running session.
pub struct Running<G: Gate> {
    worker: Rc<RefCell<Worker<G>>>,
    session: Session<G::Session>,
    client: Peer,
    server: Peer,
    /// The side whose bytes are staged and wait for the commit. What the peers are to get for them stands in `pending`
    /// and must not be written before.
    due: Option<Side>,
    /// The verdicts that wait with them.
    verdicts: Verdicts<G::Allowed>,
    /// When something was last read.
    pub active: Instant,
    unfinished: bool,
}

/// How a session came out: for the record, and with its evidence to be closed.
pub struct Over<S> {
    /// The evidence.
    pub gate: S,
    /// In a word.
    pub end: SessionEnd,
    /// The fault's stable code, or empty.
    pub code: &'static str,
    /// Whether it was ended while the target had something to do for it.
    pub unfinished: bool,
}

enum Turn {
    Again,
    Idle,
    /// Records are staged; others may stage theirs before they are written.
    Due,
    Over(SessionEnd, &'static str),
}

impl<G: Gate> Running<G> {
    /// A session whose peers are both logged in. `client_left` and `server_left` is what was read behind the logins,
    /// `welcome` what the client is told first.
    pub fn new(
        worker: Rc<RefCell<Worker<G>>>,
        session: Session<G::Session>,
        (client, client_left): (Stream, Vec<u8>),
        (server, server_left): (Stream, Vec<u8>),
        welcome: Vec<u8>,
    ) -> Self {
        let (mut client, server) = (Peer::new(client, client_left), Peer::new(server, server_left));
        client.pending = welcome;
        let (due, verdicts) = (None, Verdicts::new());
        Self { worker, session, client, server, due, verdicts, active: Instant::now(), unfinished: false }
    }

    /// Runs until a peer leaves, `control` says that it must end, nothing was read for `idle`, or `drain` resolved and
    /// no command or transaction is open.
    pub async fn run(
        mut self,
        control: impl Future<Output = Ending>,
        drain: impl Future<Output = ()>,
        cancel: &Notify,
        idle: Duration,
    ) -> Over<G::Session> {
        self.worker.borrow_mut().sessions += 1;
        let (mut control, mut drain, mut draining) = (std::pin::pin!(control), std::pin::pin!(drain), false);
        let sleep = tokio::time::sleep(idle);
        let mut sleep = std::pin::pin!(sleep);
        let (mut cancelled, mut look) = (std::pin::pin!(cancel.notified()), tokio::time::interval(LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        let (end, code) = std::future::poll_fn(|cx| {
            if std::mem::take(&mut first)
                && let Some(over) = self.begin(cx)
            {
                return Poll::Ready(over);
            }
            if let Turn::Over(end, code) = self.resume(cx) {
                return Poll::Ready((end, code));
            }
            if let Turn::Over(end, code) = self.judge_again(cx) {
                return Poll::Ready((end, code));
            }
            if let Poll::Ready(ending) = control.as_mut().poll(cx) {
                return Poll::Ready(self.stop(cx, &ending));
            }
            while sleep.as_mut().poll(cx).is_ready() {
                if self.active.elapsed() >= idle && self.session.machine.is_idle() {
                    let reason = "the session was idle for too long".to_owned();
                    return Poll::Ready(self.stop(cx, &Ending { end: SessionEnd::Idle, reason }));
                }
                let after = (self.active + idle).max(Instant::now() + Duration::from_secs(1));
                sleep.as_mut().reset(after.into());
            }
            let turns = self.poll_turns(cx);
            // Nothing else tells of these while a command waits.
            if turns.is_pending() && !self.session.line.is_empty() {
                while cancelled.as_mut().poll(cx).is_ready() {
                    cancelled.set(cancel.notified());
                    self.cancel();
                }
                while look.poll_tick(cx).is_ready() {
                    if self.client.stream.is_left()
                        && let Turn::Over(end, code) = self.left(cx, Side::Client)
                    {
                        return Poll::Ready((end, code));
                    }
                }
            }
            if turns.is_pending() && self.session.line.poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            draining = draining || drain.as_mut().poll(cx).is_ready();
            if turns.is_pending() && draining && self.may_leave() {
                let reason = "the gateway is shutting down".to_owned();
                return Poll::Ready(self.stop(cx, &Ending { end: SessionEnd::Drained, reason }));
            }
            turns
        })
        .await;
        self.worker.borrow_mut().sessions -= 1;
        self.farewell().await;
        Over { gate: self.session.gate, end, code, unfinished: self.unfinished }
    }

    /// The client wants what it waits for no more.
    fn cancel(&mut self) {
        let worker = Rc::clone(&self.worker);
        if worker.borrow_mut().gate.cancel(&mut self.session.gate) {
            self.session.line.hurry();
        }
    }

    /// How much of the client may be left over: little behind a command that waits, since it may wait for long.
    fn most_left(&self) -> usize {
        if self.session.line.is_empty() { MOST_LEFT } else { MOST_BEHIND }
    }

    fn may_leave(&self) -> bool {
        self.session.machine.is_idle() && self.session.machine.transaction() == TransactionState::Idle
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<(SessionEnd, &'static str)> {
        for _ in 0..ROUNDS {
            match self.turn(cx) {
                Turn::Again => {}
                Turn::Idle => return Poll::Pending,
                Turn::Due => break,
                Turn::Over(end, code) => return Poll::Ready((end, code)),
            }
        }
        // Behind all that are ready now.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What was read behind the logins is looked at first.
    fn begin(&mut self, cx: &mut Context<'_>) -> Option<(SessionEnd, &'static str)> {
        for side in [Side::Server, Side::Client] {
            let peer = if side == Side::Client { &mut self.client } else { &mut self.server };
            if peer.left.is_empty() {
                continue;
            }
            let bytes = std::mem::take(&mut peer.left);
            if let Turn::Over(end, code) = self.batch(cx, side, &bytes) {
                return Some((end, code));
            }
            if let Turn::Over(end, code) = self.resume(cx) {
                return Some((end, code));
            }
        }
        None
    }

    /// One look at all that can go on.
    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        if let Err(error) = self.pump(cx) {
            return over(&error, SessionEnd::Target);
        }
        if let Poll::Ready(Err(error)) = self.client.poll_clear(cx) {
            return over(&error, SessionEnd::Client);
        }
        if self.session.closing {
            return Turn::Over(SessionEnd::Client, "");
        }
        let mut turn = Turn::Idle;
        // What the server did not take stops the client, and the other way round; neither direction stops itself.
        let server_takes = self.server.is_clear() && !self.session.spills.going();
        if self.client.is_clear() && !self.server.ended {
            match self.read(cx, Side::Server) {
                Turn::Idle => {}
                Turn::Again => turn = Turn::Again,
                end @ (Turn::Due | Turn::Over(..)) => return end,
            }
        }
        if server_takes && self.client.pending.len() < SCRATCH && self.client.left.len() < self.most_left() {
            match self.read(cx, Side::Client) {
                Turn::Idle => {}
                Turn::Again => turn = Turn::Again,
                end @ (Turn::Due | Turn::Over(..)) => return end,
            }
        }
        turn
    }

    /// Writes what the server did not take, then long commands piece by piece.
    fn pump(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            match self.server.poll_clear(cx) {
                Poll::Ready(done) => done?,
                Poll::Pending => return Ok(()),
            }
            if !self.session.spills.going() {
                return Ok(());
            }
            let more = self.session.spills.next(&mut self.server.pending);
            if !more.map_err(|fault| io::Error::other(fault.code))? {
                self.server.pending.append(&mut self.session.after_spill);
            }
        }
    }

    /// Reads once from this side and carries it through.
    fn read(&mut self, cx: &mut Context<'_>, side: Side) -> Turn {
        let worker = Rc::clone(&self.worker);
        let (waits, most) =
            (!self.session.line.is_empty(), if side == Side::Client { self.most_left() } else { SCRATCH });
        let peer = if side == Side::Client { &mut self.client } else { &mut self.server };
        let taken = if waits && side == Side::Client {
            let mut scratch = std::mem::take(&mut worker.borrow_mut().scratch);
            let most = most.saturating_sub(peer.left.len()).min(scratch.len());
            let read = poll_read(&mut peer.stream, cx, scratch.get_mut(..most).unwrap_or_default());
            let count = if let Poll::Ready(Ok(count)) = read { count } else { 0 };
            peer.left.reserve_exact(count);
            peer.left.extend_from_slice(scratch.get(..count).unwrap_or_default());
            worker.borrow_mut().scratch = scratch;
            read
        } else if peer.left.is_empty() {
            let mut scratch = std::mem::take(&mut worker.borrow_mut().scratch);
            let turn = match poll_read(&mut peer.stream, cx, &mut scratch) {
                Poll::Pending => Turn::Idle,
                Poll::Ready(Err(_)) | Poll::Ready(Ok(0)) => self.left(cx, side),
                Poll::Ready(Ok(count)) => self.batch(cx, side, scratch.get(..count).unwrap_or_default()),
            };
            worker.borrow_mut().scratch = scratch;
            return turn;
        } else {
            let start = peer.left.len();
            peer.left.resize(start + SCRATCH, 0);
            let read = poll_read(&mut peer.stream, cx, peer.left.get_mut(start..).unwrap_or_default());
            peer.left.truncate(start + if let Poll::Ready(Ok(count)) = read { count } else { 0 });
            read
        };
        match taken {
            Poll::Pending => Turn::Idle,
            Poll::Ready(Err(_)) | Poll::Ready(Ok(0)) => self.left(cx, side),
            Poll::Ready(Ok(_)) => {
                let bytes =
                    std::mem::take(&mut if side == Side::Client { &mut self.client } else { &mut self.server }.left);
                self.batch_owned(cx, side, bytes)
            }
        }
    }

    fn batch_owned(&mut self, cx: &mut Context<'_>, side: Side, bytes: Vec<u8>) -> Turn {
        let (turn, done) = self.carry(cx, side, &bytes, false);
        let peer = if side == Side::Client { &mut self.client } else { &mut self.server };
        peer.left = bytes;
        peer.consume(done);
        turn
    }

    fn batch(&mut self, cx: &mut Context<'_>, side: Side, bytes: &[u8]) -> Turn {
        let (turn, done) = self.carry(cx, side, bytes, false);
        let peer = if side == Side::Client { &mut self.client } else { &mut self.server };
        peer.left.extend_from_slice(bytes.get(done..).unwrap_or_default());
        turn
    }

    /// Goes on with what was staged.
    fn resume(&mut self, cx: &mut Context<'_>) -> Turn {
        let Some(side) = self.due else { return Turn::Idle };
        let bytes = std::mem::take(&mut if side == Side::Client { &mut self.client } else { &mut self.server }.left);
        self.batch_owned(cx, side, bytes)
    }

    /// Goes on with commands that waited for their verdicts, once they may have one.
    fn judge_again(&mut self, cx: &mut Context<'_>) -> Turn {
        for _ in 0..ROUNDS {
            if self.session.line.poll(cx).is_pending() {
                return Turn::Idle;
            }
            let bytes = std::mem::take(&mut self.client.left);
            let (turn, done) = self.carry(cx, Side::Client, &bytes, true);
            self.client.left = bytes;
            self.client.consume(done);
            if let Turn::Over(..) = turn {
                return turn;
            }
        }
        cx.waker().wake_by_ref();
        Turn::Again
    }

    /// Carries through what stands unconsumed of this side, `bytes`; says how much of it is consumed. What is due is
    /// finished, what waited is judged `again`, else it is new.
    fn carry(&mut self, cx: &mut Context<'_>, side: Side, bytes: &[u8], again: bool) -> (Turn, usize) {
        let now = Instant::now();
        self.active = now;
        let other = std::mem::take(&mut if side == Side::Client { &mut self.server } else { &mut self.client }.left);
        let (client, server) = if side == Side::Client { (bytes, other.as_slice()) } else { (other.as_slice(), bytes) };
        let worker = Rc::clone(&self.worker);
        let mut worker = worker.borrow_mut();
        let others = worker.sessions > 1;
        let Worker { gate, shared, .. } = &mut *worker;
        let mut batch = batch(gate, shared, &mut self.session, (client, server), now);
        let resumed = self.due.take().is_some();
        let staged = if resumed {
            batch.take_up(&mut self.verdicts);
            Ok(())
        } else if again {
            batch.judge_again()
        } else {
            batch.stage(side)
        };
        let apart = others && !resumed && !again && staged.is_ok() && batch.staged;
        let deferred = apart && self.client.is_clear() && self.server.is_clear() && batch.keeps() <= MOST_DUE;
        let ran = staged.and_then(|()| if deferred { Ok(()) } else { batch.finish() });
        let mut end = None;
        if let Err((fault, recorded)) = ran {
            tracing::warn!(code = fault.code, detail = %fault.detail, "the session ends");
            if !recorded {
                batch.shared.discard();
                if resumed {
                    self.client.pending.clear();
                    self.server.pending.clear();
                }
            }
            // The fault itself may be that nothing can be recorded; the peers are told all the same.
            drop(batch.abort(&fault));
            end = Some(fault.code);
        }
        let (client_done, server_done) = (batch.client_done, batch.server_done);
        let turn = if deferred {
            self.server.pending.extend_from_slice(shared.to_server.bytes(client));
            self.client.pending.extend_from_slice(shared.to_client.bytes(server));
            std::mem::swap(&mut shared.verdicts, &mut self.verdicts);
            self.due = Some(side);
            Turn::Due
        } else {
            match (end, self.write(cx, shared, client, server)) {
                (Some(code), _) => Turn::Over(SessionEnd::Fault, code),
                (None, Err((_, end))) => Turn::Over(end, ""),
                (None, Ok(())) => Turn::Again,
            }
        };
        shared.clear();
        let (done, other_done) =
            if side == Side::Client { (client_done, server_done) } else { (server_done, client_done) };
        let peer = if side == Side::Client { &mut self.server } else { &mut self.client };
        peer.left = other;
        peer.consume(other_done);
        (turn, done)
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        shared: &mut Shared<G::Allowed>,
        client: &[u8],
        server: &[u8],
    ) -> Result<(), (io::Error, SessionEnd)> {
        let target = |error| (error, SessionEnd::Target);
        if !shared.before_spill.is_empty() {
            self.server.put(cx, &shared.before_spill).map_err(target)?;
        }
        let to_server = shared.to_server.bytes(client);
        if self.session.spills.going() {
            self.session.after_spill.extend_from_slice(to_server);
        } else if !to_server.is_empty() || !self.server.is_clear() {
            self.server.put(cx, to_server).map_err(target)?;
        }
        let to_client = shared.to_client.bytes(server);
        if !to_client.is_empty() || !self.client.is_clear() {
            self.client.put(cx, to_client).map_err(|error| (error, SessionEnd::Client))?;
        }
        Ok(())
    }

    /// A peer left: the other is told.
    fn left(&mut self, cx: &mut Context<'_>, side: Side) -> Turn {
        let (end, fault) = match side {
            Side::Client => (SessionEnd::Client, Fault::new("session.client_left", Blame::Peer, "the client left")),
            Side::Server => (
                SessionEnd::Target,
                Fault::new("session.target_left", Blame::Target, "the target closed the connection"),
            ),
        };
        self.say(cx, &fault);
        let peer = if side == Side::Client { &mut self.client } else { &mut self.server };
        peer.ended = true;
        Turn::Over(end, if side == Side::Client { "" } else { fault.code })
    }

    fn stop(&mut self, cx: &mut Context<'_>, ending: &Ending) -> (SessionEnd, &'static str) {
        let fault = Fault::new("session.ended", Blame::NotAllowed, ending.reason.clone());
        self.unfinished = !self.session.machine.is_idle();
        self.say(cx, &fault);
        (ending.end, fault.code)
    }

    fn say(&mut self, cx: &mut Context<'_>, fault: &Fault) {
        let worker = Rc::clone(&self.worker);
        let mut worker = worker.borrow_mut();
        let Worker { gate, shared, .. } = &mut *worker;
        let (client, server) = (std::mem::take(&mut self.client.left), std::mem::take(&mut self.server.left));
        let mut batch = batch(gate, shared, &mut self.session, (&client, &server), Instant::now());
        if batch.abort(fault).is_ok() {
            // Whoever does not listen any more misses nothing.
            drop(self.write(cx, shared, &client, &server));
        }
        shared.clear();
    }

    /// Writes what is still to be said, within a limit, and closes both.
    async fn farewell(&mut self) {
        for peer in [&mut self.client, &mut self.server] {
            let words = async {
                std::future::poll_fn(|cx| peer.poll_clear(cx)).await?;
                std::future::poll_fn(|cx| Pin::new(&mut peer.stream).poll_shutdown(cx)).await
            };
            drop(tokio::time::timeout(FAREWELL, words).await);
        }
    }
}

fn batch<'a, G: Gate>(
    gate: &'a mut G,
    shared: &'a mut Shared<G::Allowed>,
    session: &'a mut Session<G::Session>,
    (client, server): (&'a [u8], &'a [u8]),
    now: Instant,
) -> Batch<'a, G> {
    let (at, client_done, server_done) = (Timestamp::now(), 0, 0);
    let (next, moved, staged) = (0, false, false);
    Batch { gate, shared, session, client, server, client_done, server_done, now, at, next, moved, staged }
}

/// Empties it and keeps little memory.
fn empty(bytes: &mut Vec<u8>) {
    if bytes.capacity() > MOST_KEPT {
        *bytes = Vec::new();
    } else {
        bytes.clear();
    }
}

fn over(_error: &io::Error, end: SessionEnd) -> Turn {
    Turn::Over(end, "")
}

fn poll_read(stream: &mut Stream, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(into);
    Pin::new(stream).poll_read(cx, &mut buffer).map(|read| read.map(|()| buffer.filled().len()))
}
