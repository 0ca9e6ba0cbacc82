//! What a session would be told: the gateway's own judging, with its parser's child and without a gateway.
//!
//! Nothing is decided here. A statement goes the way that it goes in a gateway: understood by the child, followed through the
//! session's search path, judged by the policy set. What only a server knows is given, and no server is asked.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::fault::Fault;
use writ_core::grant::SessionLimits;
use writ_core::statement::TransactionStep;
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_core::workload::Workload;
use writ_gateway::evidence::{Moment, ServerFacts};
use writ_gateway::sql::{Governed, Governor, Judged, Parsed};
use writ_parser::{Parser, Settings};
use writ_policy::{Bundle, SessionPolicy};
use writ_record::entry::Text;

use super::case::Answer;

/// What a policy set answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Given {
    /// The answer.
    pub verdict: Answer,
    /// The policies from which it comes: those that permit, those that hold, or those that forbid.
    pub policies: Vec<String>,
    /// Why not, as a stable code.
    pub code: Option<String>,
    /// Why not, in words.
    pub reason: Option<String>,
}

/// What is known of a session at its target.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The database.
    pub database: String,
    /// What the server says of the session.
    pub facts: ServerFacts,
    /// What the session may do at most.
    pub limits: SessionLimits,
}

/// A policy set and the parser by which statements are understood.
#[derive(Debug)]
pub(crate) struct Judges {
    bundle: Arc<Bundle>,
    governor: Rc<RefCell<Governor>>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    judges: &'a Judges,
    policy: SessionPolicy,
    governed: Option<Governed>,
    next: u64,
    open: Cell<bool>,
}

impl Judges {
    /// Judges by this policy set.
    pub(crate) fn new(bundle: Bundle) -> Self {
        let governor = Governor::new(Parser::new(Settings::own()));
        Self { bundle: Arc::new(bundle), governor: Rc::new(RefCell::new(governor)) }
    }

    /// The policy set.
    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// A session that begins.
    pub(crate) fn session(&self, workload: &Workload, target: &Target, known: &Known) -> Session<'_> {
        let policy = SessionPolicy::prepare(&self.bundle, workload, target);
        let judged = policy.judges_statements();
        let governed =
            judged.then(|| Governed::new(policy.clone(), known.database.clone(), known.limits, &known.facts));
        Session { judges: self, policy, governed, next: 1, open: Cell::new(false) }
    }
}

impl Session<'_> {
    /// What is answered to a text that a client sends as it is.
    pub(crate) async fn ask(&mut self, text: &str, at: Timestamp) -> Given {
        let id = CommandId(self.next);
        self.next += 1;
        self.command(id, CommandTag::SqlQuery, text.as_bytes(), at).await
    }

    /// What is answered to a command. One that is allowed counts as completed.
    pub(crate) async fn command(&mut self, id: CommandId, tag: CommandTag, text: &[u8], at: Timestamp) -> Given {
        let Some(governed) = &mut self.governed else { return given(self.policy.verdict(tag), &[]) };
        let (open, none) = (self.open.get(), HashSet::new());
        let (open, prepared) = (move || open, move || none.clone());
        let moment = Moment { at, now: Instant::now(), open: &open, prepared: &prepared };
        let command = Command { id, tag, text: Some(text) };
        let said = loop {
            match governed.judge(&self.judges.governor, &command, &Text::Inline(text), &moment) {
                Judged::Said(said) => break said,
                Judged::Later(mut later) => std::future::poll_fn(|context| later.poll(context)).await,
            }
        };
        let verdict = governed.settle(&command, &said, false, &moment);
        let given = given(verdict, &said.judgement.policies);
        if given.verdict != Answer::Deny && tag != CommandTag::SqlPrepare {
            governed.came_out(id, true, None);
            self.open.set(still_open(self.open.get(), &said.parsed));
        }
        given
    }
}

/// Whether a transaction is open behind these statements.
fn still_open(open: bool, parsed: &Parsed) -> bool {
    parsed.statements.iter().fold(open, |open, statement| match &statement.transaction {
        Some(TransactionStep::Begin) => true,
        Some(TransactionStep::Commit | TransactionStep::Rollback | TransactionStep::TwoPhase) => false,
        _ => open,
    })
}

fn given(verdict: Verdict, policies: &[String]) -> Given {
    let denied = |fault: Fault| Given {
        verdict: Answer::Deny,
        policies: policies.to_vec(),
        code: Some(fault.code.to_owned()),
        reason: Some(fault.public.into_owned()),
    };
    match verdict {
        Verdict::Allow(_) => Given { verdict: Answer::Allow, policies: policies.to_vec(), code: None, reason: None },
        Verdict::Hold(terms) => Given { verdict: Answer::Hold, policies: terms.policies, code: None, reason: None },
        Verdict::Deny(fault) => denied(fault),
    }
}
