//! The contract between a protocol machine and its driver.
//!
//! A [`Machine`] understands one session of one protocol after login. It does no I/O and reads no clock: its driver (the
//! gateway) feeds it whole buffers and carries out the [`Effect`]s that it answers with. One command goes like this:
//!
//! ```text
//! client bytes   machine.handle(now, Side::Client, bytes)   Effect::Ask for each command in the buffer
//! gate           a verdict for each; the allowed ones are recorded; the spool takes the record
//!                machine.release(through, &Recorded<Clearance>)   Effect::Forward: only now do bytes go to the server
//!                machine.refuse(id, &Fault)                       the protocol's own error, in the right place
//! server bytes   machine.handle(now, Side::Server, bytes)   Effect::Deliver for what must be masked, Effect::Forward else
//! mask, record   machine.deliver(Masked)                    Effect::Forward or Effect::Send to the client
//! ```
//!
//! # Buffers
//! The driver owns one buffer for each side. `bytes` is always everything of that side that was not yet consumed, from the
//! first such byte on; spans in effects index into it and stay valid until an [`Effect::Consumed`] of that side is carried
//! out, which is always the last effect of a call that concerns that side. What waits for a verdict is not consumed. The
//! driver may therefore use one scratch buffer for many sessions and copy only what is left over.
//!
//! Client bytes may be left over though nothing of them waits for a verdict: the pipeline is full, or what they mean depends
//! on a reply. So after bytes of the server, a release or a refusal, hand the client's left-over bytes to
//! [`Machine::handle`] again, and read no more of the client while a whole buffer is left over.
//!
//! An [`Effect::Deliver`] is answered before the effects behind it are carried out: call [`Machine::deliver`] with a second
//! [`Effects`] and carry that out at once. So the client gets everything in the server's order.
//!
//! # What a machine must never do
//! Forward bytes of a command that was not released. Reserve memory by a length that a peer gave. Let an unknown message
//! pass. Panic.
//!
//! Read next: [`Effect`], then one machine: `writ-wire-postgres`.

use core::ops::Range;
use std::time::Instant;

use writ_core::command::{CommandId, CommandTag};
use writ_core::fault::Fault;
use writ_core::proof::{Clearance, Recorded};

mod effects;
mod learn;

pub use effects::{Effects, ParameterAt, ParameterFormat};
pub use learn::Learn;

/// Bytes within the buffer of one side, as passed to [`Machine::handle`], or within [`Effects::made`].
pub type Span = Range<usize>;

/// One of the two peers of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The workload's client.
    Client,
    /// The target.
    Server,
}

/// Where a command's text stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextAt {
    /// In the client's buffer.
    Buffer(Span),
    /// It was given earlier, with the command that prepared it.
    Prepared(CommandId),
    /// Longer than memory may hold; the driver has it in the spool, by [`Effect::Spill`].
    Spilled,
}

/// A command that waits for its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its number.
    pub id: CommandId,
    /// What kind of protocol element asks.
    pub tag: CommandTag,
    /// Its text.
    pub text: TextAt,
    /// Its parameters: a range of [`Effects::parameters`].
    pub parameters: Range<usize>,
}

/// What kind of thing flows back and must be masked and recorded before the client gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The description of the columns that follow.
    Columns,
    /// Rows: whole frames, one after another.
    Rows,
    /// Rows of a bulk copy: whole frames, one after another.
    Copy,
    /// An error.
    Error,
    /// A notice.
    Notice,
    /// A notification from another session.
    Notification,
    /// A parameter's new value.
    Parameter,
}

/// How a command came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It completed. `rows` is what the protocol's completion message counts, where it counts.
    Completed {
        /// The completion message's own text, in the server's buffer: `SELECT 5`.
        text: Span,
        /// The number of rows.
        rows: Option<u64>,
    },
    /// It stopped at a row limit; the same command goes on when it is executed again.
    Suspended,
    /// It failed. The code is the protocol's own (five characters of SQLSTATE).
    Failed {
        /// The code, in the server's buffer.
        code: Span,
    },
    /// It was skipped, since one before it in the same pipeline failed.
    Skipped,
    /// It was empty.
    Empty,
}

