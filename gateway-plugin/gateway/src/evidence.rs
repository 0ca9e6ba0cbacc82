//! What the gateway needs of whoever admits sessions and keeps their evidence: the embedded plugin, or a stand-in of a test.
//!
//! Never: hand out a proof for a command whose record was not taken by the spool. That is why [`Gate::prove`] asks for
//! what [`Gate::commit`] gave.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use writ_core::client::{ClientKey, Reason};
use writ_core::command::{Command, CommandId};
use writ_core::credential::Secret;
use writ_core::event::SessionEnd;
use writ_core::fault::Fault;
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::proof::{Clearance, Recorded};
use writ_core::target::{Target, TargetName};
use writ_core::time::Timestamp;
use writ_policy::OwnFunctions;
use writ_record::entry::{Flow, OutcomeRecord, Parameter, Text};
use zeroize::Zeroizing;

use crate::masking::Masks;

/// A client that has shown a token and wants a session.
pub struct OpenRequest {
    /// The token as shown, unverified.
    pub token: Zeroizing<Vec<u8>>,
    /// The target that it wants.
    pub target: TargetName,
    /// The database role that it wants, where it names one.
    pub role: Option<String>,
    /// The database that it wants.
    pub database: String,
    /// The client's address, as the listener or the PROXY header gives it.
    pub peer: std::net::SocketAddr,
    /// The key that it proved in its handshake, if it did.
    pub client_key: Option<ClientKey>,
    /// Why it connects, where it says.
    pub reason: Option<Reason>,
}

/// A session that was admitted.
pub struct Opened<T, M = Masks> {
    /// Its number.
    pub session: SessionId,
    /// Its writ.
    pub writ: WritId,
    /// Where it goes.
    pub target: Target,
    /// Whom to log in as there.
    pub principal: String,
    /// With what.
    pub secret: Secret,
    /// When it ends, by the monotonic clock.
    pub deadline: Instant,
    /// What masks its replies.
    pub mask: M,
    /// Whether [`Gate::begin`] needs to know what the target says of the session.
    pub asks_target: bool,
    /// Settings that the session begins with at the target.
    pub settings: Vec<(String, String)>,
    /// What [`Gate::begin`] needs.
    pub ticket: T,
}

impl<T> Opened<T> {
    /// The session without what begins it, and without its mask.
    #[must_use]
    pub fn apart(self) -> (Opened<(), ()>, T, Masks) {
        let Self { session, writ, target, principal, secret, deadline, mask, asks_target, settings, ticket } = self;
        let rest =
            Opened { session, writ, target, principal, secret, deadline, mask: (), asks_target, settings, ticket: () };
        (rest, ticket, mask)
    }
}

/// What becomes of a client that is not refused.
pub enum Opening<T> {
    /// Its session may begin.
    Open(Box<Opened<T>>),
    /// Humans are asked first.
    Held(Held<T>),
}

/// A client that waits for humans before its session is opened.
pub struct Held<T> {
    /// Where they answer, for the client.
    pub place: String,
    /// How long that may take.
    pub limit: Duration,
    /// The session, or why there is none. Dropped, humans are not asked any more.
    pub opened: Pin<Box<dyn Future<Output = Result<Opened<T>, Fault>> + Send>>,
}

/// What is known of a session once it is logged in at its target.
#[derive(Debug, Clone, Default)]
pub struct LoggedIn {
    /// The database.
    pub database: String,
    /// What the target says of it, where [`Opened::asks_target`] wants that.
    pub facts: Option<ServerFacts>,
}

/// What a server says of a session right after its login.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// `search_path`.
    pub search_path: String,
    /// Whether there is a schema called like the role.
    pub user_schema: bool,
    /// The role.
    pub role: String,
    /// The functions outside of `pg_catalog` that matter to verdicts.
    pub functions: OwnFunctions,
}

/// When a command is judged, and what is under way then.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// By the calendar.
    pub at: Timestamp,
    /// By the monotonic clock.
    pub now: Instant,
    /// Whether a transaction may be open when the command runs.
    pub open: &'a dyn Fn() -> bool,
    /// The commands that prepared what may still be executed.
    pub prepared: &'a dyn Fn() -> HashSet<CommandId>,
}

impl core::fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Moment").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Why a session has to end that its peers would go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// In a word, for the record.
    pub end: SessionEnd,
    /// What the client is told.
    pub reason: String,
}

/// A verdict on one command. Its record is staged, whichever it is.
#[derive(Debug)]
pub enum Judged<A> {
    /// It may go on once [`Gate::prove`] says so.
    Allow(A),
    /// It may not.
    Deny(Fault),
}

/// What a verdict waits for: a parser, a human. Dropped, it is wanted no more.
pub struct Later(Pin<Box<dyn Future<Output = ()>>>);

