//! The verdict: what policy says of a command.

use serde::Serialize;

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
    Hold(HoldTerms),
}

/// What a held command, or a held connection, waits for: humans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldTerms {
    /// The policies that hold it.
    pub policies: Vec<String>,
    /// How long it may wait, in seconds.
    pub timeout_seconds: u64,
    /// The groups of whose members any may approve; empty where every approver may.
    pub groups: Vec<String>,
    /// How many have to approve.
    pub needed: u32,
    /// How long it may wait within a transaction, in seconds; not at all where policy says nothing, since it keeps locks.
    pub in_transaction_seconds: Option<u64>,
}
