//! Masking of what flows back, sans-I/O.
//!
//! Everything that flows from a target to a workload passes a [`Mask`] before it is recorded and before it is delivered:
//! rows, copied rows, errors, notices, notifications, parameters. A mask sees whole frames of the protocol and either
//! lets them be, without a copy, or writes what goes on instead. What a mask must never do: let something pass because
//! it could not read it. It errs, and the session ends.
//!
//! [`Identity`] masks nothing. The feature `testing` has a mask that changes the length of every value, to try whoever
//! carries masked bytes on.

use writ_core::fault::Fault;
use writ_core::mask::MaskMark;

pub mod detect;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// What is to be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The description of the columns of the rows that follow. Never changed; a mask by column learns them here.
    Columns,
    /// Rows.
    Rows,
    /// Rows of a bulk copy, in pieces that need not end where a row ends.
    Copy,
    /// An error.
    Error,
    /// A notice.
    Notice,
    /// A notification of another session.
    Notification,
    /// A parameter's new value.
    Parameter,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Masked {
    /// Nothing had to change, and nothing was written.
    Unchanged,
    /// What was written goes on instead.
    Changed {
        /// Which rules changed how many values.
        marks: Vec<MaskMark>,
    },
}

/// The masking of one session. It may remember: columns that were described, a value that began in an earlier piece.
pub trait Mask: Send {
    /// Masks whole frames of the protocol, one after another. `out` is appended to, and only where the answer is
    /// [`Masked::Changed`]; what it gets are whole frames too.
    ///
    /// # Errors
    /// A fault where the frames cannot be understood. Nothing of them may go on, and the session ends.
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault>;

    /// Masks a part of one frame that is longer than the window; `last` is set on the part that ends it. The frame's
    /// length was announced by its first part, so that what goes on must be as long as what came.
    ///
    /// # Errors
    /// As for [`Self::frames`]; also where a value would have to change its length.
    fn part(&mut self, what: What, input: &[u8], last: bool, out: &mut Vec<u8>) -> Result<Masked, Fault>;
}

/// The mask that masks nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Mask for Identity {
    fn frames(&mut self, _what: What, _input: &[u8], _out: &mut Vec<u8>) -> Result<Masked, Fault> {
        Ok(Masked::Unchanged)
    }

    fn part(&mut self, _what: What, _input: &[u8], _last: bool, _out: &mut Vec<u8>) -> Result<Masked, Fault> {
        Ok(Masked::Unchanged)
    }
}
