//! The spool: the write-ahead of evidence.
//!
//! One append-only file for each worker thread, written by plain appends before anything is forwarded: what a killed
//! process forwarded is in the page cache and therefore in the file. In strict mode a flush also waits for the disk. A
//! worker stages the records of one turn of its loop and flushes them by one write:
//!
//! ```text
//! spool.command(&mut session, &record, parameters)?;   staged: encrypted, in memory
//! spool.rows(&mut session, ...)?;
//! spool.flush()?;                                      COMMIT POINT: only now may the gate release
//! ```
//!
//! The spool never drops a record and never lets anything go on that it could not write: at the cap on its bytes, or
//! after a failed write, every append fails until a flush has written what was staged. What was staged stays staged, so
//! that the numbers of a session have no hole. A failed wait for the disk is not tried again, since the system may have
//! forgotten what it could not write: the worker's spool fails for good.
//!
//! Read next: [`WorkerSpool`], then [`recover`].

mod budget;
mod file;
mod read;
mod recover;
mod session;
mod worker;

pub use budget::Budget;
pub use read::{Item, Problem, SpoolReader};
pub use recover::{Left, Recovered, recover, seal_left};
pub use session::SessionSpool;
pub use worker::{Settings, SpoolError, WorkerSpool};

#[cfg(test)]
mod tests;
