//! One worker: a thread with its own runtime, on which both sockets of each of its sessions live.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::time::Timestamp;
use writ_wire_postgres::relay::{Relay, RelaySettings};
use writ_wire_postgres::startup::Pending;

use crate::batch::{Session, Shared};
use crate::cancel::{self, Goal, Registry};
use crate::catalog::Catalogs;
use crate::evidence::{Ending, Evidence, Gate as _, Live as _, LoggedIn, OpenRequest, Opened, Opening};
use crate::login::{self, Arrival, Door};
use crate::masking::{self, Masks};
use crate::relay::{Running, SCRATCH, Worker};
use crate::stream::Stream;

/// A connection that was accepted, on its way to a worker.
pub struct Arrived {
    /// Its socket, with no runtime yet.
    pub socket: std::net::TcpStream,
    /// Where it came from.
    pub peer: SocketAddr,
    /// The listener's settings.
    pub door: Arc<Door>,
    /// Whether it begins with a PROXY header.
    pub proxied: bool,
    /// Counts it as not yet logged in.
    pub pending: Counted,
    /// Counts it towards the worker's load.
    pub load: Counted,
}

/// One more, until it is dropped.
pub struct Counted(Arc<AtomicU32>);

impl Counted {
    /// Counts one; `None` where there are `limit` already.
    #[must_use]
    pub fn below(counter: &Arc<AtomicU32>, limit: u32) -> Option<Self> {
        let one = Self(Arc::clone(counter));
        (counter.fetch_add(1, Ordering::Relaxed) < limit).then_some(one)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the gateway stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It takes connections.
    Open,
    /// Sessions may finish what they do, until then.
    Draining(Instant),
}

/// What all workers have in common.
pub struct Common<E> {
    /// Who admits and records.
    pub evidence: Arc<E>,
    /// What can be cancelled.
    pub registry: Registry,
    /// How many sessions there are.
    pub sessions: Arc<AtomicU32>,
    /// Where the gateway stands.
    pub phase: watch::Receiver<Phase>,
    /// What the databases of targets say of themselves.
    pub catalogs: Catalogs,
}

/// Runs worker `index` until no connection can come any more and its sessions are over.
///
/// # Errors
/// The runtime or the spool cannot be set up; `ready` is told.
pub fn run<E: Evidence>(
    index: u32,
    common: Arc<Common<E>>,
    mut arrivals: mpsc::Receiver<Arrived>,
    ready: std::sync::mpsc::SyncSender<Result<(), Fault>>,
) {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Fault::new("gateway.runtime", Blame::Ours, "a worker could not be started").detail(error.to_string())
    });
    let (runtime, gate) = match built.and_then(|runtime| common.evidence.gate(index).map(|gate| (runtime, gate))) {
        Ok(both) => both,
        Err(fault) => return drop(ready.send(Err(fault))),
    };
    drop(ready.send(Ok(())));
    let worker = Worker { gate, shared: Shared::default(), scratch: vec![0; SCRATCH], sessions: 0 };
    let here = Rc::new(Here { common, worker: Rc::new(RefCell::new(worker)) });
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                arrived = arrivals.recv() => match arrived {
                    Some(arrived) => drop(tasks.spawn_local(serve(Rc::clone(&here), arrived))),
                    None => break,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    });
}

struct Here<E: Evidence> {
    common: Arc<Common<E>>,
    worker: Rc<RefCell<Worker<E::Gate>>>,
}

/// A session that is ready to run.
struct Ready<E: Evidence> {
    running: Running<E::Gate>,
    live: E::Live,
    deadline: Instant,
    entry: crate::cancel::Entry,
    counted: Counted,
    span: tracing::Span,
}

async fn serve<E: Evidence>(here: Rc<Here<E>>, arrived: Arrived) {
    let Arrived { socket, peer, door, proxied, pending, load } = arrived;
    let mut pending = Some(pending);
    let ready = match admit(&here, socket, peer, &door, (proxied, &mut pending)).await {
        Ok(Some(ready)) => ready,
        Ok(None) => return,
        Err(fault) => {
            metrics::counter!("writ_gateway_logins_refused_total", "code" => fault.code).increment(1);
            return tracing::info!(code = fault.code, detail = %fault.detail, "a login was refused");
        }
    };
    drop(pending);
    metrics::counter!("writ_gateway_sessions_total").increment(1);
    let span = ready.span.clone();
    session(&here, ready, door.limits.idle_timeout).instrument(span).await;
    drop(load);
}

