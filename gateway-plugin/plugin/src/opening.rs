//! Openings: a session that may begin, or a connection that waits for humans until it may.
//!
//! Of a connection that waits nothing is there but the question and what it asked for, the token among it. What must never happen: that a
//! session begins on an answer that the broker did not confirm by opening it.

use std::sync::Arc;

use writ_broker_api::approval::ApprovalReply;
use writ_broker_api::gateway::OpenRequest;
use writ_core::fault::Fault;

use crate::approvals::{Answer, Question, gone};
use crate::plugin::Plugin;
use crate::session::Admitted;

/// What became of an opening.
#[derive(Debug)]
pub enum Opening {
    /// The session may begin.
    Admitted(Box<Admitted>),
    /// Humans are asked first.
    Held(Box<HeldOpening>),
}

/// A connection that waits for humans. Dropped, its question is withdrawn.
pub struct HeldOpening {
    question: Question,
    request: OpenRequest,
}

impl core::fmt::Debug for HeldOpening {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HeldOpening").field("question", &self.question).finish_non_exhaustive()
    }
}

/// How humans answered about a connection.
#[derive(Debug)]
pub enum Decided {
    /// They approved, and the session was opened.
    Admitted(Box<Admitted>),
    /// One denied it, with this reason.
    Denied(String),
    /// Nobody answered in time.
    Expired,
}

impl HeldOpening {
    pub(crate) async fn put_to(plugin: &Arc<Plugin>, put: ApprovalReply, request: OpenRequest) -> Result<Self, Fault> {
        Ok(Self { question: Question::put(plugin, put).await?, request })
    }

    /// What was told when the question was put.
    #[must_use]
    pub const fn told(&self) -> &ApprovalReply {
        &self.question.put
    }

    /// Waits for the answer, and opens the session where it is yes. May be awaited on any runtime.
    ///
    /// # Errors
    /// If the question is lost, or the broker refuses the session after all.
    pub async fn decided(self) -> Result<Decided, Fault> {
        let Self { mut question, mut request } = self;
        match question.settled().await? {
            Answer::Denied(reason) => return Ok(Decided::Denied(reason)),
            Answer::Expired => return Ok(Decided::Expired),
            Answer::Approved(approval) => request.approval = Some(approval),
        }
        match Box::pin(question.plugin().open(request)).await? {
            Opening::Admitted(admitted) => {
                question.used();
                Ok(Decided::Admitted(admitted))
            }
            Opening::Held(_) => Err(gone()),
        }
    }
}
