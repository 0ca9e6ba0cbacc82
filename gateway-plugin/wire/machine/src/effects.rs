//! The effects of one call, in memory that the driver reuses: no allocation for a command, none for a row.

use crate::{Effect, Side, Span};

/// How a parameter is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterFormat {
    /// As text.
    Text,
    /// In the type's binary form.
    Binary,
}

/// One parameter of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterAt {
    /// Its type as the protocol numbers it (PostgreSQL: the OID); 0 where the client left it open.
    pub type_id: u32,
    /// How it is encoded.
    pub format: ParameterFormat,
    /// Its bytes in the client's buffer; `None` is NULL.
    pub value: Option<Span>,
}

/// What a machine answered. One is enough for a worker's sessions: take what it holds, then [`Self::clear`] it.
#[derive(Debug, Default)]
pub struct Effects {
    /// What to do, in order.
    pub list: Vec<Effect>,
    /// Bytes that the machine made; [`Effect::Send`] points into it.
    pub made: Vec<u8>,
    /// Parameters of the commands that are asked.
    pub parameters: Vec<ParameterAt>,
}

impl Effects {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.made.clear();
        self.parameters.clear();
    }

    /// Appends an effect.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Forwards bytes of `from`'s buffer, joining them to the effect before where they continue it.
    pub fn forward(&mut self, from: Side, span: Span) {
        if span.is_empty() {
            return;
        }
        if let Some(Effect::Forward { from: before, span: earlier }) = self.list.last_mut()
            && *before == from
            && earlier.end == span.start
        {
            earlier.end = span.end;
            return;
        }
        self.list.push(Effect::Forward { from, span });
    }

    /// Sends bytes that `make` appends to [`Self::made`].
    pub fn send(&mut self, to: Side, make: impl FnOnce(&mut Vec<u8>)) {
        let start = self.made.len();
        make(&mut self.made);
        let span = start..self.made.len();
        if !span.is_empty() {
            self.list.push(Effect::Send { to, span });
        }
    }

    /// Says that the first `count` bytes of `from`'s buffer are done with.
    pub fn consumed(&mut self, from: Side, count: usize) {
        if count > 0 {
            self.list.push(Effect::Consumed { from, count });
        }
    }
}
