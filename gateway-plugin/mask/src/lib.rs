//! Masking of what flows back, sans-I/O.
//!
//! Everything that flows from a target to a workload passes a [`Mask`] before it is recorded and before it is delivered:
//! rows, copied rows, errors, notices, notifications, parameters. A mask sees whole frames of the protocol and either
//! lets them be, without a copy, or writes what goes on instead. What a mask must never do: let something pass because
//! it could not read it. It errs, and the session ends.
//!
//! [`postgres::PostgresMask`] masks by [`rules`]: columns, types, and what [`detect`] finds, with the [`action`] that a
//! rule names; [`statement::StatementMask`] masks what a recording holds of the statements. [`Identity`] masks nothing. The feature `testing` has a mask that changes the length of every value, to try whoever
//! carries masked bytes on.

use writ_core::fault::Fault;
use writ_core::mask::MaskMark;

pub mod action;
pub mod detect;
pub mod postgres;
pub mod rules;
pub mod statement;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// What is to be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// The description of the columns of the rows that follow: a mask by column learns them here. A column whose type cannot hold what
    /// stands in its values' place is described as text.
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

    /// Learns what the frames do not say: to be called in the order of the replies, each time before the frames that it is about.
    /// A mask that needs to know nothing ignores it.
    ///
    /// # Errors
    /// A fault where that would need more memory than is allowed.
    fn learn(&mut self, context: Context<'_>) -> Result<(), Fault> {
        let _ = context;
        Ok(())
    }
}

/// What a mask learns of a session beside its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context<'a> {
    /// A simple query is answered next: rows are those of the columns that stand before them, in the formats stated there.
    Query,
    /// The next columns are what the client is told of a statement. What it means may change before it is executed.
    Describes {
        /// The caller's own key for the statement.
        statement: u64,
    },
    /// The next columns are those of a portal of this statement, in the formats of its rows.
    Opens {
        /// The caller's own key for the statement.
        statement: u64,
        /// Whether the client is told of them, or only of those of the statement.
        shown: bool,
    },
    /// The next rows are those of the portal whose columns came last.
    Executes {
        /// Whether they may be those of other columns all the same.
        doubted: bool,
    },
    /// The statement is gone.
    Forget {
        /// The caller's own key for the statement.
        statement: u64,
    },
    /// A bulk copy to the client begins.
    Copy {
        /// How it is written.
        format: CopyFormat,
        /// The columns that are copied, where that is known.
        columns: Option<&'a [CopyColumn]>,
    },
    /// The same, where no more is known than what server and statement say of it.
    CopyOf {
        /// Whether in the binary form.
        binary: bool,
        /// How many columns it has.
        columns: usize,
        /// The statement, where it is known.
        text: Option<&'a [u8]>,
    },
    /// The bulk copy has ended. Where something of it was held back, this is refused.
    CopyEnd,
    /// What names, tables and views mean may have changed: what was learned of columns holds no more.
    Schema {
        /// Only in that there are other tables: what was learned of columns still holds.
        tables: bool,
    },
}

/// A column of a bulk copy, as the catalog knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyColumn {
    /// The table's OID, 0 for an expression.
    pub table: u32,
    /// The attribute's number, 0 for an expression.
    pub attribute: i16,
    /// The OID of its type, 0 where it is not known.
    pub type_id: u32,
}

/// How a bulk copy is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// Lines of fields with `delimiter` between them and backslashes.
    Text {
        /// A tab where the command says nothing.
        delimiter: u8,
    },
    /// Lines of fields, quoted where need is.
    Csv {
        /// A comma where the command says nothing.
        delimiter: u8,
        /// A double quote where the command says nothing.
        quote: u8,
    },
    /// PostgreSQL's binary form.
    Binary,
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
