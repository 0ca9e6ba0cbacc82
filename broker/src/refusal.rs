//! Refusals: what a caller learns, and what the ledger learns.

use writ_broker_api::problem::Problem;
use writ_core::fault::{Blame, Fault};
use writ_core::id::RequestId;

use crate::evidence::EvidenceFault;
use crate::store::StoreFault;

/// A request that was refused. The fault's public words go to the caller, its detail went to the ledger or the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub fault: Fault,
    /// What the caller may quote.
    pub request: RequestId,
}

impl Refusal {
    /// A refusal with the status that its blame asks for.
    #[must_use]
    pub fn new(fault: Fault, request: RequestId) -> Self {
        let status = match fault.blame {
            Blame::Peer => 400,
            Blame::NotAllowed => 403,
            Blame::Target => 502,
            Blame::Ours => 503,
            Blame::Misuse => 500,
        };
        Self { status, fault, request }
    }

    /// The caller did not show who it is.
    #[must_use]
    pub fn unauthenticated() -> Self {
        let fault = Fault::new("caller.unauthenticated", Blame::NotAllowed, "you have not shown who you are")
            .help("log in again with `writ login`");
        Self { status: 401, ..Self::new(fault, RequestId::fresh()) }
    }

    /// The caller has logged in too long ago for this.
    #[must_use]
    pub fn stale() -> Self {
        let fault =
            Fault::new("caller.stale", Blame::NotAllowed, "you have logged in too long ago to answer for others")
                .help("log in again with `writ login` (max_auth_age)");
        Self::new(fault, RequestId::fresh())
    }

    /// The caller may not do this.
    #[must_use]
    pub fn forbidden() -> Self {
        let fault = Fault::new("caller.forbidden", Blame::NotAllowed, "you may not do this")
            .help("ask an administrator for the role that permits it");
        Self::new(fault, RequestId::fresh())
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        let fault = Fault::new("not_found", Blame::Peer, format!("there is no such {what}"));
        Self { status: 404, ..Self::new(fault, RequestId::fresh()) }
    }

    /// The request is malformed.
    #[must_use]
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::new(Fault::new("request.malformed", Blame::Peer, why.into()), RequestId::fresh())
    }

    /// The state does not allow it.
    #[must_use]
    pub fn conflict(why: impl Into<String>) -> Self {
        Self { status: 409, ..Self::new(Fault::new("request.conflict", Blame::Peer, why.into()), RequestId::fresh()) }
    }

    /// The form in which the caller gets it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        Problem {
            kind: format!("urn:writ:problem:{}", self.fault.code),
            title: self.fault.public.to_string(),
            status: self.status,
            detail: self.fault.help.as_ref().map(ToString::to_string),
            code: self.fault.code.to_owned(),
            request: self.request,
        }
    }
}

/// The fault when evidence cannot be written: no evidence, no access.
#[must_use]
pub fn no_evidence(fault: &EvidenceFault) -> Fault {
    Fault::new("evidence.unwritable", Blame::Ours, "the evidence cannot be written, so nothing is allowed")
        .help("try again; if it stays so, tell the operator")
        .detail(fault.to_string())
}

impl From<EvidenceFault> for Refusal {
    fn from(fault: EvidenceFault) -> Self {
        Self::new(no_evidence(&fault), RequestId::fresh())
    }
}

impl From<StoreFault> for Refusal {
    fn from(fault: StoreFault) -> Self {
        let fault = Fault::new("store.failed", Blame::Ours, "the broker's store failed").detail(fault.0);
        Self::new(fault, RequestId::fresh())
    }
}
