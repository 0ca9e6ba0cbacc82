//! Faults: who is to blame, what the caller may know, what the operator must know.
//!
//! The two messages are never one. `public` goes to the client in the protocol's own error frame; `detail` goes to the
//! log and the ledger. One voice: lower case, no full stop, names from outside in backticks, a help line that says
//! what to do.

use core::fmt;
use std::borrow::Cow;

/// Who is to blame. A protocol's error frame is a total function of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The peer broke the protocol.
    Peer,
    /// The peer may not do this.
    NotAllowed,
    /// The target refused or cannot be reached.
    Target,
    /// We cannot serve: no evidence, no capacity, no broker.
    Ours,
    /// Our own interface was misused: a defect.
    Misuse,
}

/// Something went wrong, in the two messages that it needs.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable code, `area.what`, for logs, metrics and the ledger.
    pub code: &'static str,
    /// Who is to blame.
    pub blame: Blame,
    /// What the client may know.
    pub public: Cow<'static, str>,
    /// What to do about it, for the client.
    pub help: Option<Cow<'static, str>>,
    /// What the operator must know. Never sent to a client.
    pub detail: Cow<'static, str>,
}

impl Fault {
    /// A fault whose client learns `public` and whose operator learns no more than that.
    #[must_use]
    pub fn new(code: &'static str, blame: Blame, public: impl Into<Cow<'static, str>>) -> Self {
        let public = public.into();
        Self { code, blame, detail: public.clone(), public, help: None }
    }

    /// The same, with what only the operator learns.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same, with what the client should do.
    #[must_use]
    pub fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Fault {}
