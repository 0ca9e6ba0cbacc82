//! Policy decisions: the only crate that calls Cedar.
//!
//! Default is deny, and so is every doubt: a policy that errs, a claim that a policy reads and that has no form in
//! Cedar, obligations that contradict each other. Nothing here reads a clock, a file or the network; the caller gives
//! texts and the time.
//!
//! Read in this order: [`schema`] (what policies may speak of), [`bundle`] (a validated set of files and its hash),
//! [`claims`] (how a token's claims become tags), [`decide`] (the decisions), [`obligations`] (what comes with them),
//! [`session`] (decisions prepared for the hot path), [`judge`] (decisions on statements), [`explain`] (why) and [`missed`](mod@missed) (why not), [`wire`] (the bundle as signed data).

pub mod bundle;
pub mod claims;
pub mod decide;
mod entities;
pub mod explain;
pub mod functions;
pub mod governs;
pub mod judge;
pub mod missed;
pub mod obligations;
pub mod problem;
mod reads;
pub mod schema;
pub mod session;
mod terms;
pub mod wire;

#[cfg(test)]
mod tests;

pub use bundle::{Bundle, check};
pub use decide::{ConnectContext, Denied, Human, HumanAction, command, connect, human};
pub use explain::{Explanation, explain_command, explain_connect};
pub use functions::OwnFunctions;
pub use governs::Inputs;
pub use judge::{Judgement, Need, StatementFacts, Thing};
pub use missed::{Missed, missed};
pub use problem::Problem;
pub use session::SessionPolicy;
