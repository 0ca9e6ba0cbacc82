//! A command that waits for humans: asked for once, bound to exactly these bytes, answered once.
//!
//! Never: let a command go on an answer to another one; wait where nobody can be told; keep an ask alive that nobody waits for.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::statement::Fingerprint;
use writ_core::verdict::HoldTerms;
use writ_wire_postgres::error::CANCELLED;

use super::Said;
use crate::evidence::Later;

/// What humans are asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The command.
    pub command: CommandId,
    /// The database.
    pub database: String,
    /// The schemas in which the server may look for names that state none.
    pub schemas: Vec<String>,
    /// Its text, as it will run.
    pub statement: Vec<u8>,
    /// Its parameters: type OID, whether in binary, the bytes; `None` for NULL.
    pub parameters: Vec<Parameter>,
    /// What it is, its literals apart; zero where no window may cover it.
    pub fingerprint: Fingerprint,
    /// Who has to answer, and how long it may take.
    pub terms: HoldTerms,
}

/// One parameter of a command that humans are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its type's OID; 0 where the client leaves it to the server.
    pub type_id: u32,
    /// Whether it is in the type's binary form.
    pub binary: bool,
    /// Its bytes; `None` for NULL.
    pub value: Option<Vec<u8>>,
}

/// How humans answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Enough have approved. By which approval, for the record.
    Approved(String),
    /// One has denied, with this reason.
    Denied(String),
    /// Nobody answered in time.
    Expired,
}

/// What is told of a question that was put.
pub struct Asked {
    /// Where a human answers it.
    pub place: String,
    /// The answer. Dropped, the question is withdrawn.
    pub decision: Pin<Box<dyn Future<Output = Result<Decision, Fault>>>>,
}

impl core::fmt::Debug for Asked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Asked").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Puts questions to humans.
pub trait Desk {
    /// Puts one. Dropped before it is ready, it is not put, or withdrawn.
    fn ask(&self, question: Question) -> Pin<Box<dyn Future<Output = Result<Asked, Fault>>>>;
}

/// Where a question stands.
enum Stage {
    Asking,
    Asked(Asked),
    Told,
    Answered(Result<Decision, Fault>),
    Cancelled,
}

/// A command that is held.
pub struct Holding {
    /// The command.
    pub command: CommandId,
    /// What policy said of it.
    pub said: Said,
    stage: Rc<RefCell<Stage>>,
    /// Until when it may wait, from when it was asked.
    deadline: Instant,
}

impl core::fmt::Debug for Holding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Holding").field("command", &self.command).finish_non_exhaustive()
    }
}

/// What comes next for a held command.
#[derive(Debug)]
pub enum Next {
    /// It waits on, and the client is told this, where there is something to tell.
    Wait(Later, Option<String>),
    /// It may go on, by this approval.
    Approved(String),
    /// It may not.
    Refused(Fault),
}

impl Holding {
    /// Holds a command and puts the question.
    #[must_use]
    pub fn begin(desk: &Rc<dyn Desk>, question: Question, said: Said) -> (Self, Later) {
        let stage = Rc::new(RefCell::new(Stage::Asking));
        let (kept, desk, command) = (Rc::clone(&stage), Rc::clone(desk), question.command);
        let deadline = Instant::now() + Duration::from_secs(question.terms.timeout_seconds);
        let later = Later::new(async move {
            let reached = tokio::time::timeout_at(deadline, desk.ask(question)).await;
            let next = match reached {
                Ok(Ok(asked)) => Stage::Asked(asked),
                Ok(Err(fault)) => Stage::Answered(Err(fault)),
                Err(_) => Stage::Answered(Ok(Decision::Expired)),
            };
            settle(&kept, next);
        });
        (Self { command, said, stage, deadline }, later)
    }

    /// What comes next, once something has.
    pub fn next(&self) -> Next {
        let now = std::mem::replace(&mut *self.stage.borrow_mut(), Stage::Told);
        match now {
            Stage::Asked(asked) => {
                let (stage, deadline) = (Rc::clone(&self.stage), self.deadline);
                let later = Later::new(async move {
                    let decision = tokio::time::timeout_at(deadline, asked.decision).await;
                    settle(&stage, Stage::Answered(decision.unwrap_or(Ok(Decision::Expired))));
                });
                Next::Wait(later, Some(asked.place))
            }
            Stage::Answered(Ok(Decision::Approved(approval))) => Next::Approved(approval),
            Stage::Answered(Ok(Decision::Denied(reason))) => Next::Refused(denied(&reason)),
            Stage::Answered(Ok(Decision::Expired)) => Next::Refused(expired("run the statement again")),
            Stage::Answered(Err(fault)) => Next::Refused(fault),
            Stage::Cancelled => Next::Refused(refusal(CANCELLED, "canceling statement due to user request")),
            Stage::Asking | Stage::Told => Next::Refused(
                Fault::new("approval.lost", Blame::Ours, "the approval was lost").help("run the statement again"),
            ),
        }
    }

    /// The client wants it no more: an answer that was not acted on yet counts no more either.
    pub fn cancel(&self) {
        *self.stage.borrow_mut() = Stage::Cancelled;
    }
}

/// What was cancelled is not approved behind that.
fn settle(stage: &RefCell<Stage>, next: Stage) {
    let mut stage = stage.borrow_mut();
    if !matches!(*stage, Stage::Cancelled | Stage::Answered(_)) {
        *stage = next;
    }
}

fn refusal(code: &'static str, public: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(code, Blame::NotAllowed, public)
}

/// Nobody approved in time: what to do once someone would.
pub(crate) fn expired(then: &str) -> Fault {
    refusal("approval.expired", "the approval was not given in time").help(format!("ask an approver, then {then}"))
}

/// A human denied it.
pub(crate) fn denied(reason: &str) -> Fault {
    let shown: String = reason.chars().take(200).flat_map(char::escape_debug).collect();
    let public =
        if shown.is_empty() { "an approver denied it".to_owned() } else { format!("an approver denied it: {shown}") };
    refusal("approval.denied", public).help("ask the approver what would be approved")
}