/// What the driver has to do, in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Decide, record, then call [`Machine::release`] or [`Machine::refuse`]. Nothing behind it goes on before that.
    Ask(Ask),
    /// The bytes of this side's buffer go on to the other side as they are.
    Forward {
        /// Whose buffer.
        from: Side,
        /// Which bytes.
        span: Span,
    },
    /// Bytes that the machine made, in [`Effects::made`], go to this side.
    Send {
        /// To whom.
        to: Side,
        /// Which bytes of [`Effects::made`].
        span: Span,
    },
    /// Bulk data that the client sends within a released command: record it where the level asks, then it is forwarded by
    /// the [`Effect::Forward`] that follows.
    Upload {
        /// The command.
        command: CommandId,
        /// Which bytes of the client's buffer: whole frames or a part of one.
        span: Span,
    },
    /// Bytes of the server's buffer to be masked and recorded; then call [`Machine::deliver`].
    Deliver {
        /// What they are.
        what: Delivery,
        /// The command that they answer, where they answer one.
        command: Option<CommandId>,
        /// Which bytes: whole frames, or, where `whole` is false, a part of one frame that is longer than the window.
        span: Span,
        /// Whether the frames are whole.
        whole: bool,
        /// Whether they end with a frame's end: always where they are whole, and for the last part of a long one.
        last: bool,
    },
    /// What the deliveries that follow are about; a driver that does not mask by it ignores it.
    Learn(Learn),
    /// A description of columns that the machine itself asked for, where it was asked to learn: the mask reads it, and nobody else.
    Study {
        /// Which bytes of the server's buffer: one whole frame.
        span: Span,
    },
    /// A command came out. Record it before what follows is delivered. A text of several statements comes out once for
    /// each of them.
    Outcome {
        /// The command.
        command: CommandId,
        /// How it came out.
        outcome: Outcome,
    },
    /// A command too long for memory arrives: append these bytes of the client's buffer, frame headers included, to the
    /// spool. Its [`Effect::Ask`] follows once it is whole; parameters of a spilled command stand in the spool alone.
    Spill {
        /// The command that it will be.
        command: CommandId,
        /// Which bytes.
        span: Span,
    },
    /// All that was spilled for this command goes to the server now.
    ForwardSpilled {
        /// The command.
        command: CommandId,
    },
    /// The first `count` bytes of this side's buffer are done with; spans into them end here.
    Consumed {
        /// Whose buffer.
        from: Side,
        /// How many bytes.
        count: usize,
    },
    /// The session is over once everything before this was written.
    Close,
}

/// What masking made of a [`Effect::Deliver`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Masked<'a> {
    /// Nothing had to change: these bytes of the server's buffer go on as they are.
    Unchanged(Span),
    /// This goes on instead: whole frames.
    Changed(&'a [u8]),
}

/// Where the session stands in its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionState {
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    Open,
    /// A transaction is open and failed.
    Failed,
}

/// One session of one protocol, after login.
///
/// Every method appends to `effects` and never clears it.
pub trait Machine {
    /// Looks at everything of one side that was not yet consumed.
    ///
    /// # Errors
    /// A fault ends the session: the driver carries out the effects that stand before it, then calls [`Self::abort`] with
    /// it.
    fn handle(&mut self, now: Instant, from: Side, bytes: &[u8], effects: &mut Effects) -> Result<(), Fault>;

    /// Lets every command go on that was asked, is not refused, and whose number is at most `through`. `client` is the
    /// client's unconsumed buffer, as for [`Self::handle`].
    fn release(&mut self, through: CommandId, permit: &Recorded<Clearance>, client: &[u8], effects: &mut Effects);

    /// Refuses the oldest command that waits: the client gets the protocol's own error frame in the place where the
    /// command's answer would have stood. Nothing of the command reaches the server. Where the refusal makes the machine
    /// skip commands that were asked behind it, each comes out as [`Outcome::Skipped`]; to release or refuse one of those
    /// does nothing.
    fn refuse(&mut self, id: CommandId, fault: &Fault, client: &[u8], effects: &mut Effects);

    /// Lets go to the client what was masked and recorded. Called once for each [`Effect::Deliver`], in order.
    fn deliver(&mut self, masked: Masked<'_>, effects: &mut Effects);

    /// Ends the session from our side: the client gets the protocol's own fatal error, the server a proper goodbye.
    fn abort(&mut self, why: &Fault, effects: &mut Effects);

    /// Where the session stands in its transactions.
    fn transaction(&self) -> TransactionState;

    /// Whether no command is under way: nothing waits for a verdict or for an answer.
    fn is_idle(&self) -> bool;
}
