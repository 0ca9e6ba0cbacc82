//! The embedded plugin as the driver's evidence: the broker admits, the spool records.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use writ_broker_api::gateway::OpenRequest as Ask;
use writ_core::command::{Command, CommandId};
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::SessionLimits;
use writ_core::id::{GatewayId, SessionId};
use writ_core::proof::{Clearance, Recorded};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_mask::Identity;
use writ_mask::postgres::NoCatalog;
use writ_mask::statement::StatementMask;
use writ_parser::Parser;
use writ_plugin::gate::{Allowed, Flushed};
use writ_plugin::masks::Masking;
use writ_plugin::opening::{self, HeldOpening};
use writ_plugin::{Admitted, LiveSession, Plugin, SessionGate, WorkerGate};
use writ_policy::SessionPolicy;
use writ_record::DataKey;
use writ_record::entry::{Flow, OutcomeRecord, Parameter, Text};
use writ_record::known::{ServerKnown, SessionKnown};
use writ_record::spool::SessionMeta;
use writ_wire_postgres::frame;

use crate::evidence::{
    Answer, Ending, Evidence, Gate, Held, Judged, Live, LoggedIn, Moment, OpenRequest, Opened, Opening, ServerFacts,
};
use crate::masking::Masks;
use crate::sql::desk::{PluginDesk, approvals_place};
use crate::sql::hold::{self, Desk};
use crate::sql::{Decided, Governed, Governor};

/// How much longer than humans may take a connection waits for what the broker says of it.
const BROKERS_ANSWER: Duration = Duration::from_secs(30);

/// The plugin, as the driver asks for it.
#[derive(Debug, Clone)]
pub struct Embedded(pub Arc<Plugin>, pub writ_parser::Settings);

/// What a session brings from its admission to its worker.
pub struct Ticket {
    meta: SessionMeta,
    key: DataKey,
    known: SessionKnown,
    policy: Option<SessionPolicy>,
    desk: PluginDesk,
    limits: SessionLimits,
    plugin: Arc<Plugin>,
    statements: Option<StatementMask>,
}

/// One worker's part.
#[derive(Debug)]
pub struct EmbeddedGate {
    gate: WorkerGate,
    governor: Rc<RefCell<Governor>>,
}

/// One session's part.
pub struct EmbeddedSession {
    gate: SessionGate,
    judge: Judge,
    desk: Rc<dyn Desk>,
    help: String,
}

impl core::fmt::Debug for EmbeddedSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EmbeddedSession").field("gate", &self.gate).field("judge", &self.judge).finish_non_exhaustive()
    }
}

/// By what a session's commands are judged.
#[derive(Debug)]
enum Judge {
    /// By their kind alone.
    Tags(Box<SessionPolicy>),
    /// Statement by statement.
    Statements(Box<Governed>),
}

impl Evidence for Embedded {
    type Ticket = Ticket;
    type Gate = EmbeddedGate;
    type Live = LiveSession;

    fn gateway(&self) -> GatewayId {
        self.0.gateway()
    }

    async fn open(&self, request: OpenRequest) -> Result<Opening<Ticket>, Fault> {
        let token = String::from_utf8(request.token.to_vec()).map_err(|_| {
            Fault::new("token.text", Blame::Peer, "the token is not text")
                .help("give the OIDC token as the password, exactly as its issuer gave it")
        })?;
        let ask = Ask {
            token,
            target: request.target.as_str().to_owned(),
            protocol: writ_core::target::Protocol::Postgres,
            role: request.role,
            database: Some(request.database),
            client: request.peer.to_string(),
            client_key: request.client_key,
            reason: request.reason,
            approval: None,
        };
        Ok(match self.0.open(ask).await? {
            opening::Opening::Admitted(admitted) => Opening::Open(Box::new(opened(&self.0, *admitted))),
            opening::Opening::Held(held) => Opening::Held(waits(Arc::clone(&self.0), *held)),
        })
    }

    fn gate(&self, index: u32) -> Result<EmbeddedGate, Fault> {
        let governor = Rc::new(RefCell::new(Governor::new(Parser::new(self.1.clone()))));
        self.0.worker(index).map(|gate| EmbeddedGate { gate, governor })
    }

    fn register(&self, session: SessionId) -> LiveSession {
        self.0.register(session)
    }

    fn abandon(&self, _: SessionId, ticket: Ticket, why: &Fault) {
        ticket.plugin.not_begun(&ticket.meta, why);
    }
}