async fn session<E: Evidence>(here: &Here<E>, ready: Ready<E>, idle_timeout: Duration) {
    let Ready { running, mut live, deadline, entry, counted, span: _ } = ready;
    let mut phase = here.common.phase.clone();
    let mut hard = here.common.phase.clone();
    let control = async {
        tokio::select! {
            ending = live.ended() => ending,
            () = tokio::time::sleep_until(deadline.into()) =>
                Ending { end: SessionEnd::Ttl, reason: "the session's time is over".to_owned() },
            () = past_drain(&mut hard) =>
                Ending { end: SessionEnd::Drained, reason: "the gateway is shutting down".to_owned() },
        }
    };
    let drain = async {
        // An error means that the gateway itself is gone, which is the same.
        drop(phase.wait_for(|phase| *phase != Phase::Open).await);
    };
    let over = running.run(control, drain, &entry.wanted(), idle_timeout).await;
    let goal = if over.unfinished { entry.goal() } else { None };
    drop((entry, counted));
    let closed = here.worker.borrow_mut().gate.close(over.gate, Timestamp::now(), over.end, over.code);
    if let Err(fault) = closed {
        tracing::error!(code = fault.code, detail = %fault.detail, "the end of a session was not recorded");
    }
    tracing::info!(end = ?over.end, "a session ended");
    // A server notices late that its client is gone: what was ended must not go on there.
    if let Some(goal) = goal
        && !matches!(tokio::time::timeout(CANCEL, login::cancel(&goal.address, &goal.key)).await, Ok(Ok(())))
    {
        tracing::warn!("the target could not be asked to cancel what an ended session ran");
    }
}

/// How long the target of an ended session may take to hear that its command is cancelled.
const CANCEL: Duration = Duration::from_secs(5);

async fn past_drain(phase: &mut watch::Receiver<Phase>) {
    let limit = match phase.wait_for(|phase| *phase != Phase::Open).await.as_deref() {
        Ok(Phase::Draining(limit)) => *limit,
        _ => return,
    };
    tokio::time::sleep_until(limit.into()).await;
}

async fn admit<E: Evidence>(
    here: &Here<E>,
    socket: std::net::TcpStream,
    peer: SocketAddr,
    door: &Door,
    (proxied, unheard): (bool, &mut Option<Counted>),
) -> Result<Option<Ready<E>>, Fault> {
    let broken = |error: std::io::Error| {
        Fault::new("login.connection", Blame::Peer, "the connection broke during the login").detail(error.to_string())
    };
    let deadline = Instant::now() + door.limits.login_timeout;
    let mut socket = TcpStream::from_std(socket).map_err(broken)?;
    crate::listener::tune(&socket);
    let heard = async {
        let peer = if proxied { client(&mut socket).await?.unwrap_or(peer) } else { peer };
        login::hear(door, socket, peer).await.map(|arrival| (arrival, peer))
    };
    let (arrival, peer) = in_time(deadline, heard).await?;
    match arrival {
        Arrival::Cancel(key, stream) => {
            if here.common.registry.is_elsewhere(&key) {
                metrics::counter!("writ_gateway_cancels_elsewhere_total").increment(1);
                tracing::debug!(gateway = cancel::gateway_in(&key), "a cancel request is for another gateway");
            }
            let outcome = match here.common.registry.find(&key, Instant::now()) {
                Some(goal) => in_time(deadline, login::cancel(&goal.address, &goal.key)).await,
                None => Ok(()),
            };
            // The answer is the end of the connection, which TLS has to say too.
            drop(tokio::time::timeout(login::TELL, login::close(stream)).await);
            outcome.map(|()| None)
        }
        Arrival::Token(mut pending, mut stream) => {
            let entered = enter(here, (&mut pending, &mut stream), peer, (door, deadline, unheard)).await;
            let rejection = pending.rejection();
            let begun = match entered {
                Ok((admitted, deadline)) => in_time(deadline, begin(here, *pending, admitted)).await,
                Err(fault) => Err(fault),
            };
            match begun.and_then(|begun| prepare(here, begun)) {
                Ok(prepared) => Ok(Some(prepared.with(here, stream))),
                Err(fault) => {
                    login::reject(&mut stream, rejection, &fault).await;
                    Err(fault)
                }
            }
        }
    }
}

