//! The embedded plugin as the driver's evidence: the broker admits, the spool records.

use std::sync::Arc;

use writ_broker_api::gateway::OpenRequest as Ask;
use writ_core::command::{Command, CommandId};
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::id::{GatewayId, SessionId};
use writ_core::proof::{Clearance, Recorded};
use writ_core::time::Timestamp;
use writ_mask::Identity;
use writ_plugin::gate::{Allowed, Flushed};
use writ_plugin::{Judge, LiveSession, Plugin, SessionGate, WorkerGate};
use writ_record::DataKey;
use writ_record::entry::{Flow, OutcomeRecord, Parameter, Text};
use writ_record::spool::SessionMeta;

use crate::evidence::{Answer, Ending, Evidence, Gate, Judged, Live, OpenRequest, Opened};

/// The plugin, as the driver asks for it.
#[derive(Debug, Clone)]
pub struct Embedded(pub Arc<Plugin>);

/// What a session brings from its admission to its worker.
pub struct Ticket {
    meta: SessionMeta,
    key: DataKey,
    judge: Option<Box<dyn Judge>>,
    plugin: Arc<Plugin>,
}

/// One worker's part.
#[derive(Debug)]
pub struct EmbeddedGate(WorkerGate);

impl Evidence for Embedded {
    type Ticket = Ticket;
    type Gate = EmbeddedGate;
    type Live = LiveSession;

    fn gateway(&self) -> GatewayId {
        self.0.gateway()
    }

    async fn open(&self, request: OpenRequest) -> Result<Opened<Ticket>, Fault> {
        let token = String::from_utf8(request.token.to_vec()).map_err(|_| {
            Fault::new("token.text", Blame::Peer, "the token is not text")
                .help("give the OIDC token as the password, exactly as its issuer gave it")
        })?;
        let ask = Ask {
            token,
            target: request.target.as_str().to_owned(),
            role: request.role,
            database: Some(request.database),
            client: request.peer.to_string(),
        };
        let admitted = self.0.open(ask).await?;
        Ok(Opened {
            session: admitted.session,
            writ: admitted.writ,
            target: admitted.target,
            principal: admitted.principal,
            secret: admitted.secret,
            deadline: admitted.deadline,
            mask: Box::new(Identity),
            ticket: Ticket {
                meta: admitted.meta,
                key: admitted.key,
                judge: Some(Box::new(admitted.policy)),
                plugin: Arc::clone(&self.0),
            },
        })
    }

    fn gate(&self, index: u32) -> Result<EmbeddedGate, Fault> {
        self.0.worker(index).map(EmbeddedGate)
    }

    fn register(&self, session: SessionId) -> LiveSession {
        self.0.register(session)
    }

    fn abandon(&self, _: SessionId, ticket: Ticket, why: &Fault) {
        ticket.plugin.not_begun(&ticket.meta, why);
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
    type Session = SessionGate;
    type Allowed = Allowed;
    type Flushed = Flushed;

    fn begin(&mut self, ticket: &mut Ticket) -> Result<SessionGate, Fault> {
        let used = || Fault::new("ticket.used", Blame::Misuse, "the session has begun already");
        let judge = ticket.judge.take().ok_or_else(used)?;
        self.0.begin(&ticket.meta, &ticket.key, judge)
    }

    fn judge<'p>(
        &mut self,
        session: &mut SessionGate,
        command: &Command<'_>,
        at: Timestamp,
        text: Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
    ) -> Result<Answer<Allowed>, Fault> {
        Ok(Answer::Now(match self.0.judge(session, command, at, text, parameters)? {
            writ_plugin::Judged::Allow(allowed) => Judged::Allow(allowed),
            writ_plugin::Judged::Deny(fault) => Judged::Deny(fault),
            // No policy of this version holds a command; one that does is not let through for that.
            writ_plugin::Judged::Hold(_) => Judged::Deny(Fault::new(
                "policy.hold",
                Blame::NotAllowed,
                "the command needs an approval, which this gateway cannot ask for",
            )),
        }))
    }

    fn outcome(&mut self, session: &mut SessionGate, record: &OutcomeRecord<'_>) -> Result<(), Fault> {
        self.0.outcome(session, record)
    }

    fn rows(
        &mut self,
        session: &mut SessionGate,
        command: Option<CommandId>,
        at: Timestamp,
        flow: Flow,
        bytes: &[u8],
        whole: bool,
    ) -> Result<(), Fault> {
        self.0.rows(session, command, at, flow, bytes, whole)
    }

    fn spill(
        &mut self,
        session: &mut SessionGate,
        command: CommandId,
        at: Timestamp,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        self.0.spill(session, command, at, offset, bytes)
    }

    fn commit(&mut self) -> Result<Flushed, Fault> {
        self.0.commit()
    }

    fn prove(&self, allowed: Allowed, flushed: &Flushed) -> Recorded<Clearance> {
        self.0.prove(allowed, flushed)
    }

    fn close(&mut self, session: SessionGate, at: Timestamp, end: SessionEnd, code: &str) -> Result<(), Fault> {
        self.0.close(session, at, end, code)
    }
}