/// A connection that waits for humans.
fn waits(plugin: Arc<Plugin>, held: HeldOpening) -> Held<Ticket> {
    let told = held.told();
    let place = approvals_place(&told.place, &told.approval);
    let limit = Duration::from_secs(told.remaining_seconds) + BROKERS_ANSWER;
    let decided = async move {
        match held.decided().await? {
            opening::Decided::Admitted(admitted) => Ok(opened(&plugin, *admitted)),
            opening::Decided::Denied(reason) => Err(hold::denied(&reason)),
            opening::Decided::Expired => Err(hold::expired("connect again")),
        }
    };
    Held { place, limit, opened: Box::pin(decided) }
}

fn opened(plugin: &Arc<Plugin>, admitted: Admitted) -> Opened<Ticket> {
    admitted.claim.take();
    let known = SessionKnown {
        claims: admitted.claims,
        labels: admitted.target.labels.clone(),
        database: String::new(),
        server: None,
    };
    let target = admitted.target.name.clone();
    Opened {
        session: admitted.session,
        writ: admitted.writ,
        target: admitted.target,
        principal: admitted.principal,
        secret: admitted.secret,
        deadline: admitted.deadline,
        mask: admitted.masking.clone().map_or_else(|| Masks::Ready(Box::new(Identity)), Masks::Rules),
        asks_target: admitted.policy.judges_statements() || *admitted.obligations.limits != SessionLimits::default(),
        settings: settings(*admitted.obligations.limits),
        ticket: Ticket {
            meta: admitted.meta,
            key: admitted.key,
            known,
            limits: *admitted.obligations.limits,
            desk: PluginDesk {
                plugin: Arc::clone(plugin),
                session: admitted.session,
                issuer: admitted.issuer,
                subject: admitted.subject,
                target,
                role: admitted.obligations.role,
                policy_hash: admitted.policy.policy_hash().clone(),
            },
            policy: Some(admitted.policy),
            plugin: Arc::clone(plugin),
            statements: admitted.masking.map(statement_mask),
        },
    }
}

fn statement_mask(masking: Masking) -> StatementMask {
    StatementMask::new(masking.rules, masking.key, Arc::new(NoCatalog))
}

fn server_known(facts: &ServerFacts) -> ServerKnown {
    let ServerFacts { search_path, user_schema, role, functions } = facts;
    ServerKnown {
        search_path: search_path.clone(),
        user_schema: *user_schema,
        role: role.clone(),
        functions: functions
            .names()
            .map(|names| names.map(|(schema, name)| (schema.to_owned(), name.to_owned())).collect()),
    }
}

impl Live for LiveSession {
    async fn ended(&mut self) -> Ending {
        let ending = Self::ended(self).await;
        Ending { end: ending.end, reason: ending.reason }
    }
}

impl Gate for EmbeddedGate {
    type Ticket = Ticket;
    type Session = EmbeddedSession;
    type Allowed = Allowed;
    type Flushed = Flushed;

    fn begin(&mut self, ticket: &mut Ticket, logged_in: &LoggedIn) -> Result<EmbeddedSession, Fault> {
        let used = || Fault::new("ticket.used", Blame::Misuse, "the session has begun already");
        let policy = ticket.policy.as_ref().ok_or_else(used)?;
        let judge = match &logged_in.facts {
            Some(facts) => {
                let database = logged_in.database.clone();
                Judge::Statements(Box::new(Governed::new(policy.clone(), database, ticket.limits, facts)))
            }
            None if policy.judges_statements() => {
                return Err(Fault::new("login.facts", Blame::Misuse, "the session's statements cannot be judged"));
            }
            None => Judge::Tags(Box::new(policy.clone())),
        };
        let mut gate = self.gate.begin(&ticket.meta, &ticket.key, policy.policy_hash().clone())?;
        ticket.policy = None;
        if let Some(mask) = ticket.statements.take() {
            gate.mask_statements(mask);
        }
        let known = SessionKnown {
            database: logged_in.database.clone(),
            server: logged_in.facts.as_ref().map(server_known),
            ..std::mem::take(&mut ticket.known)
        };
        self.gate.known(&mut gate, ticket.meta.opened, &known)?;
        let desk = Rc::new(ticket.desk.clone());
        Ok(EmbeddedSession { gate, judge, desk, help: format!("the writ is {}", ticket.meta.writ) })
    }