/// Admits a client whose token was shown; by when its login must be done. Where humans are asked first, the client is told, and the
/// login's time begins anew once they have answered.
async fn enter<E: Evidence>(
    here: &Here<E>,
    (pending, stream): (&mut Pending, &mut Stream),
    peer: SocketAddr,
    (door, deadline, unheard): (&Door, Instant, &mut Option<Counted>),
) -> Result<(Admitted<E>, Instant), Fault> {
    let full = || {
        Fault::new("gateway.full", Blame::Ours, "the gateway has as many sessions as it may have")
            .help("try again later")
    };
    let counted = Counted::below(&here.common.sessions, door.limits.max_sessions).ok_or_else(full)?;
    let token = pending.take_token();
    let startup = pending.startup();
    let (target, role, database) = (startup.target.clone(), startup.role.clone(), startup.database.clone());
    let (client_key, reason) = (stream.client_key(), startup.reason.clone());
    let request = OpenRequest { token, target, role, database, peer, client_key, reason };
    let held = match in_time(deadline, here.common.evidence.open(request)).await? {
        Opening::Open(opened) => return Ok((Admitted::new(here, *opened, counted), deadline)),
        Opening::Held(held) => held,
    };
    // It is known who waits: no place of those that nobody knows yet is taken.
    drop(unheard.take());
    let mut told = Vec::new();
    pending.wait(&format!("writ: this connection waits for an approval: {}", held.place), &mut told);
    in_time(deadline, login::tell(stream, &told)).await?;
    metrics::counter!("writ_gateway_connections_held_total").increment(1);
    let mut phase = here.common.phase.clone();
    let opened = tokio::select! {
        // Who left has no session, though it was approved at the same moment.
        biased;
        fault = login::left(stream) => Err(fault),
        _ = phase.wait_for(|phase| *phase != Phase::Open) => {
            Err(Fault::new("gateway.draining", Blame::Ours, "the gateway is shutting down").help("connect again"))
        }
        decided = tokio::time::timeout(held.limit, held.opened) => {
            decided.unwrap_or_else(|_| Err(crate::sql::hold::expired("connect again")))
        }
    };
    Ok((Admitted::new(here, opened?, counted), Instant::now() + door.limits.login_timeout))
}

/// A session that was admitted, and the place that it takes.
struct Admitted<E: Evidence> {
    opened: Opened<(), ()>,
    masks: Masks,
    pledged: Pledged<E>,
    counted: Counted,
}

impl<E: Evidence> Admitted<E> {
    fn new(here: &Here<E>, opened: Opened<E::Ticket>, counted: Counted) -> Self {
        let (opened, ticket, masks) = opened.apart();
        let evidence = Arc::clone(&here.common.evidence);
        let pledged = Pledged { evidence, session: opened.session, ticket: Some(ticket) };
        Self { opened, masks, pledged, counted }
    }
}

/// For whom a load balancer connects; it is told where it does not say.
async fn client(socket: &mut TcpStream) -> Result<Option<SocketAddr>, Fault> {
    match crate::listener::proxied(socket).await {
        Ok(client) => Ok(client),
        Err(fault) => {
            login::refuse(socket, &fault).await;
            Err(fault)
        }
    }
}

async fn in_time<T>(deadline: Instant, step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout_at(deadline.into(), step).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::new("login.timeout", Blame::Ours, "the login took too long")
            .help("try again; if it stays so, tell the operator of the gateway")),
    }
}

