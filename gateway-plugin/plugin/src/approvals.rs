//! Questions to humans, from the gateway's side: put, waited for, withdrawn when nobody waits any more, used once. A connection's is used by
//! opening its session.
//!
//! The broker's stream tells what came of them within a second; should a line of it be lost, the broker is asked by and by. What
//! must never happen: that a command goes on by an approval whose use the broker did not confirm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use writ_broker_api::approval::{ApprovalReply, ApprovalRequest};
use writ_core::approval::ApprovalState;
use writ_core::fault::{Blame, Fault};
use writ_core::id::ApprovalId;

use crate::plugin::Plugin;

/// How often the broker is asked where a question stands whose answer the stream has not told.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// And the first time: it may have been answered before it was waited for.
const ASK_FIRST: Duration = Duration::from_secs(1);
/// How many commands may wait for humans at once.
const MOST: usize = 20_000;

/// The questions that wait for their answers.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<ApprovalId, watch::Sender<Option<ApprovalReply>>>>);

impl Questions {
    fn enter(&self, id: ApprovalId) -> Result<watch::Receiver<Option<ApprovalReply>>, Fault> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            return Err(Fault::new("approval.many", Blame::Ours, "too many commands wait for approvals")
                .help("try again later"));
        }
        let (sender, receiver) = watch::channel(None);
        waiting.insert(id, sender);
        Ok(receiver)
    }

    fn leave(&self, id: ApprovalId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The stream told what became of one.
    pub(crate) fn settled(&self, reply: ApprovalReply) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.get(&reply.approval) {
            sender.send_replace(Some(reply));
        }
    }
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Approved, and used: the command may go on, once.
    Approved(ApprovalId),
    /// A human denied it, with this reason.
    Denied(String),
    /// Nobody answered in time.
    Expired,
}

/// A question that was put. Dropped before it is answered or used, it is withdrawn.
pub struct Question {
    plugin: Arc<Plugin>,
    /// What was told when it was put.
    pub put: ApprovalReply,
    told: watch::Receiver<Option<ApprovalReply>>,
    over: bool,
}

impl core::fmt::Debug for Question {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Question").field("approval", &self.put.approval).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Puts a question to humans. May be awaited on any runtime; dropped before it is ready, the question is withdrawn.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses, or too many wait.
    pub async fn ask_approval(self: &Arc<Self>, request: ApprovalRequest) -> Result<Question, Fault> {
        let plugin = Arc::clone(self);
        let asked = self.on_runtime(async move {
            let put = plugin.link().client().ask_approval(&request).await?;
            Question::put(&plugin, put).await
        });
        asked.await
    }
}

impl Question {
    /// Waits for what the broker was asked by another call: one about a connection.
    pub(crate) async fn put(plugin: &Arc<Plugin>, put: ApprovalReply) -> Result<Self, Fault> {
        let id = put.approval;
        match plugin.link().questions.enter(id) {
            Ok(told) => Ok(Self { plugin: Arc::clone(plugin), put, told, over: false }),
            Err(fault) => {
                drop(plugin.link().client().withdraw_approval(id).await);
                Err(fault)
            }
        }
    }

    /// Its approval was used.
    pub(crate) fn used(mut self) {
        self.over = true;
    }

    pub(crate) const fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Waits for the answer; an approval is used when this returns. May be awaited on any runtime.
    ///
    /// # Errors
    /// If the broker says that the approval cannot be used, or the question is lost.
    pub async fn answer(mut self) -> Result<Answer, Fault> {
        match self.settled().await? {
            Answer::Approved(id) => self.make_use().await.map(|()| Answer::Approved(id)),
            other => Ok(other),
        }
    }

    /// Waits for the answer, and leaves its use to the caller.
    pub(crate) async fn settled(&mut self) -> Result<Answer, Fault> {
        let mut stands = self.put.clone();
        loop {
            let answer = match stands.state {
                ApprovalState::Asked => None,
                ApprovalState::Approved => return Ok(Answer::Approved(self.put.approval)),
                ApprovalState::Denied => Some(Ok(Answer::Denied(stands.reason.unwrap_or_default()))),
                ApprovalState::Expired => Some(Ok(Answer::Expired)),
                ApprovalState::Withdrawn | ApprovalState::Used => Some(Err(gone())),
            };
            if let Some(answer) = answer {
                self.over = true;
                return answer;
            }
            stands = self.next().await;
        }
    }

    /// What the stream tells next, or the broker when it is asked again.
    async fn next(&mut self) -> ApprovalReply {
        let (plugin, id, mut told) = (Arc::clone(&self.plugin), self.put.approval, self.told.clone());
        let next = self.plugin.on_runtime(async move {
            let mut pause = ASK_FIRST;
            loop {
                let heard = tokio::time::timeout(pause, told.changed()).await;
                pause = ASK_AGAIN;
                if let (Ok(Ok(())), Some(reply)) = (heard, told.borrow_and_update().clone()) {
                    return Ok(reply);
                }
                // A broker that is gone for a while is asked again; the gateway's own grace ends the session.
                if let Ok(reply) = plugin.link().client().approval(id).await
                    && reply.state != ApprovalState::Asked
                {
                    return Ok(reply);
                }
            }
        });
        next.await.unwrap_or_else(|_| ApprovalReply { state: ApprovalState::Withdrawn, ..self.put.clone() })
    }

    async fn make_use(&mut self) -> Result<(), Fault> {
        let (plugin, id) = (Arc::clone(&self.plugin), self.put.approval);
        self.over = true;
        let used = self.plugin.on_runtime(async move { plugin.link().client().use_approval(id).await }).await;
        used.map(drop)
    }
}

pub(crate) fn gone() -> Fault {
    Fault::new("approval.gone", Blame::Ours, "the approval cannot be used").help("try again: it is asked anew")
}

impl Drop for Question {
    fn drop(&mut self) {
        let (plugin, id) = (Arc::clone(&self.plugin), self.put.approval);
        plugin.link().questions.leave(id);
        if !self.over {
            let runtime = plugin.runtime().clone();
            runtime.spawn(async move {
                // Should this fail, the question expires by itself; its command is gone either way.
                drop(plugin.link().client().withdraw_approval(id).await);
            });
        }
    }
}