impl Later {
    /// Resolves once the command is worth judging again.
    pub fn new(ready: impl Future<Output = ()> + 'static) -> Self {
        Self(Box::pin(ready))
    }

    /// Whether the command is worth judging again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl core::fmt::Debug for Later {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Later")
    }
}

/// What a gate answers when it is asked.
#[derive(Debug)]
pub enum Answer<A> {
    /// The verdict.
    Now(Judged<A>),
    /// There is none yet and nothing was released: the same command is to be judged again once this resolves.
    Later(Later),
    /// As [`Answer::Later`], and the client is told this.
    Held(Later, String),
}

/// Admits sessions. Shared by all workers.
pub trait Evidence: Send + Sync + 'static {
    /// What passes from admission to a worker's gate.
    type Ticket: Send + 'static;
    /// One worker's part.
    type Gate: Gate<Ticket = Self::Ticket> + 'static;
    /// A running session's place in the registry of what can be killed.
    type Live: Live + 'static;

    /// The gateway's name.
    fn gateway(&self) -> GatewayId;

    /// Asks for a session. May be awaited on any runtime.
    ///
    /// # Errors
    /// It is refused, or nobody can decide.
    fn open(&self, request: OpenRequest) -> impl Future<Output = Result<Opening<Self::Ticket>, Fault>> + Send;

    /// Makes the part of worker `index`; called once on its thread.
    ///
    /// # Errors
    /// The spool cannot be opened.
    fn gate(&self, index: u32) -> Result<Self::Gate, Fault>;

    /// Enters a session that runs; dropping the answer takes it out.
    fn register(&self, session: SessionId) -> Self::Live;

    /// Ends a session that was admitted and never began: its target could not be reached.
    fn abandon(&self, session: SessionId, ticket: Self::Ticket, why: &Fault);
}

/// A running session's place in the registry.
pub trait Live {
    /// Resolves when the session has to end. Cancel-safe.
    fn ended(&mut self) -> impl Future<Output = Ending>;
}

/// One worker's decisions and records. Synchronous, used by one thread alone.
pub trait Gate {
    /// What passes from admission.
    type Ticket;
    /// One session's part.
    type Session;
    /// A command that policy allows and whose record is staged.
    type Allowed;
    /// That all that was staged was written.
    type Flushed;

    /// Begins a session; its opening is written when this returns. The ticket is used up if it succeeds.
    ///
    /// # Errors
    /// The spool takes nothing.
    fn begin(&mut self, ticket: &mut Self::Ticket, logged_in: &LoggedIn) -> Result<Self::Session, Fault>;

    /// Decides on a command and stages its record, or says what that waits for.
    ///
    /// # Errors
    /// The spool takes nothing; the session must end.
    fn judge<'p>(
        &mut self,
        session: &mut Self::Session,
        command: &Command<'_>,
        moment: &Moment<'_>,
        text: Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>> + Clone,
    ) -> Result<Answer<Self::Allowed>, Fault>;

    /// The client wants what it waits for no more: what is held is to be refused. Says whether anything was.
    fn cancel(&mut self, session: &mut Self::Session) -> bool;

    /// Stages how a command came out.
    ///
    /// # Errors
    /// The spool takes nothing; the session must end.
    fn outcome(&mut self, session: &mut Self::Session, record: &OutcomeRecord<'_>) -> Result<(), Fault>;

    /// Stages what flowed, where the session's level asks for it. `whole` is false where the bytes end within a frame.
    ///
    /// # Errors
    /// The spool takes nothing; the session must end.
    fn rows(
        &mut self,
        session: &mut Self::Session,
        command: Option<CommandId>,
        at: Timestamp,
        flow: Flow,
        bytes: &[u8],
        whole: bool,
    ) -> Result<(), Fault>;

    /// Stages a part of a command that is too long for memory.
    ///
    /// # Errors
    /// The spool takes nothing; the session must end.
    fn spill(
        &mut self,
        session: &mut Self::Session,
        command: CommandId,
        at: Timestamp,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Fault>;

    /// Writes all that is staged.
    ///
    /// # Errors
    /// It could not be written; nothing that was staged may go on.
    fn commit(&mut self) -> Result<Self::Flushed, Fault>;

    /// The proof that lets a command go on.
    fn prove(&self, allowed: Self::Allowed, flushed: &Self::Flushed) -> Recorded<Clearance>;

    /// Ends a session; its end is written when this returns.
    ///
    /// # Errors
    /// The spool takes nothing; a recovery then closes the session.
    fn close(&mut self, session: Self::Session, at: Timestamp, end: SessionEnd, code: &str) -> Result<(), Fault>;
}
