//! What a session would be told: the gateway's own judging, with its parser's child and without a gateway.
//!
//! Nothing is decided here. A statement goes the way that it goes in a gateway: understood by the child, followed through the
//! session's search path, judged by the policy set. What only a server knows is given, and no server is asked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::fault::Fault;
use writ_core::grant::SessionLimits;
use writ_core::statement::{Fingerprint, TransactionStep};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_core::workload::Workload;
use writ_gateway::evidence::{Moment, ServerFacts};
use writ_gateway::sql::{Governed, Governor, Parsed};
use writ_parser::{Parser, Settings};
use writ_policy::{Bundle, Need, SessionPolicy};
use writ_record::entry::{Ending, Text};

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
    /// What was asked about.
    #[serde(skip)]
    pub asked: Asked,
}

/// What a command is, as far as it was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Its statements, their literals apart.
    pub fingerprints: Vec<Fingerprint>,
    /// The least that policies have to permit, where that is collected.
    pub needs: BTreeSet<Need>,
    /// The settings that it changes.
    pub settings: Vec<String>,
    /// Whether it changes or deletes without a condition.
    pub unfiltered: bool,
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
    collects: bool,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    judges: &'a Judges,
    policy: SessionPolicy,
    governed: Option<Governed>,
    next: u64,
    /// Whether a transaction is open.
    open: bool,
    /// Commands that were let go and did not come out: whether a transaction is open behind each, where that changes.
    under_way: BTreeMap<CommandId, Option<bool>>,
    /// The first command, by both clocks.
    begun: Option<(Timestamp, Instant)>,
}

/// How many commands are followed that never come out.
const MOST_UNDER_WAY: usize = 4096;

impl Judges {
    /// Judges by this policy set.
    pub(crate) fn new(bundle: impl Into<Arc<Bundle>>) -> Self {
        let governor = Governor::new(Parser::new(Settings::own()));
        Self { bundle: bundle.into(), governor: Rc::new(RefCell::new(governor)), collects: false }
    }

    /// The same, who also say what each command needs.
    pub(crate) fn collecting(bundle: Bundle) -> Self {
        Self { collects: true, ..Self::new(bundle) }
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
        let under_way = BTreeMap::new();
        Session { judges: self, policy, governed, next: 1, open: false, under_way, begun: None }
    }
}

impl Session<'_> {
    /// What is answered to a text that a client sends as it is, and that completes where it may run.
    pub(crate) async fn ask(&mut self, text: &str, at: Timestamp) -> Given {
        let id = CommandId(self.next);
        self.next += 1;
        let given = self.command(id, CommandTag::SqlQuery, Some(text.as_bytes()), at).await;
        self.came_out(id, Ending::Completed, None);
        given
    }

    /// What is answered to a command; without its text it is not understood. One that is held goes on as if approved.
    pub(crate) async fn command(
        &mut self,
        id: CommandId,
        tag: CommandTag,
        text: Option<&[u8]>,
        at: Timestamp,
    ) -> Given {
        let now = self.instant(at);
        let Some(governed) = &mut self.governed else { return given(self.policy.verdict(tag), &[]) };
        let open = self.open || !self.under_way.is_empty();
        let (open, prepared) = (move || open, HashSet::new);
        let moment = Moment { at, now, open: &open, prepared: &prepared };
        let command = Command { id, tag, text };
        let place = text.map_or(Text::Spilled(0), Text::Inline);
        let said = loop {
            match governed.judge(&self.judges.governor, &command, &place, &moment) {
                Ok(said) => break said,
                Err(mut later) => std::future::poll_fn(|context| later.poll(context)).await,
            }
        };
        let asked = asked(&said.parsed, self.judges.collects.then(|| governed.needs(&said.parsed, &moment)));
        let mut given = given(governed.settle(&command, &said, false, &moment), &said.judgement.policies);
        given.asked = asked;
        if given.verdict == Answer::Hold {
            let _ = governed.settle(&command, &said, true, &moment);
        }
        if given.verdict != Answer::Deny && tag != CommandTag::SqlPrepare {
            self.under_way.insert(id, open_behind(&said.parsed));
            if self.under_way.len() > MOST_UNDER_WAY {
                self.under_way.pop_first();
            }
        }
        given
    }

    /// A command came out.
    pub(crate) fn came_out(&mut self, id: CommandId, ending: Ending, rows: Option<u64>) {
        let Some(governed) = &mut self.governed else { return };
        // What was recorded has come out already: a limit of now does not undo it.
        let _ = governed.came_out(id, ending, rows);
        if let Some(Some(open)) = self.under_way.remove(&id).filter(|_| ending == Ending::Completed) {
            self.open = open;
        }
    }

    /// A time of the calendar on the monotonic clock, as far as the session's own times tell.
    fn instant(&mut self, at: Timestamp) -> Instant {
        let (first, begun) = *self.begun.get_or_insert_with(|| (at, Instant::now()));
        let since = Duration::try_from(at.duration_since(first)).unwrap_or_default();
        begun.checked_add(since).unwrap_or(begun)
    }
}

/// Whether a transaction is open behind these statements, where they say.
fn open_behind(parsed: &Parsed) -> Option<bool> {
    parsed.statements.iter().rev().find_map(|statement| match &statement.transaction {
        Some(TransactionStep::Begin) => Some(true),
        Some(TransactionStep::Commit | TransactionStep::Rollback | TransactionStep::TwoPhase) => Some(false),
        _ => None,
    })
}

fn asked(parsed: &Parsed, needs: Option<BTreeSet<Need>>) -> Asked {
    let statements = &parsed.statements;
    let names = statements.iter().flat_map(|statement| &statement.settings).map(|setting| setting.name.clone());
    Asked {
        fingerprints: statements.iter().map(|statement| statement.fingerprint).collect(),
        settings: if needs.is_some() { names.collect() } else { Vec::new() },
        needs: needs.unwrap_or_default(),
        unfiltered: statements.iter().any(|statement| statement.unfiltered),
    }
}

fn given(verdict: Verdict, policies: &[String]) -> Given {
    let fault =
        |fault: Fault| (Answer::Deny, policies.to_vec(), Some(fault.code.to_owned()), Some(fault.public.into_owned()));
    let (verdict, policies, code, reason) = match verdict {
        Verdict::Allow(_) => (Answer::Allow, policies.to_vec(), None, None),
        Verdict::Hold(terms) => (Answer::Hold, terms.policies, None, None),
        Verdict::Deny(denied) => fault(denied),
    };
    Given { verdict, policies, code, reason, asked: Asked::default() }
}