    fn judge<'p>(
        &mut self,
        session: &mut EmbeddedSession,
        command: &Command<'_>,
        moment: &Moment<'_>,
        text: Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>> + Clone,
    ) -> Result<Answer<Allowed>, Fault> {
        let decided = match &mut session.judge {
            Judge::Tags(policy) => Decided::Verdict(policy.verdict(command.tag), None),
            Judge::Statements(governed) => {
                governed.decide(&self.governor, &session.desk, command, &text, parameters.clone(), moment)
            }
        };
        let (verdict, approval) = match decided {
            Decided::Verdict(verdict, approval) => (verdict, approval),
            Decided::Later(later) => return Ok(Answer::Later(later)),
            Decided::Held(later, place) => return Ok(Answer::Held(later, notice(&place))),
        };
        let verdict = match verdict {
            Verdict::Deny(fault) => Verdict::Deny(helped(fault, &session.help)),
            other => other,
        };
        let judged =
            self.gate.stage(&mut session.gate, command, moment.at, text, parameters, (verdict, approval.as_deref()))?;
        Ok(Answer::Now(match judged {
            writ_plugin::Judged::Allow(allowed) => Judged::Allow(allowed),
            writ_plugin::Judged::Deny(fault) => Judged::Deny(fault),
        }))
    }

    fn cancel(&mut self, session: &mut EmbeddedSession) -> bool {
        match &session.judge {
            Judge::Statements(governed) => governed.cancel(),
            Judge::Tags(_) => false,
        }
    }

    fn outcome(&mut self, session: &mut EmbeddedSession, record: &OutcomeRecord<'_>) -> Result<(), Fault> {
        if let Judge::Statements(governed) = &mut session.judge {
            governed.came_out(record.id, record.ending, record.rows)?;
        }
        self.gate.outcome(&mut session.gate, record)
    }

    fn rows(
        &mut self,
        session: &mut EmbeddedSession,
        command: Option<CommandId>,
        at: Timestamp,
        flow: Flow,
        bytes: &[u8],
        whole: bool,
    ) -> Result<(), Fault> {
        if flow == Flow::Parameter && matches!(session.judge, Judge::Statements(_)) && !keeps_dialect(bytes) {
            return Err(Fault::new(
                "session.dialect",
                Blame::NotAllowed,
                "statements of this session could be misread",
            )
            .help("leave client_encoding at UTF8 and standard_conforming_strings on"));
        }
        if let Judge::Statements(governed) = &mut session.judge {
            match flow {
                Flow::Rows | Flow::Copy => governed.flow(command, bytes, whole)?,
                Flow::Error => governed.failed(),
                _ => {}
            }
        }
        self.gate.rows(&mut session.gate, command, at, flow, bytes, whole)
    }

    fn spill(
        &mut self,
        session: &mut EmbeddedSession,
        command: CommandId,
        at: Timestamp,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        self.gate.spill(&mut session.gate, command, at, offset, bytes)
    }

    fn commit(&mut self) -> Result<Flushed, Fault> {
        self.gate.commit()
    }

    fn prove(&self, allowed: Allowed, flushed: &Flushed) -> Recorded<Clearance> {
        self.gate.prove(allowed, flushed)
    }

    fn close(&mut self, session: EmbeddedSession, at: Timestamp, end: SessionEnd, code: &str) -> Result<(), Fault> {
        self.gate.close(session.gate, at, end, code)
    }
}

/// What a grant sets at the target; the session may not change it ([`Governed`] refuses that).
fn settings(limits: SessionLimits) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if limits.read_only {
        settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
    }
    if let Some(seconds) = limits.statement_timeout_seconds {
        settings.push(("statement_timeout".to_owned(), format!("{seconds}s")));
    }
    settings
}

/// A refusal that names the writ, by which the operator finds all else.
fn helped(fault: Fault, writ: &str) -> Fault {
    let help = fault.help.as_deref().map_or_else(|| writ.to_owned(), |help| format!("{help}; {writ}"));
    fault.help(help)
}

/// Whether a report of the server's (`ParameterStatus` frames) leaves texts to be read as they are understood here.
fn keeps_dialect(mut frames: &[u8]) -> bool {
    while let Ok(Some(head)) = frame::peek(frames, 0, Blame::Target) {
        let Some((this, rest)) = frames.split_at_checked(head.total) else { return false };
        let mut reader = frame::Reader::new(this, frame::HEADER);
        match (reader.text(), reader.text()) {
            (Some(b"standard_conforming_strings"), value) if value != Some(b"on") => return false,
            (Some(b"client_encoding"), Some(value)) if !value.eq_ignore_ascii_case(b"utf8") => return false,
            _ => {}
        }
        frames = rest;
    }
    frames.is_empty()
}

/// What a client is told whose command waits for humans.
fn notice(place: &str) -> String {
    format!("writ: this statement waits for an approval: {place}")
}
