//! What users do, with the programs that they use, through the real binary.

mod action;
mod approvals;
mod azure_database;
mod balancer;
mod canary;
mod cancel;
mod clients;
mod cloudsql;
mod connect;
mod demo;
mod dev;
mod door;
pub(crate) mod evidence;
mod examples;
mod first_steps;
mod freeze;
mod github;
mod github_app;
mod governed;
mod keys;
mod limits;
mod listen;
mod masks;
mod metrics;
mod middle;
mod mysql;
mod oauth;
mod openbao;
mod pipelines;
mod policies;
mod printed;
mod raw;
mod rds;
mod refusals;
mod reload;
mod rotation;
mod secrets;
mod ssh;
mod terraform;
mod together;
mod upstream;
mod verdicts;
mod wide;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use writ_world::stack::Stack;

/// One stack for the tests that run at the same time; the last to let go of it ends it.
fn shared() -> Result<Arc<Stack>, String> {
    static STACK: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut known = STACK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return Ok(running);
    }
    let stack = Arc::new(Stack::start()?);
    *known = Arc::downgrade(&stack);
    Ok(stack)
}
