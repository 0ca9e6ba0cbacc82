//! The verdict: what policy says of a command.

use crate::fault::Fault;
use crate::proof::Clearance;

/// What policy says of a command.
#[derive(Debug)]
pub enum Verdict {
    /// It may go on, once it is recorded.
    Allow(Clearance),
    /// It may not. The fault names the policy.
    Deny(Fault),
    /// A human decides.
    Hold(Hold),
}

/// What a held command waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What the client is told while it waits.
    pub notice: String,
    /// How long it may wait, in seconds.
    pub timeout_seconds: u64,
}