/// A session that was admitted and has not begun. Dropped, whatever the reason, it is abandoned: no credential is forgotten.
struct Pledged<E: Evidence> {
    evidence: Arc<E>,
    session: writ_core::id::SessionId,
    ticket: Option<E::Ticket>,
}

impl<E: Evidence> Pledged<E> {
    fn fail(mut self, why: &Fault) {
        if let Some(ticket) = self.ticket.take() {
            self.evidence.abandon(self.session, ticket, why);
        }
    }
}

impl<E: Evidence> Drop for Pledged<E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let why = Fault::new("login.abandoned", Blame::Peer, "the client left during the login");
            self.evidence.abandon(self.session, ticket, &why);
        }
    }
}

struct Begun<E: Evidence> {
    opened: Opened<(), ()>,
    pledged: Pledged<E>,
    pending: Pending,
    server: (Stream, Vec<u8>),
    upstream: writ_wire_postgres::upstream::Upstream,
    logged_in: LoggedIn,
    counted: Counted,
    mask: Box<dyn writ_mask::Mask>,
    relay: RelaySettings,
}

async fn begin<E: Evidence>(here: &Here<E>, pending: Pending, admitted: Admitted<E>) -> Result<Begun<E>, Fault> {
    let Admitted { opened, masks, pledged, counted } = admitted;
    let relay = masks.relay_settings();
    let ready = async {
        let (mut stream, upstream, mut left) =
            login::log_in(&opened.target.address, login::login_for(&opened, &pending)).await?;
        let mut logged_in = LoggedIn { database: pending.startup().database.clone(), facts: None };
        if opened.asks_target {
            logged_in.facts = Some(login::facts(&mut stream, &mut left).await?);
        }
        let (target, database, catalogs) = (&opened.target, &pending.startup().database, &here.common.catalogs);
        let at = masking::At { target, database, upstream: &upstream, catalogs };
        let mask = masks.make(at, &mut stream, &mut left).await?;
        Ok(((stream, left), upstream, logged_in, mask))
    };
    match ready.await {
        Ok((server, upstream, logged_in, mask)) => {
            Ok(Begun { opened, pledged, pending, server, upstream, logged_in, counted, mask, relay })
        }
        Err(fault) => {
            pledged.fail(&fault);
            Err(fault)
        }
    }
}

/// A session whose opening is recorded; only its client has still to be welcomed.
struct Prepared<E: Evidence> {
    begun: Begun<E>,
    entry: crate::cancel::Entry,
    gate: <E::Gate as crate::evidence::Gate>::Session,
}

fn prepare<E: Evidence>(here: &Here<E>, mut begun: Begun<E>) -> Result<Prepared<E>, Fault> {
    let key = begun.upstream.key.clone();
    let goal = key.map(|key| Goal { address: begun.opened.target.address.clone(), key });
    let entry = here.common.registry.enter(begun.pending.key_length(), goal)?;
    let mut ticket = begun.pledged.ticket.take();
    let began = match &mut ticket {
        Some(ticket) => here.worker.borrow_mut().gate.begin(ticket, &begun.logged_in),
        None => Err(Fault::new("ticket.used", Blame::Misuse, "the session has begun already")),
    };
    match began {
        Ok(gate) => Ok(Prepared { begun, entry, gate }),
        Err(fault) => {
            begun.pledged.ticket = ticket;
            begun.pledged.fail(&fault);
            Err(fault)
        }
    }
}

impl<E: Evidence> Prepared<E> {
    fn with(self, here: &Here<E>, stream: Stream) -> Ready<E> {
        let Self { begun, entry, gate } = self;
        let Begun { opened, pledged: _, pending, server, upstream, logged_in: _, counted, mask, relay } = begun;
        let span = tracing::info_span!("session", session = %opened.session, writ = %opened.writ);
        let live = here.common.evidence.register(opened.session);
        let mut welcome = Vec::new();
        pending.accept(upstream.parameters(), entry.key(), &mut welcome);
        let session = Session::new(Relay::new(relay), mask, gate);
        let running = Running::new(Rc::clone(&here.worker), session, (stream, Vec::new()), server, welcome);
        Ready { running, live, deadline: opened.deadline, entry, counted, span }
    }
}
