//! Commands that were asked and have no verdict yet.
//!
//! What a command is stands in the client's buffer, which holds it until it is released or refused. A waiting command keeps
//! the places alone, as they stood when it was asked, and how many bytes were consumed by then.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use writ_core::command::{CommandId, CommandTag};
use writ_wire_machine::{Ask, ParameterAt, Span, TextAt};

use crate::evidence::Later;

/// One command that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asks.
    pub tag: CommandTag,
    text: TextAt,
    parameters: Vec<ParameterAt>,
    consumed: u64,
}

impl Waiting {
    /// The text's place, of a buffer of which `consumed` bytes in all are gone.
    #[must_use]
    pub fn text(&self, consumed: u64) -> TextAt {
        match &self.text {
            TextAt::Buffer(span) => TextAt::Buffer(self.moved(span, consumed)),
            other => other.clone(),
        }
    }

    /// The parameters' places, likewise.
    #[must_use]
    pub fn parameters(&self, consumed: u64) -> Vec<ParameterAt> {
        let moved = |at: &ParameterAt| {
            let value = at.value.as_ref().map(|span| self.moved(span, consumed));
            ParameterAt { value, ..at.clone() }
        };
        self.parameters.iter().map(moved).collect()
    }

    fn moved(&self, span: &Span, consumed: u64) -> Span {
        let gone = usize::try_from(consumed.saturating_sub(self.consumed)).unwrap_or(usize::MAX);
        span.start.saturating_sub(gone)..span.end.saturating_sub(gone)
    }
}

/// The commands of one session that wait, in order, and what the first of them waits for.
#[derive(Debug, Default)]
pub struct Line {
    commands: VecDeque<Waiting>,
    later: Option<Later>,
    consumed: u64,
}

impl Line {
    /// Whether a command waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// How many bytes of the client's buffer were consumed since the session began.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Some more were consumed.
    pub const fn consume(&mut self, count: usize) {
        self.consumed = self.consumed.saturating_add(count as u64);
    }

    /// A command waits behind all others; for what, is asked of the first alone.
    pub fn push(&mut self, ask: &Ask, parameters: &[ParameterAt], later: Option<Later>) {
        if self.commands.is_empty() {
            self.later = later;
        }
        let (text, parameters) = (ask.text.clone(), parameters.to_vec());
        self.commands.push_back(Waiting { id: ask.id, tag: ask.tag, text, parameters, consumed: self.consumed });
    }

    /// The first command, to be judged again.
    pub fn pop(&mut self) -> Option<Waiting> {
        self.later = None;
        self.commands.pop_front()
    }

    /// The first one still has no verdict.
    pub fn put_back(&mut self, command: Waiting, later: Later) {
        self.commands.push_front(command);
        self.later = Some(later);
    }

    /// A command was skipped, since one before it failed. Says whether it was one of these.
    pub fn skip(&mut self, id: CommandId) -> bool {
        let Some(at) = self.commands.iter().position(|command| command.id == id) else { return false };
        self.commands.remove(at);
        if at == 0 {
            self.later = None;
        }
        true
    }

    /// The first command is worth judging again, whatever it waits for.
    pub fn hurry(&mut self) {
        self.later = None;
    }

    /// Ready when the first command is worth judging again; pending where none waits.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.commands.is_empty() {
            return Poll::Pending;
        }
        if let Some(later) = &mut self.later
            && later.poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        self.later = None;
        Poll::Ready(())
    }
}
